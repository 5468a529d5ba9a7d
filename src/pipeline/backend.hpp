#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/pipeline/class_names.hpp"
#include "daguerre/pipeline/denoising.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/config.hpp"
#include "pipeline/model_folder.hpp"

namespace daguerre {

/// What stands behind the facade `Pipeline`: one for each kind of model.
class Backend {
 public:
  struct Made {
    Tensor<float> latents;
    Tensor<float> decoded;
  };
  /// An order, understood by the kind of model that will carry it out.
  struct Plan {
    Index width = 0, height = 0;      ///< in pixels
    std::optional<float> guidance{};  ///< where the model knows it
    /// What the picture's settings say beside what all models have.
    std::vector<std::pair<std::string, std::string>> parameters{};
    std::vector<std::string> warnings{};
    std::function<Made(const ops::Context&, NoiseStreams&, const StepObserver&)> run{};
  };

  virtual ~Backend() = default;
  /// Throws ArgumentError for an order that this kind of model cannot carry out.
  virtual Plan plan(const GenerateOptions& options,
                    std::shared_ptr<const samplers::Sampler> sampler) const = 0;
  /// Pictures from latents, for previews.
  virtual Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents) const = 0;
  /// Width and height in pixels that the model was trained at.
  virtual std::pair<Index, Index> default_size() const noexcept = 0;
  /// The names of its classes, where it has any.
  virtual ClassNames class_names() const { return {}; }
  /// Folders that hold networks; a NumericError in the name of one is looked into.
  virtual std::vector<std::string> components() const = 0;
};

/// What a backend is loaded from.
struct BackendSource {
  ModelFolder model;
  weights::Config scheduler;                 ///< as the pipeline's class leaves it
  ops::Context compute;                      ///< packs the weights
  Precision precision = Precision::float32;  ///< not automatic
  bool allow_trailing_bytes = false;
  LogSink log;
};
std::unique_ptr<const Backend> load_stable_diffusion_backend(const BackendSource& source);
std::unique_ptr<const Backend> load_dit_backend(const BackendSource& source);
std::unique_ptr<const Backend> load_ddpm_backend(const BackendSource& source);

/// Throws ArgumentError, saying that `model` takes no `what`, when it was given.
void refuse(bool given, const char* model, const char* what);
/// Refuses what only models that read a prompt can use.
void refuse_prompt_options(const GenerateOptions& options, const char* model);
/// One class id for each picture from the options' ids. Throws ArgumentError when their number does not fit.
std::vector<std::int32_t> classes_for_all(const GenerateOptions& options,
                                          const std::vector<std::int32_t>& labels);
/// Width and height: the options', else those of the initial latents, else those of the picture to start
/// from, rounded down to multiples of `downscale` (with one side given the other keeps its proportions), else
/// `default_size`. Throws ArgumentError for a picture that is smaller than a multiple.
std::pair<Index, Index> size_of(const GenerateOptions& options, Index downscale,
                                std::pair<Index, Index> default_size);
/// Carries out `task` on a model that works in latents, as Backend::Plan::run.
template <class Model, class Task>
auto latent_run(std::shared_ptr<const Model> model, Task task) {
  return [model = std::move(model), task = std::move(task)](const ops::Context& context, NoiseStreams& noise,
                                                            const StepObserver& on_step) {
    auto made = model->run(context, task, noise, on_step);
    return Backend::Made{std::move(made.latents), std::move(made.decoded)};
  };
}
/// A number as people write it: "7.5", "20".
std::string number(double value);

}  // namespace daguerre
