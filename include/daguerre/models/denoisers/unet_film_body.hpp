#pragma once

#include <optional>

#include "daguerre/models/denoisers/free_u.hpp"
#include "daguerre/models/denoisers/unet_2d_body.hpp"

namespace daguerre::models {

/// What the U-Nets of films have in common: blocks of pictures over the frames of all films, told which
/// frames belong together.
template <class T>
class UNetFilmBody {
 public:
  UNetFilmBody(const UNet2DShape& shape, const nn::Loader& root)
      : body_(shape, root), in_channels_(shape.in_channels) {}

  /// `sample[N, F, H, W, in_channels]` to `[N, F, H, W, out_channels]`; `temb[N, temb_channels]` and
  /// `states[N, S, C]` are the films'. Throws ArgumentError.
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& sample,
                           const Tensor<float>& temb, const Tensor<T>& states,
                           const std::optional<FreeU>& free_u = {}) const;

 private:
  UNet2DBody<T> body_;
  Index in_channels_;
};

}  // namespace daguerre::models
