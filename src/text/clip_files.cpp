#include "text/clip_files.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/paths.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "text/simple_vocabulary.hpp"
#include "text/tokenizer_config.hpp"

namespace daguerre::text {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr Index default_length = 77;
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
  auto listed = read_added_tokens_decoder(config, config_path.string());
  refuse_single_words(listed, config_path.string());
  for (auto& token : listed) add_token(files, std::move(token), config_path);
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

}  // namespace

bool has_clip_vocabulary(const fs::path& folder) {
  const auto has = [&](const char* name) { return path_exists(folder / name); };
  return (has("vocab.json") && has("merges.txt")) || !simple_vocabulary_in(folder).empty() ||
         (has("tokenizer.json") && !T5Tokenizer::is_there(folder));
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
  files.length = read_length(config, config_path.string(), default_length);
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
