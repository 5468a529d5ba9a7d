#include "text/tokenizer_json.hpp"

#include <optional>
#include <utility>

#include "config/json.hpp"
#include "config/strict_sax.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/merge_list.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

// Steps of normalisers and so on: published files have a few hundred values there.
constexpr std::size_t max_other_values = 1 << 16;

class TokenizerJsonReader final : public StrictSax {
 public:
  explicit TokenizerJsonReader(const std::string& source)
      : StrictSax("tokenizer", source, true), source_(source) {}

  struct Token {
    JsonString content;
    std::optional<std::uint64_t> id;
    AddedToken flags;
  };
  BytePairEncoder::Vocabulary vocabulary;
  std::vector<std::pair<JsonString, std::optional<JsonString>>> merges;  // two pieces, or both in one string
  std::vector<Token> added;
  json rest;
  bool has_model = false;

 protected:
  void on_null() override { scalar(nullptr); }
  void on_boolean(bool value) override {
    if (place() == Place::added_token) set_flag(value);
    scalar(value);
  }
  void on_integer(std::int64_t value) override {
    if (place() == Place::vocabulary) refuse_id(source_, key_.raw, std::to_string(value));
    scalar(value);
  }
  void on_fraction(double value, std::string_view text) override {
    if (place() == Place::vocabulary) refuse_id(source_, key_.raw, text);
    scalar(value);
  }
  void on_unsigned(std::uint64_t value) override {
    if (place() == Place::vocabulary) return add_entry(vocabulary, source_, key_, value);
    if (place() == Place::added_token && key_.raw == "id") added.back().id = value;
    scalar(value);
  }
  void on_string(const JsonString& value) override {
    switch (place()) {
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
        return scalar(value.decoded());
    }
  }
  void on_key(const JsonString& name) override { key_ = name; }
  void on_start_object() override {
    switch (place()) {
      case Place::nowhere:
        rest = json::object();
        open_.push_back(&rest);
        return places_.push_back(Place::root);
      case Place::root:
        has_model = has_model || key_.raw == "model";
        return enter(key_.raw == "model" ? Place::model : Place::other, json::object());
      case Place::model:
        if (key_.raw == "merges") fail("\"merges\" must be a list");
        if (key_.raw == "vocab") return enter(Place::vocabulary);
        return enter(Place::other, json::object());
      case Place::added_tokens:
        if (added.size() == max_added_tokens)
          fail("more than " + std::to_string(max_added_tokens) + " added tokens");
        added.emplace_back();
        return enter(Place::added_token);
      case Place::added_token:
        return enter(Place::skipped);
      default:
        check_place();
        return enter(place(), json::object());
    }
  }
  void on_start_array() override {
    switch (place()) {
      case Place::root:
        if (key_.raw == "added_tokens") return enter(Place::added_tokens);
        return enter(Place::other, json::array());
      case Place::model:
        if (key_.raw == "vocab") refuse_vocabulary();
        if (key_.raw == "merges") return enter(Place::merges);
        return enter(Place::other, json::array());
      case Place::merges:
        pieces_ = 0;
        return enter(Place::merge);
      case Place::added_token:
        return enter(Place::skipped);
      default:
        check_place();
        return enter(place(), json::array());
    }
  }
  void on_end() override {
    if (place() == Place::merge && pieces_ != 2) fail("a merge must have two pieces");
    places_.pop_back();
    open_.pop_back();
  }

 private:
  enum class Place {
    nowhere,
    root,
    model,
    vocabulary,
    merges,
    merge,
    added_tokens,
    added_token,
    skipped,  ///< in an added token
    other
  };

  Place place() const { return places_.empty() ? Place::nowhere : places_.back(); }
  /// A place whose values are not kept in `rest`.
  void enter(Place next) {
    places_.push_back(next);
    open_.push_back(nullptr);
  }
  void enter(Place next, json value) {
    json* const parent = open_.back();
    places_.push_back(next);
    open_.push_back(parent ? &keep(*parent, std::move(value)) : nullptr);
  }
  json& keep(json& parent, json value) {
    if (++kept_ > max_other_values)
      fail("more than " + std::to_string(max_other_values) + " values beside vocabulary and merges");
    if (!parent.is_array()) return parent[key_.decoded()] = std::move(value);
    parent.push_back(std::move(value));
    return parent.back();
  }
  void set_flag(bool value) {
    auto& flags = added.back().flags;
    if (key_.raw == "normalized") flags.normalized = value;
    if (key_.raw == "special") flags.special = value;
    if (key_.raw == "lstrip") flags.lstrip = value;
    if (key_.raw == "rstrip") flags.rstrip = value;
    if (key_.raw == "single_word") flags.single_word = value;
  }
  /// Keeps any value but those that have no place where they are.
  void scalar(json value) {
    check_place();
    if (json* const parent = open_.back()) keep(*parent, std::move(value));
  }
  void check_place() const {
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
  /// As a unigram model's is a list.
  [[noreturn]] void refuse_vocabulary() const {
    const auto type = rest["model"].value("type", json("BPE"));
    if (type.is_string() && type != "BPE")
      throw ConfigError("tokenizer", source_ + ": the model's \"type\" is " +
                                         in_quotes(type.get_ref<const std::string&>()) +
                                         ", supported is \"BPE\"");
    fail("\"vocab\" must be an object of tokens and their ids");
  }
  void add_merge(std::pair<JsonString, std::optional<JsonString>> merge) {
    if (merges.size() == max_merges) fail("more than " + std::to_string(max_merges) + " merges");
    merges.push_back(std::move(merge));
  }

  const std::string& source_;
  std::vector<Place> places_;
  std::vector<json*> open_;  // as many; nullptr: not kept
  JsonString key_;
  std::size_t kept_ = 0;
  int pieces_ = 0;
};

AddedToken checked_added(const TokenizerJsonReader::Token& token, const std::string& source) {
  AddedToken result = token.flags;
  result.content = token.content.decoded();
  if (result.content.empty()) malformed(source, "an added token has no \"content\"");
  if (!token.id || *token.id > max_token_id)
    refuse_id(source, result.content, token.id ? std::to_string(*token.id) : "none");
  result.id = static_cast<std::int32_t>(*token.id);
  return result;
}

}  // namespace

TokenizerJson read_bpe_json(const std::filesystem::path& path) {
  const std::string source = path.string(), text = read_text_file(path, max_vocabulary_bytes);
  TokenizerJsonReader reader(source);
  reader.parse(text);
  if (!reader.has_model) malformed(source, "expected an object \"model\" with \"vocab\" and \"merges\"");
  const auto type = reader.rest["model"].value("type", json());
  if (!type.is_null() && type != "BPE")
    throw ConfigError("tokenizer", source + ": the model's \"type\" is " +
                                       (type.is_string() ? in_quotes(type.get_ref<const std::string&>())
                                                         : to_text(type).substr(0, 100)) +
                                       ", supported is \"BPE\"");
  TokenizerJson result;
  MergeList merges(source, reader.vocabulary);
  std::size_t number = 0;
  for (const auto& [left, right] : reader.merges) {
    const std::string where = " merge " + std::to_string(++number);
    if (right)
      merges.add(left.decoded(), right->decoded(), where);
    else
      merges.add(left.decoded(), where);
  }
  result.files.merges = merges.take();
  result.files.vocabulary = std::move(reader.vocabulary);
  for (const auto& token : reader.added) result.files.added.push_back(checked_added(token, source));
  result.rest = std::move(reader.rest);
  return result;
}

}  // namespace daguerre::text
