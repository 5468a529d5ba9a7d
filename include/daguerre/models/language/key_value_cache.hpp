#pragma once

#include <cstddef>
#include <vector>

#include "daguerre/models/language/language_config.hpp"
#include "daguerre/ops/engine.hpp"

namespace daguerre::models {

/// What a language model keeps of the tokens it has read: each layer's keys, turned by their positions, and
/// values, so that a token more costs its own arithmetic only. `[N, length, heads of keys * head_dim]` each,
/// in T. A value: a copy shares what it holds until one of the two is written to. It grows as tokens come, up
/// to a length that is given. Layers with a window keep all tokens, too, and look at those in it.
template <class T>
class KeyValueCache {
 public:
  /// For a model of such layers, and `max_length` tokens at most. Throws ArgumentError for a length below 1.
  KeyValueCache(const LanguageConfig& config, Index max_length);

  /// Tokens that it holds, for each of the batch.
  Index length() const noexcept { return length_; }
  Index max_length() const noexcept { return max_length_; }
  int layers() const noexcept { return static_cast<int>(layers_.size()); }
  /// Memory that is set aside.
  std::size_t bytes() const noexcept;
  /// Forgets all tokens but the first `length`; costs nothing. Throws ArgumentError for more than it holds.
  void truncate(Index length);
  void clear() { truncate(0); }

  /// Puts a layer's keys and values of further tokens behind those that the cache holds. They count once
  /// `advance` is called, when all layers have theirs; until then another `append` of the layer replaces
  /// them. Throws ArgumentError for another number of sequences than before, and for more tokens than
  /// `max_length`; where memory is short, the cache is empty afterwards. For the network.
  void append(const ops::Context& context, int layer, const ops::TokenView<T>& keys,
              const ops::TokenView<T>& values);
  void advance(Index count) { length_ += count; }
  /// The layer's first `count` keys and values, those just appended included; valid until it is written to.
  ops::TokenView<T> keys(int layer, Index count) const;
  ops::TokenView<T> values(int layer, Index count) const;

 private:
  struct Layer {
    Tensor<T> keys, values;
  };
  std::vector<Layer> layers_;
  Index max_length_, length_ = 0;
};

}  // namespace daguerre::models
