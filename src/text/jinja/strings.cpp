#include "text/jinja/strings.hpp"

#include <algorithm>
#include <map>

#include "daguerre/text/unicode.hpp"

namespace daguerre::text::jinja {
namespace {

/// Upper case of what is no ASCII: the other way round than lower case.
std::map<char32_t, char32_t> upper_case_table() {
  std::map<char32_t, char32_t> result = {{0xB5, 0x39C}, {0x131, U'I'}, {0x17F, U'S'}, {0x3C2, 0x3A3}};
  for (char32_t code = 0x80; code < 0x1E944; ++code) {
    if (code == 0xD800) code = 0xE000;
    if (!is_letter(code) && !is_number(code) && !(code >= 0x24B6 && code <= 0x24CF)) continue;
    const Char character{code, 0};
    const auto small = lower({&character, 1}, FinalSigma::ignore);
    if (small.size() == 1 && small[0].code != code && small[0].code >= 0x80)
      result.emplace(small[0].code, code);
  }
  return result;
}

char32_t upper_of(char32_t code) {
  if (code < 0x80) return code >= U'a' && code <= U'z' ? code - 0x20 : code;
  static const auto table = upper_case_table();
  const auto found = table.find(code);
  return found == table.end() ? code : found->second;
}

void add_upper(std::string& out, char32_t code) {
  if (code == 0xDF)
    out += "SS";
  else
    append_utf8(out, upper_of(code));
}

bool is_blank_code(char32_t code) {
  return is_space(code) || (code >= 0x1C && code <= 0x1F);
}

}  // namespace

std::string lowered(std::string_view text) {
  return to_utf8(lower(decode_utf8(text), FinalSigma::follow));
}

std::string uppered(std::string_view text) {
  std::string result;
  for (const char32_t code : code_points(text)) add_upper(result, code);
  return result;
}

std::string capitalised(std::string_view text) {
  return titled(text, [](char32_t) { return false; });
}

std::string titled(std::string_view text, bool (*ends)(char32_t code)) {
  std::string result;
  const auto characters = decode_utf8(text);
  for (std::size_t begin = 0; begin < characters.size();) {
    add_upper(result, characters[begin].code);
    auto end = begin + 1;
    if (!ends(characters[begin].code))
      while (end < characters.size() && !ends(characters[end].code)) ++end;
    const std::span<const Char> rest(characters.data() + begin + 1, end - begin - 1);
    result += to_utf8(lower(rest, FinalSigma::follow));
    if (end < characters.size() && end > begin + 1) append_utf8(result, characters[end++].code);
    begin = end;
  }
  return result;
}

std::string stripped(std::string_view text, const std::optional<std::string>& of, bool left, bool right) {
  const auto characters = decode_utf8(text);
  auto set = of ? code_points(*of) : std::u32string();
  std::sort(set.begin(), set.end());
  const auto goes = [&](const Char& c) {
    return of ? std::binary_search(set.begin(), set.end(), c.code) : is_blank_code(c.code);
  };
  auto begin = characters.begin(), end = characters.end();
  if (left) begin = std::find_if_not(begin, end, goes);
  if (right)
    while (end != begin && goes(*(end - 1))) --end;
  return to_utf8({begin, end});
}

std::vector<std::string> split(std::string_view text, const std::optional<std::string>& separator,
                               std::int64_t most, bool from_right, Meter& meter) {
  meter.work(text.size() * 2);
  std::string whole(text);
  if (!separator) {
    whole = stripped(text, std::nullopt, !from_right || most < 0, from_right || most < 0);
    if (stripped(whole, std::nullopt, true, true).empty()) return {};
  } else if (separator->empty()) {
    throw Fault("the separator is empty");
  }
  std::vector<std::pair<std::size_t, std::size_t>> gaps;  // begin, end
  if (separator) {
    for (auto at = find_in(whole, *separator, 0, meter); at != whole.npos;
         at = find_in(whole, *separator, at + separator->size(), meter)) {
      gaps.emplace_back(at, at + separator->size());
      meter.work(sizeof gaps[0]);
    }
  } else {
    const auto characters = decode_utf8(whole);
    for (std::size_t i = 0; i < characters.size(); ++i) {
      if (!is_blank_code(characters[i].code)) continue;
      const std::size_t begin = characters[i].source;
      while (i < characters.size() && is_blank_code(characters[i].code)) ++i;
      gaps.emplace_back(begin, i < characters.size() ? characters[i].source : whole.size());
    }
  }
  if (most >= 0 && gaps.size() > static_cast<std::size_t>(most)) {
    if (from_right)
      gaps.erase(gaps.begin(), gaps.end() - static_cast<std::ptrdiff_t>(most));
    else
      gaps.resize(static_cast<std::size_t>(most));
  }
  std::vector<std::string> result;
  std::size_t begin = 0;
  for (const auto& gap : gaps) {
    result.emplace_back(whole.substr(begin, gap.first - begin));
    begin = gap.second;
  }
  result.emplace_back(whole.substr(begin));
  if (!separator && result.back().empty()) result.pop_back();  // blanks at the end
  if (!separator && result.front().empty()) result.erase(result.begin());
  meter.work(result.size() * sizeof(Value));
  return result;
}

}  // namespace daguerre::text::jinja
