#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "daguerre/core/expected.hpp"
#include "daguerre/core/log.hpp"
#include "daguerre/core/shape.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// How an upscaler is loaded.
struct UpscalerOptions {
  std::string engine = "auto";  ///< as LoadOptions::engine
  Precision precision = Precision::automatic;
  int threads = 0;  ///< of every run; 0: `available_threads()`
  LogSink log{};    ///< told of what was loaded; empty: silence
  std::stop_token stop{};
};

/// How a picture is enlarged. The network sees it in tiles: memory follows the tile's size, not the
/// picture's.
struct UpscaleOptions {
  /// A tile's side in pixels of the picture that is enlarged; 0: the whole picture at once.
  Index tile = 256;
  /// What neighbouring tiles share at least, a quarter of a tile at most. A quarter of it on either side is
  /// thrown away, for there a tile lacks what the network would look at beyond its border; in between one
  /// tile fades into the other. A tiled result is the whole one where a quarter of the overlap covers the
  /// network's receptive field.
  Index overlap = 32;
  std::stop_token stop{};
  /// Told after each tile how many are done, of how many; `false` stops. What it throws reaches the caller.
  std::function<bool(int done, int total)> on_tile{};
};

/// A network that enlarges pictures: RRDBNet (ESRGAN, Real-ESRGAN and most of what people train) or
/// SRVGGNetCompact (Real-ESRGAN's small ones). Immutable and cheap to copy (copies share the weights); may be
/// used from many threads at once. Each `try_` function does what its namesake does and throws nothing.
class Upscaler {
 public:
  /// Loads a safetensors file; what the network is, is told by its tensors (`examples/models/
  /// convert_pickle.py` makes such a file of a `.pth`). Throws FileError, FormatError, or WeightError naming
  /// what is missing or is of neither network, Cancelled.
  static Upscaler load(const std::filesystem::path& path, const UpscalerOptions& options = {});
  static Expected<Upscaler> try_load(const std::filesystem::path& path,
                                     const UpscalerOptions& options = {}) noexcept;

  /// `scale()` times as wide and as high. The network sees colours alone: grey pictures are made colours and
  /// grey again, alpha is enlarged by the Lanczos filter. Throws ArgumentError for options that are not
  /// possible and a result that is too large for a picture, NumericError where the network computes NaN or
  /// infinity, Cancelled.
  Image operator()(const Image& image, const UpscaleOptions& options = {}) const;
  /// The same to a size of the caller's: the network is run until the picture is as large, three times at
  /// most and no larger than a picture may be, and the Lanczos filter does the rest.
  Image operator()(const Image& image, Index width, Index height, const UpscaleOptions& options = {}) const;
  Expected<Image> try_upscale(const Image& image, Index width, Index height,
                              const UpscaleOptions& options = {}) const noexcept;

  /// How many times as large the network makes a picture: 1, 2, 4, 8 …
  Index scale() const noexcept;
  /// What the network is, for people: "RRDBNet, 23 blocks of 64 channels, x4".
  const std::string& description() const noexcept;
  /// What to call it: the file's name without extension.
  const std::string& name() const noexcept;

 private:
  struct State;
  explicit Upscaler(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
