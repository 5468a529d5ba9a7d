#include "pipeline/cascade_requests.hpp"

#include <algorithm>

#include "pipeline/cascade_name.hpp"

namespace daguerre {

Request first_request(const Request& first, const StageOptions& over, const StageOptions& own) {
  Request result = first;
  const auto settle = [&](auto& target, auto member) {
    if (over.*member)
      target = *(over.*member);
    else if (!target && own.*member)
      target = *(own.*member);
  };
  settle(result.sampling.steps, &StageOptions::steps);
  settle(result.sampling.sampler, &StageOptions::sampler);
  settle(result.sampling.eta, &StageOptions::eta);
  settle(result.guidance.scale, &StageOptions::guidance_scale);
  settle(result.negative_prompt, &StageOptions::negative_prompt);
  settle(result.input.noise_level, &StageOptions::noise_level);
  const bool has_picture = !first.input.image.empty();
  if (has_picture || over.strength) settle(result.input.strength, &StageOptions::strength);
  if (over.prompt || first.prompt.empty())
    result.prompt = over.prompt ? *over.prompt : own.prompt.value_or("");
  if (const auto offset = over.seed_offset ? over.seed_offset : own.seed_offset)
    result.sampling.seed = result.sampling.seed.value_or(0) + *offset;
  return result;
}

void settle_first_size(const StageSource& stage, const StageOptions& over, const StageOptions& own,
                       Request& request) {
  const bool says = request.size.width || request.size.height || !request.sampling.noise.empty() ||
                    !request.input.latents.empty();
  const bool overridden = over.width || over.height || over.scale;
  if (says && !overridden) return;
  const auto options = overridden ? over : own;
  const auto& image = request.input.image;
  if (image.empty() && options.scale)
    throw ArgumentError(cascade_name, "a scale is given, and no picture comes in");
  if (image.empty()) {
    request.size = {.width = options.width, .height = options.height};
  } else if (const auto size = wanted_size(stage, options, size_of_image(image))) {
    request.size = {.width = (*size)[1], .height = (*size)[0]};
  }
}

Request later_request(const StageSource& stage, const PipelineInfo& info, const StageOptions& options,
                      const Request& first, const Image& picture, std::uint64_t seed,
                      std::size_t number_of_picture) {
  Request result;
  if (info.takes_prompt) {
    result.prompt = options.prompt.value_or(first.prompt);
    result.negative_prompt = options.negative_prompt ? options.negative_prompt : first.negative_prompt;
    result.prompt_syntax = first.prompt_syntax;
    result.emphasis = first.emphasis;
  } else {
    result.prompt = options.prompt.value_or("");
    result.negative_prompt = options.negative_prompt;
  }
  result.sampling.steps = options.steps;
  result.sampling.sampler = options.sampler;
  result.sampling.eta = options.eta;
  result.sampling.generator = first.sampling.generator;
  result.sampling.seed = seed + options.seed_offset.value_or(0);
  result.sampling.variation_strength = first.sampling.variation_strength;
  if (first.sampling.variation_seed || first.sampling.variation_strength.value_or(0.0) > 0.0)
    result.sampling.variation_seed = first.sampling.variation_seed.value_or(0) + number_of_picture;
  result.guidance.scale = options.guidance_scale;
  result.input.image = picture;
  result.input.strength = options.strength;
  result.input.noise_level = options.noise_level;
  result.output.count = 1;
  result.output.latents = false;
  result.stop = first.stop;
  result.profile = first.profile;
  if (const auto size = wanted_size(stage, options, size_of_image(picture)))
    result.size = {.width = (*size)[1], .height = (*size)[0]};
  return result;
}

void add_stage_parameters(std::size_t stage, const StageOptions& options,
                          std::vector<std::pair<std::string, std::string>> own, Infotext& text) {
  std::vector<std::pair<std::string, std::string>> added;
  const auto add = [&](const std::string& key, std::string value) {
    added.emplace_back("Stage " + std::to_string(stage + 1) + " " + key, std::move(value));
  };
  if (options.prompt) add("Prompt", *options.prompt);
  if (options.negative_prompt) add("Negative prompt", *options.negative_prompt);
  if (const auto offset = options.seed_offset.value_or(0); offset > 0)
    add("Seed offset", std::to_string(offset));
  for (auto& [key, value] : own)
    if (key != "Seed" && key != "RNG" && key != "Version" && !key.starts_with("Variation"))
      add(key, std::move(value));
  auto& all = text.parameters;
  const auto version =
      std::find_if(all.begin(), all.end(), [](const auto& entry) { return entry.first == "Version"; });
  all.insert(version, added.begin(), added.end());
}

}  // namespace daguerre
