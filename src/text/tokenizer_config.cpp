#include "text/tokenizer_config.hpp"

#include <system_error>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

// Above this a model_max_length says "no limit", as Hugging Face's 1e30 does.
constexpr double max_length = 1e6;

}  // namespace

json read_object(const std::filesystem::path& path) {
  return naming(path, [&] {
    json value = parse_json(read_text_file(path, max_config_bytes), path.string());
    if (!value.is_object())
      malformed(path.string(), std::string("expected a JSON object, found ") + value.type_name());
    return value;
  });
}

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

json read_optional_object(const std::filesystem::path& path) {
  return is_there(path) ? read_object(path) : json::object();
}

std::int32_t checked_id(const json& value, const std::string& token, const std::string& source) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= max_token_id)
    return value.get<std::int32_t>();
  refuse_id(source, token, to_text(value));
}

std::optional<std::string> token_content(const json& object, const char* key, const std::string& source) {
  if (!object.contains(key) || object[key].is_null()) return std::nullopt;
  const json& value = object[key];
  const json& content = value.is_object() && value.contains("content") ? value["content"] : value;
  if (!content.is_string() || content.get_ref<const std::string&>().empty())
    throw ConfigError("tokenizer",
                      source + ": \"" + key + "\" is neither a token nor an object with its \"content\"",
                      source);
  return content.get<std::string>();
}

std::vector<AddedToken> read_added_tokens_decoder(const json& config, const std::string& source) {
  if (!config.contains("added_tokens_decoder")) return {};
  std::vector<AddedToken> result;
  const json& decoder = config["added_tokens_decoder"];
  if (!decoder.is_object()) malformed(source, "\"added_tokens_decoder\" is not an object");
  for (const auto& [key, value] : decoder.items()) {
    const auto content = value.is_object() ? token_content(value, "content", source) : std::nullopt;
    const json id =
        key.find_first_not_of("0123456789") == std::string::npos && !key.empty() && key.size() < 11
            ? json(std::stoull(key))
            : json(key);
    if (!content) malformed(source, "added token " + in_quotes(key) + " has no \"content\"");
    const auto flag = [&value = value](const char* name, bool fallback) {
      return value.contains(name) && value[name].is_boolean() ? value[name].get<bool>() : fallback;
    };
    result.push_back({*content, checked_id(id, *content, source), flag("normalized", true),
                      flag("special", false), flag("lstrip", false), flag("rstrip", false),
                      flag("single_word", false)});
  }
  return result;
}

Index read_length(const json& config, const std::string& source, Index fallback) {
  if (!config.contains("model_max_length") || config["model_max_length"].is_null()) return fallback;
  const json& value = config["model_max_length"];
  if (value.is_number() && value.get<double>() > max_length) return fallback;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 2)
    throw ConfigError("tokenizer",
                      source + ": \"model_max_length\" is " + in_quotes(to_text(value)) +
                          ", expected an integer of at least 2",
                      source);
  return value.get<Index>();
}

}  // namespace daguerre::text
