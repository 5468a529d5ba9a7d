#include <map>

#include "conformance/case.hpp"
#include "conformance/hunyuan_models.hpp"
#include "conformance/language_models.hpp"
#include "conformance/ltx_models.hpp"
#include "conformance/transformers.hpp"
#include "conformance/wan_models.hpp"
#include "daguerre/models/adapters/control_net.hpp"
#include "daguerre/models/adapters/t2i_adapter.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/autoencoder_tiny.hpp"
#include "daguerre/models/autoencoders/vq_model.hpp"
#include "daguerre/models/denoisers/dit.hpp"
#include "daguerre/models/denoisers/pixart_transformer.hpp"
#include "daguerre/models/denoisers/unet_2d.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/models/vision_encoders/clip_vision.hpp"
#include "daguerre/pipeline/guider.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

template <class T>
constexpr double bound(double float32) {
  return std::is_same_v<T, float> ? float32 : bounds::bfloat16_network;
}

/// Compares `actual` with the recorded output of that name, where there is one.
template <class T>
void compare(Result& result, const Recorded& run, const std::string& name, const Tensor<float>& actual,
             double limit) {
  if (!run.has("out." + name)) return;
  result.checks.push_back(
      {name + run.label(), test::difference(actual, run.tensor("out." + name)), bound<T>(limit)});
}

/// All inputs that a run has beside the sample and the time.
models::UNet2DConditionInputs condition_inputs(const Recorded& run) {
  models::UNet2DConditionInputs inputs;
  const std::map<std::string, Tensor<float>*> known{{"encoder_hidden_states", &inputs.encoder_hidden_states},
                                                    {"mask", &inputs.encoder_attention_mask},
                                                    {"class_labels", &inputs.class_labels},
                                                    {"timestep_cond", &inputs.timestep_cond},
                                                    {"added.text_embeds", &inputs.text_embeds},
                                                    {"added.time_ids", &inputs.time_ids},
                                                    {"added.image_embeds", &inputs.image_embeds},
                                                    {"added.hint", &inputs.hint},
                                                    {"mid_res", &inputs.features.mid_residual}};
  for (const auto& name : run.names_below("in.")) {
    if (name == "sample" || name == "timestep" || name.starts_with("down_res.") ||
        name.starts_with("intra.") || name == "controlnet_cond" || name == "conditioning_scale")
      continue;
    const auto found = known.find(name);
    if (found == known.end()) throw ConfigError("conformance", "input \"" + name + "\" is not supported");
    *found->second = run.tensor("in." + name);
  }
  const auto series = [&](const std::string& prefix, std::vector<Tensor<float>>& list) {
    for (int i = 0; run.has(prefix + std::to_string(i)); ++i)
      list.push_back(run.tensor(prefix + std::to_string(i)));
  };
  series("in.down_res.", inputs.features.down_residuals);
  series("in.intra.", inputs.features.down_features);
  return inputs;
}

/// Throws ConfigError for a network on which something else is tried: a cache, a guider, an adapter.
void expect_network_alone(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name.starts_with("case") && name.ends_with(".json"))
      throw ConfigError("conformance", "what " + name + " describes is not supported");
  }
}

template <class T>
void run_unet(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  expect_network_alone(folder);
  const models::UNet2DCondition<T> unet(models::UNet2DConditionConfig::from(config),
                                        loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto timesteps = run.tensor("in.timestep");
    compare<T>(result, run, "sample",
               unet(context, run.tensor("in.sample"), timesteps.span(), condition_inputs(run)),
               bounds::network);
  }
}

template <class T>
void run_control_net(const fs::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::ControlNet<T> network(models::ControlNetConfig::from(config),
                                      loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto hint = network.embed(context, run.tensor("in.controlnet_cond"));
    if (run.has("mid.cond_embedding"))
      result.checks.push_back({"cond_embedding" + run.label(),
                               test::difference(hint, run.tensor("mid.cond_embedding")),
                               bound<T>(bounds::network)});
    const auto features = network(context, run.tensor("in.sample"), run.tensor("in.timestep").span(),
                                  condition_inputs(run), hint,
                                  {.scale = run.tensor("in.conditioning_scale").data()[0],
                                   .guess_mode = run.label().starts_with(":guess_mode")});
    for (std::size_t i = 0; i < features.down_residuals.size(); ++i)
      compare<T>(result, run, "down." + std::to_string(i), features.down_residuals[i], bounds::network);
    compare<T>(result, run, "mid", features.mid_residual, bounds::network);
  }
}

