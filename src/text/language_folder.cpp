#include "text/language_folder.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct ClassDefaults {
  std::string_view name, bos, eos, unknown, pad;
};
// As the constructors of transformers have them.
constexpr std::array<ClassDefaults, 6> class_defaults{{
    {"GPT2Tokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", ""},
    {"CodeGenTokenizer", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>", ""},
    {"Qwen2Tokenizer", "", "<|endoftext|>", "<|endoftext|>", "<|endoftext|>"},
    {"LlamaTokenizer", "<s>", "</s>", "<unk>", ""},
    {"CodeLlamaTokenizer", "<s>", "</s>", "<unk>", ""},
    {"GemmaTokenizer", "<bos>", "<eos>", "<unk>", "<pad>"},
}};

void read_named(const json& map, const std::string& map_source, LanguageFolder& folder) {
  const auto source = (folder.folder / "tokenizer_config.json").string();
  const auto* defaults =
      std::find_if(class_defaults.begin(), class_defaults.end(),
                   [&](const ClassDefaults& each) { return each.name == folder.class_name; });
  const auto read = [&](const char* key, std::string_view ClassDefaults::*fallback) {
    // The map is read where the configuration says nothing at all.
    const bool by_map = !folder.config.contains(key) && map.contains(key);
    const json& from = by_map ? map : folder.config;
    if (const auto token = token_content(from, key, by_map ? map_source : source))
      folder.named[key] = *token;
    else if (!from.contains(key) && defaults != class_defaults.end() && !(defaults->*fallback).empty())
      folder.named[key] = defaults->*fallback;
  };
  read("bos_token", &ClassDefaults::bos);
  read("eos_token", &ClassDefaults::eos);
  read("unk_token", &ClassDefaults::unknown);
  read("pad_token", &ClassDefaults::pad);
  for (const auto* key : {"additional_special_tokens", "extra_special_tokens"}) {
    const json& list = folder.config.contains(key) ? folder.config[key] : map.value(key, json());
    if (list.is_null()) continue;
    if (!list.is_structured()) malformed(source, std::string("\"") + key + "\" is not a list of tokens");
    for (const auto& token : list)
      folder.other_special.push_back(*token_content(json{{"content", token}}, "content", source));
  }
}

std::optional<bool> read_flag(const json& config, const char* key, const std::string& source) {
  if (!config.contains(key) || config[key].is_null()) return std::nullopt;
  if (!config[key].is_boolean())
    throw ConfigError("tokenizer", source + ": \"" + key + "\" is " + to_text(config[key]).substr(0, 100) +
                                       ", expected true or false");
  return config[key].get<bool>();
}

std::vector<std::int32_t> read_ends(const json& config, const std::string& source) {
  std::vector<std::int32_t> result;
  const json ids = config.value("eos_token_id", json());
  if (ids.is_null()) return result;
  if (!ids.is_array()) return {checked_id(ids, "eos_token_id", source)};
  for (const auto& id : ids) result.push_back(checked_id(id, "eos_token_id", source));
  return result;
}

void read_templates(const json& config, LanguageFolder& folder) {
  const auto source = (folder.folder / "tokenizer_config.json").string();
  const auto text_of = [](const json& value, const std::string& file) {
    if (!value.is_string()) malformed(file, "a chat template is not a text");
    return value.get<std::string>();
  };
  const auto add = [&](const json& value, const std::string& file) {
    if (value.is_null()) return;
    if (!value.is_array()) {
      folder.chat_templates["default"] = text_of(value, file);
      return;
    }
    for (const auto& each : value) {
      if (!each.is_object() || !each.contains("name") || !each.contains("template"))
        malformed(file, "a chat template has no \"name\" and \"template\"");
      folder.chat_templates[text_of(each["name"], file)] = text_of(each["template"], file);
    }
  };
  add(config.value("chat_template", json()), source);
  const auto json_path = folder.folder / "chat_template.json";
  add(read_optional_object(json_path).value("chat_template", json()), json_path.string());
  // A file of its own comes before these.
  const auto path = folder.folder / "chat_template.jinja", more = folder.folder / "additional_chat_templates";
  if (is_there(path)) folder.chat_templates["default"] = read_text_file(path, max_config_bytes);
  std::error_code error;
  for (fs::directory_iterator entry(more, error), end; !error && entry != end; entry.increment(error))
    if (entry->path().extension() == ".jinja")
      folder.chat_templates[entry->path().stem().string()] = read_text_file(entry->path(), max_config_bytes);
}

}  // namespace

