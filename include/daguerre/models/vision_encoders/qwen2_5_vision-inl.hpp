#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <string>

#include "daguerre/models/vision_encoders/qwen2_5_vision.hpp"
#include "daguerre/nn/attention-inl.hpp"
#include "daguerre/ops/activation-inl.hpp"
#include "daguerre/ops/elementwise-inl.hpp"
#include "daguerre/ops/embedding-inl.hpp"
#include "daguerre/ops/heads-inl.hpp"

namespace daguerre::models {
namespace detail {

/// In which order the patches are worked on, window by window, and what belongs together.
struct PatchWindows {
  std::vector<std::int32_t> patches;        ///< where each of the ordered patches was
  std::vector<std::int32_t> back;           ///< and where each token of merged patches went
  std::vector<std::int32_t> rows, columns;  ///< of the ordered patches
  std::vector<Index> windows, frames;       ///< patches of each, in this order
};
/// Throws ArgumentError for grids that are not possible.
PatchWindows patch_windows(const Qwen25VisionConfig& config, std::span<const PatchGrid> grids);

}  // namespace detail

template <class T>
Qwen25Vision<T>::Qwen25Vision(const Qwen25VisionConfig& config, const nn::Loader& loader)
    : config_(config),
      engine_(loader.context.engine),
      patch_embed_(
          loader.sub("patch_embed.proj"), config.patch_elements(), config.hidden_size,
          {.bias = false, .window = Shape{config.temporal_patch_size, config.patch_size, config.patch_size}}),
      merger_norm_(loader.sub("merger.ln_q"), config.hidden_size, 1e-6f),
      merger_in_(loader.sub("merger.mlp.0"), config.hidden_size * config.merged(),
                 config.hidden_size * config.merged(), {.activation = ops::Activation::gelu}),
      merger_out_(loader.sub("merger.mlp.2"), config.hidden_size * config.merged(), config.out_hidden_size) {
  for (int i = 0; i < config.depth; ++i) blocks_.push_back(read(loader.sub("blocks", i), i));
}

template <class T>
typename Qwen25Vision<T>::Block Qwen25Vision<T>::read(const nn::Loader& loader, int index) const {
  const Index width = config_.hidden_size, inner = config_.intermediate_size;
  const auto dense = loader.sub("mlp");
  const auto& full = config_.fullatt_block_indexes;
  return {nn::RmsNorm(loader.sub("norm1"), width, 1e-6f),
          nn::RmsNorm(loader.sub("norm2"), width, 1e-6f),
          nn::Linear<T>(loader.sub("attn.qkv"), width, 3 * width),
          nn::Linear<T>(loader.sub("attn.proj"), width, width),
          nn::Linear<T>::side_by_side(std::array{dense.sub("up_proj"), dense.sub("gate_proj")}, width, inner),
          nn::Linear<T>(dense.sub("down_proj"), inner, width),
          std::find(full.begin(), full.end(), index) != full.end()};
}

template <class T>
Tensor<float> Qwen25Vision<T>::run(const ops::Context& context, const Block& block, const Tensor<float>& x,
                                   const ops::RotaryTable& rotation, std::span<const Index> spans) const {
  context.check_stop();
  using View = ops::TokenView<T>;
  const Index patches = x.dim(0), width = config_.hidden_size, head_dim = width / config_.num_heads;
  const auto qkv = block.qkv(context, block.norm1.template apply<T>(context, x));
  const auto row = qkv.reshape({1, patches, 3 * width});
  const std::array stream{ops::HeadStream<T>{View::columns(row, 0, 2 * width)}};
  const auto turned = ops::join_heads<T>(context, stream, head_dim, &rotation).reshape({patches, 2 * width});
  // Neighbouring windows of one size are a batch.
  std::vector<Tensor<T>> parts;
  Index begin = 0;
  for (std::size_t i = 0; i < spans.size();) {
    std::size_t next = i;
    while (next < spans.size() && spans[next] == spans[i]) ++next;
    const Index count = static_cast<Index>(next - i), length = spans[i], end = begin + count * length;
    const auto qk = turned.slice(begin, end).reshape({count, length, 2 * width});
    const auto v = qkv.slice(begin, end).reshape({count, length, 3 * width});
    const ops::AttentionArguments<T> arguments{
        View::columns(qk, 0, width), View::columns(qk, width, width), View::columns(v, 2 * width, width),
        config_.num_heads, static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_dim)))};
    parts.push_back(nn::attend(context, *engine_, arguments).reshape({end - begin, width}));
    begin = end;
    i = next;
  }
  const auto mixed = block.proj.accumulate(context, ops::concat<T>(context, parts, 0), &x);
  const auto hidden = block.up(context, block.norm2.template apply<T>(context, mixed));
  return block.down.accumulate(context, ops::gated_activation(context, hidden, config_.activation), &mixed);
}

template <class T>
Tensor<float> Qwen25Vision<T>::operator()(const ops::Context& context, const Tensor<float>& pixel_values,
                                          std::span<const PatchGrid> grids) const {
  const auto order = detail::patch_windows(config_, grids);
  const auto patches = static_cast<Index>(order.patches.size());
  if (!(pixel_values.shape() == Shape{patches, config_.patch_elements()}))
    throw ArgumentError("qwen2_5_vision", "pixel_values " + to_string(pixel_values.shape()) + ", expected " +
                                              to_string(Shape{patches, config_.patch_elements()}) +
                                              " for these grids");
  const Index quarter = config_.hidden_size / config_.num_heads / 4;
  ops::RotaryFrequencies frequencies;
  for (int axis = 0; axis < 2; ++axis)
    for (Index i = 0; i < quarter; ++i)
      frequencies.of_pairs.push_back(
          1.0f / std::pow(10000.0f, static_cast<float>(2 * i) / static_cast<float>(2 * quarter)));
  frequencies.sections = {static_cast<int>(quarter), static_cast<int>(quarter)};
  const auto rotation = ops::rotary_table(
      concat_leading<std::int32_t>(std::array{Tensor<std::int32_t>::copy_of({1, patches}, order.rows),
                                              Tensor<std::int32_t>::copy_of({1, patches}, order.columns)}),
      frequencies);

  const auto embedded = patch_embed_.accumulate(context, ops::cast<T>(context, pixel_values));
  auto x = ops::embedding_lookup(context, embedded, order.patches);
  for (const auto& block : blocks_)
    x = run(context, block, x, rotation, block.attends_to_all ? order.frames : order.windows);
  const auto merged = merger_norm_.template apply<T>(context, x)
                          .reshape({patches / config_.merged(), config_.hidden_size * config_.merged()});
  return ops::embedding_lookup(context, merger_out_.accumulate(context, merger_in_(context, merged)),
                               order.back);
}

extern template class Qwen25Vision<float>;
extern template class Qwen25Vision<bfloat16>;

}  // namespace daguerre::models
