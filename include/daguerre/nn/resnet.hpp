#pragma once

#include <optional>

#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"

namespace daguerre::nn {

struct ResnetOptions {
  Index in_channels = 0;
  Index out_channels = 0;
  Index temb_channels = 0;  ///< width of the time embedding; 0 for none
  int groups = 32;
  int groups_out = 0;  ///< of the second norm; 0: as the first
  float epsilon = 1e-6f;
  ops::Activation non_linearity = ops::Activation::silu;
  bool scale_shift =
      false;  ///< time_embedding_norm "scale_shift": the embedding modulates norm2 instead of being added
  bool skip_time_act = false;  ///< the embedding is projected as it is, without the non-linearity
  float output_scale_factor = 1.0f;
  bool conv_shortcut = false;  ///< a convolution stands in the shortcut even where the channels are the same
  /// What happens before the first convolution, and in the shortcut: pixels doubled, means of 2 x 2 taken, or
  /// the same with the filter of ops::fir_upsample and ops::fir_downsample (with zeros around).
  enum class Resize { none, up, down, fir_up, fir_down } resize = Resize::none;
};

/// The residual block of U-Nets and autoencoders on `[N, H, W, C]` (Dhariwal & Nichol 2021; diffusers'
/// ResnetBlock2D): h = conv1(act(norm1(x))); h += time_emb_proj(act(temb)); h = conv2(act(norm2(h)));
/// (shortcut(x) + h) / scale.
template <class T>
class ResnetBlock2D {
 public:
  ResnetBlock2D(const Loader& loader, const ResnetOptions& options);

  /// `x[N, H, W, in_channels]`, `temb[N, temb_channels]` where the block has a time embedding. An x that is
  /// given away is freed as soon as it has been read.
  Tensor<float> operator()(const ops::Context& context, Tensor<float> x,
                           const Tensor<float>* temb = nullptr) const;

  /// Whether the block may be given an x that is rounded to T: nothing of it is summed, only multiplied and
  /// normalised, since a convolution stands in its shortcut.
  bool takes_rounded() const noexcept {
    return conv_shortcut_.has_value() && options_.resize == ResnetOptions::Resize::none;
  }
  /// The same for such an x. Throws ArgumentError where the block does not take it.
  Tensor<float> of_rounded(const ops::Context& context, Tensor<T> x,
                           const Tensor<float>* temb = nullptr) const;

 private:
  /// act(norm2(hidden + time embedding)): what conv2 is given.
  template <class From>
  Tensor<T> normed_again(const ops::Context& context, const Tensor<From>& hidden,
                         const Tensor<float>* temb) const;
  /// (conv2(normed) + shortcut) / scale
  Tensor<float> sum(const ops::Context& context, const Tensor<T>& normed, Tensor<float> shortcut) const;
  void check(const ops::Context& context, const Tensor<float>* temb) const;
  Tensor<float> resized(const ops::Context& context, const Tensor<float>& x) const;

  ResnetOptions options_;
  GroupNorm norm1_;
  Conv2d<T> conv1_;
  std::optional<Linear<float>> time_emb_proj_;  // tiny, and its error would reach every pixel: float32
  GroupNorm norm2_;
  Conv2d<T> conv2_;
  std::optional<Linear<T>> conv_shortcut_;
};

}  // namespace daguerre::nn
