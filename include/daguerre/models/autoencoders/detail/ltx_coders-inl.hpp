#pragma once

#include <array>
#include <string>
#include <utility>

#include "daguerre/models/autoencoders/detail/film_frames.hpp"
#include "daguerre/models/autoencoders/detail/ltx_coders.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/host_values.hpp"
#include "daguerre/ops/modulation-inl.hpp"
#include "daguerre/ops/norm-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/reduce.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr float ltx_vae_epsilon = 1e-8f;
inline constexpr auto ltx_depth_order = ops::DepthOrder::channels_frames_rows_columns;

inline nn::FilmGeometry ltx_geometry(Index kernel, bool is_causal, int stride = 1) {
  auto geometry = is_causal ? nn::FilmGeometry::causal(kernel, kernel, static_cast<int>(kernel / 2),
                                                       nn::FrameBorder::repeated)
                            : nn::FilmGeometry::centred(kernel, kernel, nn::FrameBorder::repeated);
  geometry.stride = geometry.space.stride = stride;
  return geometry;
}

/// The norm without a scale, and the activation behind it.
inline nn::RmsNorm ltx_norm(const nn::Loader& loader, Index channels) {
  return {ops::full(loader.context, {channels}, 1.0f), ltx_vae_epsilon, ops::Activation::silu};
}

/// `[N, F, H, W, C]` as tokens `[N, F H W, C]`.
inline Tensor<float> film_tokens(const Tensor<float>& film) {
  return film.reshape({film.dim(0), -1, film.dim(4)});
}

}  // namespace detail

template <class T>
LTXResnetBlock<T>::LTXResnetBlock(const nn::Loader& loader, const Options& options)
    : norm1_(detail::ltx_norm(loader, options.in)),
      norm2_(detail::ltx_norm(loader, options.out)),
      conv1_(loader.sub("conv1").sub("conv"), options.in, options.out,
             detail::ltx_geometry(3, options.is_causal)),
      conv2_(loader.sub("conv2").sub("conv"), options.out, options.out,
             detail::ltx_geometry(3, options.is_causal)) {
  if (options.timestep_conditioning)
    scale_shift_table_ =
        loader.tensor("scale_shift_table", {4, options.in}).reshape({checked_multiply(4, options.in)});
  if (options.injects_noise) {
    noise1_ = loader.tensor("per_channel_scale1", {options.in, 1, 1}).reshape({options.in});
    noise2_ = loader.tensor("per_channel_scale2", {options.in, 1, 1}).reshape({options.in});
  }
  if (options.in == options.out) return;
  norm3_.emplace(loader.sub("norm3"), options.in, options.epsilon);
  conv_shortcut_.emplace(loader.sub("conv_shortcut").sub("conv"), options.in, options.out,
                         detail::ltx_geometry(1, options.is_causal));
}

template <class T>
Tensor<T> LTXResnetBlock<T>::normed(const ops::Context& context, const Tensor<float>& x,
                                    const Tensor<float>& modulation, int part) const {
  if (x.empty()) return context.empty<T>(x.shape());
  if (modulation.empty()) return (part == 0 ? norm1_ : norm2_).template apply<T>(context, x);
  return ops::modulated_rms_norm<T>(context, detail::film_tokens(x), {modulation, part + 1},
                                    {modulation, part}, detail::ltx_vae_epsilon, ops::Activation::silu)
      .reshape(x.shape());
}

template <class T>
Tensor<float> LTXResnetBlock<T>::with_noise(const ops::Context& context, Tensor<float> x,
                                            const Tensor<float>& scale, const NoisePlanes& noise,
                                            LTXStream<T>* stream) const {
  if (scale.empty()) return x;
  if (x.empty()) {
    stream->skip_plane();
    return x;
  }
  if (!noise) throw ArgumentError("autoencoder", "this decoder adds noise, and none was given");
  const auto draw = [&] { return noise(x.dim(2), x.dim(3)); };
  const auto plane = stream == nullptr ? draw() : stream->plane(draw);
  return ops::add_plane(context, std::move(x), plane, scale);
}

