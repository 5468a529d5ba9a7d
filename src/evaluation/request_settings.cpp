#include "evaluation/request_settings.hpp"

#include <string>

#include "core/paths.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "daguerre/weights/adapter_file.hpp"

namespace daguerre::evaluation {
namespace {

using nlohmann::json;

void refuse_unnamed(const Request& request) {
  const auto refuse = [](bool is_given, const char* what) {
    if (is_given)
      throw ArgumentError("job", std::string(what) + " cannot be named in a job's settings; take Pipeline");
  };
  const auto& input = request.input;
  refuse(!input.image.empty() || !input.original.empty() || !input.mask.empty(), "a picture to start from");
  refuse(!input.latents.empty() || !request.sampling.noise.empty(), "latents to start from");
  refuse(!request.controls.empty(), "a control");
  refuse(!request.image_prompts.empty(), "a picture as a prompt");
  refuse(request.guidance.guider != nullptr, "a guider");
  refuse(request.hires && request.hires->upscaler != nullptr, "an upscaler");
  refuse(request.film.frames != 0 || request.on_frame != nullptr, "a film");
  refuse(request.class_name.has_value(), "a class's name");
}

template <class T>
void put(json& to, const char* key, const std::optional<T>& value) {
  if (value) to[key] = *value;
}

json lora_settings(const std::vector<LoraUse>& loras) {
  json result = json::array();
  for (const auto& use : loras)
    result.push_back({{"name", use.lora->name()},
                      {"weight", use.weight},
                      {"text_encoder_weight", use.text_weight()},
                      {"partial", use.lora->accepts_partial()}});
  return result;
}

json sampling_settings(const Request& request) {
  json result = json::object();
  const auto& sampling = request.sampling;
  put(result, "steps", sampling.steps);
  if (!sampling.timesteps.empty()) result["timesteps"] = sampling.timesteps;
  put(result, "variation_strength", sampling.variation_strength);
  put(result, "variation_seed", sampling.variation_seed);
  put(result, "sampler", sampling.sampler);
  put(result, "eta", sampling.eta);
  put(result, "generator", sampling.generator);
  put(result, "denoising_start", sampling.denoising_start);
  put(result, "denoising_end", sampling.denoising_end);
  const auto& guidance = request.guidance;
  put(result, "guidance", guidance.scale);
  put(result, "guidance_rescale", guidance.rescale);
  put(result, "true_cfg_scale", guidance.true_cfg_scale);
  return result;
}

json larger_settings(const Request& request) {
  json result = json::object();
  if (const auto& hires = request.hires) {
    result["hires"] = {{"scale", hires->scale},
                       {"mode", static_cast<int>(hires->mode)},
                       {"strength", hires->strength},
                       {"upscaler", hires->upscaler_name}};
    put(result["hires"], "width", hires->width);
    put(result["hires"], "height", hires->height);
    put(result["hires"], "steps", hires->steps);
    put(result["hires"], "sampler", hires->sampler);
  }
  if (const auto& tiles = request.tiles)
    result["tiles"] = {{"size", tiles->size}, {"overlap", tiles->overlap}};
  const auto& vae = request.vae_tiling;
  if (vae.use != VaeTiling::Use::automatic || vae.blend != VaeTiling::Blend::seamless || vae.size != 0)
    result["vae_tiling"] = {
        {"use", static_cast<int>(vae.use)}, {"blend", static_cast<int>(vae.blend)}, {"size", vae.size}};
  return result;
}

json micro_settings(const MicroConditioning& micro) {
  json result = {{"crop_top_left", micro.crop_top_left},
                 {"aesthetic_score", micro.aesthetic_score},
                 {"negative_aesthetic_score", micro.negative_aesthetic_score}};
  put(result, "original_size", micro.original_size);
  put(result, "target_size", micro.target_size);
  put(result, "negative_original_size", micro.negative_original_size);
  put(result, "negative_crop_top_left", micro.negative_crop_top_left);
  put(result, "negative_target_size", micro.negative_target_size);
  return result;
}

}  // namespace

nlohmann::json request_settings(const Request& request) {
  refuse_unnamed(request);
  json result = sampling_settings(request);
  put(result, "width", request.size.width);
  put(result, "height", request.size.height);
  put(result, "negative_prompt", request.negative_prompt);
  put(result, "prompt_2", request.prompt_2);
  put(result, "negative_prompt_2", request.negative_prompt_2);
  put(result, "prompt_3", request.prompt_3);
  put(result, "negative_prompt_3", request.negative_prompt_3);
  if (request.prompt_syntax != PromptSyntax::plain)
    result["prompt_syntax"] = std::string(name_of(request.prompt_syntax));
  if (request.emphasis) result["emphasis"] = std::string(name_of(*request.emphasis));
  for (const auto& embedding : request.embeddings) result["embeddings"].push_back(embedding->name());
  put(result, "max_sequence_length", request.max_sequence_length);
  put(result, "clip_skip", request.clip_skip);
  if (!request.loras.empty()) result["loras"] = lora_settings(request.loras);
  if (request.micro != MicroConditioning()) result["micro"] = micro_settings(request.micro);
  if (const auto& free_u = request.free_u)
    result["free_u"] = {free_u->b1, free_u->b2, free_u->s1, free_u->s2};
  if (request.tiling.any()) result["tiling"] = {request.tiling.x, request.tiling.y};
  put(result, "noise_level", request.input.noise_level);
  result.update(larger_settings(request));
  return result;
}

std::vector<std::filesystem::path> request_files(const Request& request) {
  std::vector<std::filesystem::path> result;
  for (const auto& use : request.loras) result.emplace_back(use.lora->file().source());
  for (const auto& embedding : request.embeddings) result.emplace_back(embedding->source());
  std::erase_if(result, [](const auto& path) { return !path_exists(path); });  // made by the host
  return result;
}

}  // namespace daguerre::evaluation
