#include <algorithm>
#include <tuple>

#include "daguerre/pipeline/ddpm_pipeline.hpp"
#include "daguerre/pipeline/dit_pipeline.hpp"
#include "pipeline/backend.hpp"
#include "pipeline/model_fit.hpp"

/// Models that are told a class, or nothing.
namespace daguerre {
namespace {

/// "207", or "207 golden retriever" where the class has a name.
std::string described(std::int32_t id, const std::string& label) {
  return std::to_string(id) + (label.empty() ? "" : " " + label);
}

/// The settings' line for the classes of a run; one entry where all are the same.
void add_classes(Backend::Plan& plan, const std::vector<std::int32_t>& labels, const ClassNames& names) {
  if (labels.empty()) return;
  const bool same = std::all_of(labels.begin(), labels.end(), [&](auto id) { return id == labels.front(); });
  std::string text;
  for (const auto id : same ? std::vector{labels.front()} : labels)
    text += (text.empty() ? "" : "; ") + described(id, names.label(id));
  plan.parameters.emplace_back("Class", text);
}

std::vector<std::int32_t> wanted_classes(const GenerateOptions& options, const ClassNames& names) {
  if (options.class_name.empty()) return classes_for_all(options, options.class_labels);
  if (!options.class_labels.empty())
    throw ArgumentError("pipeline", "give class_labels or class_name, not both");
  return classes_for_all(options, {names.find(options.class_name)});
}

class DiTBackend final : public Backend {
 public:
  explicit DiTBackend(DiTPipeline model) : model_(std::make_shared<const DiTPipeline>(std::move(model))) {}

  Plan plan(const GenerateOptions& options, std::shared_ptr<const samplers::Sampler> sampler) const override {
    refuse_prompt_options(options, "DiT");
    DiTTask task;
    task.class_labels = wanted_classes(options, model_->class_names());
    std::tie(task.width, task.height) =
        size_of(options, model_->networks().autoencoder.downscale(), model_->default_size());
    task.steps = options.steps;
    task.guidance = {.scale = options.guidance_scale.value_or(4.0f), .rescale = options.guidance_rescale};
    task.eta = options.eta;
    task.latents = options.latents;
    task.sampler = std::move(sampler);
    Plan result{.width = task.width, .height = task.height, .guidance = task.guidance.scale};
    add_classes(result, task.class_labels, model_->class_names());
    result.run = latent_run(model_, task);
    return result;
  }
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const override {
    return model_->decode(context, latents);
  }
  std::pair<Index, Index> default_size() const noexcept override { return model_->default_size(); }
  ClassNames class_names() const override { return model_->class_names(); }
  std::vector<std::string> components() const override { return {"transformer", "vae"}; }

 private:
  std::shared_ptr<const DiTPipeline> model_;
};

class DDPMBackend final : public Backend {
 public:
  explicit DDPMBackend(DDPMPipeline model) : model_(std::make_shared<const DDPMPipeline>(std::move(model))) {}

  Plan plan(const GenerateOptions& options, std::shared_ptr<const samplers::Sampler> sampler) const override {
    constexpr const char* name = "DDPM";
    refuse_prompt_options(options, name);
    refuse(options.guidance_scale.has_value() || options.guidance_rescale != 0.0f, name, "guidance");
    DDPMTask task;
    task.batch = options.count;
    task.class_labels = wanted_classes(options, {});
    std::tie(task.width, task.height) = size_of(options, 1, model_->default_size());
    task.steps = options.steps;
    task.eta = options.eta;
    task.latents = options.latents;
    task.sampler = std::move(sampler);
    Plan result{.width = task.width, .height = task.height};
    add_classes(result, task.class_labels, {});
    result.run = [model = model_, task](const ops::Context& context, NoiseStreams& noise,
                                        const StepObserver& on_step) {
      const auto pictures = model->run(context, task, noise, on_step);
      return Made{pictures, pictures};
    };
    return result;
  }
  Tensor<float> decode(const ops::Context&, const Tensor<float>& latents) const override { return latents; }
  std::pair<Index, Index> default_size() const noexcept override { return model_->default_size(); }
  std::vector<std::string> components() const override { return {"unet"}; }

 private:
  std::shared_ptr<const DDPMPipeline> model_;
};

}  // namespace

std::unique_ptr<const Backend> load_dit_backend(const BackendSource& source) {
  return std::make_unique<DiTBackend>(DiTPipeline::load(source.model.path(), source.compute, source.precision,
                                                        source.allow_trailing_bytes, source.log));
}

std::unique_ptr<const Backend> load_ddpm_backend(const BackendSource& source) {
  auto model = DDPMPipeline::load(source.model.path(), source.compute, source.precision,
                                  source.allow_trailing_bytes, source.log);
  const auto& shape = model.network().unet.shape;
  check_variance(source.scheduler, shape.in_channels, shape.out_channels,
                 source.model.part("unet").config_path());
  return std::make_unique<DDPMBackend>(std::move(model));
}

}  // namespace daguerre