template <class T>
Tensor<float> LTXResnetBlock<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                            const Tensor<float>& embedding, const NoisePlanes& noise,
                                            LTXStream<T>* stream) const {
  context.check_stop();
  Tensor<float> modulation;  // (shift, scale) of both norms
  if (!scale_shift_table_.empty()) modulation = ops::add_to_each(context, embedding, scale_shift_table_);
  const auto outer = normed(context, x, modulation, 0);
  const auto y =
      with_noise(context, stream == nullptr ? conv1_(context, outer) : conv1_(context, outer, *stream),
                 noise1_, noise, stream);
  const auto inner = normed(context, y, modulation, 2);
  auto shortcut = x;
  if (norm3_)
    shortcut = x.empty() ? no_frames(context, y.dim(2), y.dim(3), y.dim(4))
                         : (*conv_shortcut_)(context, norm3_->template apply<T>(context, x));
  if (stream == nullptr)
    return with_noise(context, conv2_(context, inner, std::move(shortcut)), noise2_, noise, stream);
  auto z = conv2_(context, inner, *stream);
  const auto beside = waited_for(context, stream->waiting().next(), shortcut, z.dim(1));
  if (!z.empty()) z = ops::add(context, z, beside);
  return with_noise(context, std::move(z), noise2_, noise, stream);
}

template <class T>
LTXResnets<T>::LTXResnets(const nn::Loader& loader, Index channels, int layers,
                          const typename LTXResnetBlock<T>::Options& options) {
  auto own = options;
  own.in = own.out = channels;
  if (options.timestep_conditioning)
    time_embedder_.emplace(loader.sub("time_embedder"), checked_multiply(4, channels), false);
  for (int i = 0; i < layers; ++i) layers_.emplace_back(loader.sub("resnets", i), own);
}

template <class T>
Tensor<float> LTXResnets<T>::operator()(const ops::Context& context, Tensor<float> x,
                                        std::span<const float> times, const NoisePlanes& noise,
                                        LTXStream<T>* stream) const {
  Tensor<float> embedding;
  if (time_embedder_) embedding = (*time_embedder_)(context, x.dim(0), times, {}, {});
  for (const auto& layer : layers_) x = layer(context, x, embedding, noise, stream);
  return x;
}

template <class T>
LTXShuffle<T>::LTXShuffle(const nn::Loader& loader, Index in, Index out, const ops::SpaceTimeBlock& factor,
                          bool grows, bool is_causal, bool has_shortcut)
    : out_(out),
      factor_(factor),
      grows_(grows),
      has_shortcut_(has_shortcut),
      conv_(loader.sub("conv").sub("conv"), in,
            grows ? checked_multiply(out, factor.size()) : out / factor.size(),
            detail::ltx_geometry(3, is_causal)) {}

template <class T>
Tensor<float> LTXShuffle<T>::operator()(const ops::Context& context, const Tensor<float>& x,
                                        LTXStream<T>* stream) const {
  return grows_ ? up(context, x, stream) : down(context, x);
}

template <class T>
Tensor<float> LTXShuffle<T>::up(const ops::Context& context, const Tensor<float>& x,
                                LTXStream<T>* stream) const {
  const auto rounded = x.empty() ? context.empty<T>(x.shape()) : ops::cast<T>(context, x);
  const auto coarse = stream == nullptr ? conv_(context, rounded) : conv_(context, rounded, *stream);
  bool is_first = true;
  auto beside = x;
  if (stream != nullptr) {
    auto& begun = stream->waiting().next();
    auto& waiting = stream->waiting().next();
    is_first = !begun;
    if (has_shortcut_) beside = waited_for(context, waiting, x, coarse.dim(1));
    if (coarse.empty()) return no_frames(context, x.dim(2) * factor_.rows, x.dim(3) * factor_.columns, out_);
    begun = Tensor<float>({0});
  }
  const auto grown = [&](const Tensor<float>& less) {
    const auto fine = ops::depth_to_space_time(context, less, factor_, detail::ltx_depth_order);
    const Index before = is_first ? factor_.frames - 1 : 0;
    return before == 0 ? fine : ops::narrow(context, fine, 1, before, fine.dim(1) - before);
  };
  const auto y = grown(coarse);
  if (!has_shortcut_) return y;
  const auto few = grown(beside);
  const std::vector<Tensor<float>> copies(static_cast<std::size_t>(out_ / few.dim(4)), few);
  return ops::add(context, y, ops::concat<float>(context, copies, -1));
}

