#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::evaluation {

/// A text without its byte order mark. Throws FormatError, naming `source` and the line, where it is not
/// UTF-8 or holds a zero byte.
std::string_view checked_text(std::string_view who, std::string_view text, const std::string& source);

/// "`source`, line 12": where something is.
std::string at_line(const std::string& source, std::size_t line);

/// A line of a text, without its end, and its number from 1.
struct NumberedLine {
  std::string_view text;
  std::size_t number = 0;
};
/// Takes the first line off `rest`: ended by LF, CRLF or CR, or by the text's end. Nothing when there is none
/// left. `number` is that of the line before.
std::optional<NumberedLine> take_line(std::string_view& rest, std::size_t& number);

/// A table of texts under names, read row by row from a text that must outlive it.
class TextTable {
 public:
  enum class Kind {
    comma,  ///< RFC 4180: fields in double quotes may hold commas, line ends, and quotes written twice
    tab,    ///< text/tab-separated-values: quotes stand for themselves
  };
  struct Row {
    std::vector<std::string> fields;
    std::size_t line = 0;  ///< that it begins in, from 1
  };

  /// Reads the header. `who` and `source` are for errors. Throws FormatError where there is none or two of
  /// its names are alike.
  TextTable(std::string who, std::string source, std::string_view text, Kind kind);

  /// The place of the column called so, upper and lower case being alike; nothing where there is none.
  std::optional<std::size_t> find(std::string_view column) const;
  /// The names of all of them, for messages.
  std::string columns() const;
  /// The next row, nothing at the end; empty lines are left out. Throws FormatError, naming the line, for a
  /// row of more or fewer fields than the header's, and for quotes that are not as RFC 4180 has them.
  std::optional<Row> next();

 private:
  std::optional<Row> take_row();
  std::optional<Row> take_quoted_row();

  std::string who_, source_;
  std::string_view rest_;
  std::size_t line_ = 0;
  Kind kind_;
  std::vector<std::string> header_;
};

/// Whether two names are the same but for ASCII's upper and lower case.
bool same_name(std::string_view a, std::string_view b);

}  // namespace daguerre::evaluation
