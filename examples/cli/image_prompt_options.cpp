#include <charconv>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "order.hpp"

namespace daguerre::cli {
namespace {

/// "b1,b2,s1,s2"
models::FreeU free_u_called(const std::string& text) {
  std::vector<float> values;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    float value = 0.0f;
    const auto read = std::from_chars(at, end, value);
    if (read.ec != std::errc()) break;
    values.push_back(value);
    at = read.ptr;
    if (at == end || *at != ',') break;
    ++at;
  }
  if (at != end || values.size() != 4 || text.ends_with(','))
    throw CLI::ValidationError("--freeu", "\"" + text + "\" is not b1,b2,s1,s2, four numbers with commas");
  return {values[0], values[1], values[2], values[3]};
}

/// "FILE:SCALE", or a file alone: what follows the last colon counts where it is a number.
std::pair<std::string, float> file_and_scale(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return {text, 1.0f};
  float scale = 0.0f;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, scale);
  if (read.ec != std::errc() || read.ptr != end) return {text, 1.0f};
  return {text.substr(0, colon), scale};
}

}  // namespace

void add_image_prompt_options(CLI::App& app, Order& order) {
  auto* adapter = app.add_option("--ip-adapter", order.ip_adapters,
                                 "IP-Adapter that shows the model --image-prompt, and how strongly (1)")
                      ->type_name("FILE[:SCALE]")
                      ->group(groups::how);
  auto* encoder =
      app.add_option("--image-encoder", order.image_encoder, "CLIP's image encoder for it, a folder")
          ->type_name("PATH")
          ->needs(adapter)
          ->group(groups::how);
  auto* prompt = app.add_option("--image-prompt", order.image_prompts,
                                "Picture to show; with several adapters one for each, or one for all")
                     ->type_name("FILE")
                     ->needs(adapter)
                     ->group(groups::how);
  adapter->needs(encoder)->needs(prompt);
  app.add_option_function<std::string>(
         "--freeu", [&order](const std::string& text) { order.request.free_u = free_u_called(text); },
         "FreeU's factors; 1,1,1,1 changes nothing")
      ->type_name("B1,B2,S1,S2")
      ->group(groups::how);
  app.add_option_function<std::string>(
         "--tiling",
         [&order](const std::string& axes) {
           order.request.tiling = {axes.find('x') != axes.npos, axes.find('y') != axes.npos};
         },
         "Pictures that repeat without a seam along these axes")
      ->check(CLI::IsMember({"x", "y", "xy"}))
      ->type_name("AXES")
      ->group(groups::how);
}

void load_image_prompts(Order& order, const Pipeline& pipeline) {
  if (order.ip_adapters.empty()) return;
  const auto encoder = pipeline.load_image_encoder(order.image_encoder);
  std::vector<Image> images;
  for (const auto& file : order.image_prompts) images.push_back(Image::load(file));
  const std::size_t adapters = order.ip_adapters.size();
  if (adapters > 1 && images.size() != 1 && images.size() != adapters)
    throw ArgumentError("--image-prompt", std::to_string(images.size()) + " pictures for " +
                                              std::to_string(adapters) +
                                              " adapters, expected one, or one for each");
  for (std::size_t i = 0; i < adapters; ++i) {
    const auto [file, scale] = file_and_scale(order.ip_adapters[i]);
    ImagePrompt prompt;
    prompt.adapter = pipeline.load_ip_adapter(file, encoder);
    prompt.scale = scale;
    prompt.images = adapters == 1 ? images : images.size() == 1 ? images : std::vector<Image>{images[i]};
    order.request.image_prompts.push_back(std::move(prompt));
  }
}

}  // namespace daguerre::cli
