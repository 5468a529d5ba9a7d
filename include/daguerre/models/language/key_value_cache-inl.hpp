#pragma once

#include <string>
#include <utility>

#include "daguerre/models/language/key_value_cache.hpp"
#include "daguerre/ops/tokens-inl.hpp"

namespace daguerre::models {

template <class T>
KeyValueCache<T>::KeyValueCache(const LanguageConfig& config, Index max_length)
    : layers_(static_cast<std::size_t>(config.num_hidden_layers)), max_length_(max_length) {
  if (max_length < 1)
    throw ArgumentError("key_value_cache", "a length of " + std::to_string(max_length) + " tokens");
}

template <class T>
std::size_t KeyValueCache<T>::bytes() const noexcept {
  Index elements = 0;
  for (const auto& layer : layers_) elements += layer.keys.size() + layer.values.size();
  return static_cast<std::size_t>(elements) * sizeof(T);
}

template <class T>
void KeyValueCache<T>::truncate(Index length) {
  if (length < 0 || length > length_)
    throw ArgumentError("key_value_cache", std::to_string(length) + " tokens of " + std::to_string(length_));
  length_ = length;
}

template <class T>
void KeyValueCache<T>::append(const ops::Context& context, int layer, const ops::TokenView<T>& keys,
                              const ops::TokenView<T>& values) {
  auto& into = layers_.at(static_cast<std::size_t>(layer));
  if (keys.length > max_length_ - length_)
    throw ArgumentError("key_value_cache", "it holds " + std::to_string(length_) + " tokens and " +
                                               std::to_string(keys.length) + " more do not fit, it is for " +
                                               std::to_string(max_length_));
  const bool is_other = !into.keys.empty() && into.keys.dim(0) != keys.batch;
  if (is_other && length_ > 0)
    throw ArgumentError("key_value_cache", std::to_string(keys.batch) + " sequences, it holds tokens of " +
                                               std::to_string(into.keys.dim(0)));
  // One that holds nothing may take another batch than before.
  if (is_other) into = {};
  try {
    into.keys = ops::append_tokens(context, std::move(into.keys), length_, keys, max_length_);
    into.values = ops::append_tokens(context, std::move(into.values), length_, values, max_length_);
  } catch (...) {
    for (auto& each : layers_) each = {};  // what was given away is gone
    length_ = 0;
    throw;
  }
}

template <class T>
ops::TokenView<T> KeyValueCache<T>::keys(int layer, Index count) const {
  return ops::TokenView<T>::first(layers_.at(static_cast<std::size_t>(layer)).keys, count);
}
template <class T>
ops::TokenView<T> KeyValueCache<T>::values(int layer, Index count) const {
  return ops::TokenView<T>::first(layers_.at(static_cast<std::size_t>(layer)).values, count);
}

extern template class KeyValueCache<float>;
extern template class KeyValueCache<bfloat16>;

}  // namespace daguerre::models
