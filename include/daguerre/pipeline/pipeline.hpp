#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/core/log.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/micro_conditioning.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

namespace ops {
class Profile;
}
namespace samplers {
class SamplerRegistry;
}
class ComponentRegistry;
class FamilyRegistry;
class Guider;
class Model;
class ModelSource;
struct SourceOptions;

struct LoadOptions {
  Precision precision = Precision::automatic;
  std::string engine = "auto";  ///< "onednn", "native", or the best there is
  WeightStorage weights = WeightStorage::automatic;
  std::uint64_t memory_limit = 0;  ///< bytes that packed weights may take; 0: no limit
  int threads = 0;                 ///< for every run of this pipeline; 0: `available_threads()`
  /// Accept weight files with bytes behind their last tensor; see weights::SafetensorsOptions.
  bool allow_trailing_bytes = false;
  /// Where the tokenizer of a single file lies, which variant of a folder's files is read …; see
  /// pipeline/model_source.hpp. nullptr: nothing of that.
  std::shared_ptr<const SourceOptions> source{};
  /// Samplers the model's scheduler_config.json and GenerateOptions::sampler may name; nullptr: the library's
  /// own.
  std::shared_ptr<const samplers::SamplerRegistry> samplers{};
  /// Families that the model may belong to and classes that its parts may be of; nullptr: the library's own.
  std::shared_ptr<const FamilyRegistry> families{};
  std::shared_ptr<const ComponentRegistry> components{};
  /// Told of what was decided and of what looks wrong, at load and in every run; empty: silence.
  LogSink log{};
  /// Told of each part of the model before it is read: its name, its number from 0, how many there are. What
  /// it throws reaches the caller of `load`.
  std::function<void(std::string_view part, int index, int total)> on_part{};
  /// Stops loading, also inside a part, from any thread; `load` throws Cancelled.
  std::stop_token stop{};
};

/// What `GenerateOptions::on_step` is shown after each step. Valid only during the call.
class Step {
 public:
  Index index = 0;  ///< from 0
  Index total = 0;
  float timestep = 0.0f;
  double seconds = 0.0;  ///< this step took

  /// The latents after this step, `[N, h, w, C]`, scaled as the denoiser sees them.
  const Tensor<float>& latents() const noexcept { return *latents_; }
  /// The picture as it would come out now: the sampler's current guess of image `n`, decoded. Takes as long
  /// as the final decoding does.
  Image preview(Index n = 0) const { return preview_(n); }

 private:
  friend class Pipeline;
  const Tensor<float>* latents_ = nullptr;
  std::function<Image(Index)> preview_;
};

/// One order for pictures. Every field has a usable default but the prompt or the class; each is initialised
/// here, so that a host may name the few that it sets without a compiler warning. What the loaded model
/// cannot use (a prompt for DiT, a class for Stable Diffusion, guidance for DDPM) must stay as it is.
struct GenerateOptions {
  std::string prompt{};
  /// What the picture should not show. Not given is not the same as empty: some models (SDXL) know what it
  /// means that there is none.
  std::optional<std::string> negative_prompt{};
  /// Ids of what to show, for class-conditional models: one for all pictures, or one for each.
  std::vector<std::int32_t> class_labels{};
  std::string class_name{};    ///< instead: the name of one class in the model's `id2label`
  std::optional<int> steps{};  ///< by default what the family takes: 50, 4 for latent consistency models …
  /// 1 and below turn guidance off and halve the time. By default 7.5, 5 for SDXL, 4 for DiT.
  std::optional<float> guidance_scale{};
  float guidance_rescale = 0.0f;  ///< 0..1; 0.7 for models with zero terminal SNR
  /// In pixels, as a rule a multiple of 8. 0: as the latents; else as init_image, rounded down to a multiple
  /// (where one side is given, in the picture's proportions); else what the model was trained at.
  Index width = 0;
  Index height = 0;
  std::uint64_t seed = 0;  ///< of the first image; the next ones have seed + 1, seed + 2 …
  int count = 1;           ///< images made in one run
  /// A short name ("euler-a", "dpm++2m-karras", …); empty: what the model's folder says.
  std::string sampler{};
  double eta = 0.0;   ///< DDIM and TCD only: 0 deterministic, 1 as noisy as DDPM
  int clip_skip = 0;  ///< layers of the text encoder left out at its end, for the prompt only
  std::string generator = "torch-cpu";  ///< or "cuda-philox": whose random numbers the seed means

  Image init_image{};  ///< image to image, and what is kept when inpainting; scaled to width x height
  Image mask_image{};  ///< inpainting: white where to paint (grey from 128 on); scaled to width x height
  /// 0..1, how far to go from init_image; negative: what the family takes, as a rule 0.8, or 1 with a mask.
  double strength = -1;
  /// Initial noise `[count, h, w, C]` of unit variance; empty: drawn from the seed. It decides on the size
  /// where width or height is 0.
  Tensor<float> latents{};

