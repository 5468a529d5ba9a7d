#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/models/denoisers/detail/wan_block-inl.hpp"
#include "daguerre/models/denoisers/wan_transformer.hpp"
#include "daguerre/nn/conv3d-inl.hpp"
#include "daguerre/nn/token_timesteps.hpp"
#include "daguerre/ops/embedding.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr double wan_theta = 10000.0;
/// Of the norms around a picture's tokens; all others are the configuration's.
inline constexpr float wan_image_epsilon = 1e-5f;

inline nn::FilmGeometry wan_patches(const WanTransformerConfig& config) {
  const Index frames = config.patch_size[0], side = config.patch_size[1];
  return {.frames = frames,
          .side = side,
          .stride = static_cast<int>(frames),
          .space = ops::ConvGeometry::same(0, static_cast<int>(side))};
}

/// Tokens along each axis.
struct WanGrid {
  Index frames, height, width;
  Index size() const noexcept { return frames * height * width; }
};

inline WanGrid wan_grid(const WanTransformerConfig& config, const Shape& film) {
  return {film[1] / config.patch_size[0], film[2] / config.patch_size[1], film[3] / config.patch_size[2]};
}

/// By which angles the tokens of a grid are turned: time has what rows and columns leave of a head.
inline ops::RotaryTable wan_rotation(const WanTransformerConfig& config, const WanGrid& grid) {
  const Index side = 2 * (config.attention_head_dim / 6);
  return ops::rotary_table(ops::grid_positions(std::array{grid.frames, grid.height, grid.width}),
                           std::array{config.attention_head_dim - 2 * side, side, side}, wan_theta);
}

/// A film `[N, F, H, W, C]` from its tokens `[N, L, pt ph pw C]`, which hold their patches frame by frame.
inline Tensor<float> wan_unpatchify(const ops::Context& context, const WanTransformerConfig& config,
                                    const Tensor<float>& tokens, const WanGrid& grid) {
  const Index batch = tokens.dim(0), per_patch = config.patch_size[0], side = config.patch_size[1];
  const Index height = grid.height * side, width = grid.width * side;
  std::vector<Tensor<float>> frames;
  for (const auto& part : ops::chunk(context, tokens, static_cast<int>(per_patch), -1)) {
    const auto pictures = part.reshape({batch * grid.frames, grid.height * grid.width, -1});
    frames.push_back(ops::unpatchify(context, pictures, grid.height, grid.width, side)
                         .reshape({batch * grid.frames, 1, height, width, -1}));
  }
  return ops::concat<float>(context, frames, 1)
      .reshape({batch, grid.frames * per_patch, height, width, config.out_channels});
}

inline void expect_wan_shape(const char* what, const Tensor<float>& found, const Shape& expected) {
  if (!(found.shape() == expected) || found.empty())
    throw ArgumentError(
        "wan", std::string(what) + " " + to_string(found.shape()) + ", expected " + to_string(expected));
}

}  // namespace detail

