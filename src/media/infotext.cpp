#include "daguerre/media/infotext.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

constexpr std::string_view negative_label = "Negative prompt:";
constexpr std::size_t least_parameters = 3;
constexpr std::string_view spaces = " \t\r\n\v\f";

// Bytes of multi-byte UTF-8 characters count as letters.
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool is_name_character(char c) {
  return is_word(c) || c == ' ' || c == '-' || c == '/';
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(spaces);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(spaces) - first + 1);
}

bool is_name(std::string_view name) {
  return name.size() >= 2 && is_word(name[0]) && std::ranges::all_of(name, is_name_character);
}

std::string quoted_if_needed(const std::string& value) {
  const bool plain =
      !value.empty() && value.find_first_of(",:\n\"") == value.npos && trimmed(value).size() == value.size();
  return plain ? value : nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string unquoted(std::string_view value) {
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    const auto json = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
    if (json.is_string()) return json.get<std::string>();
  }
  return std::string(value);
}

/// Where a value that begins at `begin` ends: at the next comma, or, when it is a quoted string that a comma
/// or the end follows, behind the string.
std::size_t value_end(std::string_view line, std::size_t begin) {
  if (begin < line.size() && line[begin] == '"') {
    std::size_t i = begin + 1;
    while (i < line.size() && line[i] != '"') i += line[i] == '\\' ? 2 : 1;
    if (i < line.size() && i > begin + 1 && (i + 1 == line.size() || line[i + 1] == ',')) return i + 1;
  }
  return std::min(line.find(',', begin), line.size());
}

/// Every `name: value` of a line, as the web UI's regular expression
/// `\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)` finds them, what lies between being skipped.
std::vector<std::pair<std::string, std::string>> find_parameters(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> parameters;
  std::size_t i = 0;
  while (i < line.size()) {
    if (!is_word(line[i])) {
      ++i;
      continue;
    }
    const std::size_t name = i;
    while (i < line.size() && is_name_character(line[i])) ++i;
    if (i == line.size()) break;
    if (line[i] != ':' || i - name < 2) continue;
    const std::size_t value = std::min(line.find_first_not_of(spaces, i + 1), line.size());
    const std::size_t end = value_end(line, value);
    parameters.emplace_back(line.substr(name, i - name), unquoted(line.substr(value, end - value)));
    i = end + 1;
  }
  return parameters;
}

void append_line(std::string& text, std::string_view line) {
  if (!text.empty()) text += '\n';
  text += line;
}

}  // namespace

std::string to_string(const Infotext& infotext) {
  std::string text = infotext.prompt;
  if (!infotext.negative_prompt.empty())
    text.append("\n").append(negative_label).append(" ").append(infotext.negative_prompt);
  const char* separator = "\n";
  for (const auto& [name, value] : infotext.parameters) {
    if (!is_name(name))
      throw ArgumentError("infotext", in_quotes(name) + " cannot be the name of a parameter");
    text.append(separator).append(name).append(": ").append(quoted_if_needed(value));
    separator = ", ";
  }
  return std::string(trimmed(text));
}

Infotext parse_infotext(std::string_view text) {
  Infotext result;
  text = trimmed(text);
  const std::size_t last_line = text.rfind('\n') + 1;  // 0 when there is one line only
  auto parameters = find_parameters(text.substr(last_line));
  if (parameters.size() >= least_parameters) {
    result.parameters = std::move(parameters);
    text = text.substr(0, last_line == 0 ? 0 : last_line - 1);
  }
  std::string* prompt = &result.prompt;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with(negative_label)) {
      prompt = &result.negative_prompt;
      line = trimmed(line.substr(negative_label.size()));
    }
    append_line(*prompt, line);
  }
  return result;
}

}  // namespace daguerre
