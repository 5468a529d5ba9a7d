#include "text/vocabulary_files.hpp"

#include <optional>
#include <utility>

#include "config/json.hpp"
#include "config/strict_sax.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::text {
namespace {

// Five times the size of CLIP's vocab.json and merges.txt, or of a tokenizer.json with every piece on a line
// of its own, and five times their entries.
constexpr std::size_t max_file_bytes = std::size_t{8} << 20;
constexpr std::size_t max_tokens = std::size_t{1} << 18;

void add_entry(BytePairEncoder::Vocabulary& vocabulary, const std::string& source, const JsonString& token,
               std::uint64_t id) {
  if (id > max_token_id) refuse_id(source, token.raw, std::to_string(id));
  if (vocabulary.size() == max_tokens)
    malformed(source, "more than " + std::to_string(max_tokens) + " tokens");
  vocabulary.emplace(token.decoded(), static_cast<std::int32_t>(id));
}

/// Turns pieces into ids as they come. What it throws names `source` and where in it.
class MergeList {
 public:
  MergeList(const std::string& source, const BytePairEncoder::Vocabulary& vocabulary)
      : source_(source), vocabulary_(vocabulary) {}

  /// `where` is put behind the source: " line 7".
  void add(std::string_view left, std::string_view right, const std::string& where) {
    if (merges_.size() == max_tokens) fail(where, "more than " + std::to_string(max_tokens) + " merges");
    piece_.assign(left);
    const std::int32_t left_id = id_of_piece(where);
    piece_.assign(right);
    const std::int32_t right_id = id_of_piece(where);
    piece_.assign(left).append(right);
    merges_.push_back({left_id, right_id, id_of_piece(where)});
  }
  /// "a b"
  void add(std::string_view pair, const std::string& where) {
    const std::size_t space = pair.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == pair.size() ||
        pair.find(' ', space + 1) != std::string_view::npos)
      fail(where, "expected two pieces with one space between them, found " + in_quotes(pair));
    add(pair.substr(0, space), pair.substr(space + 1), where);
  }
  std::vector<BytePairEncoder::Merge> take() { return std::move(merges_); }

 private:
  [[noreturn]] void fail(const std::string& where, const std::string& problem) const {
    malformed(source_ + where, problem);
  }
  std::int32_t id_of_piece(const std::string& where) const {
    const auto at = vocabulary_.find(piece_);
    if (at == vocabulary_.end()) fail(where, "piece " + in_quotes(piece_) + " is not in the vocabulary");
    return at->second;
  }

  const std::string& source_;
  const BytePairEncoder::Vocabulary& vocabulary_;
  std::vector<BytePairEncoder::Merge> merges_;
  std::string piece_;  // reused
};

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

/// Reads the parts of tokenizer.json that count, and walks over the rest.
class TokenizerJsonReader final : public StrictSax {
 public:
  explicit TokenizerJsonReader(const std::string& source)
      : StrictSax("tokenizer", source, true), source_(source) {}

  struct Token {
    JsonString content;
    std::optional<std::uint64_t> id;
    bool normalized = true, single_word = false;
  };
  BytePairEncoder::Vocabulary vocabulary;
  std::vector<std::pair<JsonString, std::optional<JsonString>>> merges;  // two pieces, or both in one string
  std::vector<Token> added;
  std::string type, word_suffix, word_prefix;
  bool has_model = false;

 protected:
  void on_null() override { scalar(); }
  void on_boolean(bool value) override {
    if (place() == Place::added_token && key_.raw == "normalized") added.back().normalized = value;
    if (place() == Place::added_token && key_.raw == "single_word") added.back().single_word = value;
    scalar();
  }
  void on_integer(std::int64_t value) override { number(std::to_string(value)); }
  void on_fraction(double, std::string_view text) override { number(text); }
  void on_unsigned(std::uint64_t value) override {
    if (place() == Place::vocabulary) return add_entry(vocabulary, source_, key_, value);
    if (place() == Place::added_token && key_.raw == "id") added.back().id = value;
    scalar();
  }
  void on_string(const JsonString& value) override {
    switch (place()) {
      case Place::model:
        if (key_.raw == "type") type = value.decoded();
        if (key_.raw == "end_of_word_suffix") word_suffix = value.decoded();
        if (key_.raw == "continuing_subword_prefix") word_prefix = value.decoded();
        return scalar();
      case Place::merges:
        return add_merge({value, std::nullopt});
      case Place::merge:
        if (pieces_ == 0) add_merge({value, std::nullopt});
        if (pieces_ == 1) merges.back().second = value;
        ++pieces_;
        return;
      case Place::added_token:
        if (key_.raw == "content") added.back().content = value;
        return;
      case Place::vocabulary:
        refuse_id(source_, key_.raw, value.raw);
      default:
        return scalar();
    }
  }
  void on_key(const JsonString& name) override { key_ = name; }
  void on_start_object() override {
    switch (place()) {
      case Place::nowhere:
        return enter(Place::root);
      case Place::root:
        has_model = has_model || key_.raw == "model";
        return enter(key_.raw == "model" ? Place::model : Place::other);
      case Place::model:
        if (key_.raw == "merges") fail("\"merges\" must be a list");
        return enter(key_.raw == "vocab" ? Place::vocabulary : Place::other);
      case Place::added_tokens:
        if (added.size() == max_tokens) fail("more than " + std::to_string(max_tokens) + " added tokens");
        added.emplace_back();
        return enter(Place::added_token);
      default:
        scalar();
        return enter(Place::other);
    }
  }
  void on_start_array() override {
    switch (place()) {
      case Place::root:
        return enter(key_.raw == "added_tokens" ? Place::added_tokens : Place::other);
      case Place::model:
        if (key_.raw == "vocab") fail("\"vocab\" must be an object of tokens and their ids");
        return enter(key_.raw == "merges" ? Place::merges : Place::other);
      case Place::merges:
        pieces_ = 0;
        return enter(Place::merge);
      default:
        scalar();
        return enter(Place::other);
    }
  }
  void on_end() override {
    if (place() == Place::merge && pieces_ != 2) fail("a merge must have two pieces");
    places_.pop_back();
  }

