#include "text/bpe_files.hpp"

#include <algorithm>
#include <utility>

#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/bpe_tokenizer.hpp"
#include "text/merge_list.hpp"
#include "text/sentencepiece_files.hpp"
#include "text/tokenizer_json.hpp"
#include "text/word_splits.hpp"

namespace daguerre::text {
namespace {

using nlohmann::json;

/// Keeps the vocabulary.
FindTokenId finder_in(const BytePairEncoder::Vocabulary& vocabulary) {
  return [&vocabulary](const std::string& token) {
    const auto at = vocabulary.find(token);
    return at == vocabulary.end() ? std::nullopt : std::optional(at->second);
  };
}

/// What a TemplateProcessing, or the like, puts around one text.
class PostProcessorReader {
 public:
  PostProcessorReader(BpeParts& parts, const std::string& source) : parts_(parts), source_(source) {}

  void read(const json& step) {
    const auto type = step_type(step);
    if (type == "ByteLevel") return;  // moves offsets only
    if (type == "TemplateProcessing") return read_template(step);
    if (type == "RobertaProcessing" || type == "BertProcessing") {
      add_around({pair_id(step, "cls")}, {pair_id(step, "sep")});
      return;
    }
    refuse_step(step, what, source_);
  }

 private:
  static constexpr const char* what = "post_processor";

  void add_around(std::vector<std::int32_t> before, const std::vector<std::int32_t>& behind) {
    before.insert(before.end(), parts_.before.begin(), parts_.before.end());
    parts_.before = std::move(before);
    parts_.behind.insert(parts_.behind.end(), behind.begin(), behind.end());
  }
  std::int32_t pair_id(const json& step, const char* key) const {
    if (!step.contains(key) || !step[key].is_array() || step[key].size() != 2)
      refuse_step(step, what, source_, std::string("has no \"") + key + "\" with an id");
    return id_in(step[key][1], step);
  }
  std::int32_t id_in(const json& id, const json& step) const {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() > max_token_id)
      refuse_step(step, what, source_, "has an id that is none");
    return id.get<std::int32_t>();
  }
  void read_template(const json& step) {
    std::vector<std::int32_t> before, behind;
    bool seen_text = false;
    const json items = step.value("single", json()), tokens = step.value("special_tokens", json::object());
    if (!items.is_array() || !tokens.is_object()) refuse_step(step, what, source_, "has no \"single\"");
    for (const auto& item : items) {
      if (item.is_object() && item.contains("Sequence")) {
        if (seen_text) refuse_step(step, what, source_, "has the text twice");
        seen_text = true;
        continue;
      }
      const json token = item.is_object() ? item.value("SpecialToken", json()) : json();
      const json name = token.is_object() ? token.value("id", json()) : json();
      if (!name.is_string() || !tokens.contains(name.get_ref<const std::string&>()))
        refuse_step(step, what, source_, "names a token that it does not have");
      const json& entry = tokens[name.get_ref<const std::string&>()];
      if (!entry.is_object() || !entry.contains("ids") || !entry["ids"].is_array())
        refuse_step(step, what, source_, "has a token without ids");
      for (const auto& id : entry["ids"]) (seen_text ? behind : before).push_back(id_in(id, step));
    }
    if (!seen_text) refuse_step(step, what, source_, "has no place for the text");
    add_around(std::move(before), behind);
  }

  BpeParts& parts_;
  const std::string& source_;
};

/// Begin and end as the class puts them, in place of what files say.
void put_ends(BpeParts& parts, const LanguageFolder& folder, const SpecialTokens& special, bool adds_bos) {
  const auto add = [&](bool adds, const char* key, std::optional<std::int32_t> id,
                       std::vector<std::int32_t>& to) {
    to.clear();
    if (!adds) return;
    if (!id)
      throw ConfigError("tokenizer", folder.folder.string() + ": the \"" + key +
                                         "\" that is put around every text is not in the vocabulary");
    to.push_back(*id);
  };
  add(folder.add_bos.value_or(adds_bos), "bos_token", special.bos, parts.before);
  add(folder.add_eos.value_or(false), "eos_token", special.eos, parts.behind);
}

BpeTokenizer::Properties properties_of(const LanguageFolder& folder, SpecialTokens special,
                                       const std::filesystem::path& source) {
  return {std::move(special), folder.chat_templates, source.string()};
}

}  // namespace

