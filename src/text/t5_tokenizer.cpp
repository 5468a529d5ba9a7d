#include "daguerre/text/t5_tokenizer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/sentencepiece_files.hpp"
#include "text/tokenizer_config.hpp"
#include "text/unigram_files.hpp"

namespace daguerre::text {
namespace {

namespace fs = std::filesystem;

constexpr Index default_window = 512;
// As transformers' T5Tokenizer has it where the files do not say.
constexpr int default_extra_ids = 100, max_extra_ids = 10000;
// What sentencepiece writes for what it does not know.
constexpr std::string_view unknown_surface = " \xE2\x81\x87 ";

int read_extra_ids(const nlohmann::json& config, const std::string& source) {
  if (!config.contains("extra_ids")) return default_extra_ids;
  const auto& value = config["extra_ids"];
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > max_extra_ids)
    throw ConfigError("tokenizer",
                      source + ": \"extra_ids\" must be a number up to " + std::to_string(max_extra_ids));
  return value.get<int>();
}

/// Where the added tokens of a model without tokenizer.json come from: its own pieces, and what the
/// configuration lists or, where it has no list, the extra ids behind them, the last of which is 0.
std::vector<AddedToken> added_tokens_of(const UnigramModel& model, const nlohmann::json& config,
                                        const std::string& source) {
  std::vector<AddedToken> result;
  const auto pieces = model.pieces();
  for (std::size_t id = 0; id < pieces.size(); ++id)
    if (pieces[id].kind == PieceKind::control || pieces[id].kind == PieceKind::user_defined ||
        pieces[id].kind == PieceKind::unknown)
      result.push_back({pieces[id].text, static_cast<std::int32_t>(id), false});
  if (config.contains("added_tokens_decoder")) {
    auto listed = read_added_tokens_decoder(config, source);
    refuse_single_words(listed, source);
    for (auto& token : listed)
      if (model.find(token.content) != token.id) result.push_back(std::move(token));
    return result;
  }
  const int extra_ids = model.find("<extra_id_0>") >= 0 ? 0 : read_extra_ids(config, source);
  for (int i = 0; i < extra_ids; ++i)
    result.push_back({"<extra_id_" + std::to_string(extra_ids - 1 - i) + ">",
                      static_cast<std::int32_t>(pieces.size()) + i, false});
  return result;
}

void check_class(const nlohmann::json& config, const std::string& source) {
  constexpr std::array<std::string_view, 4> known{"T5Tokenizer", "T5TokenizerFast", "PreTrainedTokenizerFast",
                                                  "TokenizersBackend"};
  if (!config.contains("tokenizer_class") || !config["tokenizer_class"].is_string()) return;
  const auto name = config["tokenizer_class"].get<std::string>();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw ConfigError("tokenizer", source + ": \"tokenizer_class\" is " + in_quotes(name) +
                                       ", supported are T5Tokenizer and T5TokenizerFast");
}

}  // namespace

struct T5Tokenizer::State {
  UnigramModel model;
  std::string source;
  T5Dialect dialect;
  UnigramModel::FastOptions options{};
  bool prefix_each = true;
  std::vector<AddedToken> added{};  // longest first
  std::int32_t end = 0, pad = 0;
  Index length = default_window, size = 0;

  void sort_added() {
    std::stable_sort(added.begin(), added.end(),
                     [](const auto& a, const auto& b) { return a.content.size() > b.content.size(); });
  }
  /// The added token that begins at `at`, if any.
  const AddedToken* added_at(std::string_view text, std::size_t at) const noexcept {
    for (const auto& token : added)
      if (text.substr(at).starts_with(token.content)) return &token;
    return nullptr;
  }
  std::int32_t id_of(const std::string& token) const noexcept {
    if (const auto id = model.find(token); id >= 0) return id;
    const auto found =
        std::find_if(added.begin(), added.end(), [&](const auto& each) { return each.content == token; });
    return found == added.end() ? -1 : found->id;
  }
};

bool T5Tokenizer::is_there(const fs::path& folder) {
  return text::is_there(folder / "spiece.model") || is_unigram_json(folder / "tokenizer.json");
}

