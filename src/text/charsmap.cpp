#include "text/charsmap.hpp"

#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

std::uint32_t read_u32(std::string_view bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i)
    value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

/// One unit of the trie: a label, whether a sequence ends here, and the distance to the children.
struct TrieUnit {
  std::uint32_t bits;
  bool has_value() const noexcept { return (bits >> 8 & 1) != 0; }
  std::uint32_t value() const noexcept { return bits & 0x7FFFFFFF; }
  std::uint32_t label() const noexcept { return bits & 0x800000FF; }
  std::uint32_t offset() const noexcept { return bits >> 10 << ((bits & 0x200) >> 6); }
};

}  // namespace

Charsmap::Charsmap(std::string_view blob, const std::string& source) {
  if (blob.empty()) return;
  const std::size_t size = blob.size() < 4 ? 0 : read_u32(blob, 0);
  if (size == 0 || size % 4 != 0 || size > blob.size() - 4)
    malformed(source, "a precompiled_charsmap of " + std::to_string(blob.size()) + " bytes with a trie of " +
                          std::to_string(size));
  texts_ = blob.substr(4 + size);
  if (texts_.empty() || texts_.back() != '\0')
    malformed(source, "the texts of precompiled_charsmap do not end in a zero");
  units_.reserve(size / 4);
  for (std::size_t at = 4; at < 4 + size; at += 4) units_.push_back(read_u32(blob, at));
}

Charsmap::Match Charsmap::longest(std::string_view text) const noexcept {
  Match match;
  if (units_.empty()) return match;
  std::size_t node = TrieUnit{units_[0]}.offset();
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::uint32_t byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    if (node >= units_.size() || TrieUnit{units_[node]}.label() != byte) break;
    const TrieUnit unit{units_[node]};
    node ^= unit.offset();
    if (node >= units_.size()) break;
    const std::size_t place = TrieUnit{units_[node]}.value();
    if (unit.has_value() && place < texts_.size()) match = {i + 1, std::string_view(texts_.c_str() + place)};
  }
  return match;
}

}  // namespace daguerre::text
