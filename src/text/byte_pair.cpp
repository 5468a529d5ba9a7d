#include "text/byte_pair.hpp"

#include "daguerre/text/unicode.hpp"

namespace daguerre::text {
namespace {

constexpr bool stands_for_itself(char32_t code) {
  return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xAC) || (code >= 0xAE && code <= 0xFF);
}

struct Alphabet {
  std::array<char32_t, 256> chars{};
  std::array<unsigned char, 68> bytes{};  // of U+0100 and on
};

constexpr Alphabet alphabet = [] {
  Alphabet result;
  char32_t next = 0;
  for (char32_t byte = 0; byte < 256; ++byte) {
    if (stands_for_itself(byte)) {
      result.chars[byte] = byte;
    } else {
      result.bytes[next] = static_cast<unsigned char>(byte);
      result.chars[byte] = 0x100 + next++;
    }
  }
  return result;
}();

}  // namespace

char32_t byte_to_char(unsigned char byte) noexcept {
  return alphabet.chars[byte];
}

int char_to_byte(char32_t code) noexcept {
  if (stands_for_itself(code)) return static_cast<int>(code);
  return code - 0x100 < alphabet.bytes.size() ? alphabet.bytes[code - 0x100] : -1;
}

BytePairEncoder::BytePairEncoder(const Vocabulary& vocabulary, const std::vector<PairMerge>& merges,
                                 std::int32_t unknown, MergeOrder order)
    : merges_(merges, order) {
  const auto id_of = [&](const std::string& token) {
    const auto at = vocabulary.find(token);
    return at == vocabulary.end() ? unknown : at->second;
  };
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::string token;
    append_utf8(token, byte_to_char(static_cast<unsigned char>(byte)));
    inner_[byte] = id_of(token);
    last_[byte] = id_of(token.append(end_of_word));
  }
}

void BytePairEncoder::encode(std::string_view word, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  scratch.clear();
  for (std::size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<unsigned char>(word[i]);
    scratch.add(i + 1 == word.size() ? last_[byte] : inner_[byte]);
  }
  merges_.join(scratch, ids);
}

}  // namespace daguerre::text
