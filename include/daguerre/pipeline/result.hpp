#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/rewrite.hpp"

namespace daguerre {

/// What a run made: pictures, or films, which are as many pictures each.
struct Result {
  /// In order; of films all frames of the first, then of the second …; none with Request::on_frame.
  std::vector<Image> images;
  std::size_t frames = 1;              ///< of each film; 1: these are pictures
  double frame_rate = 0.0;             ///< frames a second, of films
  std::vector<std::uint64_t> seeds;    ///< one for each picture or film
  std::vector<std::string> infotexts;  ///< likewise: prompt and settings in the A1111 convention
  std::vector<double> scores;          ///< likewise, where they were judged (pipeline/best_of.hpp)
  Tensor<float> latents;  ///< `[N, h, w, C]`, scaled as the denoiser sees them; see Request::Output
  Tensor<float> decoded;  ///< `[N, H, W, C]`, about [-1, 1], before rounding to pixels; likewise
  std::vector<std::string> warnings;
  std::optional<RewriteRecord> rewrite{};  ///< the request's

  /// How many pictures or films there are.
  std::size_t count() const noexcept { return frames == 0 ? 0 : images.size() / frames; }
  /// The frames of film `n`; of pictures, picture `n` alone. Throws ArgumentError for another n.
  std::span<const Image> film(std::size_t n = 0) const;
  /// Writes image `n`, a frame of a film perhaps, with its settings in the PNG's `parameters` text. Throws
  /// FileError, ArgumentError for another n.
  void save_png(const std::filesystem::path& path, std::size_t n = 0) const;
};

}  // namespace daguerre
