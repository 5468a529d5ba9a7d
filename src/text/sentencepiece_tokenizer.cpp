#include "text/sentencepiece_tokenizer.hpp"

#include <algorithm>
#include <utility>

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/decoded_text.hpp"
#include "text/sentencepiece_files.hpp"

namespace daguerre::text {

class SentencePieceTokenizer::Decoder final : public IncrementalDecoder {
 public:
  Decoder(const SentencePieceTokenizer& tokenizer, bool skips_special)
      : tokenizer_(tokenizer), skips_special_(skips_special), text_(ByteReading::each_byte) {
    const auto& normalizer = tokenizer.model_.pieces().normalizer();
    drops_space_ = normalizer.add_prefix || normalizer.remove_extra_whitespace;
    drops_all_ = normalizer.remove_extra_whitespace;
  }
  void push(std::int32_t id) override {
    const auto pieces = tokenizer_.model_.pieces().pieces();
    if (skips_special_ && tokenizer_.is_special(id)) return;
    if (const auto added = tokenizer_.added_.find(id); added != tokenizer_.added_.end()) {
      text_.add_text(added->second.content);
    } else if (id >= 0 && static_cast<std::size_t>(id) < pieces.size()) {
      add_piece(pieces[static_cast<std::size_t>(id)]);
    }
  }
  const std::string& settled() const noexcept override { return text_.settled(); }
  std::string unsettled() const override { return text_.unsettled(); }

 private:
  void add_piece(const SentencePiece& piece) {
    switch (piece.kind) {
      case PieceKind::byte:
        text_.add_byte(static_cast<char>(*byte_of_piece(piece.text)));
        return;
      case PieceKind::unknown:
        text_.add_text(tokenizer_.unknown_surface_);
        return;
      case PieceKind::control:
        text_.add_text(piece.text);
        return;
      default:
        break;
    }
    std::string_view rest = piece.text;
    // The space that encoding puts before a text; of a model that takes runs of spaces out, all of them.
    if (drops_space_ && text_.empty() && rest.starts_with(metaspace)) {
      rest.remove_prefix(metaspace.size());
      drops_space_ = drops_all_;
    }
    std::string text;
    while (!rest.empty()) {
      const bool is_space = rest.starts_with(metaspace);
      text += is_space ? ' ' : rest[0];
      rest.remove_prefix(is_space ? metaspace.size() : 1);
    }
    text_.add_text(text);
  }

  const SentencePieceTokenizer& tokenizer_;
  bool skips_special_, drops_space_, drops_all_;
  DecodedText text_;
};

SentencePieceTokenizer::SentencePieceTokenizer(Parts parts, Properties properties)
    : LanguageTokenizer(std::move(properties)),
      unknown_surface_(parts.file.unknown_surface),
      model_(std::move(parts.file), source()),
      prefix_each_(parts.prefix_each),
      before_(std::move(parts.before)),
      behind_(std::move(parts.behind)) {
  const auto pieces = model_.pieces().pieces();
  size_ = static_cast<Index>(pieces.size());
  std::vector<AddedToken> cut;
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (pieces[id].kind != PieceKind::control && pieces[id].kind != PieceKind::unknown) continue;
    AddedToken token{pieces[id].text, static_cast<std::int32_t>(id), false};
    token.special = true;
    cut.push_back(std::move(token));
  }
  for (auto& token : parts.added) {
    if (const auto known = model_.pieces().find(token.content); known >= 0 && known != token.id)
      malformed(source(), "added token " + in_quotes(token.content) + " has the id " +
                              std::to_string(token.id) + ", the model gives it " + std::to_string(known));
    if (token.id < static_cast<Index>(pieces.size()) &&
        pieces[static_cast<std::size_t>(token.id)].text != token.content)
      malformed(source(), "added token " + in_quotes(token.content) + " has the id " +
                              std::to_string(token.id) + ", which is the piece " +
                              in_quotes(pieces[static_cast<std::size_t>(token.id)].text));
    size_ = std::max(size_, Index{token.id} + 1);
    added_.insert_or_assign(token.id, token);
    cut.push_back(std::move(token));
  }
  cut_ = AddedTokens(std::move(cut), source());
}

std::vector<std::int32_t> SentencePieceTokenizer::encode(std::string_view text,
                                                         const EncodeOptions& options) const {
  if (text.size() > 0xFFFFFFFE)
    throw ArgumentError("tokenizer", "a text of " + std::to_string(text.size()) + " bytes");
  std::vector<std::int32_t> ids;
  if (options.add_special_tokens) ids = before_;
  const auto& pieces = model_.pieces();
  for (const auto& part : cut_.cut(text, options.parse_special_tokens)) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    const bool first = part.text.data() == text.data();
    const bool prefix = pieces.normalizer().add_prefix && (prefix_each_ || first);
    model_.encode(pieces.normalize(part.text, prefix).text, ids);
  }
  if (options.add_special_tokens) ids.insert(ids.end(), behind_.begin(), behind_.end());
  return ids;
}