bool LanguageFolder::class_adds_ends() const {
  constexpr std::array<std::string_view, 4> classes{"LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer",
                                                    "CohereTokenizer"};
  return std::find(classes.begin(), classes.end(), class_name) != classes.end();
}

LanguageFolder read_language_folder(const fs::path& path) {
  LanguageFolder result;
  result.folder = path;
  const auto config_path = path / "tokenizer_config.json", map_path = path / "special_tokens_map.json",
             added_path = path / "added_tokens.json", generation_path = path / "generation_config.json";
  result.config = read_optional_object(config_path);
  const auto& config = result.config;
  const auto source = config_path.string();
  if (config.contains("tokenizer_class") && config["tokenizer_class"].is_string())
    result.class_name = config["tokenizer_class"].get<std::string>();
  if (result.class_name.ends_with("Fast")) result.class_name.resize(result.class_name.size() - 4);
  naming(config_path, [&] {
    result.listed = read_added_tokens_decoder(config, source);
    result.add_bos = read_flag(config, "add_bos_token", source);
    result.add_eos = read_flag(config, "add_eos_token", source);
  });
  if (!config.contains("added_tokens_decoder")) {
    const auto added = read_optional_object(added_path);
    for (const auto& [token, id] : added.items())
      result.listed.push_back({token, checked_id(id, token, added_path.string())});
  }
  read_named(read_optional_object(map_path), map_path.string(), result);
  result.ends = read_ends(read_optional_object(generation_path), generation_path.string());
  read_templates(config, result);
  return result;
}

void join_added_tokens(const LanguageFolder& folder, const FindTokenId& find,
                       std::vector<AddedToken>& added) {
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < added.size(); ++i) places.emplace(added[i].content, i);
  const auto add = [&](const AddedToken& token) {
    places.emplace(token.content, added.size());
    added.push_back(token);
  };
  for (const auto& token : folder.listed)
    if (!places.contains(token.content)) add(token);
  const auto make_special = [&](const std::string& content) {
    if (const auto found = places.find(content); found != places.end()) {
      added[found->second].special = true;
    } else if (const auto id = find(content)) {
      AddedToken token{content, *id, false};
      token.special = true;
      add(token);
    }
  };
  for (const auto& [key, content] : folder.named) make_special(content);
  for (const auto& content : folder.other_special) make_special(content);
}

SpecialTokens special_tokens_of(const LanguageFolder& folder, const FindTokenId& find,
                                std::span<const AddedToken> added) {
  const auto id_of = [&](const char* key) -> std::optional<std::int32_t> {
    const auto named = folder.named.find(key);
    if (named == folder.named.end()) return std::nullopt;
    if (const auto id = find(named->second)) return id;
    const auto found = std::find_if(added.begin(), added.end(),
                                    [&](const AddedToken& token) { return token.content == named->second; });
    return found == added.end() ? std::nullopt : std::optional(found->id);
  };
  SpecialTokens result;
  result.bos = id_of("bos_token");
  result.eos = id_of("eos_token");
  result.unknown = id_of("unk_token");
  result.pad = id_of("pad_token");
  if (result.eos) result.ends.push_back(*result.eos);
  for (const auto id : folder.ends)
    if (std::find(result.ends.begin(), result.ends.end(), id) == result.ends.end()) result.ends.push_back(id);
  return result;
}

}  // namespace daguerre::text
