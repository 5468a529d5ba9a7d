#include "text/vocabulary_files.hpp"

#include <utility>

#include "config/json.hpp"
#include "config/strict_sax.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/merge_list.hpp"
#include "text/tokenizer_json.hpp"

namespace daguerre::text {
namespace {

/// Reads vocab.json straight into the table: a document of 49,408 entries would take longer to build than all
/// the rest.
class VocabularyReader final : public StrictSax {
 public:
  VocabularyReader(const std::string& source, BytePairEncoder::Vocabulary& vocabulary)
      : StrictSax("tokenizer", source), source_(source), vocabulary_(vocabulary) {}

 protected:
  void on_unsigned(std::uint64_t value) override {
    check_inside();
    add_entry(vocabulary_, source_, token_, value);
  }
  void on_null() override { refuse("null"); }
  void on_boolean(bool value) override { refuse(value ? "true" : "false"); }
  void on_integer(std::int64_t value) override { refuse(std::to_string(value)); }
  void on_fraction(double, std::string_view text) override { refuse(text); }
  void on_string(const JsonString& value) override { refuse(value.raw); }
  void on_start_object() override {
    if (inside_) refuse("{");
    inside_ = true;
  }
  void on_start_array() override { refuse("["); }
  void on_key(const JsonString& name) override { token_ = name; }
  void on_end() override {}

 private:
  void check_inside() const {
    if (!inside_) malformed(source_, "expected a JSON object of tokens and their ids");
  }
  [[noreturn]] void refuse(std::string_view found) const {
    check_inside();
    refuse_id(source_, token_.raw, found);
  }

  const std::string& source_;
  BytePairEncoder::Vocabulary& vocabulary_;
  JsonString token_;
  bool inside_ = false;
};

}  // namespace

void add_entry(BytePairEncoder::Vocabulary& vocabulary, const std::string& source, const JsonString& token,
               std::uint64_t id) {
  if (id > max_token_id) refuse_id(source, token.raw, std::to_string(id));
  if (vocabulary.size() == max_tokens)
    malformed(source, "more than " + std::to_string(max_tokens) + " tokens");
  vocabulary.emplace(token.decoded(), static_cast<std::int32_t>(id));
}

void malformed(const std::string& source, const std::string& problem) {
  throw FormatError("tokenizer", source + ": " + problem);
}

// Distinct ids below the number of tokens leave no hole.
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

void refuse_id(const std::string& source, std::string_view token, std::string_view found) {
  malformed(source, "token " + in_quotes(token) + " has the id " + in_quotes(found) +
                        ", expected an integer from 0 to " + std::to_string(max_token_id));
}

BytePairFiles read_vocabulary_and_merges(const std::filesystem::path& vocabulary_path,
                                         const std::filesystem::path& merges_path) {
  BytePairFiles files;
  naming(vocabulary_path, [&] {
    const std::string source = vocabulary_path.string();
    const std::string text = read_text_file(vocabulary_path, max_vocabulary_bytes);
    // CLIP's file has 17 bytes an entry; no entry has fewer than 5.
    files.vocabulary.reserve(text.size() / 16);
    VocabularyReader(source, files.vocabulary).parse(text);
    check_ids(files.vocabulary, source);
  });
  const std::string source = merges_path.string();
  const std::string text = read_text_file(merges_path, max_vocabulary_bytes);
  MergeList merges(source, files.vocabulary);
  std::string_view rest = text;
  while (rest.ends_with('\n') || rest.ends_with('\r')) rest.remove_suffix(1);
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1 && line.starts_with("#version")) continue;
    merges.add(line, " line " + std::to_string(number));
  }
  files.merges = merges.take();
  return files;
}

BytePairFiles read_tokenizer_json(const std::filesystem::path& path) {
  auto [files, rest] = read_bpe_json(path);
  const auto unsupported = [&](const std::string& problem) {
    return ConfigError("tokenizer", path.string() + ": " + problem);
  };
  const auto text_of = [&, &model = rest["model"]](const char* key) {
    return model.contains(key) && model[key].is_string() ? model[key].get<std::string>() : std::string();
  };
  if (const auto suffix = text_of("end_of_word_suffix"); !suffix.empty() && suffix != end_of_word)
    throw unsupported("\"end_of_word_suffix\" is " + in_quotes(suffix) + ", CLIP's is \"" +
                      std::string(end_of_word) + "\"");
  if (const auto prefix = text_of("continuing_subword_prefix"); !prefix.empty())
    throw unsupported("\"continuing_subword_prefix\" is " + in_quotes(prefix) +
                      ", CLIP's vocabularies have none");
  refuse_single_words(files.added, path.string());
  return files;
}

void refuse_single_words(const std::vector<AddedToken>& tokens, const std::string& source) {
  for (const auto& token : tokens)
    if (token.single_word)
      throw ConfigError(
          "tokenizer",
          source + ": added token " + in_quotes(token.content) + " with \"single_word\" is not supported",
          source);
}

}  // namespace daguerre::text
