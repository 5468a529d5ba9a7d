#include "daguerre/pipeline/ddpm_pipeline.hpp"

#include "pipeline/latents.hpp"
#include "pipeline/load_component.hpp"
#include "pipeline/model_folder.hpp"
#include "pipeline/name.hpp"

namespace daguerre {
namespace {

namespace fs = std::filesystem;

/// `unet` is what it is called in the message.
void check_channels(const models::UNet2DConfig& config, const std::string& unet) {
  const Index in = config.shape.in_channels, out = config.shape.out_channels;
  if ((in != 1 && in != 3 && in != 4) || (out != in && out != 2 * in))
    throw ConfigError(pipeline_name, unet + " takes " + std::to_string(in) + " channels and gives " +
                                         std::to_string(out) +
                                         "; pictures have 1, 3 or 4, and twice as many may come "
                                         "out where the model predicts a variance");
}

template <class T>
DDPMNetwork load_ddpm(const ModelPart& part, const models::UNet2DConfig& config, const LoadContext& context) {
  auto unet =
      std::make_shared<const models::UNet2D<T>>(load_component<models::UNet2D<T>>(part, config, context));
  return {unet->config(), [unet](const ops::Context& run, const Tensor<float>& sample, float timestep,
                                 std::span<const std::int32_t> labels) {
            return (*unet)(run, sample, std::span(&timestep, 1), labels);
          }};
}

}  // namespace

DDPMPipeline::DDPMPipeline(DDPMNetwork network) : network_(std::move(network)) {
  check_channels(network_.unet, "the U-Net");
}

DDPMPipeline DDPMPipeline::load(const fs::path& folder, const ops::Context& compute, Precision precision,
                                bool allow_trailing_bytes, const LogSink& log) {
  const auto part = ModelFolder::open(folder).part("unet", {"UNet2DModel"});
  const auto config = models::UNet2DConfig::from(part.config());
  check_channels(config, part.config_path() + ": the U-Net");
  return with_precision(precision, LoadContext{compute, allow_trailing_bytes, log},
                        [&]<class T, class D>(const LoadContext&, const LoadContext& denoiser) {
                          return DDPMPipeline(load_ddpm<D>(part, config, denoiser));
                        });
}

void DDPMPipeline::check(const DDPMTask& task) const {
  const Index multiple = Index{1} << (network_.unet.shape.levels.size() - 1);
  check_side("width", task.width, multiple);
  check_side("height", task.height, multiple);
  check_run(task.steps, {}, task.eta, task.sampler.get());
  if (task.batch < 1) throw ArgumentError(pipeline_name, "a batch of " + std::to_string(task.batch));
  const int classes = network_.unet.num_class_embeds();
  const Index wanted = classes > 0 ? task.batch : 0;
  if (static_cast<Index>(task.class_labels.size()) != wanted)
    throw ArgumentError(
        pipeline_name, classes > 0 ? "this model takes a class for each picture: " + std::to_string(wanted) +
                                         " are needed, " + std::to_string(task.class_labels.size()) + " given"
                                   : std::string("this model takes no class"));
  for (const auto label : task.class_labels)
    if (label < 0 || label >= classes)
      throw ArgumentError(pipeline_name, "class " + std::to_string(label) + " is not one of 0 to " +
                                             std::to_string(classes - 1));
}

Tensor<float> DDPMPipeline::run(const ops::Context& context, const DDPMTask& task, NoiseStreams& noise,
                                const StepObserver& on_step) const {
  check(task);
  samplers::RunOptions options;
  options.steps = task.steps;
  options.eta = task.eta;
  options.use_clipped_model_output = task.use_clipped_model_output;
  const auto run = task.sampler->start(options);
  const auto start = initial_noise(
      task.latents, {task.batch, task.height, task.width, network_.unet.shape.in_channels}, noise);
  DenoisingLoop loop;
  loop.denoiser = [&](const Tensor<float>& x, float timestep, Index image) {
    const auto labels = std::span(task.class_labels);
    return network_.denoise(context, x, timestep,
                            labels.empty() ? labels : labels.subspan(static_cast<std::size_t>(image), 1));
  };
  loop.on_step = on_step;
  return loop(context, *run, 0, affine(start, run->init_noise_sigma(), 0.0f), noise);
}

}  // namespace daguerre
