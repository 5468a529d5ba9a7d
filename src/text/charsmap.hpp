#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::text {

/// sentencepiece's `precompiled_charsmap`: what each of some sequences of characters is replaced by. A
/// double-array trie (Aoe 1989; darts-clone's layout) whose values are places in a list of texts that end in
/// a zero. Empty: nothing is replaced.
class Charsmap {
 public:
  Charsmap() = default;
  /// The trie's size in bytes (32 bits, little-endian), the trie, the texts. Throws FormatError, in the name
  /// of `source`, where these do not fit.
  Charsmap(std::string_view blob, const std::string& source);

  bool empty() const noexcept { return units_.empty(); }
  struct Match {
    std::size_t length = 0;  ///< bytes that are replaced; 0: no sequence begins here
    std::string_view text;
  };
  /// The longest sequence that `text` begins with.
  Match longest(std::string_view text) const noexcept;

 private:
  std::vector<std::uint32_t> units_;
  std::string texts_;
};

}  // namespace daguerre::text
