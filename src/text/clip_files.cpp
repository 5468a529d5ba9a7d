#include "text/clip_files.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/simple_vocabulary.hpp"

namespace daguerre::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Index default_length = 77;
// Above this a model_max_length says "no limit", as Hugging Face's 1e30 does.
constexpr double max_length = 1e6;

json read_object(const fs::path& path) {
  return naming(path, [&] {
    json value = parse_json(read_text_file(path, max_config_bytes), path.string());
    if (!value.is_object())
      malformed(path.string(), std::string("expected a JSON object, found ") + value.type_name());
    return value;
  });
}

/// What is there and cannot be looked at, as links in a circle, is left to the reader, which says what is
/// wrong with it.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error) || error;
}

/// An empty object when there is no such file.
json read_optional_object(const fs::path& path) {
  return is_there(path) ? read_object(path) : json::object();
}

std::int32_t checked_id(const json& value, const std::string& token, const std::string& source) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= max_token_id)
    return value.get<std::int32_t>();
  refuse_id(source, token, to_text(value));
}

/// Joins a token to the vocabulary.
void add_token(ClipFiles& files, AddedToken token, const fs::path& path) {
  const std::string source = path.string();
  if (token.content.empty()) malformed(source, "an added token is empty");
  const auto [at, inserted] = files.vocabulary.emplace(token.content, token.id);
  if (at->second != token.id)
    malformed(source, "added token " + in_quotes(token.content) + " has the id " + std::to_string(token.id) +
                          ", the vocabulary gives it " + std::to_string(at->second));
  files.added.push_back(std::move(token));
  if (inserted && files.sources.back() != path) files.sources.push_back(path);
}

/// The text of a special token: a string, or an object with "content".
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

/// One entry for each id: the last one, which is what transformers believes.
void keep_last(std::vector<AddedToken>& tokens) {
  std::reverse(tokens.begin(), tokens.end());
  std::stable_sort(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  tokens.erase(
      std::unique(tokens.begin(), tokens.end(), [](const auto& a, const auto& b) { return a.id == b.id; }),
      tokens.end());
}

/// added_tokens.json and the configuration's added_tokens_decoder.
void read_added_tokens(const fs::path& folder, const json& config, ClipFiles& files) {
  const auto path = folder / "added_tokens.json";
  const json added = read_optional_object(path);
  naming(path, [&] {
    for (const auto& [token, id] : added.items())
      add_token(files, {token, checked_id(id, token, path.string())}, path);
  });
  const auto config_path = folder / "tokenizer_config.json";
  const std::string source = config_path.string();
  if (!config.contains("added_tokens_decoder")) return;
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
    if (flag("single_word", false))
      throw ConfigError("tokenizer", source + ": added token " + in_quotes(*content) +
                                         " with \"single_word\" is not supported");
    add_token(files, {*content, checked_id(id, *content, source), flag("normalized", true)}, config_path);
  }
}

/// openai/CLIP's own file, plain or by gzip; empty where there is none.
fs::path simple_vocabulary_in(const fs::path& folder) {
  for (const auto* ending : {"", ".gz"})
    if (const auto path = folder / (std::string(simple_vocabulary_name) + ending); is_there(path))
      return path;
  return {};
}

/// vocab.json and merges.txt, or else tokenizer.json, which transformers 5 writes in their place, or else the
/// file that openai/CLIP has.
BytePairFiles read_byte_pairs(const fs::path& folder, std::vector<fs::path>& sources) {
  const fs::path vocabulary = folder / "vocab.json", merges = folder / "merges.txt",
                 whole = folder / "tokenizer.json";
  if (is_there(vocabulary) && is_there(merges)) {
    sources.push_back(vocabulary);
    return naming(merges, [&] { return read_vocabulary_and_merges(vocabulary, merges); });
  }
  if (is_there(whole)) {
    sources.push_back(whole);
    return naming(whole, [&] { return read_tokenizer_json(whole); });
  }
  const fs::path simple = simple_vocabulary_in(folder);
  if (simple.empty())
    throw FileError("tokenizer",
                    folder.string() + " has neither vocab.json and merges.txt nor tokenizer.json nor " +
                        std::string(simple_vocabulary_name),
                    folder);
  sources.push_back(simple);
  return naming(simple, [&] { return read_simple_vocabulary(simple); });
}

