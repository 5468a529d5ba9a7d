#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "weights/key_maps/layouts.hpp"
#include "weights/key_maps/names.hpp"

/// Original layouts of transformers as tables: blocks in lists, some of whose tensors are several of
/// diffusers', row behind row.
namespace daguerre::weights::key_maps {

/// Of a block: `from` with "weight" behind it holds the rows of all `to` + `names`, in that order. They are
/// as many for each or, where `rows_of` names an original tensor of the block, as many as that has for each
/// but the last, which has what is left.
struct SplitRule {
  std::string_view from, to;
  std::span<const std::string_view> names;
  std::string_view rows_of = {};
};

struct BlockList {
  std::string_view original, diffusers;  ///< "joint_blocks.", "transformer_blocks."
  std::span<const Rule> rules;
  std::span<const SplitRule> splits;
};

struct OriginalLayout {
  std::string_view title;       ///< for messages: "Stability's layout of SD3"
  std::span<const Rule> rules;  ///< outside the blocks
  std::span<const BlockList> blocks;
  /// Whether diffusers' tensor has its halves the other way round; nullptr: none has.
  bool (*swaps_halves)(const StateDict& weights, std::string_view name) = nullptr;
};

/// Diffusers' names. Throws WeightError for rows that do not split.
StateDict from_original(const StateDict& weights, const OriginalLayout& layout);
/// The original tensors of weights under diffusers' names. Throws WeightError for a tensor without a place,
/// where these are refused, and for parts of one that are missing or have other rows.
std::vector<JoinedTensor> to_original(const StateDict& weights, const OriginalLayout& layout,
                                      Unplaced unplaced);

}  // namespace daguerre::weights::key_maps
