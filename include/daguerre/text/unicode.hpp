#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What tokenizers need of Unicode: UTF-8, general categories, white space, lower case, normal form C.
/// Tables of Unicode 14.0 (general categories of 15.0).
namespace daguerre::text {

/// A code point and where it came from: the byte offset, in the text first decoded, of the character it is or
/// was made from. The offset follows it through normalisation and lower-casing.
struct Char {
  char32_t code = 0;
  std::uint32_t source = 0;

  friend bool operator==(const Char&, const Char&) = default;
};
using Chars = std::vector<Char>;

/// Decodes UTF-8. Every maximal part of a malformed sequence (overlong forms and surrogates are malformed)
/// becomes one U+FFFD, as in Python's `errors="replace"`. Throws ArgumentError for 4 GiB or more.
Chars decode_utf8(std::string_view text);
/// Appends one code point.
void append_utf8(std::string& text, char32_t code);
std::string to_utf8(std::span<const Char> text);

/// General categories (Unicode, table 4-4); Cn is what is not assigned.
enum class Category : std::uint8_t {
  Cn,
  Cc,
  Cf,
  Co,
  Cs,
  Ll,
  Lm,
  Lo,
  Lt,
  Lu,
  Mc,
  Me,
  Mn,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Pe,
  Pf,
  Pi,
  Po,
  Ps,
  Sc,
  Sk,
  Sm,
  So,
  Zl,
  Zp,
  Zs
};
Category category_of(char32_t code) noexcept;

/// General category L.
bool is_letter(char32_t code) noexcept;
/// General category N.
bool is_number(char32_t code) noexcept;
/// The property White_Space, which is `\s` of regular expressions.
bool is_space(char32_t code) noexcept;

/// What Python's `str.strip` leaves: without white space and the four separators of ASCII at both ends.
std::span<const Char> strip(std::span<const Char> text);

/// How a capital sigma becomes small.
enum class FinalSigma {
  ignore,  ///< always U+03C3, as Rust's `char::to_lowercase`
  follow   ///< U+03C2 at the end of a word, as Python's `str.lower` (Unicode, section 3.13, Final_Sigma)
};
/// Full lower-casing: U+0130 becomes two code points.
Chars lower(std::span<const Char> text, FinalSigma sigma);

/// Normalization form C (Unicode Standard Annex 15).
Chars nfc(std::span<const Char> text);

}  // namespace daguerre::text
