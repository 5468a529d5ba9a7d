#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace daguerre {

/// Parses JSON strictly: UTF-8, no duplicate keys, at most `max_json_depth` levels. Python's `Infinity`,
/// `-Infinity` and `NaN`, which its json module writes, are taken as numbers. Throws FormatError naming
/// `source` and the byte offset.
nlohmann::json parse_json(std::string_view text, const std::string& source);

/// The JSON text of `value`; numbers that are not finite are written as `parse_json` reads them.
std::string to_text(const nlohmann::json& value);

/// The whole of a text file. Throws FileError when it cannot be read or is larger than `max_bytes`.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes);

/// Largest configuration or index file that is read, in bytes; a document takes up to forty times as much
/// memory.
inline constexpr std::size_t max_config_bytes = 2 << 20;

}  // namespace daguerre
