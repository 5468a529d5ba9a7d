#include "text/bpe_model.hpp"

#include <algorithm>

#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/sentence_pieces.hpp"

namespace daguerre::text {
namespace {

// Published vocabularies leave a few hundred ids free at most.
constexpr std::size_t most_holes = std::size_t{1} << 16;

}  // namespace

BpeModel::Options BpeModel::read_options(const nlohmann::json& model, const std::string& source) {
  const auto text_of = [&](const char* key) {
    if (!model.contains(key) || model[key].is_null()) return std::string();
    if (!model[key].is_string()) malformed(source, std::string("\"") + key + "\" of the model is no text");
    return model[key].get<std::string>();
  };
  const auto flag_of = [&](const char* key) {
    if (!model.contains(key) || model[key].is_null()) return false;
    if (!model[key].is_boolean())
      malformed(source, std::string("\"") + key + "\" of the model is neither true nor false");
    return model[key].get<bool>();
  };
  // Dropout of merges makes a tokenizer's result random; 0 is none.
  if (model.contains("dropout") && !model["dropout"].is_null() && model["dropout"] != 0)
    throw ConfigError("tokenizer", source + ": \"dropout\" of the model is " +
                                       to_text(model["dropout"]).substr(0, 100) + ", supported is null");
  Options options;
  options.unknown = text_of("unk_token");
  options.word_prefix = text_of("continuing_subword_prefix");
  options.word_suffix = text_of("end_of_word_suffix");
  options.fuse_unknown = flag_of("fuse_unk");
  options.byte_fallback = flag_of("byte_fallback");
  options.ignore_merges = flag_of("ignore_merges");
  // A merge's result would have to lose the prefix in its middle.
  if (!options.word_prefix.empty())
    throw ConfigError("tokenizer", source + ": \"continuing_subword_prefix\" is " +
                                       in_quotes(options.word_prefix) + ", supported is none");
  return options;
}

BpeModel::BpeModel(BytePairEncoder::Vocabulary vocabulary, std::span<const PairMerge> merges, Options options,
                   const std::string& source)
    : vocabulary_(std::move(vocabulary)),
      merges_(merges, MergeOrder::one_by_one),
      options_(std::move(options)) {
  for (const auto& [token, id] : vocabulary_) {
    const auto place = static_cast<std::size_t>(id);
    if (place >= vocabulary_.size() + most_holes)
      malformed(source, "token " + in_quotes(token) + " has the id " + std::to_string(id) +
                            " in a vocabulary of " + std::to_string(vocabulary_.size()) + " tokens");
    if (place >= tokens_.size()) tokens_.resize(place + 1, nullptr);
    if (tokens_[place])
      malformed(source, "tokens " + in_quotes(*tokens_[place]) + " and " + in_quotes(token) +
                            " have the same id " + std::to_string(id));
    tokens_[place] = &token;
  }
  if (!options_.unknown.empty()) {
    const auto id = find(options_.unknown);
    if (!id) malformed(source, "\"unk_token\" " + in_quotes(options_.unknown) + " is not in the vocabulary");
    unknown_ = *id;
  }
  for (std::size_t code = 0; code < characters_.size(); ++code) {
    std::string token;
    append_utf8(token, static_cast<char32_t>(code));
    characters_[code] = find(token).value_or(-1);
  }
  for (std::size_t byte = 0; byte < 256; ++byte)
    bytes_[byte] = find(byte_piece(static_cast<unsigned char>(byte))).value_or(-1);
}

std::optional<std::int32_t> BpeModel::find(std::string_view token) const {
  const auto at = vocabulary_.find(std::string(token));
  return at == vocabulary_.end() ? std::nullopt : std::optional(at->second);
}

const std::string* BpeModel::token_of(std::int32_t id) const noexcept {
  return id < 0 || static_cast<std::size_t>(id) >= tokens_.size() ? nullptr
                                                                  : tokens_[static_cast<std::size_t>(id)];
}

std::int32_t BpeModel::find_character(char32_t code, Scratch& scratch) const {
  scratch.character.clear();
  append_utf8(scratch.character, code);
  if (code < characters_.size()) return characters_[code];
  const auto at = vocabulary_.find(scratch.character);
  return at == vocabulary_.end() ? -1 : at->second;
}

void BpeModel::add_character(std::span<const Char> word, std::size_t at, Scratch& scratch,
                             bool& after_unknown) const {
  std::int32_t id = -1;
  if (at + 1 == word.size() && !options_.word_suffix.empty()) {
    scratch.character.clear();
    append_utf8(scratch.character, word[at].code);
    scratch.character += options_.word_suffix;
    id = find(scratch.character).value_or(-1);
  } else {
    id = find_character(word[at].code, scratch);
  }
  if (id >= 0) {
    scratch.merges.add(id);
    after_unknown = false;
    return;
  }
  const auto byte_id = [this](char byte) { return bytes_[static_cast<unsigned char>(byte)]; };
  if (options_.byte_fallback && std::all_of(scratch.character.begin(), scratch.character.end(),
                                            [&](char byte) { return byte_id(byte) >= 0; })) {
    for (const char byte : scratch.character) scratch.merges.add(byte_id(byte));
    after_unknown = false;
    return;
  }
  if (unknown_ < 0 || (after_unknown && options_.fuse_unknown)) return;
  scratch.merges.add(unknown_);
  after_unknown = true;
}

void BpeModel::encode(std::span<const Char> word, Scratch& scratch, std::vector<std::int32_t>& ids) const {
  if (options_.ignore_merges) {
    scratch.word.clear();
    for (const Char& character : word) append_utf8(scratch.word, character.code);
    if (const auto at = vocabulary_.find(scratch.word); at != vocabulary_.end()) {
      ids.push_back(at->second);
      return;
    }
  }
  scratch.merges.clear();
  bool after_unknown = false;
  for (std::size_t i = 0; i < word.size(); ++i) add_character(word, i, scratch, after_unknown);
  merges_.join(scratch.merges, ids);
}

}  // namespace daguerre::text