std::shared_ptr<const LanguageTokenizer> load_bpe_json(const LanguageFolder& folder) {
  const auto path = folder.folder / "tokenizer.json";
  return naming(path, [&]() -> std::shared_ptr<const LanguageTokenizer> {
    const auto source = path.string();
    auto [files, rest] = read_bpe_json(path);
    BpeParts parts;
    parts.files = std::move(files);
    const auto find = finder_in(parts.files.vocabulary);
    join_added_tokens(folder, find, parts.files.added);
    auto special = special_tokens_of(folder, find, parts.files.added);
    parts.model = BpeModel::read_options(rest["model"], source);
    parts.normalizer = TextNormalizer(rest.value("normalizer", json()), source);
    parts.pre_tokenizer = PreTokenizer(rest.value("pre_tokenizer", json()), source);
    if (const json decoder = rest.value("decoder", json()); !decoder.is_null())
      parts.decoder = TokenDecoder(decoder, source);
    // Each puts its tokens around those that are there.
    PostProcessorReader reader(parts, source);
    for_each_step(rest.value("post_processor", json()), "processors", source,
                  [&](const json& step) { reader.read(step); });
    if (folder.class_adds_ends()) put_ends(parts, folder, special, true);
    return std::make_shared<BpeTokenizer>(std::move(parts), properties_of(folder, std::move(special), path));
  });
}

std::shared_ptr<const LanguageTokenizer> load_vocabulary_and_merges(const LanguageFolder& folder) {
  const auto path = folder.folder / "vocab.json", merges_path = folder.folder / "merges.txt";
  const auto& name = folder.class_name;
  const bool is_qwen = name == "Qwen2Tokenizer";
  if (!is_qwen && !name.empty() && name != "GPT2Tokenizer" && name != "CodeGenTokenizer")
    throw ConfigError("tokenizer",
                      folder.folder.string() + ": how a " + in_quotes(name) +
                          " cuts words is not known without its tokenizer.json; known are GPT2Tokenizer, "
                          "CodeGenTokenizer and Qwen2Tokenizer");
  return naming(merges_path, [&]() -> std::shared_ptr<const LanguageTokenizer> {
    BpeParts parts;
    parts.files = read_vocabulary_and_merges(path, merges_path);
    const auto find = finder_in(parts.files.vocabulary);
    join_added_tokens(folder, find, parts.files.added);
    auto special = special_tokens_of(folder, find, parts.files.added);
    const WordSplit& split = *find_word_split(is_qwen ? "qwen2" : "gpt-2");
    if (split.nfc) parts.normalizer = TextNormalizer::nfc();
    const bool adds_space = folder.config.value("add_prefix_space", json()) == true;
    parts.pre_tokenizer =
        is_qwen ? PreTokenizer(split.patterns, path.string())
                : PreTokenizer(json{{"type", "ByteLevel"}, {"add_prefix_space", adds_space}}, path.string());
    parts.decoder = TokenDecoder::byte_level();
    put_ends(parts, folder, special, false);
    return std::make_shared<BpeTokenizer>(std::move(parts), properties_of(folder, std::move(special), path));
  });
}

std::shared_ptr<const LanguageTokenizer> bpe_from(LanguageVocabulary vocabulary) {
  const auto& source = vocabulary.source;
  const auto* split = find_word_split(vocabulary.split);
  if (!split)
    throw ConfigError("tokenizer",
                      source + ": how words are cut by " + in_quotes(vocabulary.split) + " is not known");
  BpeParts parts;
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    auto& token = vocabulary.tokens[i];
    const auto id = static_cast<std::int32_t>(i);
    const auto kind = piece_kind(static_cast<std::uint64_t>(token.kind), token.text, source);
    if (kind == PieceKind::control || kind == PieceKind::user_defined) {
      AddedToken added{token.text, id, false};
      added.special = kind == PieceKind::control;
      parts.files.added.push_back(std::move(added));
    }
    if (!parts.files.vocabulary.emplace(token.text, id).second)
      malformed(source, "the token " + in_quotes(token.text) + " is there twice");
  }
  MergeList merges(source, parts.files.vocabulary);
  for (std::size_t i = 0; i < vocabulary.merges.size(); ++i)
    merges.add(vocabulary.merges[i], " merge " + std::to_string(i + 1));
  parts.files.merges = merges.take();
  parts.model.ignore_merges = split->ignore_merges;
  if (split->nfc) parts.normalizer = TextNormalizer::nfc();
  parts.pre_tokenizer = PreTokenizer(split->patterns, source);
  parts.decoder = TokenDecoder::byte_level();
  const auto& special = vocabulary.special;
  if (vocabulary.add_bos.value_or(split->add_bos) && special.bos) parts.before = {*special.bos};
  if (vocabulary.add_eos.value_or(false) && special.eos) parts.behind = {*special.eos};
  return std::make_shared<BpeTokenizer>(
      std::move(parts),
      BpeTokenizer::Properties{special, std::move(vocabulary.chat_templates), vocabulary.source});
}

}  // namespace daguerre::text
