#include "conformance/case.hpp"
#include "conformance/transformers.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/models/text_encoders/t5_encoder.hpp"
#include "daguerre/weights/checkpoint.hpp"

namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;

constexpr double bfloat16_bound = bounds::bfloat16_narrow_network;

/// Compares what one checkpoint file's networks make of a run's inputs, wherever the outputs were recorded.
class SingleFile {
 public:
  SingleFile(const weights::Checkpoint& checkpoint, const Recorded& run, const Options& options)
      : checkpoint_(checkpoint), run_(run), context_(options.context()), options_(options) {}

  Result result;

  template <class T>
  void text(const std::string& name) {
    const auto* part = checkpoint_.find(name);
    if (part == nullptr) return;
    if (part->class_name == "T5EncoderModel") return t5<T>(*part);
    const models::ClipText<T> clip(models::ClipTextConfig::from(part->config), loader(*part));
    const std::string ids = "in." + name + "_ids";
    const auto output = clip(context_, run_.file().read<std::int32_t>(run_.has(ids) ? ids : "in.input_ids"));
    const auto& states = output.hidden_states;
    const auto& penultimate = states[states.size() - 2];
    compare(name + ".last_hidden_state", output.last_hidden_state, bounds::text_encoder);
    compare("text_last_hidden_state", output.last_hidden_state, bounds::text_encoder);
    compare(name + ".penultimate", penultimate, bounds::text_encoder);
    compare(name + ".penultimate_normed", clip.final_layer_norm(context_, penultimate), bounds::text_encoder);
    compare(name + ".pooled", output.pooled, bounds::text_encoder);
    compare(name + ".text_embeds", output.text_embeds, bounds::text_encoder);
    all_used(*part);
  }

  template <class T>
  void transformer() {
    const auto* part = checkpoint_.find("transformer");
    if (part == nullptr) return;
    if (part->class_name == "SD3Transformer2DModel")
      compare("sample",
              output_of(
                  models::SD3Transformer<T>(models::SD3TransformerConfig::from(part->config), loader(*part)),
                  context_, run_),
              bounds::network);
    else
      compare("sample",
              output_of(models::FluxTransformer<T>(models::FluxTransformerConfig::from(part->config),
                                                   loader(*part)),
                        context_, run_),
              bounds::network);
    all_used(*part);
  }

  template <class T>
  void unet() {
    const auto* part = checkpoint_.find("unet");
    if (part == nullptr) return;
    const models::UNet2DCondition<T> unet(models::UNet2DConditionConfig::from(part->config), loader(*part));
    models::UNet2DConditionInputs inputs;
    inputs.encoder_hidden_states = run_.tensor("in.encoder_hidden_states");
    if (run_.has("in.text_embeds")) inputs.text_embeds = run_.tensor("in.text_embeds");
    if (run_.has("in.time_ids")) inputs.time_ids = run_.tensor("in.time_ids");
    const auto timesteps = run_.tensor("in.timestep");
    compare("unet", unet(context_, run_.tensor("in.sample"), timesteps.span(), inputs), bounds::network);
    all_used(*part);
  }

  template <class T>
  void autoencoder() {
    const auto* part = checkpoint_.find("vae");
    if (part == nullptr) return;
    const models::AutoencoderKl<T> vae(models::AutoencoderKlConfig::from(part->config), loader(*part));
    compare("mean", vae.encode(context_, run_.tensor("in.image")).mean, bounds::autoencoder);
    compare("decoded", vae.decode(context_, run_.tensor("in.latents")), bounds::autoencoder);
    all_used(*part);
  }

 private:
  template <class T>
  void t5(const weights::CheckpointPart& part) {
    const models::T5Encoder<T> network(models::T5EncoderConfig::from(part.config), loader(part));
    compare("last_hidden_state", network(context_, run_.file().read<std::int32_t>("in.input_ids")),
            bounds::text_encoder);
    all_used(part);
  }
  nn::Loader loader(const weights::CheckpointPart& part) const {
    return {weights::Scope(part.weights), context_};
  }
  void compare(const std::string& name, const Tensor<float>& actual, double float32_bound) {
    if (!run_.has("out." + name)) return;
    const double bound = options_.precision == Precision::float32 ? float32_bound : bfloat16_bound;
    result.checks.push_back(
        {name + run_.label(), test::difference(actual, run_.tensor("out." + name)), bound});
  }
  /// Nothing of the file may be left that no network asked for.
  void all_used(const weights::CheckpointPart& part) {
    const auto left = static_cast<double>(part.weights.unused().size());
    result.checks.push_back({part.name + ": tensors left", {left, left}, 0.0});
  }

  const weights::Checkpoint& checkpoint_;
  const Recorded& run_;
  ops::Context context_;
  const Options& options_;
};

}  // namespace

namespace {

/// `lone`: the file need not be a whole model.
Result run_checkpoint(const fs::path& folder, const char* name, bool lone, const Options& options) {
  Result result;
  for (const auto& run : recorded_runs(folder)) {
    // The recorded networks have other heads and groups than published ones, which their configurations say.
    const auto checkpoint = weights::open_checkpoint(folder / name, {.configs = folder});
    SingleFile file(checkpoint, run, options);
    options.with_type([&]<class T>() {
      file.text<T>("text_encoder");
      file.text<T>("text_encoder_2");
      file.unet<T>();
      file.transformer<T>();
      file.autoencoder<T>();
    });
    const auto left = static_cast<double>(checkpoint.unknown.size() + (lone ? 0 : checkpoint.missing.size()));
    file.result.checks.push_back({"names not known, parts missing", {left, left}, 0.0});
    for (auto& check : file.result.checks) result.checks.push_back(std::move(check));
  }
  return result;
}

}  // namespace

Result run_single_file(const fs::path& folder, const Options& options) {
  return run_checkpoint(folder, "checkpoint.safetensors", false, options);
}

Result run_gguf_model(const fs::path& folder, const Options& options) {
  return run_checkpoint(folder, "model.gguf", true, options);
}

}  // namespace daguerre::conformance