template <class T>
Tensor<float> LTXShuffle<T>::down(const ops::Context& context, const Tensor<float>& x) const {
  auto whole = x;
  if (factor_.frames > 1) {
    const Index before = std::min(factor_.frames - 1, x.dim(1));
    whole = ops::concat<float>(context, std::array{ops::narrow(context, x, 1, 0, before), x}, 1);
  }
  if (whole.dim(1) % factor_.frames != 0 || whole.dim(2) % factor_.rows != 0 ||
      whole.dim(3) % factor_.columns != 0)
    throw ArgumentError("autoencoder", "a film " + to_string(x.shape()) + " is not 1 and a multiple of " +
                                           std::to_string(factor_.frames) + " frames of multiples of " +
                                           std::to_string(factor_.rows) + " rows and columns");
  const auto shuffled = [&](const Tensor<float>& fine) {
    return ops::space_time_to_depth(context, fine, factor_, detail::ltx_depth_order);
  };
  const auto all = shuffled(whole);
  const auto shortcut = ops::mean(
      context, all.reshape({all.dim(0), all.dim(1), all.dim(2), all.dim(3), out_, all.dim(4) / out_}), -1);
  return ops::add(context, shuffled(conv_(context, ops::cast<T>(context, whole))), shortcut);
}

template <class T>
LTXEncoder<T>::LTXEncoder(const LTXCoderShape& shape, const nn::Loader& loader)
    : conv_in_(loader.sub("conv_in").sub("conv"), shape.pixel_channels, shape.channels,
               detail::ltx_geometry(3, shape.is_causal)),
      mid_block_(loader.sub("mid_block"), shape.blocks.back().channels, shape.mid_layers,
                 {.is_causal = shape.is_causal}),
      norm_out_(detail::ltx_norm(loader, shape.blocks.back().channels)),
      conv_out_(loader.sub("conv_out").sub("conv"), shape.blocks.back().channels, shape.latent_channels + 1,
                detail::ltx_geometry(3, shape.is_causal)) {
  using Resampling = LTXCoderShape::Resampling;
  Index in = shape.channels;
  for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
    const auto& block = shape.blocks[i];
    const auto own = loader.sub("down_blocks", static_cast<int>(i));
    const typename LTXResnetBlock<T>::Options options{
        .in = in, .out = block.channels, .is_causal = shape.is_causal, .epsilon = shape.resnet_epsilon};
    Block made{LTXResnets<T>(own, in, block.layers, options), {}, {}, {}};
    if (block.resampling == Resampling::strided)
      made.strided.emplace(own.sub("downsamplers", 0).sub("conv"), in, in,
                           detail::ltx_geometry(3, shape.is_causal, 2));
    if (block.resampling == Resampling::shuffled)
      made.shuffled.emplace(own.sub("downsamplers", 0), in, block.channels, block.factor, false,
                            shape.is_causal, true);
    else if (block.channels != in)
      made.conv_out.emplace(own.sub("conv_out"), options);
    blocks_.push_back(std::move(made));
    in = block.channels;
  }
}

template <class T>
Tensor<float> LTXEncoder<T>::operator()(const ops::Context& context, const Tensor<float>& patches) const {
  auto x = conv_in_(context, patches);
  for (const auto& block : blocks_) {
    x = block.resnets(context, std::move(x), {}, {});
    if (block.strided) x = (*block.strided)(context, ops::cast<T>(context, x));
    if (block.shuffled) x = (*block.shuffled)(context, x);
    if (block.conv_out) x = (*block.conv_out)(context, x, {}, {});
  }
  x = mid_block_(context, std::move(x), {}, {});
  return conv_out_(context, norm_out_.apply<float>(context, x));
}

