#include "weights/key_maps/names.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::key_maps {
namespace {

std::optional<std::string> with_prefix_replaced(std::string_view name, std::string_view from,
                                                std::string_view to) {
  if (!name.starts_with(from) || (name.size() > from.size() && name[from.size()] != '.')) return std::nullopt;
  return std::string(to).append(name.substr(from.size()));
}

}  // namespace

std::optional<std::string> to_diffusers(std::string_view name, std::span<const Rule> rules) {
  for (const auto& [other, own] : rules)
    if (auto result = with_prefix_replaced(name, other, own)) return result;
  return std::nullopt;
}

std::optional<std::string> from_diffusers(std::string_view name, std::span<const Rule> rules) {
  for (const auto& [other, own] : rules)
    if (auto result = with_prefix_replaced(name, own, other)) return result;
  return std::nullopt;
}

std::optional<std::pair<int, std::string_view>> numbered(std::string_view name, std::string_view list) {
  constexpr std::size_t most_digits = 4;
  if (!name.starts_with(list)) return std::nullopt;
  name.remove_prefix(list.size());
  const auto dot = name.find('.');
  if (dot == name.npos || dot == 0 || dot > most_digits || name.find_first_not_of("0123456789") != dot)
    return std::nullopt;
  int number = 0;
  for (const char digit : name.substr(0, dot)) number = 10 * number + (digit - '0');
  return std::pair{number, name.substr(dot + 1)};
}

int count_numbered(const StateDict& weights, std::string_view list) {
  int count = 0;
  for (const auto& name : weights.names())
    if (const auto found = numbered(name, list)) count = std::max(count, found->first + 1);
  return count;
}

std::string joined_name(std::string_view prefix, int number, std::string_view rest) {
  std::string result(prefix);
  result += std::to_string(number);
  result += '.';
  return result.append(rest);
}

StateDict below(const StateDict& weights, std::string_view prefix) {
  if (prefix.empty()) return weights;
  std::vector<RenamedTensor> result;
  if (!weights.contains_below(prefix)) return weights.renamed(result);  // without a list of all names
  for (const auto& name : weights.names())
    if (name.starts_with(prefix) && name.size() > prefix.size())
      result.push_back({name.substr(prefix.size()), name});
  return weights.renamed(result);
}

void split_evenly(const StateDict& weights, const std::string& source, const std::string& prefix,
                  std::span<const std::string_view> names, std::string_view suffix,
                  std::vector<RenamedTensor>& result) {
  const Shape shape = weights.shape(source);
  const auto parts = static_cast<Index>(names.size());
  if (shape.rank() == 0 || shape[0] % parts != 0)
    throw WeightError(weights_name, weights.source() + ": tensor " + in_quotes(source) + " has shape " +
                                        to_string(shape) + ", which does not split into " +
                                        (parts == 3 ? "three" : "two"));
  const Index rows = shape[0] / parts;
  Index first = 0;
  for (const auto name : names) {
    result.push_back({std::string(prefix).append(name).append(suffix), source, first, rows});
    first += rows;
  }
}

}  // namespace daguerre::weights::key_maps
