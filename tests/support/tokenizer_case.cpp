#include "support/tokenizer_case.hpp"

#include <cstdint>
#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "daguerre/text/clip_tokenizer.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "daguerre/text/unicode.hpp"
#include "text/clean_prompt.hpp"

namespace daguerre::test {
namespace {

using Ids = std::vector<std::int32_t>;

struct Method {
  const char* text;   ///< the field that is encoded
  const char* field;  ///< what that must give
  std::function<Ids(const std::string&)> run;
  std::function<bool(const std::string&)> leaves_out = [](const std::string&) { return false; };
};

std::vector<Method> clip_methods(const std::filesystem::path& folder) {
  using text::ClipDialect;
  using text::ClipTokenizer;
  const auto openai = ClipTokenizer::load(folder, ClipDialect::openai);
  const auto huggingface = ClipTokenizer::load(folder, ClipDialect::huggingface);
  const auto padded_eos = openai.with_pad(openai.end_id()), padded_zero = openai.with_pad(0);
  return {{"text", "ids", [=](const std::string& text) { return openai.encode(text); }},
          {"text", "hf_ids", [=](const std::string& text) { return huggingface.encode(text); }},
          {"text", "padded77_eos", [=](const std::string& text) { return padded_eos.window(text).ids; }},
          {"text", "padded77_zero", [=](const std::string& text) { return padded_zero.window(text).ids; }}};
}

/// Several combining marks on one letter: Hugging Face's library replaces characters cluster by cluster, of
/// which it takes short ones for what they begin with; here they are as sentencepiece has them.
bool has_stacked_marks(const std::string& text) {
  int marks = 0;
  for (const auto& character : text::decode_utf8(text)) {
    marks = character.code >= 0x300 && character.code < 0x370 ? marks + 1 : 0;
    if (marks > 1) return true;
  }
  return false;
}

std::vector<Method> t5_methods(const std::filesystem::path& folder) {
  using text::T5Dialect;
  using text::T5Tokenizer;
  const auto with_end = [](const T5Tokenizer& tokenizer) {
    return [=](const std::string& text) {
      auto ids = tokenizer.encode(text);
      ids.push_back(tokenizer.end_id());
      return ids;
    };
  };
  const auto own = with_end(T5Tokenizer::load(folder, T5Dialect::sentencepiece));
  return {{"text", "ids", own},
          {"cleaned", "cleaned_ids", own},
          {"text", "cleaned_ids", [=](const std::string& text) { return own(text::clean_prompt(text)); }},
          {"text", "hf_ids", with_end(T5Tokenizer::load(folder, T5Dialect::huggingface)), has_stacked_marks}};
}

}  // namespace

bool is_tokenizer_case(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / "vocab.json") || std::filesystem::exists(folder / "spiece.model");
}

std::vector<TokenizerField> run_tokenizer_case(const std::filesystem::path& folder) {
  // A tokenizer.json alone may be of any kind.
  const bool is_clip = std::filesystem::exists(folder / "vocab.json") ||
                       !std::filesystem::exists(folder / "tokenizer_config.json");
  const auto methods = is_clip ? clip_methods(folder) : t5_methods(folder);
  std::ifstream file(folder / "cases.json");
  const auto cases = nlohmann::json::parse(file);
  std::vector<TokenizerField> fields;
  for (const auto& method : methods) {
    TokenizerField field;
    field.name = method.field;
    for (const auto& item : cases) {
      if (!item.contains(method.field)) continue;
      const auto text = item.at(method.text).get<std::string>();
      if (method.leaves_out(text)) continue;
      const auto expected = item.at(method.field).get<Ids>(), found = method.run(text);
      if (found == expected) {
        ++field.passed;
      } else if (field.failed++ == 0) {
        field.first_failure = item.at(method.text).dump() + " gave " + nlohmann::json(found).dump() +
                              ", expected " + nlohmann::json(expected).dump();
      }
    }
    if (field.passed + field.failed > 0) fields.push_back(field);
  }
  return fields;
}

}  // namespace daguerre::test
