#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "conformance/pipeline_inputs.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/load_component.hpp"

/// Pictures that recorded runs are prompted with.
namespace daguerre::conformance {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

/// A recorded picture, [H, W, 3] from 0 to 255.
Image recorded_image(const Recorded& run, const std::string& name) {
  const auto values = run.file().read<float>(name);
  Image image(values.dim(1), values.dim(0), values.dim(2));
  std::ranges::transform(values.span(), image.pixels().begin(),
                         [](float value) { return static_cast<std::uint8_t>(value); });
  return image;
}

/// A scale, or diffusers' description of it: {"down": {"block_0": [0.5, 0.1]}, "up": 0.3, "mid": 1.0}.
void set_scale(const Json& scale, ImagePrompt& prompt) {
  if (scale.is_number()) {
    prompt.scale = scale.get<float>();
    return;
  }
  for (const auto& [side, blocks] : scale.items()) {
    const auto module = side == "mid" ? std::string("mid_block") : side + "_blocks";
    const auto set = [&](const std::string& name, const Json& value) {
      if (value.is_number()) prompt.block_scales[name] = value.get<float>();
      for (std::size_t i = 0; value.is_array() && i < value.size(); ++i)
        prompt.block_scales[name + ".attentions." + std::to_string(i)] = value.at(i).get<float>();
    };
    if (!blocks.is_object()) {
      set(module, blocks);
      continue;
    }
    for (const auto& [block, value] : blocks.items())
      set(module + block.substr(block.find('_')).replace(0, 1, "."), value);
  }
}

}  // namespace

std::vector<ImagePrompt> image_prompts(const fs::path& folder, const Config& config, const Recorded& run,
                                       const ops::Context& context) {
  const auto arguments = Json::parse(config.json("args").value());
  if (!arguments.contains("ip_adapter")) return {};
  const LoadContext load{.compute = context};
  const auto encoder = load_image_encoder(folder / "image_encoder", load);
  const auto files = arguments.at("ip_adapter").get<std::vector<std::string>>();
  const auto& images = arguments.at("ip_adapter_image");
  const auto& scale = arguments.at("ip_adapter_scale");
  std::vector<ImagePrompt> result;
  for (std::size_t i = 0; i < files.size(); ++i) {
    ImagePrompt prompt{.adapter = load_ip_adapter(folder / (files[i] + ".safetensors"), encoder, load)};
    const auto& own = images.is_array() ? images.at(i) : images;
    for (const auto& name : own.is_array() ? own.get<std::vector<std::string>>()
                                           : std::vector<std::string>{own.get<std::string>()})
      prompt.images.push_back(recorded_image(run, name));
    set_scale(scale.is_array() ? scale.at(i) : scale, prompt);
    result.push_back(std::move(prompt));
  }
  return result;
}

}  // namespace daguerre::conformance
