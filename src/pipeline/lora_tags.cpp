#include "pipeline/lora_tags.hpp"

#include <cstddef>
#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/text/compel.hpp"
#include "daguerre/text/extra_networks.hpp"

namespace daguerre {
namespace {

void add_named(std::string& prompt, PromptSyntax syntax, const FindLora& find, std::vector<LoraUse>& loras) {
  if (syntax == PromptSyntax::compel) {
    for (const auto& [name, weight] : text::parse_compel(prompt).loras)
      loras.push_back({.lora = find(name), .weight = static_cast<float>(weight)});
    return;
  }
  auto tagged = text::take_extra_networks(prompt);
  for (const auto& network : tagged.networks) {
    if (network.kind != "lora" && network.kind != "lyco")
      throw ArgumentError("prompt",
                          "<" + network.kind + ":...> names no LoRA, and other networks are not offered");
    const auto tag = text::lora_tag(network);
    if (tag.dimension)
      throw ArgumentError("prompt", "<lora:" + tag.name + ":...> asks for a rank, which cannot be chosen");
    loras.push_back({.lora = find(tag.name),
                     .weight = static_cast<float>(tag.denoiser),
                     .text_encoder_weight = static_cast<float>(tag.text_encoder)});
  }
  prompt = std::move(tagged.prompt);
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
  add_named(result.prompt, syntax, find, result.loras);
  for (auto* prompt : {&result.prompt_2, &result.prompt_3})
    if (*prompt) add_named(**prompt, syntax, find, result.loras);
  return result;
}

}  // namespace daguerre
