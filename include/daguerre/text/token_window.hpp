#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"

namespace daguerre::text {

class ClipTokenizer;
class T5Tokenizer;

/// A vector of a textual inversion in the place of a token's.
struct InsertedVector {
  Index position = 0;         ///< in the window
  std::size_t embedding = 0;  ///< which of those that were named
  Index row = 0;              ///< which of its vectors

  friend bool operator==(const InsertedVector&, const InsertedVector&) = default;
};

/// What a text encoder reads at once.
struct TokenWindow {
  std::vector<std::int32_t> ids;  ///< 0 where there is a vector in an id's place
  std::vector<double> weights;    ///< one for each id
  std::vector<InsertedVector> vectors{};
  Index padding = 0;  ///< how many of the ids, at the end, are padding
};

/// What is to be known of a tokenizer to fill windows.
struct WindowTokenizer {
  std::function<std::vector<std::int32_t>(std::string_view)> encode;  ///< without start and end
  std::vector<std::int32_t> start;                                    ///< none or one
  std::int32_t end = 0, pad = 0;
  Index length = 77;  ///< of a window
  Index tokens = 0;   ///< in the vocabulary
  /// Whether a token ends a word.
  std::function<bool(std::int32_t)> ends_word{};

  /// Tokens of a prompt in one window.
  Index room() const noexcept { return length - 1 - static_cast<Index>(start.size()); }
};
WindowTokenizer window_tokenizer(const ClipTokenizer& tokenizer);
/// `length`: of the window.
WindowTokenizer window_tokenizer(const T5Tokenizer& tokenizer, Index length);

}  // namespace daguerre::text