/// Whether the configuration's class is CLIP's, or one that leaves it to the files.
bool is_clip_class(const std::string& type) {
  constexpr std::array<std::string_view, 4> known{"CLIPTokenizer", "CLIPTokenizerFast",
                                                  "PreTrainedTokenizerFast", "TokenizersBackend"};
  return std::find(known.begin(), known.end(), type) != known.end();
}

Index read_length(const json& config, const std::string& source) {
  if (!config.contains("model_max_length") || config["model_max_length"].is_null()) return default_length;
  const json& value = config["model_max_length"];
  if (value.is_number() && value.get<double>() > max_length) return default_length;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 2)
    throw ConfigError("tokenizer",
                      source + ": \"model_max_length\" is " + in_quotes(to_text(value)) +
                          ", expected an integer of at least 2",
                      source);
  return value.get<Index>();
}

}  // namespace

bool has_clip_vocabulary(const fs::path& folder) {
  std::error_code error;
  const auto has = [&](const char* name) { return fs::exists(folder / name, error); };
  return (has("vocab.json") && has("merges.txt")) || has("tokenizer.json") ||
         !simple_vocabulary_in(folder).empty();
}

ClipFiles read_clip_files(const fs::path& folder, ClipPadding padding) {
  ClipFiles files;
  auto pairs = read_byte_pairs(folder, files.sources);
  files.vocabulary = std::move(pairs.vocabulary);
  files.merges = std::move(pairs.merges);
  const fs::path first_source = files.sources.front();
  naming(first_source, [&] {
    for (auto& token : pairs.added) add_token(files, std::move(token), first_source);
  });

  const auto config_path = folder / "tokenizer_config.json", map_path = folder / "special_tokens_map.json";
  const json config = read_optional_object(config_path);
  const json map = read_optional_object(map_path);
  const std::string type = config.contains("tokenizer_class") && config["tokenizer_class"].is_string()
                               ? config["tokenizer_class"].get<std::string>()
                               : "CLIPTokenizer";
  if (!is_clip_class(type))
    throw ConfigError("tokenizer",
                      config_path.string() + ": \"tokenizer_class\" is " + in_quotes(type) +
                          ", supported are CLIPTokenizer and CLIPTokenizerFast",
                      config_path);
  files.length = read_length(config, config_path.string());
  naming(config_path, [&] { read_added_tokens(folder, config, files); });
  check_ids(files.vocabulary, files.sources.size() == 1 ? first_source.string() : folder.string());

  // transformers reads special_tokens_map.json last, and not at all where the configuration lists the tokens.
  const bool config_only = config.contains("added_tokens_decoder");
  const auto special = [&](const char* key, const std::string& fallback) {
    auto token = config_only ? std::nullopt : token_content(map, key, map_path.string());
    if (!token) token = token_content(config, key, config_path.string());
    const std::string content = token.value_or(fallback);
    if (!files.vocabulary.contains(content))
      throw ConfigError("tokenizer", folder.string() + ": the \"" + key + "\" " + in_quotes(content) +
                                         " is not in the vocabulary");
    return content;
  };
  files.start = special("bos_token", "<|startoftext|>");
  files.end = special("eos_token", "<|endoftext|>");
  files.pad = special("pad_token", files.end);
  files.unknown = special("unk_token", files.end);
  if (padding == ClipPadding::end_of_text) files.pad = files.end;
  if (padding == ClipPadding::id_0)
    files.pad = std::find_if(files.vocabulary.begin(), files.vocabulary.end(), [](const auto& token) {
                  return token.second == 0;
                })->first;
  keep_last(files.added);
  return files;
}

}  // namespace daguerre::text