 private:
  enum class Place { nowhere, root, model, vocabulary, merges, merge, added_tokens, added_token, other };

  Place place() const { return places_.empty() ? Place::nowhere : places_.back(); }
  void enter(Place next) { places_.push_back(next); }
  void number(std::string_view text) {
    if (place() == Place::vocabulary) refuse_id(source_, key_.raw, text);
    scalar();
  }
  /// Refuses any value but a whole number, a string or what else was expected here.
  void scalar() const {
    switch (place()) {
      case Place::nowhere:
        fail("expected a JSON object");
      case Place::vocabulary:
        refuse_id(source_, key_.raw, "something else");
      case Place::merges:
      case Place::merge:
        fail("a merge must be two pieces, \"a b\" or [\"a\", \"b\"]");
      case Place::added_tokens:
        fail("an added token must be an object");
      default:
        return;
    }
  }
  void add_merge(std::pair<JsonString, std::optional<JsonString>> merge) {
    if (merges.size() == max_tokens) fail("more than " + std::to_string(max_tokens) + " merges");
    merges.push_back(std::move(merge));
  }

  const std::string& source_;
  std::vector<Place> places_;
  JsonString key_;
  int pieces_ = 0;
};

}  // namespace

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
    const std::string text = read_text_file(vocabulary_path, max_file_bytes);
    // CLIP's file has 17 bytes an entry; no entry has fewer than 5.
    files.vocabulary.reserve(text.size() / 16);
    VocabularyReader(source, files.vocabulary).parse(text);
    check_ids(files.vocabulary, source);
  });
  const std::string source = merges_path.string();
  const std::string text = read_text_file(merges_path, max_file_bytes);
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
  const std::string source = path.string(), text = read_text_file(path, max_file_bytes);
  TokenizerJsonReader reader(source);
  reader.parse(text);
  const auto unsupported = [&](const std::string& problem) {
    return ConfigError("tokenizer", source + ": " + problem);
  };
  if (!reader.has_model) malformed(source, "expected an object \"model\" with \"vocab\" and \"merges\"");
  if (!reader.type.empty() && reader.type != "BPE")
    throw unsupported("the model's \"type\" is " + in_quotes(reader.type) + ", supported is \"BPE\"");
  if (!reader.word_suffix.empty() && reader.word_suffix != end_of_word)
    throw unsupported("\"end_of_word_suffix\" is " + in_quotes(reader.word_suffix) + ", CLIP's is \"" +
                      std::string(end_of_word) + "\"");
  if (!reader.word_prefix.empty())
    throw unsupported("\"continuing_subword_prefix\" is " + in_quotes(reader.word_prefix) +
                      ", CLIP's vocabularies have none");

  BytePairFiles files;
  MergeList merges(source, reader.vocabulary);
  std::size_t number = 0;
  for (const auto& [left, right] : reader.merges) {
    const std::string where = " merge " + std::to_string(++number);
    if (right)
      merges.add(left.decoded(), right->decoded(), where);
    else
      merges.add(left.decoded(), where);
  }
  files.merges = merges.take();
  files.vocabulary = std::move(reader.vocabulary);
  for (const auto& token : reader.added) {
    const std::string content = token.content.decoded();
    if (content.empty()) malformed(source, "an added token has no \"content\"");
    if (!token.id || *token.id > max_token_id)
      refuse_id(source, content, token.id ? std::to_string(*token.id) : "none");
    if (token.single_word)
      throw unsupported("added token " + in_quotes(content) + " with \"single_word\" is not supported");
    files.added.push_back({content, static_cast<std::int32_t>(*token.id), token.normalized});
  }
  return files;
}

}  // namespace daguerre::text
