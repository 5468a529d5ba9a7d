#include "daguerre/pipeline/dit_pipeline.hpp"

#include <algorithm>

#include "daguerre/weights/config.hpp"
#include "pipeline/latents.hpp"
#include "pipeline/load_component.hpp"
#include "pipeline/model_folder.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// The first `channels` channels of `x[..., C]`.
Tensor<float> first_channels(const Tensor<float>& x, Index channels) {
  const Index all = x.dim(-1);
  if (all == channels) return x;
  Tensor<float> result(x.shape().with(-1, channels));
  for (Index i = 0; i < x.size() / all; ++i)
    std::copy_n(x.data() + i * all, channels, result.data() + i * channels);
  return result;
}

/// The configurations of the two networks, which fit each other.
struct DiTConfigs {
  ModelPart transformer_part, vae_part;
  models::DiTConfig transformer;
  models::AutoencoderKlConfig vae;

  explicit DiTConfigs(const ModelFolder& model)
      : transformer_part(model.part("transformer", {"DiTTransformer2DModel", "Transformer2DModel"})),
        vae_part(model.part("vae", {"AutoencoderKL"})),
        transformer(transformer_config(transformer_part)),
        vae(models::AutoencoderKlConfig::from(vae_part.config())) {
    const Index latent = vae.latent_channels;
    if (transformer.in_channels != latent ||
        (transformer.out_channels != latent && transformer.out_channels != 2 * latent))
      throw ConfigError(pipeline_name, transformer_part.config_path() + ": the transformer takes " +
                                           std::to_string(transformer.in_channels) + " channels and gives " +
                                           std::to_string(transformer.out_channels) +
                                           ", but latent_channels in " + vae_part.config_path() + " is " +
                                           std::to_string(latent));
  }

 private:
  /// The arguments of the original's constructor bear no class name, and are told apart by that.
  static models::DiTConfig transformer_config(const ModelPart& part) {
    const auto own = weights::Config::load(part.folder / "config.json");
    return models::DiTConfig::from(models::DiTConfig::is_original(own) ? own : part.config());
  }
};

/// T is what the autoencoder multiplies, D what the transformer does.
template <class T, class D>
DiTNetworks load_dit(const DiTConfigs& configs, const LoadContext& context, const LoadContext& denoiser) {
  auto transformer = std::make_shared<const models::DiT<D>>(
      load_component<models::DiT<D>>(configs.transformer_part, configs.transformer, denoiser));
  auto vae = std::make_shared<const models::AutoencoderKl<T>>(
      load_component<models::AutoencoderKl<T>>(configs.vae_part, configs.vae, context));
  return {transformer->config(), vae->config(),
          [transformer](const ops::Context& run, const Tensor<float>& sample, float timestep,
                        std::span<const std::int32_t> labels) {
            return (*transformer)(run, sample, std::span(&timestep, 1), labels);
          },
          [vae](const ops::Context& run, const Tensor<float>& latents) { return vae->decode(run, latents); }};
}

}  // namespace

DiTPipeline::DiTPipeline(DiTNetworks networks, ClassNames class_names)
    : networks_(std::move(networks)), class_names_(std::move(class_names)) {
  const auto& transformer = networks_.transformer;
  const Index latent = networks_.autoencoder.latent_channels;
  if (transformer.in_channels != latent ||
      (transformer.out_channels != latent && transformer.out_channels != 2 * latent))
    throw ConfigError(pipeline_name, "the transformer takes " + std::to_string(transformer.in_channels) +
                                         " channels and gives " + std::to_string(transformer.out_channels) +
                                         ", the autoencoder's latents have " + std::to_string(latent));
}

DiTPipeline DiTPipeline::load(const fs::path& folder, const ops::Context& compute, Precision precision,
                              bool allow_trailing_bytes, const LogSink& log) {
  const auto model = ModelFolder::open(folder);
  const auto labels = model.index().json("id2label");
  auto names = labels ? ClassNames::parse(*labels, model.index().source()) : ClassNames();
  const DiTConfigs configs(model);
  return with_precision(precision, LoadContext{compute, allow_trailing_bytes, log},
                        [&]<class T, class D>(const LoadContext& context, const LoadContext& denoiser) {
                          return DiTPipeline(load_dit<T, D>(configs, context, denoiser), std::move(names));
                        });
}

void DiTPipeline::check(const DiTTask& task) const {
  const auto& transformer = networks_.transformer;
  const Index multiple = networks_.autoencoder.downscale() * transformer.patch_size;
  check_side("width", task.width, multiple);
  check_side("height", task.height, multiple);
  check_run(task.steps, task.guidance, task.eta, task.sampler.get());
  if (task.class_labels.empty()) throw ArgumentError(pipeline_name, "there is no class");
  for (const auto label : task.class_labels)
    if (label < 0 || label >= transformer.num_classes)
      throw ArgumentError(pipeline_name, "class " + std::to_string(label) + " is not one of 0 to " +
                                             std::to_string(transformer.num_classes - 1));
  if (task.guidance.is_on() && !transformer.has_null_class)
    throw ArgumentError(pipeline_name, "this model has no null class: guidance must be 1");
}

DiTPipeline::Result DiTPipeline::run(const ops::Context& context, const DiTTask& task, NoiseStreams& noise,
                                     const StepObserver& on_step) const {
  check(task);
  const auto& transformer = networks_.transformer;
  const Index downscale = networks_.autoencoder.downscale(), latent = networks_.autoencoder.latent_channels;
  const auto batch = static_cast<Index>(task.class_labels.size());
  auto guidance = task.guidance;
  guidance.channels = transformer.guided_channels;

  samplers::RunOptions options;
  options.steps = task.steps;
  options.eta = task.eta;
  const auto run = task.sampler->start(options);
  const auto start =
      initial_noise(task.latents, {batch, task.height / downscale, task.width / downscale, latent}, noise);
  DenoisingLoop loop;
  loop.component = "transformer";
  loop.denoiser = [&](const Tensor<float>& x, float timestep, Index image) {
    std::vector<std::int32_t> labels{task.class_labels[static_cast<std::size_t>(image)]};
    if (guidance.is_on()) labels.push_back(transformer.null_class());
    return guided_prediction(x, guidance, ConditionedHalf::first, [&](const Tensor<float>& both) {
      return first_channels(networks_.denoise(context, both, timestep, labels), latent);
    });
  };
  loop.on_step = on_step;
  auto latents = loop(context, *run, 0, affine(start, run->init_noise_sigma(), 0.0f), noise);
  return {latents, decode(context, latents)};
}

Tensor<float> DiTPipeline::decode(const ops::Context& context, const Tensor<float>& latents) const {
  return decode_pictures(context, latents, networks_.autoencoder,
                         [&](const Tensor<float>& x) { return networks_.decode(context, x); });
}

}  // namespace daguerre
