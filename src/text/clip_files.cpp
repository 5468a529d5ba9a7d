#include "text/clip_files.hpp"

#include <limits>
#include <optional>
#include <system_error>
#include <utility>

#include "daguerre/error.hpp"
#include "weights/json.hpp"
#include "weights/strict_sax.hpp"
#include "weights/text.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;
using weights::in_quotes;

// Ten times CLIP's vocab.json and merges.txt, and five times their entries.
constexpr std::size_t max_file_bytes = std::size_t{8} << 20;
constexpr std::size_t max_tokens = std::size_t{1} << 18;
constexpr Index default_length = 77;
// Above this a model_max_length says "no limit", as Hugging Face's 1e30 does.
constexpr double max_length = 1e6;

[[noreturn]] void malformed(const std::string& source, const std::string& problem) {
  throw FormatError("tokenizer", source + ": " + problem);
}

json read_object(const std::filesystem::path& path) {
  json value = weights::parse_json(weights::read_text_file(path, weights::max_config_bytes), path.string());
  if (!value.is_object())
    malformed(path.string(), std::string("expected a JSON object, found ") + value.type_name());
  return value;
}

/// An empty object when there is no such file. What is there and cannot be looked at, as links in a circle,
/// is left to the reader, which says what is wrong with it.
json read_optional_object(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error ? read_object(path) : json::object();
}

constexpr std::uint64_t max_id = std::numeric_limits<std::int32_t>::max();

[[noreturn]] void refuse_id(const std::string& source, const std::string& token, const std::string& found) {
  malformed(source, "token " + in_quotes(token) + " has the id " + in_quotes(found) +
                        ", expected an integer from 0 to " + std::to_string(max_id));
}

std::int32_t checked_id(const json& value, const std::string& token, const std::string& source) {
  if (value.is_number_unsigned() && value.get<std::uint64_t>() <= max_id) return value.get<std::int32_t>();
  refuse_id(source, token, weights::to_text(value));
}

/// Reads vocab.json straight into the table: a document of 49,408 entries would take longer to build than all
/// the rest.
class VocabularyReader final : public weights::StrictSax {
 public:
  VocabularyReader(const std::string& source, BytePairEncoder::Vocabulary& vocabulary)
      : StrictSax("tokenizer", source), source_(source), vocabulary_(vocabulary) {}

  bool number_unsigned(std::uint64_t value) override {
    if (value > max_id) return refuse(std::to_string(value));
    check_inside();
    if (vocabulary_.size() == max_tokens)
      malformed(source_, "more than " + std::to_string(max_tokens) + " tokens");
    vocabulary_.emplace(std::move(token_), static_cast<std::int32_t>(value));
    return true;
  }
  bool null() override { return refuse("null"); }
  bool boolean(bool value) override { return refuse(value ? "true" : "false"); }
  bool number_integer(std::int64_t value) override { return refuse(std::to_string(value)); }
  bool number_float(double, const std::string& text) override { return refuse(text); }
  bool string(std::string& value) override { return refuse(value); }

 protected:
  void on_start_object() override {
    if (inside_) refuse("{");
    inside_ = true;
  }
  void on_start_array() override { refuse("["); }
  void on_key(const std::string& name) override { token_ = name; }
  void on_end() override {}

 private:
  void check_inside() const {
    if (!inside_) malformed(source_, "expected a JSON object of tokens and their ids");
  }
  bool refuse(const std::string& found) const {
    check_inside();
    refuse_id(source_, token_, found);
  }

  const std::string& source_;
  BytePairEncoder::Vocabulary& vocabulary_;
  std::string token_;
  bool inside_ = false;
};

BytePairEncoder::Vocabulary read_vocabulary(const std::filesystem::path& path) {
  const std::string source = path.string(), text = weights::read_text_file(path, max_file_bytes);
  BytePairEncoder::Vocabulary vocabulary;
  // CLIP's file has 17 bytes an entry; no entry has fewer than 5.
  vocabulary.reserve(text.size() / 16);
  VocabularyReader(source, vocabulary).parse(text);
  return vocabulary;
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
  std::string left, right;  // reused from line to line
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
    if (merges.size() == max_tokens) fail("more than " + std::to_string(max_tokens) + " merges");
    left = line.substr(0, space);
    right = line.substr(space + 1);
    const std::int32_t left_id = id_of(left), right_id = id_of(right);
    merges.push_back({left_id, right_id, id_of(left += right)});
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
  files.vocabulary = read_vocabulary(folder / "vocab.json");
  check_ids(files.vocabulary, (folder / "vocab.json").string());
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
  if (!files.added.empty()) check_ids(files.vocabulary, folder.string());

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
