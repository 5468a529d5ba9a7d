#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "daguerre/weights/state_dict.hpp"

/// What the layouts' own files share: names are changed by rules, prefix for prefix, in either direction.
namespace daguerre::weights::key_maps {

/// A prefix in another layout, and what diffusers and transformers have in its place. Both end where a part
/// of the name does.
using Rule = std::pair<std::string_view, std::string_view>;

/// `name` with the prefix of the first rule that fits replaced; nothing when none does.
std::optional<std::string> to_diffusers(std::string_view name, std::span<const Rule> rules);
/// The inverse.
std::optional<std::string> from_diffusers(std::string_view name, std::span<const Rule> rules);

/// What follows `list` in a name, cut behind its number: (3, "attn.qkv.weight") of "blocks.3.attn.qkv.weight"
/// with "blocks."; nothing for other names.
std::optional<std::pair<int, std::string_view>> numbered(std::string_view name, std::string_view list);
/// One more than the largest number behind `list` in the names; 0 when there is none.
int count_numbered(const StateDict& weights, std::string_view list);

/// "prefix3.rest".
std::string joined_name(std::string_view prefix, int number, std::string_view rest);

/// The names below `prefix`, without it.
StateDict below(const StateDict& weights, std::string_view prefix);

/// Appends the equal parts of `source`, which has them as rows one behind the other, as
/// `PREFIX{names[i]}SUFFIX`: queries, keys and values. Throws WeightError where the rows do not split.
void split_evenly(const StateDict& weights, const std::string& source, const std::string& prefix,
                  std::span<const std::string_view> names, std::string_view suffix,
                  std::vector<RenamedTensor>& result);

}  // namespace daguerre::weights::key_maps
