#include "pipeline/lora_tags.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "daguerre/core/error.hpp"
#include "daguerre/text/compel.hpp"
#include "daguerre/text/extra_networks.hpp"

namespace daguerre {
namespace {

/// What a prompt names; tags that are no words are taken out of it.
std::vector<LoraMention> take_named(std::string& prompt, PromptSyntax syntax) {
  std::vector<LoraMention> result;
  if (syntax == PromptSyntax::compel) {
    for (const auto& [name, weight] : text::parse_compel(prompt).loras)
      result.push_back({.name = name, .weight = static_cast<float>(weight)});
    return result;
  }
  auto tagged = text::take_extra_networks(prompt);
  for (const auto& network : tagged.networks) {
    if (network.kind != "lora" && network.kind != "lyco")
      throw ArgumentError("prompt",
                          "<" + network.kind + ":...> names no LoRA, and other networks are not offered");
    const auto tag = text::lora_tag(network);
    if (tag.dimension)
      throw ArgumentError("prompt", "<lora:" + tag.name + ":...> asks for a rank, which cannot be chosen");
    result.push_back({.name = tag.name,
                      .weight = static_cast<float>(tag.denoiser),
                      .text_encoder_weight = static_cast<float>(tag.text_encoder)});
  }
  prompt = std::move(tagged.prompt);
  return result;
}

/// Reading a prompt language may take time by the square of the text.
void check_prompt_lengths(const Request& request) {
  constexpr std::size_t most = std::size_t{128} << 10;
  const auto check = [](const std::string& text) {
    if (text.size() > most)
      throw ArgumentError("prompt", "it has " + std::to_string(text.size()) +
                                        " bytes; in a prompt language " + std::to_string(most) +
                                        " are the most");
  };
  check(request.prompt);
  for (const auto* text : {&request.prompt_2, &request.prompt_3, &request.negative_prompt,
                           &request.negative_prompt_2, &request.negative_prompt_3})
    if (*text) check(**text);
}

}  // namespace

Request with_named_loras(const Request& request, const FindLora& find) {
  const auto syntax = request.prompt_syntax;
  if (syntax != PromptSyntax::plain) check_prompt_lengths(request);
  auto result = request;
  if (syntax != PromptSyntax::a1111 && syntax != PromptSyntax::compel) return result;
  if (syntax == PromptSyntax::compel)
    for (const auto* prompt :
         {&request.negative_prompt, &request.negative_prompt_2, &request.negative_prompt_3})
      if (*prompt && !text::parse_compel(**prompt).loras.empty())
        throw ArgumentError("prompt",
                            "withLora() is in a negative prompt: a LoRA changes the model for all prompts, "
                            "name it in the prompt");
  auto named = take_named(result.prompt, syntax);
  for (auto* prompt : {&result.prompt_2, &result.prompt_3}) {
    if (!*prompt) continue;
    // Prompts for several encoders are often the same text: what another one says counts once.
    const auto others = named;
    for (auto& mention : take_named(**prompt, syntax))
      if (std::find(others.begin(), others.end(), mention) == others.end())
        named.push_back(std::move(mention));
  }
  for (const auto& mention : named)
    result.loras.push_back({.lora = find(mention.name),
                            .weight = mention.weight,
                            .text_encoder_weight = mention.text_encoder_weight});
  return result;
}

}  // namespace daguerre
