#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace daguerre {

/// How a picture was made, as image programs keep it in a PNG file under the keyword "parameters" (the
/// convention of AUTOMATIC1111's web UI):
///
///     a lighthouse at dawn
///     Negative prompt: fog
///     Steps: 20, Sampler: Euler a, CFG scale: 7.5, Seed: 42, Size: 512x512
struct Infotext {
  std::string prompt;
  std::string negative_prompt;
  /// Names and values in the order of the text. A name begins with a letter, digit or underscore, goes on
  /// with these, spaces, hyphens and slashes, and has two characters at least.
  std::vector<std::pair<std::string, std::string>> parameters;

  bool operator==(const Infotext&) const = default;
};

/// The text form. Values that hold a comma, colon or newline (or would not be read back as they are: empty,
/// in quotes, with space at an end) are written as JSON strings. Throws ArgumentError for a parameter name
/// that the convention cannot express.
std::string to_string(const Infotext& infotext);

/// Reads the text form; never fails, in time linear in the length. The last line holds the parameters when
/// there are three of them at least, otherwise it belongs to the prompt. The negative prompt begins at the
/// first line that starts with "Negative prompt:". Spaces at the ends of lines, and blank lines at the ends
/// of a prompt, are not kept.
Infotext parse_infotext(std::string_view text);

}  // namespace daguerre