template <class T>
void run_t2i_adapter(const fs::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::T2IAdapter<T> network(models::T2IAdapterConfig::from(config),
                                      loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto features = network(context, run.tensor("in.x"));
    for (std::size_t i = 0; i < features.size(); ++i)
      compare<T>(result, run, "feature." + std::to_string(i), features[i], bounds::network);
  }
}

template <class T>
void run_vq_model(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  const models::VqModel<T> model(models::VqModelConfig::from(config),
                                 loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    if (run.has("in.sample"))
      compare<T>(result, run, "latents", model.encode(context, run.tensor("in.sample")), bounds::autoencoder);
    if (!run.has("in.latents")) continue;
    const auto latents = run.tensor("in.latents");
    if (run.has("out.indices")) {
      // Which vector is nearest to the encoded picture does not depend on what is multiplied.
      const auto codes = model.codes(context, run.tensor("out.latents"));
      const auto expected = run.file().read<std::int32_t>("out.indices");
      result.checks.push_back(
          {"indices" + run.label(),
           test::difference(codes.template to<float>().reshape({-1}), expected.template to<float>()), 0.0});
      compare<T>(result, run, "quantized", model.vectors(context, codes), bounds::autoencoder);
    }
    compare<T>(result, run, "decoded", model.decode(context, latents), bounds::autoencoder);
    compare<T>(result, run, "decoded_not_quantized", model.decode(context, latents, false),
               bounds::autoencoder);
  }
}

template <class T>
void run_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::AutoencoderKl<T> vae(models::AutoencoderKlConfig::from(config),
                                     loader_for(folder / "weights.safetensors", context));
  auto tiling = vae.default_tiling();
  if (fs::exists(folder / "case.json")) {
    const auto call = Config::load(folder / "case.json");
    tiling = {call.get("tile_sample_min_size", static_cast<int>(tiling.sample_min_size)),
              call.get("tile_latent_min_size", static_cast<int>(tiling.latent_min_size)),
              call.get("tile_overlap_factor", tiling.overlap_factor)};
  }
  const double limit = bound<T>(bounds::autoencoder);
  for (const auto& run : recorded_runs(folder)) {
    if (run.has("in.sample")) {
      const auto sample = run.tensor("in.sample");
      const auto latents = vae.encode(context, sample);
      const auto check = [&](const std::string& name, const Tensor<float>& actual) {
        if (run.has("out." + name))
          result.checks.push_back(
              {name + run.label(), test::difference(actual, run.tensor("out." + name)), limit});
      };
      check("mean", latents.mean);
      check("logvar", latents.logvar);
      check("std", latents.std(context));
      if (run.has("out.tiled")) check("tiled", vae.encode_tiled(context, sample, tiling).mean);
    }
    if (run.has("in.latents")) {
      const auto latents = run.tensor("in.latents");
      compare<T>(result, run, "decoded", vae.decode(context, latents), bounds::autoencoder);
      if (run.has("out.tiled"))
        compare<T>(result, run, "tiled", vae.decode_tiled(context, latents, tiling), bounds::autoencoder);
    }
  }
}

template <class T>
void run_tiny_autoencoder(const fs::path& folder, const Config& config, const ops::Context& context,
                          Result& result) {
  const models::AutoencoderTiny<T> vae(models::AutoencoderTinyConfig::from(config),
                                       loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    compare<T>(result, run, "latents", vae.encode(context, run.tensor("in.sample")), bounds::autoencoder);
    const auto latents = run.tensor("in.latents");
    compare<T>(result, run, "decoded", vae.decode(context, latents), bounds::autoencoder);
    const auto scaled = vae.scale_latents(context, latents);
    compare<T>(result, run, "scaled", scaled, bounds::autoencoder);
    compare<T>(result, run, "unscaled", vae.unscale_latents(context, scaled), bounds::autoencoder);
  }
}

