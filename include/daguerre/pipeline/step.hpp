#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"

namespace daguerre {

/// What `Request::on_step` is shown after each step. A plain value, so that a host can make one to test its
/// callback with.
struct Step {
  int index = 0;  ///< from 0
  int total = 1;
  float timestep = 0.0f;
  double seconds = 0.0;  ///< this step took
  /// The latents after this step, `[N, h, w, C]` or `[N, F, h, w, C]`, scaled as the denoiser sees them. A
  /// copy keeps them.
  Tensor<float> latents{};
  /// Makes the previews; valid during the call only.
  std::function<Image(Index n)> decode{};
  std::function<std::vector<Image>(Index n)> decode_film{};

  /// The picture as it would come out now: the sampler's current guess of image `n`, decoded. Takes as long
  /// as the final decoding does. Throws ArgumentError where there is no `decode`.
  Image preview(Index n = 0) const;
  /// The same of film `n`: all of its frames; of a picture that alone. `preview` shows a film's first frame,
  /// which takes a fraction of the time.
  std::vector<Image> preview_film(Index n = 0) const;
};

/// What `Request::on_frame` is shown: a frame of a film that is done.
struct FilmFrame {
  int film = 0;               ///< of those of the run, from 0
  Index index = 0;            ///< in its film, from 0
  Index total = 1;            ///< frames that the film has
  double frame_rate = 0.0;    ///< frames a second
  std::string_view settings;  ///< the film's, as Result::infotexts will have it; valid during the call only
  const Image& image;         ///< likewise
};

}  // namespace daguerre
