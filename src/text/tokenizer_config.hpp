#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/shape.hpp"
#include "text/vocabulary_files.hpp"

/// What readers of tokenizers' folders share.
namespace daguerre::text {

/// What is there and cannot be looked at, as links in a circle, is left to the reader, which says what is
/// wrong with it.
bool is_there(const std::filesystem::path& path);
/// Throws FileError, and FormatError for what is no JSON object.
nlohmann::json read_object(const std::filesystem::path& path);
/// An empty object when there is no such file.
nlohmann::json read_optional_object(const std::filesystem::path& path);

/// Throws FormatError unless it is an id.
std::int32_t checked_id(const nlohmann::json& value, const std::string& token, const std::string& source);
/// The text of a special token: a string, or an object with "content". Throws ConfigError for anything else;
/// nothing where the key is absent or null.
std::optional<std::string> token_content(const nlohmann::json& object, const char* key,
                                         const std::string& source);
/// The configuration's `added_tokens_decoder`. Throws FormatError; ConfigError for what is not supported.
std::vector<AddedToken> read_added_tokens_decoder(const nlohmann::json& config, const std::string& source);
/// `model_max_length`, or `fallback` where that says nothing. Throws ConfigError for less than 2.
Index read_length(const nlohmann::json& config, const std::string& source, Index fallback);

}  // namespace daguerre::text