template <class T>
LTXDecoder<T>::LTXDecoder(const LTXCoderShape& shape, const nn::Loader& loader)
    : conv_in_(loader.sub("conv_in").sub("conv"), shape.latent_channels, shape.channels,
               detail::ltx_geometry(3, shape.is_causal)),
      mid_block_(loader.sub("mid_block"), shape.channels, shape.mid_layers,
                 {.is_causal = shape.is_causal,
                  .injects_noise = shape.mid_injects_noise,
                  .timestep_conditioning = shape.timestep_conditioning}),
      norm_out_(detail::ltx_norm(loader, shape.blocks.back().channels)),
      conv_out_(loader.sub("conv_out").sub("conv"), shape.blocks.back().channels, shape.pixel_channels,
                detail::ltx_geometry(3, shape.is_causal)) {
  Index in = shape.channels;
  for (std::size_t i = 0; i < shape.blocks.size(); ++i) {
    const auto& block = shape.blocks[i];
    const auto own = loader.sub("up_blocks", static_cast<int>(i));
    const typename LTXResnetBlock<T>::Options options{.in = in,
                                                      .out = block.channels,
                                                      .is_causal = shape.is_causal,
                                                      .injects_noise = block.injects_noise,
                                                      .timestep_conditioning = shape.timestep_conditioning,
                                                      .epsilon = shape.resnet_epsilon};
    std::optional<LTXResnetBlock<T>> conv_in;
    std::optional<LTXShuffle<T>> shuffled;
    const Index taken = checked_multiply(block.channels, block.upscale);
    if (taken != in) conv_in.emplace(own.sub("conv_in"), options);
    if (block.resampling == LTXCoderShape::Resampling::shuffled)
      shuffled.emplace(own.sub("upsamplers", 0), taken, block.channels, block.factor, true, shape.is_causal,
                       block.residual);
    blocks_.push_back(
        {std::move(conv_in), std::move(shuffled), LTXResnets<T>(own, block.channels, block.layers, options)});
    in = block.channels;
  }
  if (!shape.timestep_conditioning) return;
  time_embedder_.emplace(loader.sub("time_embedder"), checked_multiply(2, in), false);
  scale_shift_table_ = loader.tensor("scale_shift_table", {2, in}).reshape({2 * in});
  const auto scale = loader.tensor("timestep_scale_multiplier", {});
  timestep_scale_ = ops::host_values(scale)[0];
}

template <class T>
Tensor<float> LTXDecoder<T>::operator()(const ops::Context& context, const Tensor<float>& latents,
                                        std::span<const float> timesteps, const NoisePlanes& noise,
                                        LTXStream<T>* stream) const {
  std::vector<float> times;
  for (const float timestep : timesteps) times.push_back(timestep * timestep_scale_);
  if (times.empty() == time_embedder_.has_value())
    throw ArgumentError("autoencoder", time_embedder_ ? "this decoder is told how much noise latents hold"
                                                      : "this decoder takes no timestep");
  const auto convolved = [&](const LTXConv<float>& conv, const Tensor<float>& x) {
    return stream == nullptr ? conv(context, x) : conv(context, x, *stream);
  };
  auto x = mid_block_(context, convolved(conv_in_, latents), times, noise, stream);
  for (const auto& block : blocks_) {
    if (block.conv_in) x = (*block.conv_in)(context, x, {}, noise, stream);
    if (block.shuffled) x = (*block.shuffled)(context, x, stream);
    x = block.resnets(context, std::move(x), times, noise, stream);
  }
  if (x.empty()) return convolved(conv_out_, x);
  if (!time_embedder_) return convolved(conv_out_, norm_out_.apply<float>(context, x));
  const auto embedding = (*time_embedder_)(context, x.dim(0), times, {}, {});
  const auto modulation = ops::add_to_each(context, embedding, scale_shift_table_);  // (shift, scale)
  return convolved(conv_out_, ops::modulated_rms_norm<float>(context, detail::film_tokens(x), {modulation, 1},
                                                             {modulation, 0}, detail::ltx_vae_epsilon,
                                                             ops::Activation::silu)
                                  .reshape(x.shape()));
}

}  // namespace daguerre::models