std::unique_ptr<IncrementalDecoder> SentencePieceTokenizer::decoder(bool skip_special_tokens) const {
  return std::make_unique<Decoder>(*this, skip_special_tokens);
}

std::optional<std::int32_t> SentencePieceTokenizer::id_of(std::string_view token) const {
  if (const auto id = model_.pieces().find(token); id >= 0) return id;
  for (const auto& [id, added] : added_)
    if (added.content == token) return id;
  return std::nullopt;
}

std::optional<std::string> SentencePieceTokenizer::token_of(std::int32_t id) const {
  if (const auto added = added_.find(id); added != added_.end()) return added->second.content;
  const auto pieces = model_.pieces().pieces();
  if (id < 0 || static_cast<std::size_t>(id) >= pieces.size()) return std::nullopt;
  return pieces[static_cast<std::size_t>(id)].text;
}

bool SentencePieceTokenizer::is_special(std::int32_t id) const {
  if (const auto added = added_.find(id); added != added_.end()) return added->second.special;
  const auto pieces = model_.pieces().pieces();
  return id >= 0 && static_cast<std::size_t>(id) < pieces.size() &&
         pieces[static_cast<std::size_t>(id)].kind == PieceKind::control;
}

std::shared_ptr<const LanguageTokenizer> load_sentencepiece_bpe(const LanguageFolder& folder) {
  const auto path = folder.folder / "tokenizer.model";
  return naming(path, [&]() -> std::shared_ptr<const LanguageTokenizer> {
    SentencePieceTokenizer::Parts parts;
    parts.file = read_sentencepiece_model(path, SentencePieceModel::bpe);
    const auto& pieces = parts.file.pieces;
    std::unordered_map<std::string_view, std::int32_t> ids;
    for (std::size_t id = 0; id < pieces.size(); ++id)
      ids.emplace(pieces[id].text, static_cast<std::int32_t>(id));
    const auto find = [&](const std::string& token) -> std::optional<std::int32_t> {
      const auto at = ids.find(token);
      return at == ids.end() ? std::nullopt : std::optional(at->second);
    };
    join_added_tokens(folder, find, parts.added);
    // What the model says itself of a piece is not said again.
    std::erase_if(parts.added, [&](const AddedToken& token) {
      const auto at = ids.find(token.content);
      if (at == ids.end() || at->second != token.id) return false;
      const auto kind = pieces[static_cast<std::size_t>(token.id)].kind;
      return kind == PieceKind::control || kind == PieceKind::unknown ||
             (kind == PieceKind::user_defined && !token.special);
    });
    auto special = special_tokens_of(folder, find, parts.added);
    // Files that are alone leave it to the model.
    const auto or_own = [&](const char* key, std::optional<std::int32_t>& id, std::int32_t own) {
      const bool is_open = !folder.named.contains(key) && !folder.config.contains(key);
      if (is_open && own >= 0 && static_cast<std::size_t>(own) < pieces.size()) id = own;
    };
    or_own("bos_token", special.bos, parts.file.bos);
    or_own("eos_token", special.eos, parts.file.eos);
    or_own("pad_token", special.pad, parts.file.pad);
    if (special.ends.empty() && special.eos) special.ends = {*special.eos};
    if (folder.add_bos.value_or(true) && special.bos) parts.before = {*special.bos};
    if (folder.add_eos.value_or(false) && special.eos) parts.behind = {*special.eos};
    parts.prefix_each = folder.config.value("legacy", nlohmann::json()) != false;
    return std::make_shared<SentencePieceTokenizer>(
        std::move(parts),
        SentencePieceTokenizer::Properties{std::move(special), folder.chat_templates, path.string()});
  });
}

std::shared_ptr<const LanguageTokenizer> sentencepiece_bpe_from(LanguageVocabulary vocabulary) {
  SentencePieceTokenizer::Parts parts;
  auto& file = parts.file;
  for (auto& [text, score, kind] : vocabulary.tokens) {
    const auto piece = piece_kind(static_cast<std::uint64_t>(kind), text, vocabulary.source);
    file.byte_fallback |= piece == PieceKind::byte;
    file.pieces.push_back({std::move(text), score, piece});
  }
  file.normalizer.add_prefix = vocabulary.add_prefix;
  file.normalizer.remove_extra_whitespace = false;
  const auto& special = vocabulary.special;
  if (vocabulary.add_bos.value_or(true) && special.bos) parts.before = {*special.bos};
  if (vocabulary.add_eos.value_or(false) && special.eos) parts.behind = {*special.eos};
  return std::make_shared<SentencePieceTokenizer>(
      std::move(parts),
      SentencePieceTokenizer::Properties{special, std::move(vocabulary.chat_templates), vocabulary.source});
}

}  // namespace daguerre::text
