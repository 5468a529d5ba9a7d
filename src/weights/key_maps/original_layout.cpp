#include "weights/key_maps/original_layout.hpp"

#include <optional>
#include <string>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

/// A tensor's place in a block's split: which one, which of its parts, and what follows.
struct SplitPlace {
  const SplitRule* rule;
  std::size_t part;
  std::string_view suffix;
};

std::optional<SplitPlace> split_place(const BlockList& list, std::string_view rest) {
  for (const auto& rule : list.splits)
    for (std::size_t i = 0; i < rule.names.size(); ++i) {
      const std::string own = std::string(rule.to).append(rule.names[i]);
      if (rest.starts_with(own)) return SplitPlace{&rule, i, rest.substr(own.size())};
    }
  return std::nullopt;
}

/// The parts of a split below `block`, as one.
JoinedTensor joined(const StateDict& weights, const std::string& name, const std::string& block,
                    const SplitPlace& place) {
  JoinedTensor result{name, {}, {}};
  Index rows = 0;
  for (const auto part : place.rule->names) {
    auto source = block + std::string(place.rule->to).append(part).append(place.suffix);
    const Shape shape = weights.shape(source);
    if (result.sources.empty()) result.shape = shape;
    if (shape.rank() == 0 || !(shape.tail() == result.shape.tail()))
      throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(source) + " has shape " +
                                          to_string(shape) + ", which does not join " +
                                          to_string(result.shape) + " as rows of " + in_quotes(name));
    rows += shape[0];
    result.sources.push_back(std::move(source));
  }
  result.shape = result.shape.with(0, rows);
  return result;
}

/// What a name inside a list of blocks becomes; nothing for parts that others stand for, and for names
/// without a place, which `known` tells apart.
std::optional<JoinedTensor> block_part(const StateDict& weights, const BlockList& list, int number,
                                       std::string_view rest, bool& known) {
  const auto block = joined_name(list.diffusers, number, "");
  if (const auto place = split_place(list, rest)) {
    known = true;
    const auto name =
        joined_name(list.original, number, std::string(place->rule->from).append(place->suffix));
    auto whole = joined(weights, name, block, *place);
    if (place->part != 0) return std::nullopt;
    return whole;
  }
  const auto other = from_diffusers(rest, list.rules);
  if (!other) return std::nullopt;
  known = true;
  const auto source = block + std::string(rest);
  return JoinedTensor{joined_name(list.original, number, *other), {source}, weights.shape(source)};
}

/// The parts of `source`, all but the last as many rows as the tensor `rows_of` has.
void split_by_rows(const StateDict& weights, const std::string& source, const std::string& prefix,
                   const SplitRule& rule, const std::string& rows_of, std::string_view suffix,
                   std::vector<RenamedTensor>& result) {
  const Shape shape = weights.shape(source), other = weights.shape(rows_of);
  const Index rows = other.rank() == 0 ? 0 : other[0];
  const auto last = static_cast<Index>(rule.names.size()) - 1;
  if (shape.rank() == 0 || rows == 0 || shape[0] / rows < last)
    throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(source) + " has shape " +
                                        to_string(shape) + ", expected at least " + std::to_string(last) +
                                        " times the " + std::to_string(rows) + " rows of " +
                                        in_quotes(rows_of));
  for (Index i = 0; i <= last; ++i)
    result.push_back({prefix + std::string(rule.names[static_cast<std::size_t>(i)]).append(suffix), source,
                      i * rows, i == last ? shape[0] - i * rows : rows});
}

/// The other way round, which is what the layout says of diffusers' names.
StateDict with_halves_swapped(const StateDict& weights, const OriginalLayout& layout) {
  if (layout.swaps_halves == nullptr) return weights;
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names())
    result.push_back({.name = name, .source = name, .halves_swapped = layout.swaps_halves(weights, name)});
  return weights.renamed(result);
}

}  // namespace

StateDict from_original(const StateDict& weights, const OriginalLayout& layout) {
  std::vector<RenamedTensor> result;
  for (const auto& name : weights.names()) {
    const BlockList* list = nullptr;
    for (const auto& candidate : layout.blocks)
      if (numbered(name, candidate.original)) list = &candidate;
    if (list == nullptr) {
      result.push_back({to_diffusers(name, layout.rules).value_or(name), name});
      continue;
    }
    const auto [number, rest] = *numbered(name, list->original);
    const auto block = joined_name(list->diffusers, number, "");
    const SplitRule* split = nullptr;
    for (const auto& rule : list->splits)
      if (rest.starts_with(rule.from)) split = &rule;
    if (split != nullptr && !split->rows_of.empty()) {
      split_by_rows(weights, name, block + std::string(split->to), *split,
                    joined_name(list->original, number, split->rows_of), rest.substr(split->from.size()),
                    result);
    } else if (split != nullptr) {
      split_evenly(weights, name, block + std::string(split->to), split->names,
                   rest.substr(split->from.size()), result);
    } else {
      const auto part = to_diffusers(rest, list->rules);
      result.push_back({part ? block + *part : name, name});
    }
  }
  return with_halves_swapped(weights.renamed(result), layout);
}

std::vector<JoinedTensor> to_original(const StateDict& weights, const OriginalLayout& layout,
                                      Unplaced unplaced) {
  std::vector<JoinedTensor> result;
  for (const auto& name : weights.names()) {
    bool known = false;
    std::optional<JoinedTensor> tensor;
    for (const auto& list : layout.blocks)
      if (const auto found = numbered(name, list.diffusers))
        tensor = block_part(weights, list, found->first, found->second, known);
    if (!known)
      if (const auto other = from_diffusers(name, layout.rules)) {
        known = true;
        tensor = JoinedTensor{*other, {name}, weights.shape(name)};
      }
    if (!known && unplaced == Unplaced::refused)
      throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(name) + " has no place in " +
                                          std::string(layout.title));
    if (!tensor) continue;
    tensor->halves_swapped = layout.swaps_halves != nullptr && layout.swaps_halves(weights, name);
    result.push_back(std::move(*tensor));
  }
  return result;
}

}  // namespace daguerre::weights::key_maps
