#include "daguerre/text/clip_tokenizer.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <utility>

#include "core/attempt.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/byte_pair.hpp"
#include "text/clip_files.hpp"
#include "text/clip_words.hpp"

namespace daguerre::text {
namespace {

/// What a token of vocab.json stands for: bytes, and a space at the end of a word.
std::string token_bytes(std::string_view token) {
  const bool last = token.ends_with(end_of_word);
  if (last) token.remove_suffix(end_of_word.size());
  std::string bytes;
  for (const Char& c : decode_utf8(token)) {
    const int byte = char_to_byte(c.code);
    if (byte < 0)
      append_utf8(bytes, c.code);
    else
      bytes.push_back(static_cast<char>(byte));
  }
  if (last) bytes.push_back(' ');
  return bytes;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// "/m/tokenizer/vocab.json and added_tokens.json"
std::string joined(const std::vector<std::filesystem::path>& files) {
  std::string text = files.front().string();
  for (std::size_t i = 1; i < files.size(); ++i)
    text += (i + 1 == files.size() ? " and " : ", ") + files[i].filename().string();
  return text;
}

}  // namespace

struct ClipTokenizer::State {
  State(ClipFiles files, ClipDialect dialect)
      : vocabulary(std::move(files.vocabulary)),
        encoder(vocabulary, files.merges, id_of(files.unknown),
                dialect == ClipDialect::openai ? MergeOrder::rank_by_rank : MergeOrder::one_by_one),
        splitter(dialect, {files.end, id_of(files.end), false}, other_tokens(files, dialect)),
        start(id_of(files.start)),
        end(id_of(files.end)),
        pad(id_of(files.pad)),
        length(files.length),
        source(joined(files.sources)),
        tokens(vocabulary.size()),
        is_added(vocabulary.size()) {
    for (const auto& [token, id] : vocabulary) tokens[static_cast<std::size_t>(id)] = &token;
    for (const auto& token : files.added) is_added[static_cast<std::size_t>(token.id)] = true;
    find_followers(files.added);
  }

  std::int32_t id_of(const std::string& token) const { return vocabulary.at(token); }

  /// What is looked for in the text beside the end token. To Hugging Face, whatever has a part of its own is:
  /// where a model pads with "!", that is no punctuation.
  std::vector<AddedToken> other_tokens(const ClipFiles& files, ClipDialect dialect) const {
    std::vector<AddedToken> others;
    std::set<std::string> known{files.end};
    const auto add = [&](const AddedToken& token) {
      if (known.insert(token.content).second) others.push_back(token);
    };
    for (const auto& token : files.added)
      if (token.content != files.start) add(token);
    add({files.start, id_of(files.start), true});
    if (dialect == ClipDialect::huggingface)
      for (const auto* token : {&files.pad, &files.unknown}) add({*token, id_of(*token), false});
    return others;
  }

  /// "<cat>" stands for "<cat>", "<cat>_1", "<cat>_2" …, as far as these are added tokens as well.
  void find_followers(const std::vector<AddedToken>& added) {
    std::unordered_map<std::string_view, std::int32_t> ids;
    for (const auto& token : added) ids.emplace(token.content, token.id);
    for (const auto& token : added)
      for (std::size_t i = 1;; ++i) {
        const auto next = ids.find(token.content + "_" + std::to_string(i));
        if (next == ids.end()) break;
        followers[token.id].push_back(next->second);
      }
  }

  const BytePairEncoder::Vocabulary vocabulary;
  const BytePairEncoder encoder;
  const ClipSplitter splitter;
  const std::int32_t start, end, pad;
  const Index length;
  const std::string source;
  std::vector<const std::string*> tokens;  // by id; they are the vocabulary's keys
  std::vector<bool> is_added;              // by id
  std::unordered_map<std::int32_t, std::vector<std::int32_t>> followers;
};

ClipTokenizer ClipTokenizer::load(const std::filesystem::path& folder, ClipDialect dialect,
                                  ClipPadding padding) {
  auto state = naming(
      folder, [&] { return std::make_shared<const State>(read_clip_files(folder, padding), dialect); });
  const std::int32_t pad = state->pad;
  return ClipTokenizer(std::move(state), pad);
}

ClipTokenizer ClipTokenizer::with_pad(std::int32_t id) const {
  check(id);
  return ClipTokenizer(state_, id);
}

void ClipTokenizer::check(std::int32_t id) const {
  if (id < 0 || id >= vocabulary_size())
    throw ArgumentError("tokenizer", "id " + std::to_string(id) + " is not in the vocabulary of " +
                                         std::to_string(vocabulary_size()) + " tokens");
}

void ClipTokenizer::encode_words(std::string_view text, bool with_followers,
                                 const std::function<bool(std::size_t)>& enough,
                                 std::vector<std::int32_t>& ids) const {
  BytePairEncoder::Scratch scratch;
  state_->splitter.split(text, [&](const ClipSplitter::Word& word) {
    if (word.special < 0) {
      state_->encoder.encode(to_utf8(word.text), scratch, ids);
    } else {
      ids.push_back(word.special);
      const auto followers = state_->followers.find(word.special);
      if (with_followers && followers != state_->followers.end())
        ids.insert(ids.end(), followers->second.begin(), followers->second.end());
    }
    return !enough(word.text.front().source);
  });
}

std::vector<std::int32_t> ClipTokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  encode_words(
      text, false, [](std::size_t) { return false; }, ids);
  return ids;
}

ClipTokenizer::Window ClipTokenizer::window(std::string_view text) const {
  const auto length = static_cast<std::size_t>(state_->length);
  Window result;
  result.ids.push_back(state_->start);
  encode_words(
      text, true,
      [&](std::size_t word_begin) {
        if (result.ids.size() < length) return false;
        result.lost = trimmed(text.substr(word_begin));
        return true;
      },
      result.ids);
  result.ids.resize(std::min(result.ids.size(), length - 1));
  result.ids.push_back(state_->end);
  result.padding = static_cast<Index>(length - result.ids.size());
  result.ids.resize(length, pad_);
  return result;
}

std::string ClipTokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string bytes;
  for (const std::int32_t id : ids) {
    check(id);
    if (id == state_->end) break;
    if (id == state_->start) continue;
    const std::string& token = *state_->tokens[static_cast<std::size_t>(id)];
    bytes += state_->is_added[static_cast<std::size_t>(id)] ? token + " " : token_bytes(token);
  }
  if (bytes.ends_with(' ')) bytes.pop_back();
  return to_utf8(decode_utf8(bytes));
}

bool ClipTokenizer::ends_word(std::int32_t id) const {
  check(id);
  return state_->tokens[static_cast<std::size_t>(id)]->ends_with(end_of_word);
}

std::int32_t ClipTokenizer::start_id() const noexcept {
  return state_->start;
}
std::int32_t ClipTokenizer::end_id() const noexcept {
  return state_->end;
}
Index ClipTokenizer::length() const noexcept {
  return state_->length;
}
const std::string& ClipTokenizer::source() const noexcept {
  return state_->source;
}
Index ClipTokenizer::vocabulary_size() const noexcept {
  return static_cast<Index>(state_->tokens.size());
}

}  // namespace daguerre::text
