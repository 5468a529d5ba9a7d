#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <CLI/CLI.hpp>

#include "order.hpp"

namespace daguerre::cli {
namespace {

std::optional<float> as_weight(std::string_view text) {
  float weight = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), weight);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(weight))
    return std::nullopt;
  return weight;
}

/// Cuts ":NUMBER" off the end of `text`, where that is there and something before it.
std::optional<float> take_weight(std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return std::nullopt;
  const auto weight = as_weight(std::string_view(text).substr(colon + 1));
  if (weight) text.resize(colon);
  return weight;
}

bool is_file(const std::string& name) {
  std::error_code error;
  return std::filesystem::is_regular_file(name, error);
}

/// FILE[:WEIGHT[:TEXT_WEIGHT]]; colons of a file that is there are the file's.
struct LoraArgument {
  explicit LoraArgument(const std::string& text) : file(text) {
    if (is_file(text)) return;
    const auto last = take_weight(file);
    if (!last) return;
    weight = *last;
    if (is_file(file)) return;
    if (const auto first = take_weight(file)) {
      weight = *first;
      text_encoder_weight = last;
    }
  }
  std::string file;
  float weight = 1;
  std::optional<float> text_encoder_weight;
};

}  // namespace

void add_lora_options(CLI::App& app, Order& order) {
  app.add_option(
         "--lora", order.loras,
         "A LoRA or one of its kin (LoCon, LoHa, LoKr, DoRA ...), with its weight, by default 1, and, "
         "after another colon, that of the text encoders; or a name in --lora-dir. May be given again "
         "and again")
      ->check(file_name())
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("FILE[:WEIGHT[:TEXT_WEIGHT]]")
      ->group(groups::how);
  app.add_option("--lora-dir", order.lora_dir, "Where LoRAs lie that are given by name")
      ->check(file_name())
      ->type_name("DIR")
      ->group(groups::how);
  app.add_option("--lora-mode", order.lora_mode,
                 "at-load: merged into the weights while they are read, costs nothing later; per-run: beside "
                 "the weights, as programs do that change them from picture to picture")
      ->check(CLI::IsMember({"at-load", "per-run"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::how);
  app.add_flag("--lora-partial", order.lora_partial,
               "Pass over keys of a LoRA that fit nothing in the model; otherwise they are an error")
      ->group(groups::how);
}

void settle_loras(Order& order) {
  const LoraOptions options{.partial = order.lora_partial, .block_weights = {}};
  if (!order.lora_dir.empty()) {
    order.load.lora_dir = order.lora_dir;
    order.load.find_lora = LoraFolder(order.lora_dir, options);
  }
  auto& uses = order.lora_mode == "per-run" ? order.request.loras : order.load.loras;
  for (const auto& text : order.loras) {
    const LoraArgument argument(text);
    const bool by_name = order.load.find_lora && !is_file(argument.file);
    uses.push_back(
        {.lora = by_name ? order.load.find_lora(argument.file) : Lora::load(argument.file, options),
         .weight = argument.weight,
         .text_encoder_weight = argument.text_encoder_weight});
  }
}

}  // namespace daguerre::cli
