#include "text/clip_files.hpp"

#include <limits>
#include <optional>
#include <utility>

#include "daguerre/error.hpp"
#include "weights/json.hpp"
#include "weights/text.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;
using weights::in_quotes;

constexpr std::size_t max_file_bytes = std::size_t{64} << 20;
constexpr Index default_length = 77;
// Above this a model_max_length says "no limit", as Hugging Face's 1e30 does.
constexpr double max_length = 1e6;

[[noreturn]] void malformed(const std::string& source, const std::string& problem) {
  throw FormatError("tokenizer", source + ": " + problem);
}

json read_object(const std::filesystem::path& path) {
  json value = weights::parse_json(weights::read_text_file(path, max_file_bytes), path.string());
  if (!value.is_object())
    malformed(path.string(), std::string("expected a JSON object, found ") + value.type_name());
  return value;
}

/// An empty object when there is no such file.
json read_optional_object(const std::filesystem::path& path) {
  return std::filesystem::exists(path) ? read_object(path) : json::object();
}

std::int32_t checked_id(const json& value, const std::string& token, const std::string& source) {
  constexpr auto limit = std::numeric_limits<std::int32_t>::max();
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= std::uint64_t{limit})
    return value.get<std::int32_t>();
  malformed(source, "token " + in_quotes(token) + " has the id " + in_quotes(weights::to_text(value)) +
                        ", expected an integer from 0 to " + std::to_string(limit));
}

/// Distinct ids below the number of tokens leave no hole.
void check_ids(const BytePairEncoder::Vocabulary& vocabulary, const std::string& source) {
  std::vector<const std::string*> owners(vocabulary.size(), nullptr);
  for (const auto& [token, id] : vocabulary) {
    if (static_cast<std::size_t>(id) >= owners.size())
      malformed(source, "token " + in_quotes(token) + " has the id " + std::to_string(id) +
                            " in a vocabulary of " + std::to_string(owners.size()) +
                            " tokens; ids must be 0 to " + std::to_string(owners.size() - 1) +
                            " without holes");
    const std::string*& owner = owners[static_cast<std::size_t>(id)];
    if (owner)
      malformed(source, "tokens " + in_quotes(*owner) + " and " + in_quotes(token) + " have the same id " +
                            std::to_string(id));
    owner = &token;
  }
}

void add_token(ClipFiles& files, const std::string& token, std::int32_t id, const std::string& source) {
  if (token.empty()) malformed(source, "an added token is empty");
  const auto [at, inserted] = files.vocabulary.emplace(token, id);
  if (inserted) files.added.push_back(token);
  if (at->second != id)
    malformed(source, "added token " + in_quotes(token) + " has the id " + std::to_string(id) +
                          ", the vocabulary gives it " + std::to_string(at->second));
}

/// The text of a special token: a string, or an object with "content".
std::optional<std::string> token_content(const json& object, const char* key, const std::string& source) {
  if (!object.contains(key) || object[key].is_null()) return std::nullopt;
  const json& value = object[key];
  const json& content = value.is_object() && value.contains("content") ? value["content"] : value;
  if (!content.is_string() || content.get_ref<const std::string&>().empty())
    throw ConfigError("tokenizer",
                      source + ": \"" + key + "\" is neither a token nor an object with its \"content\"");
  return content.get<std::string>();
}

void read_added_tokens(const std::filesystem::path& folder, const json& config, ClipFiles& files) {
  const auto path = folder / "added_tokens.json";
  const json added = read_optional_object(path);
  for (const auto& [token, id] : added.items())
    add_token(files, token, checked_id(id, token, path.string()), path.string());
  const std::string source = (folder / "tokenizer_config.json").string();
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
    add_token(files, *content, checked_id(id, *content, source), source);
  }
}

std::vector<BytePairEncoder::Merge> read_merges(const std::filesystem::path& path,
                                                const BytePairEncoder::Vocabulary& vocabulary) {
  const std::string text = weights::read_text_file(path, max_file_bytes);
  std::string_view rest = text;
  while (rest.ends_with('\n') || rest.ends_with('\r')) rest.remove_suffix(1);
  std::vector<BytePairEncoder::Merge> merges;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1 && line.starts_with("#version")) continue;
    const auto fail = [&](const std::string& problem) {
      malformed(path.string() + " line " + std::to_string(number), problem);
    };
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos)
      fail("expected two pieces with one space between them, found " + in_quotes(line));
    const auto id_of = [&](const std::string& piece) {
      const auto at = vocabulary.find(piece);
      if (at == vocabulary.end()) fail("piece " + in_quotes(piece) + " is not in the vocabulary");
      return at->second;
    };
    const std::string left(line.substr(0, space)), right(line.substr(space + 1));
    merges.push_back({id_of(left), id_of(right), id_of(left + right)});
  }
  return merges;
}

Index read_length(const json& config, const std::string& source) {
  if (!config.contains("model_max_length") || config["model_max_length"].is_null()) return default_length;
  const json& value = config["model_max_length"];
  if (value.is_number() && value.get<double>() > max_length) return default_length;
  if (!value.is_number_integer() || value.get<std::int64_t>() < 2)
    throw ConfigError("tokenizer", source + ": \"model_max_length\" is " +
                                       in_quotes(weights::to_text(value)) +
                                       ", expected an integer of at least 2");
  return value.get<Index>();
}

}  // namespace

ClipFiles read_clip_files(const std::filesystem::path& folder) {
  ClipFiles files;
  const auto vocabulary_path = folder / "vocab.json";
  const json vocabulary = read_object(vocabulary_path);
  for (const auto& [token, id] : vocabulary.items())
    files.vocabulary.emplace(token, checked_id(id, token, vocabulary_path.string()));
  check_ids(files.vocabulary, vocabulary_path.string());
  files.merges = read_merges(folder / "merges.txt", files.vocabulary);

  const auto config_path = folder / "tokenizer_config.json", map_path = folder / "special_tokens_map.json";
  const json config = read_optional_object(config_path);
  const json map = read_optional_object(map_path);
  const std::string type = config.contains("tokenizer_class") && config["tokenizer_class"].is_string()
                               ? config["tokenizer_class"].get<std::string>()
                               : "CLIPTokenizer";
  if (type != "CLIPTokenizer" && type != "CLIPTokenizerFast")
    throw ConfigError("tokenizer", config_path.string() + ": \"tokenizer_class\" is " + in_quotes(type) +
                                       ", supported are CLIPTokenizer and CLIPTokenizerFast");
  files.length = read_length(config, config_path.string());
  read_added_tokens(folder, config, files);
  check_ids(files.vocabulary, folder.string());

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
  return files;
}

}  // namespace daguerre::text