template <class T>
WanTransformer<T>::WanTransformer(const WanTransformerConfig& config, const nn::Loader& loader)
    : config_(config),
      patch_embedding_(loader.sub("patch_embedding"), config.in_channels, config.dim(),
                       detail::wan_patches(config)),
      time_embedder_(loader.sub("condition_embedder").sub("time_embedder"), config.freq_dim, config.dim()),
      time_proj_(loader.sub("condition_embedder").sub("time_proj"), config.dim(), config.dim(),
                 nn::AdaLayerNormSingle<T>::parts),
      text_embedder_(loader.sub("condition_embedder").sub("text_embedder"), config.text_dim, config.dim(),
                     ops::Activation::gelu_tanh),
      scale_shift_table_(
          loader.tensor("scale_shift_table", {1, 2, config.dim()}).reshape({2 * config.dim()})),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(config.out_channels,
                                 detail::FilmPatch{config.patch_size[0], config.patch_size[1]}.size())) {
  const Index dim = config.dim();
  if (config.image_dim > 0) {
    const auto image = loader.sub("condition_embedder").sub("image_embedder");
    const auto feed_forward = image.sub("ff").sub("net", 0).sub("proj");
    image_embedder_ =
        ImageEmbedder{config.pos_embed_seq_len > 0
                          ? image.tensor("pos_embed", {1, config.pos_embed_seq_len, config.image_dim})
                          : Tensor<float>(),
                      nn::LayerNorm(image.sub("norm1"), config.image_dim, detail::wan_image_epsilon),
                      nn::Linear<T>(feed_forward, config.image_dim, config.image_dim,
                                    {.activation = ops::Activation::gelu}),
                      nn::Linear<T>(image.sub("ff").sub("net", 2), config.image_dim, dim),
                      nn::LayerNorm(image.sub("norm2"), dim, detail::wan_image_epsilon)};
  }
  const typename detail::WanBlock<T>::Options options{.dim = dim,
                                                      .heads = config.num_attention_heads,
                                                      .head_dim = config.attention_head_dim,
                                                      .ffn_dim = config.ffn_dim,
                                                      .cross_attn_norm = config.cross_attn_norm,
                                                      .added_kv = config.added_kv,
                                                      .epsilon = config.eps};
  for (int i = 0; i < config.num_layers; ++i) blocks_.emplace_back(loader.sub("blocks", i), options);
  if (config.vace_layers.empty()) return;
  vace_ = Vace{nn::Conv3d<float>(loader.sub("vace_patch_embedding"), config.vace_in_channels, dim,
                                 detail::wan_patches(config)),
               nn::Linear<T>(loader.sub("vace_blocks", 0).sub("proj_in"), dim, dim),
               {},
               {}};
  for (int i = 0; i < static_cast<int>(config.vace_layers.size()); ++i) {
    const auto block = loader.sub("vace_blocks", i);
    vace_->blocks.emplace_back(block, options);
    vace_->proj_outs.emplace_back(block.sub("proj_out"), dim, dim);
  }
}

template <class T>
Tensor<T> WanTransformer<T>::embedded_image(const ops::Context& context, const Tensor<float>& image) const {
  const auto& [positions, norm1, proj_in, proj_out, norm2] = *image_embedder_;
  const auto placed = positions.empty()
                          ? image
                          : ops::add_to_each(context, image, positions.reshape(positions.shape().tail()));
  const auto inner = proj_in(context, norm1.template apply<T>(context, placed));
  return norm2.template apply<T>(context, proj_out.accumulate(context, inner));
}

template <class T>
Tensor<float> WanTransformer<T>::embedded_control(const ops::Context& context, const Vace& vace,
                                                  const Tensor<float>& control,
                                                  const Tensor<float>& x) const {
  auto tokens = vace.patch_embedding(context, control).reshape({x.dim(0), -1, x.dim(2)});
  if (const Index missing = x.dim(1) - tokens.dim(1); missing > 0)
    tokens = ops::concat<float>(
        context, std::array{tokens, ops::full(context, {x.dim(0), missing, x.dim(2)}, 0.0f)}, 1);
  return vace.proj_in.accumulate(context, ops::cast<T>(context, tokens), &x);
}

