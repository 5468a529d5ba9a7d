#include "pipeline/lora_tags.hpp"

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

}  // namespace

Request with_named_loras(const Request& request, const FindLora& find) {
  auto result = request;
  const auto syntax = request.prompt_syntax;
  if (syntax != PromptSyntax::a1111 && syntax != PromptSyntax::compel) return result;
  add_named(result.prompt, syntax, find, result.loras);
  for (auto* prompt : {&result.prompt_2, &result.prompt_3})
    if (*prompt) add_named(**prompt, syntax, find, result.loras);
  return result;
}

}  // namespace daguerre