template <class T>
void run_clip(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  const models::ClipText<T> clip(models::ClipTextConfig::from(config),
                                 loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto output = clip(context, run.file().read<std::int32_t>("in.input_ids"));
    const auto& states = output.hidden_states;
    compare<T>(result, run, "last_hidden_state", output.last_hidden_state, bounds::text_encoder);
    compare<T>(result, run, "pooled", output.pooled, bounds::text_encoder);
    if (!output.text_embeds.empty())
      compare<T>(result, run, "text_embeds", output.text_embeds, bounds::text_encoder);
    for (std::size_t i = 0; i < states.size(); ++i)
      compare<T>(result, run, "hidden." + std::to_string(i), states[i], bounds::text_encoder);
    const auto& penultimate = states[states.size() - 2];
    compare<T>(result, run, "penultimate", penultimate, bounds::text_encoder);
    compare<T>(result, run, "penultimate_normed", clip.final_layer_norm(context, penultimate),
               bounds::text_encoder);
  }
}

template <class T>
void run_clip_vision(const fs::path& folder, const Config& config, const ops::Context& context,
                     Result& result) {
  const models::ClipVision<T> clip(models::ClipVisionConfig::from(config),
                                   loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto output = clip(context, run.tensor("in.pixel_values"));
    const auto& states = output.hidden_states;
    compare<T>(result, run, "last_hidden_state", output.last_hidden_state(), bounds::network);
    compare<T>(result, run, "penultimate", output.penultimate(), bounds::network);
    compare<T>(result, run, "pooled", output.pooled, bounds::network);
    compare<T>(result, run, "image_embeds", output.image_embeds, bounds::network);
    for (std::size_t i = 0; i < states.size(); ++i)
      compare<T>(result, run, "hidden." + std::to_string(i), states[i], bounds::network);
  }
}

template <class T>
void run_t5(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  const models::T5Encoder<T> t5(models::T5EncoderConfig::from(config),
                                loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    Tensor<float> mask;
    if (run.has("in.attention_mask")) mask = run.tensor("in.attention_mask");
    compare<T>(result, run, "last_hidden_state",
               t5(context, run.file().read<std::int32_t>("in.input_ids"), mask.empty() ? nullptr : &mask),
               bounds::text_encoder);
  }
}

template <class T>
void run_pixel_unet(const fs::path& folder, const Config& config, const ops::Context& context,
                    Result& result) {
  const models::UNet2D<T> unet(models::UNet2DConfig::from(config),
                               loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    Tensor<float> labels;
    if (run.has("in.class_labels")) labels = run.tensor("in.class_labels");
    compare<T>(result, run, "sample",
               unet(context, run.tensor("in.sample"), run.tensor("in.timestep").span(), labels),
               bounds::network);
  }
}

/// Either layout; the original's inputs are called x, t and y.
template <class T>
void run_dit(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  const models::DiT<T> dit(models::DiTConfig::from(config),
                           loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const bool original = run.has("in.x");
    auto sample = run.tensor(original ? "in.x" : "in.hidden_states");
    const auto timesteps = run.tensor(original ? "in.t" : "in.timestep");
    const auto labels = run.file().read<std::int32_t>(original ? "in.y" : "in.class_labels");
    const Index half = sample.dim(0) / 2;
    const bool guided = run.has("in.cfg_scale");
    // Both halves see the first half's latents, as the original's forward_with_cfg has it.
    if (guided) sample = concat_leading<float>(std::vector{sample.slice(0, half), sample.slice(0, half)});
    auto output = dit(context, sample, timesteps.span(), labels.span());
    if (guided) {
      const Guidance guidance{.scale = run.tensor("in.cfg_scale").data()[0],
                              .channels = dit.config().guided_channels};
      const auto conditional = output.slice(0, half), null = output.slice(half, 2 * half);
      auto other = null.clone();  // keeps its own unguided channels
      const auto steered = apply_guidance(null, conditional, guidance);
      const Index channels = output.dim(3);
      for (Index i = 0; i < other.size(); ++i)
        if (i % channels < guidance.channels) other.data()[i] = steered.data()[i];
      output = concat_leading<float>(std::vector{steered, other});
    }
    compare<T>(result, run, "sample", output, bounds::network);
  }
}

