#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// Finds, in a list of texts that lies elsewhere, a text or those that another one begins with.
/// `text_of(i)` is the i-th text of the list, none of them empty.
class PieceIndex {
 public:
  PieceIndex() : first_of_(257, 0) {}
  template <class TextOf>
  PieceIndex(std::size_t count, const TextOf& text_of);

  /// Places in the list, sorted by their texts (bytes).
  const std::vector<std::int32_t>& sorted() const noexcept { return sorted_; }
  /// The place of that text; -1 where it is not there.
  template <class TextOf>
  std::int32_t find(std::string_view text, const TextOf& text_of) const;
  /// found(place, length) for every one that `text`, which is not empty, begins with, shortest first.
  template <class TextOf, class Found>
  void for_each_prefix(std::string_view text, const TextOf& text_of, const Found& found) const;

 private:
  std::vector<std::int32_t> sorted_;
  std::vector<std::uint32_t> first_of_;  // by a first byte: the first in sorted_; 257 of them
};

template <class TextOf>
PieceIndex::PieceIndex(std::size_t count, const TextOf& text_of) : sorted_(count) {
  for (std::size_t i = 0; i < count; ++i) sorted_[i] = static_cast<std::int32_t>(i);
  std::stable_sort(sorted_.begin(), sorted_.end(), [&](std::int32_t a, std::int32_t b) {
    return std::string_view(text_of(a)) < std::string_view(text_of(b));
  });
  first_of_.assign(257, static_cast<std::uint32_t>(count));
  for (std::size_t i = count; i-- > 0;)
    if (const std::string_view text = text_of(sorted_[i]); !text.empty())
      first_of_[static_cast<unsigned char>(text[0])] = static_cast<std::uint32_t>(i);
  for (std::size_t byte = 256; byte-- > 0;) first_of_[byte] = std::min(first_of_[byte], first_of_[byte + 1]);
}

template <class TextOf>
std::int32_t PieceIndex::find(std::string_view text, const TextOf& text_of) const {
  const auto at = std::lower_bound(
      sorted_.begin(), sorted_.end(), text,
      [&](std::int32_t place, std::string_view value) { return std::string_view(text_of(place)) < value; });
  return at == sorted_.end() || std::string_view(text_of(*at)) != text ? -1 : *at;
}

template <class TextOf, class Found>
void PieceIndex::for_each_prefix(std::string_view text, const TextOf& text_of, const Found& found) const {
  const auto first = static_cast<unsigned char>(text[0]);
  auto begin = sorted_.begin() + first_of_[first], end = sorted_.begin() + first_of_[first + 1u];
  for (std::size_t length = 1; begin != end; ++length) {
    // Of those that agree in `length` bytes, the one that ends here is the first.
    while (begin != end && std::string_view(text_of(*begin)).size() == length) found(*begin++, length);
    if (length == text.size()) return;
    const auto byte_of = [&](std::int32_t place) {
      return static_cast<unsigned char>(std::string_view(text_of(place))[length]);
    };
    const auto byte = static_cast<unsigned char>(text[length]);
    begin = std::lower_bound(begin, end, byte,
                             [&](std::int32_t place, unsigned char value) { return byte_of(place) < value; });
    end = std::upper_bound(begin, end, byte,
                           [&](unsigned char value, std::int32_t place) { return value < byte_of(place); });
  }
}

}  // namespace daguerre::text
