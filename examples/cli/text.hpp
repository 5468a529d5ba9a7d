#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::cli {

/// `text` without control characters, which could break a line or steer the terminal; each becomes `\xNN`.
/// Newlines stay where `keep_newlines` is set.
std::string printable(std::string_view text, bool keep_newlines = false);
/// `text` in one line: newlines and tabs become spaces, other control characters as in `printable`.
std::string one_line(std::string_view text);

/// "1,234,567"
std::string grouped(std::int64_t number);
/// "3.4 GB", in powers of 1000
std::string byte_count(std::uint64_t bytes);
/// Columns as wide as their widest cell, two spaces apart; to the right where `right` says so. A line for
/// each row.
std::string table(const std::vector<std::vector<std::string>>& rows, const std::vector<bool>& right);
/// "0.52 s", "1 min 20 s", "2 h 5 min"
std::string duration(double seconds);

}  // namespace daguerre::cli
