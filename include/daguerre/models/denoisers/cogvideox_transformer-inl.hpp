#pragma once

#include <array>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "daguerre/models/denoisers/cogvideox_transformer.hpp"
#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/nn/ada_norm-inl.hpp"
#include "daguerre/nn/conv-inl.hpp"
#include "daguerre/nn/joint_attention-inl.hpp"
#include "daguerre/nn/transformer-inl.hpp"
#include "daguerre/ops/joint_modulation-inl.hpp"
#include "daguerre/ops/rearrange-inl.hpp"

namespace daguerre::models {
namespace detail {

inline constexpr auto cogvideox_patch_order = ops::PatchOrder::channels_rows_columns;

/// A layer norm's parameters, which do nothing where it has none.
inline std::pair<Tensor<float>, Tensor<float>> cogvideox_norm_parameters(
    const CogVideoXTransformerConfig& config, const nn::Loader& loader) {
  const Shape shape{config.dim()};
  if (!config.norm_elementwise_affine)
    return {ops::full(loader.context, shape, 1.0f), ops::full(loader.context, shape, 0.0f)};
  return {loader.tensor("weight", shape), loader.tensor("bias", shape)};
}

/// Which part of `x[N, F, H, W, C]` each of the k frames of a patch is: `[N F / k, H, W, C k]`, channels
/// outermost.
inline Tensor<float> frames_to_channels(const ops::Context& context, const Tensor<float>& x, Index k) {
  const Index films = x.dim(0) * x.dim(1) / k, height = x.dim(2), width = x.dim(3), channels = x.dim(4);
  if (k == 1) return x.reshape({films, height, width, channels});
  const auto parts =
      ops::chunk(context, x.reshape({films, k, height * width * channels}), static_cast<int>(k), 1);
  std::vector<Tensor<float>> columns;
  for (const auto& part : parts) columns.push_back(part.reshape({part.size(), 1}));
  return ops::concat<float>(context, columns, 1).reshape({films, height, width, channels * k});
}

/// The inverse, to `[N, F, H, W, C]` for `frames` F.
inline Tensor<float> channels_to_frames(const ops::Context& context, const Tensor<float>& x, Index k,
                                        Index frames) {
  const Index films = x.dim(0) * k / frames, height = x.dim(1), width = x.dim(2), channels = x.dim(3) / k;
  if (k == 1) return x.reshape({films, frames, height, width, channels});
  const auto parts = ops::chunk(context, x.reshape({x.size() / k, k}), static_cast<int>(k), 1);
  std::vector<Tensor<float>> rows;
  for (const auto& part : parts) rows.push_back(part.reshape({x.dim(0), 1, height * width * channels}));
  return ops::concat<float>(context, rows, 1).reshape({films, frames, height, width, channels});
}

}  // namespace detail

template <class T>
typename CogVideoXBlock<T>::Norm CogVideoXBlock<T>::read_norm(const CogVideoXTransformerConfig& config,
                                                              const nn::Loader& loader) {
  auto [gamma, beta] = detail::cogvideox_norm_parameters(config, loader.sub("norm"));
  return {nn::Modulation<T>(loader.sub("linear"), config.time_embed_dim, config.dim(), Norm::parts),
          std::move(gamma), std::move(beta)};
}

template <class T>
CogVideoXBlock<T>::CogVideoXBlock(const CogVideoXTransformerConfig& config, const nn::Loader& loader)
    : heads_(config.num_attention_heads),
      head_dim_(config.attention_head_dim),
      epsilon_(config.norm_eps),
      engine_(loader.context.engine),
      norm1_(read_norm(config, loader.sub("norm1"))),
      qkv_(loader.sub("attn1"), {.dim = config.dim(),
                                 .heads = config.num_attention_heads,
                                 .head_dim = config.attention_head_dim,
                                 .bias = config.attention_bias,
                                 .qk_norm = nn::query_key_norm_called("layer_norm", true, 1e-6f)}),
      to_out_(loader.sub("attn1").sub("to_out", 0), config.dim(), config.dim()),
      norm2_(read_norm(config, loader.sub("norm2"))),
      ff_(loader.sub("ff"), config.dim(), config.activation_fn) {}

template <class T>
Tensor<T> CogVideoXBlock<T>::normed(const ops::Context& context, const Norm& norm, const Tensor<float>& x,
                                    Index prompt_length, const Tensor<float>& modulation) const {
  return ops::joint_modulated_norm<T>(context, x, prompt_length, norm.gamma, norm.beta,
                                      {{modulation, Norm::prompt_scale}, {modulation, Norm::scale}},
                                      {{modulation, Norm::prompt_shift}, {modulation, Norm::shift}},
                                      epsilon_);
}

template <class T>
Tensor<float> CogVideoXBlock<T>::operator()(const ops::Context& context, Tensor<float> x, Index prompt_length,
                                            const Tensor<float>& embedding,
                                            const ops::RotaryTable* rotation) const {
  context.check_stop();
  const auto attention_modulation = norm1_.modulation(context, embedding);
  Tensor<T> attended;
  {
    const auto qkv = qkv_(context, normed(context, norm1_, x, prompt_length, attention_modulation));
    attended = nn::attend_jointly<T>(context, *engine_, std::array{nn::QkvStream<T>{qkv_, qkv}}, heads_,
                                     head_dim_, rotation);
  }
  x = ops::add_joint_gated(context, std::move(x), prompt_length, gate(attention_modulation),
                           to_out_.accumulate(context, attended));
  attended = {};
  const auto modulation = norm2_.modulation(context, embedding);
  return ops::add_joint_gated(context, std::move(x), prompt_length, gate(modulation),
                              ff_(context, normed(context, norm2_, x, prompt_length, modulation)));
}

template <class T>
CogVideoXTransformer<T>::CogVideoXTransformer(const CogVideoXTransformerConfig& config,
                                              const nn::Loader& loader)
    : config_(config),
      text_proj_(loader.sub("patch_embed").sub("text_proj"), config.text_embed_dim, config.dim()),
      time_embedding_(loader.sub("time_embedding"), config.dim(), config.time_embed_dim,
                      config.timestep_activation),
      norm_out_(loader.sub("norm_out").sub("linear"), config.time_embed_dim, config.dim(), 2),
      proj_out_(loader.sub("proj_out"), config.dim(),
                checked_multiply(detail::FilmPatch{config.patch_frames(), config.patch_size}.size(),
                                 config.out_channels)) {
  const auto embed = loader.sub("patch_embed");
  if (config.patch_size_t == 0)
    patch_conv_.emplace(embed.sub("proj"), config.in_channels, config.dim(), config.patch_size,
                        ops::ConvGeometry::same(0, static_cast<int>(config.patch_size)), config.patch_bias);
  else
    patch_linear_.emplace(embed.sub("proj"),
                          checked_multiply(detail::FilmPatch{config.patch_size_t, config.patch_size}.size(),
                                           config.in_channels),
                          config.dim());
  if (config.use_learned_positional_embeddings) {
    // Where their table can be counted, a prompt's places can be added to them.
    const Index places = Shape{config.sample_latent_frames(), config.sample_height / config.patch_size,
                               config.sample_width / config.patch_size, config.dim()}
                             .size() /
                         config.dim();
    const Index length = config.max_text_seq_length + places;
    positions_ = embed.tensor("pos_embedding", {1, length, config.dim()}).reshape({length, config.dim()});
  }
  if (config.ofs_embed_dim > 0)
    ofs_embedding_.emplace(loader.sub("ofs_embedding"), config.ofs_embed_dim, config.ofs_embed_dim,
                           config.timestep_activation);
  std::tie(norm_final_gamma_, norm_final_beta_) =
      detail::cogvideox_norm_parameters(config, loader.sub("norm_final"));
  std::tie(norm_out_gamma_, norm_out_beta_) =
      detail::cogvideox_norm_parameters(config, loader.sub("norm_out").sub("norm"));
  for (int i = 0; i < config.num_layers; ++i)
    blocks_.emplace_back(config, loader.sub("transformer_blocks", i));
}

template <class T>
void CogVideoXTransformer<T>::check(const CogVideoXInputs& inputs) const {
  const auto& sample = inputs.sample;
  const Index patch = config_.patch_size, frames = config_.patch_frames();
  if (sample.rank() != 5 || sample.dim(4) != config_.in_channels || sample.empty() ||
      sample.dim(1) % frames != 0 || sample.dim(2) % patch != 0 || sample.dim(3) % patch != 0)
    throw ArgumentError("cogvideox", "sample " + to_string(sample.shape()) + ", expected [N, F, H, W, " +
                                         std::to_string(config_.in_channels) + "] with frames that " +
                                         std::to_string(frames) + " divides and sides that " +
                                         std::to_string(patch) + " divides");
  const auto& states = inputs.encoder_hidden_states;
  const Index batch = sample.dim(0);
  if (states.rank() != 3 || states.dim(0) != batch || states.dim(2) != config_.text_embed_dim)
    throw ArgumentError("cogvideox", "a prompt " + to_string(states.shape()) + ", expected [" +
                                         std::to_string(batch) + ", S, " +
                                         std::to_string(config_.text_embed_dim) + "]");
  if (config_.adds_positions() && states.dim(1) != config_.max_text_seq_length)
    throw ArgumentError("cogvideox", "a prompt of " + std::to_string(states.dim(1)) +
                                         " tokens, the table of positions is for " +
                                         std::to_string(config_.max_text_seq_length));
  const auto times = static_cast<Index>(inputs.timesteps.size());
  if (times != 1 && times != batch)
    throw ArgumentError("cogvideox",
                        std::to_string(times) + " timesteps for a batch of " + std::to_string(batch));
  if (inputs.ofs.has_value() != ofs_embedding_.has_value())
    throw ArgumentError("cogvideox", ofs_embedding_ ? "ofs is needed" : "this network takes no ofs");
  if (config_.use_learned_positional_embeddings &&
      (sample.dim(2) != config_.sample_height || sample.dim(3) != config_.sample_width))
    throw ArgumentError("cogvideox", "latents of " + std::to_string(sample.dim(2)) + " x " +
                                         std::to_string(sample.dim(3)) + ", positions were learned for " +
                                         std::to_string(config_.sample_height) + " x " +
                                         std::to_string(config_.sample_width));
}

template <class T>
Tensor<float> CogVideoXTransformer<T>::embedding(const ops::Context& context,
                                                 const CogVideoXInputs& inputs) const {
  const std::vector<float> times =
      inputs.timesteps.size() == 1
          ? std::vector<float>(static_cast<std::size_t>(inputs.sample.dim(0)), inputs.timesteps.front())
          : std::vector<float>(inputs.timesteps.begin(), inputs.timesteps.end());
  auto result =
      time_embedding_(context, ops::timestep_embedding(context, times, config_.dim(), config_.timestep));
  if (!ofs_embedding_) return result;
  const std::vector<float> ofs(times.size(), *inputs.ofs);
  return ops::add(context, result,
                  (*ofs_embedding_)(context, ops::timestep_embedding(context, ofs, config_.ofs_embed_dim,
                                                                     config_.timestep)));
}

template <class T>
Tensor<float> CogVideoXTransformer<T>::patches(const ops::Context& context,
                                               const Tensor<float>& sample) const {
  const auto frames = detail::frames_to_channels(context, sample, config_.patch_frames());
  if (patch_conv_) {
    const auto y = (*patch_conv_)(context, frames);
    return y.reshape({sample.dim(0), y.size() / (sample.dim(0) * config_.dim()), config_.dim()});
  }
  const auto y = (*patch_linear_)(
      context, ops::patchify(context, frames, config_.patch_size, detail::cogvideox_patch_order));
  return y.reshape({sample.dim(0), y.size() / (sample.dim(0) * config_.dim()), config_.dim()});
}

template <class T>
Tensor<float> CogVideoXTransformer<T>::tokens(const ops::Context& context,
                                              const CogVideoXInputs& inputs) const {
  const auto& sample = inputs.sample;
  auto film = patches(context, sample);
  const auto prompt = text_proj_.accumulate(context, ops::cast<T>(context, inputs.encoder_hidden_states));
  if (!config_.adds_positions()) return ops::concat<float>(context, std::array{prompt, film}, 1);
  // Of another number of frames than was learned the reference takes fixed positions, which the prompt's
  // tokens have none of.
  const Index length = prompt.dim(1) + film.dim(1);
  if (!positions_.empty() && positions_.dim(0) == length)
    return ops::add_to_each(context, ops::concat<float>(context, std::array{prompt, film}, 1), positions_);
  film = ops::add_to_each(
      context, film,
      ops::sincos_positions_3d(context, config_.dim(), sample.dim(1), sample.dim(2) / config_.patch_size,
                               sample.dim(3) / config_.patch_size, config_.spatial_interpolation_scale,
                               config_.temporal_interpolation_scale));
  return ops::concat<float>(context, std::array{prompt, film}, 1);
}

template <class T>
Tensor<float> CogVideoXTransformer<T>::unpatchified(const ops::Context& context, const Tensor<float>& tokens,
                                                    const Shape& shape) const {
  const Index patch = config_.patch_size, height = shape[2] / patch, width = shape[3] / patch;
  const auto grids = tokens.reshape({-1, height * width, tokens.dim(2)});
  return detail::channels_to_frames(
      context, ops::unpatchify(context, grids, height, width, patch, detail::cogvideox_patch_order),
      config_.patch_frames(), shape[1]);
}

template <class T>
Tensor<float> CogVideoXTransformer<T>::operator()(const ops::Context& context,
                                                  const CogVideoXInputs& inputs) const {
  check(inputs);
  const auto& sample = inputs.sample;
  const auto time = embedding(context, inputs);
  const Index prompt_length = inputs.encoder_hidden_states.dim(1);
  std::optional<ops::RotaryTable> rotation;
  if (config_.use_rotary_positional_embeddings) {
    const auto film = inputs.rotation != nullptr
                          ? *inputs.rotation
                          : cogvideox_rotation(config_, sample.dim(1), sample.dim(2), sample.dim(3));
    // The prompt's tokens stay as they are.
    const Shape still{prompt_length, film.cosine.dim(1)};
    rotation = {concat_leading<float>(std::array{Tensor<float>::full(still, 1.0f), film.cosine}),
                concat_leading<float>(std::array{Tensor<float>::zeros(still), film.sine}), film.pairs};
  }
  auto x = tokens(context, inputs);
  for (const auto& block : blocks_)
    x = block(context, std::move(x), prompt_length, time, rotation ? &*rotation : nullptr);

  x = ops::layer_norm<float>(context, ops::narrow(context, x, 1, prompt_length, x.dim(1) - prompt_length),
                             norm_final_gamma_, norm_final_beta_, config_.norm_eps);
  const auto modulation = norm_out_(context, time);  // shift, then scale
  const ops::ChannelChunk shift{modulation, 0}, scale{modulation, 1};
  const auto normed = ops::joint_modulated_norm<float>(context, x, 0, norm_out_gamma_, norm_out_beta_,
                                                       {scale, scale}, {shift, shift}, config_.norm_eps);
  return unpatchified(context, proj_out_(context, normed), sample.shape());
}

extern template class CogVideoXBlock<float>;
extern template class CogVideoXBlock<bfloat16>;
extern template class CogVideoXTransformer<float>;
extern template class CogVideoXTransformer<bfloat16>;

}  // namespace daguerre::models
