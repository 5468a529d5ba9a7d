#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace daguerre::text {

/// How bytes that are no UTF-8 are read.
enum class ByteReading {
  joined,     ///< all pieces are bytes; each maximal part of a malformed sequence is one U+FFFD
  each_byte,  ///< each byte that is not part of a well-formed sequence is one: sentencepiece
  whole_runs  ///< where a run of byte pieces is not well-formed, each of its bytes is one: tokenizers'
              ///< ByteFallback
};

/// Puts pieces of text and single bytes together.
class DecodedText {
 public:
  /// Up to `strip` spaces are taken off the beginning.
  explicit DecodedText(ByteReading reading, std::size_t strip = 0) : reading_(reading), strip_(strip) {}

  /// Text, whole characters; with ByteReading::joined any bytes.
  void add_text(std::string_view text);
  /// The byte of a byte piece.
  void add_byte(char byte);

  const std::string& settled() const noexcept { return settled_; }
  /// What bytes are waiting for more are as long as nothing follows.
  std::string unsettled() const;
  /// Nothing was added that gives text.
  bool empty() const noexcept { return settled_.empty() && bytes_.empty(); }

 private:
  void settle(std::string_view text);
  void settle_bytes();
  std::string read(std::string_view bytes) const;

  ByteReading reading_;
  std::size_t strip_;
  std::string settled_, bytes_;
};

}  // namespace daguerre::text
