#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "daguerre/text/streaming_decoder.hpp"
#include "text/bpe_files.hpp"
#include "text/sentencepiece_tokenizer.hpp"

/// Tokenizers of language models: cases.json, decode.json and, of some, streaming.json beside a vocabulary.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Ids = std::vector<std::int32_t>;
using Tokenizer = std::shared_ptr<const text::LanguageTokenizer>;

Json json_of(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// Counts rows whose result is another one.
class RowCheck {
 public:
  explicit RowCheck(std::string name) : name_(std::move(name)) {}
  void expect(const Json& row, const Json& found, const Json& expected) {
    if (found == expected) return;
    if (failed_++ == 0)
      first_ = row.dump(-1, ' ', true).substr(0, 200) + " gave " + found.dump(-1, ' ', true).substr(0, 300) +
               ", expected " + expected.dump(-1, ' ', true).substr(0, 300);
  }
  Check take() const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {failed_ == 0 ? name_ : name_ + ": " + first_,
            {static_cast<double>(failed_), failed_ == 0 ? 0.0 : infinity},
            0.0};
  }

 private:
  std::string name_, first_;
  int failed_ = 0;
};

/// A recorded value, which is left out where it is another one's.
Json value_or(const Json& row, const std::string& key, const Json& fallback) {
  return row.contains(key) ? row[key] : fallback;
}

/// The names that fields have for one reader of the files; "": there is no such field.
struct Fields {
  std::string ids, ids_special, decoded, decoded_skip;
  bool skipping_in_cases = true;  ///< else decode.json alone has `decoded_skip`
};

/// Text row by row to ids and back.
void check_texts(const std::string& label, const Tokenizer& tokenizer, const fs::path& folder,
                 const Fields& fields, const text::EncodeOptions& plain, Result& result) {
  RowCheck ids(label + fields.ids), special(label + "ids_special"), decoded(label + fields.decoded),
      skipping(label + fields.decoded_skip), decode_only(label + "decode.json");
  for (const auto& row : json_of(folder / "cases.json")) {
    const auto text = row.at("text").get<std::string>();
    const Json expected = value_or(row, fields.ids, row.at("ids"));
    ids.expect(row["text"], tokenizer->encode(text, plain), expected);
    if (!fields.ids_special.empty())
      special.expect(row["text"], tokenizer->encode(text), value_or(row, fields.ids_special, expected));
    const Json back = value_or(row, fields.decoded, row["text"]);
    decoded.expect(expected, tokenizer->decode(expected.get<Ids>()), back);
    if (fields.skipping_in_cases)
      skipping.expect(expected, tokenizer->decode(expected.get<Ids>(), true),
                      value_or(row, fields.decoded_skip, back));
  }
  for (const auto& row : json_of(folder / "decode.json")) {
    decode_only.expect(row["ids"], tokenizer->decode(row["ids"].get<Ids>()), row.at(fields.decoded));
    if (!fields.decoded_skip.empty())
      decode_only.expect(row["ids"], tokenizer->decode(row["ids"].get<Ids>(), true),
                         row.at(fields.decoded_skip));
  }
  result.checks.push_back(ids.take());
  if (!fields.ids_special.empty()) result.checks.push_back(special.take());
  result.checks.push_back(decoded.take());
  if (fields.skipping_in_cases) result.checks.push_back(skipping.take());
  result.checks.push_back(decode_only.take());
}

void check_streaming(const Tokenizer& tokenizer, const fs::path& file, Result& result) {
  if (!fs::exists(file)) return;
  RowCheck prefixes("prefixes"), words("text_streamer_chunks"), characters("streamed characters");
  for (const auto& row : json_of(file)) {
    const auto ids = row.at("ids").get<Ids>();
    const auto decoder = tokenizer->decoder(true);
    text::StreamingDecoder by_words(tokenizer, text::StreamingUnit::words), by_characters(tokenizer);
    Json grown = Json::array(), chunks = Json::array();
    std::string joined;
    for (const auto id : ids) {
      decoder->push(id);
      grown.push_back(decoder->settled() + decoder->unsettled());
      chunks.push_back(by_words.push(id));
      joined += by_characters.push(id);
    }
    // The last chunk is what is printed at the end, if anything was left.
    chunks.push_back(by_words.finish());
    prefixes.expect(row["text"], grown, row.at("prefixes"));
    if (row.contains("text_streamer_chunks")) words.expect(row["text"], chunks, row["text_streamer_chunks"]);
    characters.expect(row["text"], joined + by_characters.finish(), tokenizer->decode(ids, true));
  }
  for (const auto& check : {prefixes, words, characters}) result.checks.push_back(check.take());
}

