#include "text/word_splits.hpp"

#include <algorithm>
#include <iterator>

#include "text/text_steps.hpp"

namespace daguerre::text {
namespace {

// The patterns are those of the models' own tokenizer.json.
constexpr std::string_view one_digit = R"(\p{N})", up_to_three_digits = R"(\p{N}{1,3})",
                           han_and_kana = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view qwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view qwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view llama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view gpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view tekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view deepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view bloom = " ?[^(\\s|.,!?…。，、।۔،)]+";

struct NamedSplit {
  std::string_view names;  // with a space before and behind each
  WordSplit split;
};

const std::vector<NamedSplit>& named_splits() {
  static const std::vector<NamedSplit> splits{
      {" gpt-2 phi-2 mpt jais exaone4 gigachat mellum a.x-4.0 jina-es jina-de jina-v2-es jina-v2-de ",
       {{gpt2_pattern}}},
      {" olmo ", {{gpt2_pattern}, true}},
      {" smollm starcoder refact command-r codeshell exaone minerva-7b ", {{one_digit, gpt2_pattern}}},
      {" qwen2 deepseek-r1-qwen ", {{qwen2}, true}},
      {" qwen35 ", {{qwen35}, true}},
      {" stablelm2 hunyuan megrez ", {{qwen2}}},
      {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 ", {{llama3}, false, true, true}},
      {" dbrx smaug-bpe glm4 chatglm-bpe ", {{llama3}}},
      {" gpt-4o llama4 ", {{gpt4o}}},
      {" tekken ", {{tekken}, false, true, true}},
      {" deepseek-v3 hunyuan-dense ", {{up_to_three_digits, han_and_kana, deepseek3}}},
      {" deepseek-coder ", {{"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", one_digit}}},
      {" falcon ", {{"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2_pattern, "[0-9][0-9][0-9]"}}},
      {" bloom poro-chat gpt3-finnish ", {{bloom}}},
      {" viking ", {{bloom, one_digit}}},
      {" default ", {{"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2_pattern, "\\p{N}+", "[0-9][0-9][0-9]"}}},
  };
  return splits;
}

}  // namespace

const WordSplit* find_word_split(std::string_view name) {
  if (name.empty()) name = "default";
  const auto& splits = named_splits();
  const auto found = std::find_if(splits.begin(), splits.end(), [&](const NamedSplit& split) {
    return split.names.find(' ' + std::string(name) + ' ') != std::string_view::npos;
  });
  return found == splits.end() || name.find(' ') != std::string_view::npos ? nullptr : &found->split;
}

}  // namespace daguerre::text
