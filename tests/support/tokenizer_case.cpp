#include "support/tokenizer_case.hpp"

#include <cstdint>
#include <fstream>
#include <functional>

#include <nlohmann/json.hpp>

#include "daguerre/text/clip_tokenizer.hpp"

namespace daguerre::test {

std::vector<TokenizerField> run_tokenizer_case(const std::filesystem::path& folder) {
  using text::ClipDialect;
  using text::ClipTokenizer;
  using Ids = std::vector<std::int32_t>;
  const auto openai = ClipTokenizer::load(folder, ClipDialect::openai);
  const auto huggingface = ClipTokenizer::load(folder, ClipDialect::huggingface);
  const auto padded_eos = openai.with_pad(openai.end_id()), padded_zero = openai.with_pad(0);

  struct Method {
    const char* field;
    std::function<Ids(const std::string&)> run;
  };
  const std::vector<Method> methods{
      {"ids", [&](const std::string& text) { return openai.encode(text); }},
      {"hf_ids", [&](const std::string& text) { return huggingface.encode(text); }},
      {"padded77_eos", [&](const std::string& text) { return padded_eos.window(text).ids; }},
      {"padded77_zero", [&](const std::string& text) { return padded_zero.window(text).ids; }}};

  std::ifstream file(folder / "cases.json");
  const auto cases = nlohmann::json::parse(file);
  std::vector<TokenizerField> fields;
  for (const auto& method : methods) {
    TokenizerField field;
    field.name = method.field;
    for (const auto& item : cases) {
      if (!item.contains(method.field)) continue;
      const auto text = item.at("text").get<std::string>();
      const auto expected = item.at(method.field).get<Ids>(), found = method.run(text);
      if (found == expected) {
        ++field.passed;
      } else if (field.failed++ == 0) {
        field.first_failure = item.at("text").dump() + " gave " + nlohmann::json(found).dump() +
                              ", expected " + nlohmann::json(expected).dump();
      }
    }
    if (field.passed + field.failed > 0) fields.push_back(field);
  }
  return fields;
}

}  // namespace daguerre::test