/// The vocabulary of a tokenizer.json as a GGUF file has it.
text::LanguageVocabulary as_gguf(const fs::path& folder, const Tokenizer& tokenizer) {
  const auto json = json_of(folder / "tokenizer.json");
  text::LanguageVocabulary vocabulary;
  vocabulary.source = "gguf";
  vocabulary.model = "gpt2";
  for (Index id = 0; id < tokenizer->vocabulary_size(); ++id)
    vocabulary.tokens.push_back({tokenizer->token_of(static_cast<std::int32_t>(id)).value()});
  for (const auto& token : json["added_tokens"])
    vocabulary.tokens[token["id"].get<std::size_t>()].kind = token["special"].get<bool>() ? 3 : 4;
  for (const auto& merge : json["model"]["merges"])
    vocabulary.merges.push_back(merge.is_string()
                                    ? merge.get<std::string>()
                                    : merge[0].get<std::string>() + ' ' + merge[1].get<std::string>());
  vocabulary.special = tokenizer->special_tokens();
  return vocabulary;
}

Result run_byte_level(const fs::path& folder, const std::string& name) {
  Result result;
  const text::EncodeOptions plain{.add_special_tokens = false};
  const Fields fields{"ids", "ids_special", "decoded", "decoded_skip_special", true};
  const auto tokenizer = text::load_language_tokenizer(folder);
  check_texts("", tokenizer, folder, fields, plain, result);
  check_streaming(tokenizer, folder / "streaming.json", result);
  const bool has_digits = name.find("smollm") != std::string::npos;
  // The words of vocab.json and merges.txt are those of the class, which has no digits apart.
  if (fs::exists(folder / "merges.txt") && !has_digits)
    check_texts("vocab.json: ", text::load_vocabulary_and_merges(text::read_language_folder(folder)), folder,
                fields, plain, result);
  auto vocabulary = as_gguf(folder, tokenizer);
  vocabulary.split = name.find("gpt2") != std::string::npos     ? "gpt-2"
                     : has_digits                               ? "smollm"
                     : name.find("llama3") != std::string::npos ? "llama-bpe"
                                                                : "qwen2";
  check_texts("gguf: ", text::language_tokenizer_from(std::move(vocabulary)), folder, fields, plain, result);
  return result;
}

Result run_sentencepiece(const fs::path& folder) {
  Result result;
  const auto own = text::load_sentencepiece_bpe(text::read_language_folder(folder));
  // sentencepiece finds no control token in texts, and has no text for them.
  check_texts("", own, folder, {"ids", "", "decoded", "", false},
              {.add_special_tokens = false, .parse_special_tokens = false}, result);
  const text::EncodeOptions plain{.add_special_tokens = false};
  check_texts("", text::load_language_tokenizer(folder), folder,
              {"hf_ids", "", "hf_decoded", "hf_decoded_skip_special", false}, plain, result);
  RowCheck both("special tokens in text");
  for (const auto& row : json_of(folder / "cases.json"))
    both.expect(row["text"], own->encode(row["text"].get<std::string>(), plain),
                value_or(row, "hf_ids", row["ids"]));
  result.checks.push_back(both.take());
  return result;
}

}  // namespace

bool is_language_tokenizer_case(const fs::path& folder) {
  return fs::exists(folder / "cases.json") && fs::exists(folder / "decode.json") &&
         text::has_language_tokenizer(folder);
}

Result run_language_tokenizer(const fs::path& folder) {
  return fs::exists(folder / "tokenizer.model") ? run_sentencepiece(folder)
                                                : run_byte_level(folder, folder.filename().string());
}

}  // namespace daguerre::conformance