  // What only some models have.
  std::string prompt_2{};                          ///< for the second text encoder (SDXL); empty: the prompt
  std::optional<std::string> negative_prompt_2{};  ///< for the second text encoder; by default the other one
  MicroConditioning micro{};                       ///< sizes and scores that SDXL is told
  float image_guidance_scale = 1.5f;               ///< InstructPix2Pix: how strongly the picture steers
  /// Latents to start from in the place of init_image, as another run left them, `[1 or count, h, w, C]`.
  Tensor<float> init_latents{};
  /// The part of the whole schedule that is run, 0 to 1: a base model ends where its refiner starts.
  std::optional<double> denoising_start{}, denoising_end{};
  /// Combines predictions in the place of the family's own; see pipeline/guider.hpp.
  std::shared_ptr<const Guider> guider{};

  /// Called after each step; return false to stop the run, which then throws Cancelled. What it throws
  /// reaches the caller of `generate`.
  std::function<bool(const Step&)> on_step{};
  /// Stops the run, also inside a step, from any thread; `generate` throws Cancelled.
  std::stop_token stop{};
  /// Collects where the time goes, see ops/profile.hpp; nullptr: nothing is timed.
  std::shared_ptr<ops::Profile> profile{};
};

/// What a run made.
struct Generated {
  std::vector<Image> images;
  std::vector<std::uint64_t> seeds;    ///< one for each image
  std::vector<std::string> infotexts;  ///< one for each image: prompt and settings in the A1111 convention
  Tensor<float> latents;               ///< `[N, h, w, C]`, scaled as the denoiser sees them
  Tensor<float> decoded;               ///< `[N, H, W, 3]`, about [-1, 1], before rounding to pixels
  std::vector<std::string> warnings;

  /// Writes image `n` with its settings in the PNG's `parameters` text. Throws FileError, ArgumentError for
  /// another n.
  void save_png(const std::filesystem::path& path, std::size_t n = 0) const;
};

/// What a loaded model is and can do.
struct PipelineInfo {
  std::string name;        ///< of the model, for people: its folder's
  std::string class_name;  ///< of the pipeline in model_index.json
  std::string family;      ///< "sd", "sdxl", "dit" …
  bool takes_prompt = false, takes_class = false, takes_guidance = false;
  bool takes_image = false;  ///< to start from, or to paint into
  bool needs_image = false;  ///< changes pictures, or paints into them, and does nothing else
  bool needs_mask = false;
  Index width = 0, height = 0;  ///< that it was trained at
  int steps = 0;                ///< by default
  float guidance_scale = 0.0f;  ///< by default
  std::string sampler;          ///< by default, its class
  std::map<std::int32_t, std::string> class_names;
};

/// A loaded model: text (or a class) in, pictures out.
///
///     auto pipe = daguerre::Pipeline::load("models/stable-diffusion-v1-5");
///     pipe.generate({.prompt = "a lighthouse at dawn", .steps = 20, .seed = 42}).save_png("lighthouse.png");
///
/// Immutable and cheap to copy (copies share the weights); `generate` may be called from many threads at
/// once.
class Pipeline {
 public:
  /// Loads a single checkpoint file (Stable Diffusion 1, 2, XL in the layout of CompVis and Stability), or a
  /// model folder in diffusers' layout (`model_index.json`, and a folder for each part or its files
  /// beside the index): Stable Diffusion 1.x, 2.x and XL, latent consistency models,
  /// InstructPix2Pix, DiTPipeline, DDPMPipeline, DDIMPipeline and PNDMPipeline.
  /// What diffusers' loaders and pipeline classes correct in a folder's files is corrected. Throws FileError,
  /// FormatError, ConfigError or WeightError, naming the file and what is wrong with it.
  static Pipeline load(const std::filesystem::path& path, const LoadOptions& options = {});
  /// The same from parts that a host has put together.
  static Pipeline load(const ModelSource& source, const LoadOptions& options = {});

  /// Throws ArgumentError for options that are not possible, NumericError when a network computes NaN or
  /// infinity (naming the network, and the weights at fault if it is they), Cancelled.
  Generated generate(const GenerateOptions& options) const;

  /// What the model is and can do.
  PipelineInfo info() const;
  /// The model itself, in tensors: stages that can be run one by one, parts that can be shared.
  const Model& model() const noexcept;

  /// What the model was trained at; the size of pictures unless the options say otherwise.
  Index default_width() const noexcept;
  Index default_height() const noexcept;
  /// The id of the class of that name, as ClassNames::find. Throws ArgumentError.
  std::int32_t class_id(std::string_view name) const;
  /// What was decided at load.
  Precision precision() const noexcept;
  WeightStorage weight_storage() const noexcept;
  const std::string& engine() const noexcept;
  int threads() const noexcept;
  /// The short names that GenerateOptions::sampler takes.
  std::vector<std::string> sampler_names() const;

 private:
  struct State;
  explicit Pipeline(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