T5Tokenizer T5Tokenizer::load(const fs::path& folder, T5Dialect dialect) {
  const auto config_path = folder / "tokenizer_config.json", map_path = folder / "special_tokens_map.json";
  const auto model_path = folder / "spiece.model", json_path = folder / "tokenizer.json";
  const auto config = read_optional_object(config_path), map = read_optional_object(map_path);
  check_class(config, config_path.string());

  std::shared_ptr<State> state;
  if (text::is_there(model_path)) {
    const auto source = model_path.string();
    state = std::make_shared<State>(
        State{UnigramModel(read_sentencepiece_model(model_path, SentencePieceModel::unigram), source), source,
              dialect});
    state->added = added_tokens_of(state->model, config, config_path.string());
    // As transformers makes a fast tokenizer of it.
    state->prefix_each = config.value("legacy", nlohmann::json()) != false;
  } else if (text::is_there(json_path)) {
    const auto source = json_path.string();
    auto json = read_unigram_json(json_path);
    state = std::make_shared<State>(State{UnigramModel(std::move(json.file), source), source, dialect,
                                          json.options, json.prefix_each, std::move(json.added)});
  } else {
    throw FileError("tokenizer", folder.string() + " has neither spiece.model nor tokenizer.json");
  }

  // As in clip_files.cpp: transformers reads the map last, and not at all where the configuration lists them.
  const bool config_only = config.contains("added_tokens_decoder");
  const auto special = [&](const char* key, const std::string& fallback) {
    auto token = config_only ? std::nullopt : token_content(map, key, map_path.string());
    if (!token) token = token_content(config, key, config_path.string());
    const auto id = state->id_of(token.value_or(fallback));
    if (id < 0)
      throw ConfigError("tokenizer", folder.string() + ": the \"" + key + "\" " +
                                         in_quotes(token.value_or(fallback)) + " is not in the vocabulary");
    return id;
  };
  state->end = special("eos_token", "</s>");
  state->pad = special("pad_token", "<pad>");
  state->length = read_length(config, config_path.string(), default_window);
  state->size = static_cast<Index>(state->model.pieces().size());
  for (const auto& token : state->added) state->size = std::max<Index>(state->size, Index{token.id} + 1);
  state->sort_added();
  return T5Tokenizer(std::move(state));
}

T5Tokenizer T5Tokenizer::from(const T5Vocabulary& vocabulary, T5Dialect dialect) {
  const auto& source = vocabulary.source;
  SentencePieceFile file;
  for (const auto& piece : vocabulary.pieces)
    file.pieces.push_back(
        {piece.text, piece.score, piece_kind(static_cast<std::uint64_t>(piece.kind), piece.text, source)});
  file.byte_fallback = std::any_of(file.pieces.begin(), file.pieces.end(),
                                   [](const auto& piece) { return piece.kind == PieceKind::byte; });
  file.normalizer.charsmap = Charsmap(vocabulary.charsmap, source);
  file.normalizer.add_prefix = vocabulary.adds_prefix;
  file.normalizer.remove_extra_whitespace = vocabulary.removes_extra_whitespace;
  auto state = std::make_shared<State>(State{UnigramModel(std::move(file), source), source, dialect});
  state->size = static_cast<Index>(state->model.pieces().size());
  for (const auto& [what, id] : {std::pair{"end", vocabulary.end_id}, {"padding", vocabulary.pad_id}})
    if (id < 0 || id >= state->size)
      throw FormatError("tokenizer", source + ": the " + what + " is token " + std::to_string(id) + ", of " +
                                         std::to_string(state->size));
  state->end = vocabulary.end_id;
  state->pad = vocabulary.pad_id;
  // Such a vocabulary has its extra ids among its pieces, or none.
  state->added = added_tokens_of(state->model, nlohmann::json{{"extra_ids", 0u}}, source);
  state->sort_added();
  return T5Tokenizer(std::move(state));
}

