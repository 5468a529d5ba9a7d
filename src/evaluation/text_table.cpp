#include "evaluation/text_table.hpp"

#include <algorithm>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::evaluation {
namespace {

constexpr std::size_t max_columns = 1000;

char lower_letter(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::size_t text_line_of(std::string_view text, std::size_t position) {
  std::size_t line = 0, rest_at = 0;
  for (auto rest = text; const auto next = take_line(rest, line);) {
    rest_at = text.size() - rest.size();
    if (rest_at > position) break;
  }
  return std::max<std::size_t>(line, 1);
}

}  // namespace

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, lower_letter, lower_letter);
}

std::string at_line(const std::string& source, std::size_t line) {
  return source + ", line " + std::to_string(line);
}

std::string_view checked_text(std::string_view who, std::string_view text, const std::string& source) {
  if (const auto bad = find_invalid_utf8(text); bad != text.npos)
    throw FormatError(who, at_line(source, text_line_of(text, bad)) + ": is not UTF-8");
  if (const auto zero = text.find('\0'); zero != text.npos)
    throw FormatError(who,
                      at_line(source, text_line_of(text, zero)) + ": holds a zero byte, so it is no text");
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

std::optional<NumberedLine> take_line(std::string_view& rest, std::size_t& number) {
  if (rest.empty()) return std::nullopt;
  const auto end = std::min(rest.find_first_of("\r\n"), rest.size());
  const NumberedLine line{rest.substr(0, end), ++number};
  rest.remove_prefix(end);
  if (rest.starts_with("\r\n"))
    rest.remove_prefix(2);
  else if (!rest.empty())
    rest.remove_prefix(1);
  return line;
}

TextTable::TextTable(std::string who, std::string source, std::string_view text, Kind kind)
    : who_(std::move(who)), source_(std::move(source)), rest_(text), kind_(kind) {
  auto header = take_row();
  if (!header) throw FormatError(who_, source_ + ": is empty, expected a header with the columns' names");
  header_ = std::move(header->fields);
  for (auto& name : header_) {
    name.erase(0, name.find_first_not_of(" \t"));
    name.erase(name.find_last_not_of(" \t") + 1);
  }
  for (std::size_t i = 0; i < header_.size(); ++i)
    if (!header_[i].empty() && *find(header_[i]) != i)
      throw FormatError(who_,
                        at_line(source_, header->line) + ": two columns are called " + in_quotes(header_[i]));
}

std::optional<std::size_t> TextTable::find(std::string_view column) const {
  for (std::size_t i = 0; i < header_.size(); ++i)
    if (same_name(header_[i], column)) return i;
  return std::nullopt;
}

std::string TextTable::columns() const {
  std::string all;
  for (std::size_t i = 0; i < header_.size() && i < 20; ++i)
    all += (i == 0 ? "" : ", ") + in_quotes(header_[i]);
  return all;
}

std::optional<TextTable::Row> TextTable::next() {
  auto row = take_row();
  if (row && row->fields.size() != header_.size())
    throw FormatError(who_, at_line(source_, row->line) + ": " + std::to_string(row->fields.size()) +
                                " fields, expected " + std::to_string(header_.size()) + " (" + columns() +
                                ")");
  return row;
}

std::optional<TextTable::Row> TextTable::take_row() {
  // Empty lines between rows mean nothing.
  while (!rest_.empty() && (rest_.front() == '\n' || rest_.front() == '\r')) take_line(rest_, line_);
  if (kind_ == Kind::comma) return take_quoted_row();
  const auto line = take_line(rest_, line_);
  if (!line) return std::nullopt;
  Row row{{}, line->number};
  for (auto rest = line->text;;) {
    const auto tab = rest.find('\t');
    row.fields.emplace_back(rest.substr(0, tab));
    if (row.fields.size() > max_columns)
      throw FormatError(
          who_, at_line(source_, row.line) + ": more than " + std::to_string(max_columns) + " fields");
    if (tab == rest.npos) return row;
    rest.remove_prefix(tab + 1);
  }
}

std::optional<TextTable::Row> TextTable::take_quoted_row() {
  if (rest_.empty()) return std::nullopt;
  Row row{{}, line_ + 1};
  const auto wrong = [&](const std::string& what) {
    return FormatError(who_, at_line(source_, line_ + 1) + ": " + what);
  };
  while (true) {
    std::string field;
    if (rest_.starts_with('"')) {
      const auto opened = line_ + 1;
      rest_.remove_prefix(1);
      while (true) {
        const auto stop = rest_.find_first_of("\"\r\n");
        if (stop == rest_.npos)
          throw FormatError(who_, at_line(source_, opened) + ": a quote is opened and never closed");
        field += rest_.substr(0, stop);
        rest_.remove_prefix(stop);
        if (rest_.front() != '"') {  // a line end inside quotes belongs to the field
          const auto before = rest_.size();
          const auto end = rest_;
          take_line(rest_, line_);
          field += end.substr(0, before - rest_.size());
        } else if (rest_.starts_with("\"\"")) {
          field += '"';
          rest_.remove_prefix(2);
        } else {
          rest_.remove_prefix(1);
          break;
        }
      }
      if (!rest_.empty() && rest_.front() != ',' && rest_.front() != '\r' && rest_.front() != '\n')
        throw wrong("a closing quote is followed by something else than a comma or the line's end");
    } else {
      const auto end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
      field = rest_.substr(0, end);
      rest_.remove_prefix(end);
    }
    row.fields.push_back(std::move(field));
    if (row.fields.size() > max_columns) throw wrong("more than " + std::to_string(max_columns) + " fields");
    if (!rest_.starts_with(',')) break;
    rest_.remove_prefix(1);
  }
  if (rest_.empty())
    ++line_;
  else
    take_line(rest_, line_);
  return row;
}

}  // namespace daguerre::evaluation