template <class T>
void run_sd3(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  expect_network_alone(folder);
  const models::SD3Transformer<T> network(models::SD3TransformerConfig::from(config),
                                          loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder))
    compare<T>(result, run, "sample", output_of(network, context, run), bounds::network);
}

template <class T>
void run_flux(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  expect_network_alone(folder);
  const models::FluxTransformer<T> network(models::FluxTransformerConfig::from(config),
                                           loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder))
    compare<T>(result, run, "sample", output_of(network, context, run), bounds::network);
}

template <class T>
void run_pixart(const fs::path& folder, const Config& config, const ops::Context& context, Result& result) {
  expect_network_alone(folder);
  const models::PixArtTransformer<T> network(models::PixArtTransformerConfig::from(config),
                                             loader_for(folder / "weights.safetensors", context));
  for (const auto& run : recorded_runs(folder)) {
    const auto or_empty = [&](const char* name) {
      return run.has(name) ? run.tensor(name) : Tensor<float>();
    };
    const auto timesteps = run.tensor("in.timestep"), resolution = or_empty("in.added.resolution"),
               aspect_ratio = or_empty("in.added.aspect_ratio");
    compare<T>(result, run, "sample",
               network(context, {.sample = run.tensor("in.hidden_states"),
                                 .timesteps = timesteps.span(),
                                 .encoder_hidden_states = run.tensor("in.encoder_hidden_states"),
                                 .encoder_attention_mask = or_empty("in.encoder_attention_mask"),
                                 .resolution = resolution.span(),
                                 .aspect_ratio = aspect_ratio.span()}),
               bounds::network);
  }
}

template <class T>
std::optional<Result> run_as(const fs::path& folder, const Config& config, const ops::Context& context) {
  const std::string name = config.class_name();
  Result result;
  if (name == "UNet2DConditionModel")
    run_unet<T>(folder, config, context, result);
  else if (name == "UNet2DModel")
    run_pixel_unet<T>(folder, config, context, result);
  else if (name == "AutoencoderKL")
    run_autoencoder<T>(folder, config, context, result);
  else if (name == "AutoencoderTiny")
    run_tiny_autoencoder<T>(folder, config, context, result);
  else if (name == "ControlNetModel")
    run_control_net<T>(folder, config, context, result);
  else if (name == "T2IAdapter")
    run_t2i_adapter<T>(folder, config, context, result);
  else if (name == "VQModel")
    run_vq_model<T>(folder, config, context, result);
  else if (name == "DiTTransformer2DModel" || models::DiTConfig::is_original(config))
    run_dit<T>(folder, config, context, result);
  else if (name == "SD3Transformer2DModel")
    run_sd3<T>(folder, config, context, result);
  else if (name == "FluxTransformer2DModel")
    run_flux<T>(folder, config, context, result);
  else if (name == "PixArtTransformer2DModel")
    run_pixart<T>(folder, config, context, result);
  else if (name == "WanTransformer3DModel" || name == "WanVACETransformer3DModel")
    run_wan_transformer<T>(folder, config, context, result);
  else if (name == "LTXVideoTransformer3DModel")
    run_ltx_transformer<T>(folder, config, context, result);
  else if (name == "AutoencoderKLLTXVideo")
    run_ltx_autoencoder<T>(folder, config, context, result);
  else if (name == "LTXLatentUpsamplerModel")
    run_ltx_latent_upsampler<T>(folder, config, context, result);
  else if (name == "CLIPTextModel" || name == "CLIPTextModelWithProjection")
    run_clip<T>(folder, config, context, result);
  else if (name == "CLIPVisionModelWithProjection")
    run_clip_vision<T>(folder, config, context, result);
  else if (name == "T5EncoderModel" || name == "UMT5EncoderModel")
    run_t5<T>(folder, config, context, result);
  else if (!run_hunyuan_model<T>(folder, config, context, result) &&
           !run_language_model<T>(folder, config, context, result))
    return std::nullopt;
  return result;
}

}  // namespace

std::optional<Result> run_model(const fs::path& folder, const Config& config, const Options& options) {
  if (auto result = run_film_autoencoder(folder, config, options)) return result;
  if (auto result = run_cogvideox_model(folder, config, options)) return result;
  return options.with_type([&]<class T>() { return run_as<T>(folder, config, options.context()); });
}

}  // namespace daguerre::conformance