std::vector<T5Tokenizer::Token> T5Tokenizer::tokens(std::string_view text) const {
  if (text.size() > 0xFFFFFFFE)
    throw ArgumentError("tokenizer", "a text of " + std::to_string(text.size()) + " bytes");
  std::vector<Token> result;
  const auto add = [&](const NormalizedText& ready, std::size_t offset) {
    for (const auto& [id, begin] : state_->model.encode(ready.text))
      result.push_back({id, offset + ready.source[begin],
                        std::string_view(ready.text).substr(begin).starts_with(metaspace)});
  };
  if (state_->dialect == T5Dialect::sentencepiece) {
    add(state_->model.normalize(text), 0);
    return result;
  }
  std::size_t begin = 0;
  const auto add_part = [&](std::size_t end) {
    auto options = state_->options;
    options.prefix = options.prefix && (state_->prefix_each || begin == 0);
    add(state_->model.normalize_as_fast(text.substr(begin, end - begin), options), begin);
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto* token = state_->added_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    add_part(at);
    result.push_back({token->id, at, true});
    begin = at += token->content.size();
  }
  add_part(text.size());
  return result;
}

std::vector<std::int32_t> T5Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  for (const auto& token : tokens(text)) ids.push_back(token.id);
  return ids;
}

T5Tokenizer::Window T5Tokenizer::window(std::string_view text, Index length) const {
  if (length < 1) throw ArgumentError("tokenizer", "a window of " + std::to_string(length) + " tokens");
  const auto all = tokens(text);
  const auto room = static_cast<std::size_t>(length) - 1;
  Window result;
  const std::size_t kept = std::min(all.size(), room);
  for (std::size_t i = 0; i < kept; ++i) result.ids.push_back(all[i].id);
  result.ids.push_back(state_->end);
  result.padding = length - static_cast<Index>(result.ids.size());
  result.ids.resize(static_cast<std::size_t>(length), state_->pad);
  if (kept < all.size()) {
    std::size_t word = kept;
    while (word > 0 && !all[word].begins_word) --word;
    const auto lost = text.substr(all[word].begin);
    result.lost = lost.substr(std::min(lost.find_first_not_of(" \t\r\n"), lost.size()));
  }
  return result;
}

std::string T5Tokenizer::decode(std::span<const std::int32_t> ids) const {
  const auto pieces = state_->model.pieces();
  std::string result;
  for (const auto id : ids) {
    if (id < 0 || id >= vocabulary_size())
      throw ArgumentError("tokenizer", "there is no token " + std::to_string(id) + ", there are " +
                                           std::to_string(vocabulary_size()));
    if (id == state_->end) break;
    if (static_cast<std::size_t>(id) >= pieces.size()) {
      const auto found = std::find_if(state_->added.begin(), state_->added.end(),
                                      [&](const auto& token) { return token.id == id; });
      if (found != state_->added.end()) result += found->content;
      continue;
    }
    const auto& piece = pieces[static_cast<std::size_t>(id)];
    if (piece.kind == PieceKind::control) continue;
    if (piece.kind == PieceKind::unknown) {
      result += unknown_surface;
    } else if (piece.kind == PieceKind::byte) {
      result += static_cast<char>(*byte_of_piece(piece.text));
    } else {
      result += piece.text;
    }
  }
  std::string text;
  for (std::size_t at = 0; at < result.size();) {
    const bool is_space = std::string_view(result).substr(at).starts_with(metaspace);
    if (is_space ? !text.empty() : true) text += is_space ? ' ' : result[at];
    at += is_space ? metaspace.size() : 1;
  }
  return to_utf8(decode_utf8(text));
}

std::int32_t T5Tokenizer::end_id() const noexcept {
  return state_->end;
}
std::int32_t T5Tokenizer::pad_id() const noexcept {
  return state_->pad;
}
std::int32_t T5Tokenizer::unknown_id() const noexcept {
  return state_->model.unknown_id();
}
Index T5Tokenizer::length() const noexcept {
  return state_->length;
}
Index T5Tokenizer::vocabulary_size() const noexcept {
  return state_->size;
}
const std::string& T5Tokenizer::source() const noexcept {
  return state_->source;
}

}  // namespace daguerre::text
