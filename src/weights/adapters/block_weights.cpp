#include "weights/adapters/block_weights.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <utility>

#include "daguerre/core/error.hpp"
#include "weights/key_maps/names.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::adapters {
namespace {

constexpr std::string_view transformer_list = "transformer_blocks.",
                           single_list = "single_transformer_blocks.";

/// Which blocks have values of their own behind the first: input blocks, the middle one, output blocks.
struct BlockOrder {
  std::span<const int> inputs, outputs;
  std::size_t size() const { return 2 + inputs.size() + outputs.size(); }
};

constexpr std::array first_twelve{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
constexpr std::array sd1_inputs{1, 2, 4, 5, 7, 8}, sdxl_outputs{0, 1, 2, 3, 4, 5};
constexpr std::array sd1_outputs{3, 4, 5, 6, 7, 8, 9, 10, 11};
constexpr std::array sdxl_inputs{4, 5, 7, 8};
constexpr std::array<BlockOrder, 4> block_orders{
    {{sdxl_inputs, sdxl_outputs},
     {sd1_inputs, sd1_outputs},
     {std::span(first_twelve).first(9), std::span(first_twelve).first(9)},
     {first_twelve, first_twelve}}};

/// Blocks that the order leaves out get nothing.
float value_of(std::span<const float> values, std::span<const int> blocks, int block) {
  const auto found = std::find(blocks.begin(), blocks.end(), block);
  return found == blocks.end() ? 0.0f : values[static_cast<std::size_t>(found - blocks.begin())];
}

const BlockOrder* order_of(std::size_t count) {
  const auto found = std::find_if(block_orders.begin(), block_orders.end(),
                                  [&](const BlockOrder& order) { return order.size() == count; });
  return found == block_orders.end() ? nullptr : &*found;
}

}  // namespace

BlockWeights::BlockWeights(std::vector<float> values, const StateDict& network, bool is_denoiser)
    : values_(std::move(values)),
      is_denoiser_(is_denoiser),
      double_blocks_(key_maps::count_numbered(network, transformer_list)),
      single_blocks_(key_maps::count_numbered(network, single_list)) {
  if (!std::all_of(values_.begin(), values_.end(), [](float value) { return std::isfinite(value); }))
    throw ArgumentError(weights_name, "a block weight is not finite");
  if (!values_.empty() && is_denoiser_) check_count();
}

void BlockWeights::check_count() const {
  const auto blocks = static_cast<std::size_t>(double_blocks_ + single_blocks_);
  if (blocks == 0 ? order_of(values_.size()) != nullptr : values_.size() == 1 + blocks) return;
  throw ArgumentError(weights_name, std::to_string(values_.size()) + " block weights, expected " +
                                        (blocks == 0 ? "12, 17, 20 or 26 for a U-Net"
                                                     : std::to_string(1 + blocks) + " for this transformer"));
}

float BlockWeights::of(std::string_view name, std::string_view original) const {
  if (values_.empty()) return 1.0f;
  if (!is_denoiser_) return values_.front();
  return double_blocks_ + single_blocks_ > 0 ? of_transformer_block(name) : of_unet_block(original);
}

float BlockWeights::of_unet_block(std::string_view original) const {
  const auto input = key_maps::numbered(original, "input_blocks."),
             output = key_maps::numbered(original, "output_blocks.");
  const bool is_middle = original.starts_with("middle_block.");
  if (!input && !output && !is_middle) return values_.front();
  const auto& order = *order_of(values_.size());
  const std::span<const float> values(values_);
  const std::size_t middle = 1 + order.inputs.size();
  if (is_middle) return values[middle];
  return input ? value_of(values.subspan(1), order.inputs, input->first)
               : value_of(values.subspan(middle + 1), order.outputs, output->first);
}

float BlockWeights::of_transformer_block(std::string_view name) const {
  if (const auto block = key_maps::numbered(name, transformer_list))
    return values_[static_cast<std::size_t>(1 + block->first)];
  if (const auto block = key_maps::numbered(name, single_list))
    return values_[static_cast<std::size_t>(1 + double_blocks_ + block->first)];
  return values_.front();
}

}  // namespace daguerre::weights::adapters