template <class T>
void WanTransformer<T>::check(const WanInputs& inputs) const {
  const auto &film = inputs.hidden_states, &prompt = inputs.encoder_hidden_states,
             &image = inputs.encoder_hidden_states_image, &control = inputs.control_hidden_states;
  const auto& patch = config_.patch_size;
  const bool fits = film.rank() == 5 && film.dim(4) == config_.in_channels && !film.empty() &&
                    film.dim(1) % patch[0] == 0 && film.dim(2) % patch[1] == 0 && film.dim(3) % patch[2] == 0;
  if (!fits)
    throw ArgumentError("wan", "hidden_states " + to_string(film.shape()) + ", expected [N, F, H, W, " +
                                   std::to_string(config_.in_channels) + "] with extents that the patch's, " +
                                   to_string(Shape{patch[0], patch[1], patch[2]}) + ", divide");
  const auto grid = detail::wan_grid(config_, film.shape());
  if (std::max({grid.frames, grid.height, grid.width}) > config_.rope_max_seq_len)
    throw ArgumentError("wan", "a film of " + to_string(Shape{grid.frames, grid.height, grid.width}) +
                                   " tokens; the model knows the places of " +
                                   std::to_string(config_.rope_max_seq_len) + " along each axis");
  if (prompt.rank() != 3 || prompt.dim(0) != film.dim(0) || prompt.dim(2) != config_.text_dim ||
      prompt.empty())
    throw ArgumentError("wan", "encoder_hidden_states " + to_string(prompt.shape()) + ", expected [" +
                                   std::to_string(film.dim(0)) + ", S, " + std::to_string(config_.text_dim) +
                                   "]");
  if (image.empty() != (config_.image_dim == 0))
    throw ArgumentError("wan", image.empty() ? "this model reads a picture's tokens, none are given"
                                             : "this model reads no picture's tokens");
  if (!image.empty()) {
    const Index tokens = image.rank() != 3               ? 0
                         : config_.pos_embed_seq_len > 0 ? config_.pos_embed_seq_len
                                                         : image.dim(1);
    detail::expect_wan_shape("encoder_hidden_states_image", image, {film.dim(0), tokens, config_.image_dim});
  }
  const auto layers = config_.vace_layers.size();
  if (control.empty() != (layers == 0))
    throw ArgumentError(
        "wan", control.empty() ? "this model reads a control, none is given" : "this model reads no control");
  if (layers == 0) return;
  const Index frames = control.rank() == 5 && control.dim(1) % patch[0] == 0
                           ? std::min(control.dim(1), film.dim(1))
                           : film.dim(1);
  detail::expect_wan_shape("control_hidden_states", control,
                           {film.dim(0), frames, film.dim(2), film.dim(3), config_.vace_in_channels});
  if (!inputs.control_scale.empty() && inputs.control_scale.size() != layers)
    throw ArgumentError("wan", std::to_string(inputs.control_scale.size()) + " scales of a control for " +
                                   std::to_string(layers) + " layers");
}

template <class T>
Tensor<float> WanTransformer<T>::operator()(const ops::Context& context, const WanInputs& inputs) const {
  check(inputs);
  const Index batch = inputs.hidden_states.dim(0), dim = config_.dim();
  const auto grid = detail::wan_grid(config_, inputs.hidden_states.shape());
  const auto timesteps = nn::TokenTimesteps::of(inputs.timesteps, batch, grid.size(), "wan");
  const auto embedding =
      time_embedder_(context, ops::timestep_embedding(context, timesteps.times, config_.freq_dim));
  const auto steering = time_proj_(context, embedding);
  auto prompt = text_embedder_(context, ops::cast<T>(context, inputs.encoder_hidden_states));
  Tensor<T> image;
  if (image_embedder_) {
    image = embedded_image(context, inputs.encoder_hidden_states_image);
    if (!config_.added_kv) prompt = ops::concat<T>(context, std::array{image, prompt}, 1);
  }
  const auto rotation = detail::wan_rotation(config_, grid);
  const detail::WanBlockCall<T> call{steering, timesteps.rows, rotation, prompt,
                                     config_.added_kv ? &image : nullptr};

  auto x = patch_embedding_(context, inputs.hidden_states).reshape({batch, grid.size(), dim});
  // A control goes on by itself, from what the film was before its first block: each of its blocks is run
  // when its hint is due, and none is kept.
  Tensor<float> control;
  if (vace_) control = embedded_control(context, *vace_, inputs.control_hidden_states, x);
  std::size_t hints = 0;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    x = blocks_[i](context, x, call);
    if (!vace_ || hints == config_.vace_layers.size() || config_.vace_layers[hints] != static_cast<int>(i))
      continue;
    control = vace_->blocks[hints](context, control, call);
    const float scale = inputs.control_scale.empty() ? 1.0f : inputs.control_scale[hints];
    const auto hint = vace_->proj_outs[hints].accumulate(context, ops::cast<T>(context, control));
    x = ops::add(context, x, scale == 1.0f ? hint : ops::affine(context, hint, scale, 0.0f));
    ++hints;
  }
  control = {};

  const auto modulation = ops::add_to_each(context, ops::concat_channels(context, embedding, embedding),
                                           scale_shift_table_);  // (shift, scale)
  const auto normed = ops::modulated_layer_norm<float>(context, x, {modulation, 1, timesteps.rows},
                                                       {modulation, 0, timesteps.rows}, config_.eps);
  return detail::wan_unpatchify(context, config_, proj_out_(context, normed), grid);
}

extern template class WanTransformer<float>;
extern template class WanTransformer<bfloat16>;

}  // namespace daguerre::models
