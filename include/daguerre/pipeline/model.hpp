#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/pipeline/denoising.hpp"
#include "daguerre/pipeline/family.hpp"
#include "daguerre/pipeline/lora.hpp"

namespace daguerre {

/// A loaded model and the four stages that every family runs: condition, prepare, denoise, decode. In
/// tensors; `Pipeline` is the same in pictures and seeds. Immutable, cheap to copy (copies share the parts),
/// and safe to use from many threads, each with a context of its own.
class Model {
 public:
  /// Checks that the parts fit each other, then reads their weights. Throws FileError, FormatError,
  /// ConfigError or WeightError.
  static Model load(const Family& family, const ModelSource& source, const ComponentRegistry& registry,
                    const LoadContext& context);
  /// The same with the library's own families and classes.
  static Model load(const ModelSource& source, const LoadContext& context);
  /// From parts that are there.
  Model(Family family, Components components);

  /// The first stage: the conditions of each picture, for as much of them as `guider` reads. Throws
  /// ArgumentError for a task that this model cannot do.
  std::vector<Conditions> condition(const ops::Context& context, const Task& task,
                                    const Guider& guider) const;
  /// Of T5's window in that task; 0: the tokenizer's.
  Index sequence_length(const Task& task) const noexcept;
  /// How the task's predictions are combined.
  std::shared_ptr<const Guider> guider(const Task& task) const;

  struct Result {
    Tensor<float> latents;  ///< `[N, h, w, C]`, scaled as the denoiser sees them
    Tensor<float> decoded;  ///< `[N, H, W, C]`, of films `[N, F, H, W, C]`, about [-1, 1]
  };
  /// All stages. Throws ArgumentError for a task that is not possible, NumericError when a network's result
  /// is not finite, Cancelled, and whatever `on_step` throws.
  Result run(const ops::Context& context, const Task& task, NoiseStreams& noise,
             const StepObserver& on_step = {}) const;
  /// The second and third stage: the latents that conditions made before lead to.
  Tensor<float> denoise(const ops::Context& context, const Task& task, std::vector<Conditions> conditions,
                        NoiseStreams& noise, const StepObserver& on_step = {}) const;
  /// The last stage: pictures or films from scaled latents, as `task` left them, one at a time. `noise` is
  /// for decoders that draw; without it they get zeros. Throws NumericError.
  Tensor<float> decode(const ops::Context& context, const Tensor<float>& latents, const Task& task = {},
                       NoiseStreams* noise = nullptr) const;
  /// The same for one film's latents `[1, F, h, w, C]`: its frames in order, as soon as they are there, so
  /// that the whole film need not be anywhere. What the sink throws reaches the caller.
  void decode_film(const ops::Context& context, const Tensor<float>& latents, const Task& task,
                   NoiseStreams* noise, const FrameSink& sink) const;
  /// The same for the latents `[N, F, h, w, C]` of several, one film behind the other.
  void decode_films(const ops::Context& context, const Tensor<float>& latents, const Task& task,
                    NoiseStreams* noise,
                    const std::function<void(Index film, const Tensor<float>& frames)>& sink) const;
  /// Frames and frames a second of that task's films.
  Index frames_of(const Task& task) const;
  double frame_rate_of(const Task& task) const noexcept;

  const Family& family() const noexcept { return family_; }
  const Components& components() const noexcept { return components_; }
  const DenoiserInfo& denoiser() const noexcept { return components_.denoiser->info(); }
  const LatentFormat& format() const noexcept { return components_.autoencoder->info(); }
  /// How latents relate to what the autoencoder decodes at the end of `task`.
  LatentFormat format_of(const Task& task) const;
  /// Height and width in pixels that it was trained at.
  Extent default_size() const noexcept;
  /// The same without its text encoders, for a host that has encoded all it wants to.
  Model without_text_encoders() const;
  /// The same with another denoiser and autoencoder, which stand for its own: around them, say.
  Model with_parts(std::shared_ptr<const Denoiser> denoiser,
                   std::shared_ptr<const Autoencoder> autoencoder) const;
  /// The same with these LoRAs in the place of those that an earlier call gave it; what was applied at load
  /// stays. It shares all weights with this model but those that the LoRAs change: these have small products
  /// of low rank behind them, or, where a change is none, are made anew. `run` says on which threads, and
  /// when to stop. Throws WeightError for LoRAs that do not fit the model, ArgumentError for models that were
  /// put together from parts, Cancelled.
  Model with_loras(const ops::Context& run, std::span<const LoraUse> loras) const;
  /// What is applied: at load, then what `with_loras` was given.
  const std::vector<LoraInfo>& loras() const noexcept { return loras_; }

 private:
  struct LoadedParts;
  void check(const Task& task) const;

  Family family_;
  Components components_;
  std::shared_ptr<const LoadedParts> loaded_;  ///< nullptr where the parts were given
  std::vector<LoraInfo> loras_;
};

/// The scheduler_config.json of `source` as the constructor of its pipeline class leaves it; its class is the
/// one in model_index.json, or that of the pipeline.
Config scheduler_config(const ModelSource& source, const PipelineClass& pipeline);
/// That of one scheduler as its file has it, of the class that model_index.json says.
Config scheduler_config(const ComponentSource& part);

}  // namespace daguerre
