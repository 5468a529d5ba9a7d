#include "daguerre/models/denoisers/unet_2d_shape.hpp"

namespace daguerre::models {
namespace {

using BlockAttention = UNetBlockShape::Attention;

/// Whether the block reads a prompt otherwise than by transformers.
bool reads_otherwise(const UNetBlockShape& block) {
  return block.attention == BlockAttention::added_kv ||
         (block.kind != UNetBlockShape::Kind::residual && block.attention == BlockAttention::transformer);
}

void append_attentions(const UNetBlockShape& block, const std::string& name, Index width,
                       std::vector<UNetCrossAttention>& all) {
  for (int layer = 0; layer < block.layers; ++layer) {
    const auto count = block.cross_attentions(layer + 1) - block.cross_attentions(layer);
    for (std::size_t i = 0; i < count; ++i)
      all.push_back({name + ".attentions." + std::to_string(layer) + ".transformer_blocks." +
                         std::to_string(i),
                     width});
  }
}

}  // namespace

std::size_t UNetBlockShape::cross_attentions(int count) const {
  if (attention != Attention::transformer || kind != Kind::residual || cross_attention_dim == 0) return 0;
  std::size_t sum = 0;
  for (int layer = 0; layer < count; ++layer)
    sum += static_cast<std::size_t>(transformer_layers.at(static_cast<std::size_t>(layer)));
  return sum;
}

std::vector<UNetCrossAttention> UNet2DShape::cross_attentions() const {
  std::vector<UNetCrossAttention> result;
  const auto width = [](const UNetBlockShape& block, Index channels) {
    return channels / block.heads * block.heads;
  };
  for (const auto& level : levels)
    if (reads_otherwise(level.down) || reads_otherwise(level.up)) return {};
  if (mid && reads_otherwise(*mid)) return {};
  for (std::size_t i = 0; i < levels.size(); ++i)
    append_attentions(levels[i].down, "down_blocks." + std::to_string(i),
                      width(levels[i].down, levels[i].channels), result);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    const auto& level = levels[levels.size() - 1 - i];
    append_attentions(level.up, "up_blocks." + std::to_string(i), width(level.up, level.channels), result);
  }
  if (mid) append_attentions(*mid, "mid_block", width(*mid, levels.back().channels), result);
  return result;
}

bool UNet2DShape::takes_free_u(std::size_t level) const {
  const auto& block = levels[level].up;
  return levels.size() - 1 - level < 2 && block.kind == UNetBlockShape::Kind::residual &&
         !block.resnet_resize &&
         (block.attention == BlockAttention::none || block.attention == BlockAttention::transformer);
}

}  // namespace daguerre::models
