#include <vector>

#include "daguerre/nn/adaptation-inl.hpp"

namespace daguerre::nn {
namespace detail {
namespace {

/// Above it a layer of its own is better: in memory that is packed, one takes as much time as the base does;
/// in mapped memory the deltas would be computed again at each product.
constexpr double most_packed_cost = 0.25, most_mapped_cost = 1.0;

}  // namespace

std::string layer_key(const LayerTensors& tensors, const std::string& how) {
  std::string key = how + (tensors.has_bias ? " with bias" : "");
  for (const auto& module : tensors.modules) key += "|" + module.scope.prefix();
  return key;
}

bool is_changed(const LayerTensors& tensors) {
  for (const auto& module : tensors.modules)
    if (module.is_changed("weight") || (tensors.has_bias && module.is_changed("bias"))) return true;
  return false;
}

std::optional<LowRankChange> low_rank_change(const LayerTensors& tensors) {
  const auto& front = tensors.modules.front();
  const Index row_size = tensors.weights.front().tail().size();
  std::vector<ops::LowRankTerm> terms;
  std::vector<Tensor<float>> before, after;  // biases
  bool bias_changes = false;
  Index first_row = 0;
  for (std::size_t i = 0; i < tensors.modules.size(); ++i) {
    const auto& module = tensors.modules[i];
    const Index rows = tensors.weights[i][0];
    const auto deltas = module.adaptation->added.find(module.full_name("weight"));
    if (deltas != module.adaptation->added.end())
      for (const auto& [delta, strength] : deltas->second) {
        if (strength == 0.0f) continue;
        auto product = delta->low_rank();
        if (!product || delta->shape() != tensors.weights[i]) return std::nullopt;
        terms.push_back({std::move(product->up), std::move(product->down), strength, first_row});
      }
    first_row += rows;
    if (!tensors.has_bias) continue;
    const auto* bias = module.adaptation->base->find_tensor(module.full_name("bias"));
    if (bias == nullptr) return std::nullopt;
    before.push_back(*bias);
    after.push_back(module.tensor("bias", {rows}));
    bias_changes = bias_changes || module.is_changed("bias");
  }
  if (terms.empty()) return std::nullopt;
  auto stack = ops::stacked(first_row, row_size, terms);
  const bool mapped = front.context.placement == ops::WeightPlacement::mapped;
  if (stack.cost() > (mapped ? most_mapped_cost : most_packed_cost)) return std::nullopt;
  LowRankChange change{std::move(stack), {}};
  if (bias_changes) change.bias = ops::change_of(concat_leading<float>(before), concat_leading<float>(after));
  return change;
}

}  // namespace detail

std::string Loader::full_name(std::string_view name) const {
  const auto& prefix = scope.prefix();
  return prefix.empty() ? std::string(name) : prefix + "." + std::string(name);
}

bool Loader::is_changed(std::string_view name) const {
  return adaptation != nullptr && adaptation->added.contains(full_name(name));
}

Tensor<float> Loader::tensor(std::string_view name, const Shape& shape) const {
  context.check_stop();
  if (adaptation == nullptr) return scope.tensor(name, shape);
  const auto full = full_name(name);
  const auto* kept = adaptation->base ? adaptation->base->find_tensor(full) : nullptr;
  const bool shared = kept != nullptr && kept->shape() == shape && !adaptation->added.contains(full);
  auto result = shared ? *kept : scope.tensor(name, shape);
  if (adaptation->record) adaptation->record->keep_tensor(full, result);
  return result;
}

}  // namespace daguerre::nn
