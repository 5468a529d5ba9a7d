#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/core/log.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/pipeline/pipeline_info.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/pipeline/request.hpp"
#include "daguerre/pipeline/result.hpp"

namespace daguerre {

namespace ops {
class EngineRegistry;
}
namespace samplers {
class SamplerRegistry;
}
class ComponentRegistry;
class Control;
class FamilyRegistry;
class ImageEncoder;
class IpAdapter;
class Model;
class ModelSource;
struct SourceOptions;

struct LoadOptions {
  Precision precision = Precision::automatic;
  std::string engine = "auto";  ///< "onednn", "native", one of `engines`, or the best there is
  WeightStorage weights = WeightStorage::automatic;
  Residency residency = Residency::automatic;
  /// Bytes that the weights may take at once, in memory: those that are kept and, of the others, those of one
  /// stage; files that are mapped do not count. What `weights` and `residency` leave open is decided so that
  /// it fits. 0: what the machine and the process's control groups have free, less a quarter of it (4 GB at
  /// most) for everything else.
  std::uint64_t memory_limit = 0;
  int threads = 0;  ///< for every run of this pipeline; 0: `available_threads()`
  /// Accept weight files with bytes behind their last tensor; see weights::SafetensorsOptions.
  bool allow_trailing_bytes = false;
  /// Where the tokenizer of a single file lies, which variant of a folder's files is read …; see
  /// pipeline/model_source.hpp. nullptr: nothing of that.
  std::shared_ptr<const SourceOptions> source{};
  /// Merged into the weights while they are read, so that they cost nothing later; see pipeline/lora.hpp.
  std::vector<LoraUse> loras{};
  std::filesystem::path lora_dir{};  ///< where `Pipeline::lora` looks for names; empty: nowhere
  FindLora find_lora{};              ///< asked in the place of that folder; safe from many threads
  // What names may mean, where a host adds to it; nullptr: the library's own.
  std::shared_ptr<const ops::EngineRegistry> engines{};  ///< that `engine` may name
  /// Samplers that the model's scheduler_config.json and Request::Sampling::sampler may name.
  std::shared_ptr<const samplers::SamplerRegistry> samplers{};
  std::shared_ptr<const FamilyRegistry> families{};       ///< that the model may belong to
  std::shared_ptr<const ComponentRegistry> components{};  ///< classes that its parts may be of
  /// Told of what was decided and of what looks wrong, at load and in every run; empty: silence.
  LogSink log{};
  /// Told of each part of the model before it is read: its name, its number from 0, how many there are. What
  /// it throws reaches the caller of `load`.
  std::function<void(std::string_view part, int index, int total)> on_part{};
  /// Stops loading, also inside a part, from any thread; `load` throws Cancelled.
  std::stop_token stop{};
};

/// What a request comes to, known before it is run.
struct RunOutline {
  Index width = 0, height = 0;  ///< of the pictures, in pixels; behind a second pass (hires)
  int steps = 0;                ///< how often Request::on_step is called
  std::size_t count = 1;        ///< pictures or films
};

/// A loaded model: text (or a class) in, pictures out.
///
///     auto pipe = daguerre::Pipeline::load("models/stable-diffusion-v1-5");
///     pipe.generate({.prompt = "a lighthouse at dawn", .sampling = {.steps = 20, .seed = 42}})
///         .save_png("lighthouse.png");
///
/// Immutable and cheap to copy (copies share the weights); `generate` may be called from many threads at
/// once. Each `try_` function does what its namesake does and throws nothing: what would be thrown, also by a
/// callback, is in what it returns.
class Pipeline {
 public:
  /// Loads a single checkpoint file, safetensors or GGUF, in the layout of its authors (Stable Diffusion 1,
  /// 2, XL, 3, 3.5), or a model folder in diffusers' layout (`model_index.json`, and a folder for each part
  /// or its files beside the index): the same, FLUX.1, PixArt, latent consistency models, InstructPix2Pix,
  /// DiTPipeline, DDPMPipeline, DDIMPipeline and PNDMPipeline. For a file for each part, as FLUX.1 comes, see
  /// ModelSource::join.
  /// What diffusers' loaders and pipeline classes correct in a folder's files is corrected. Throws FileError,
  /// FormatError, ConfigError or WeightError, naming the file and what is wrong with it; ArgumentError where
  /// the model does not fit LoadOptions::memory_limit, saying by how much and which options would fit.
  static Pipeline load(const std::filesystem::path& path, const LoadOptions& options = {});
  static Expected<Pipeline> try_load(const std::filesystem::path& path,
                                     const LoadOptions& options = {}) noexcept;
  /// The same from parts that a host has put together.
  static Pipeline load(const ModelSource& source, const LoadOptions& options = {});
  static Expected<Pipeline> try_load(const ModelSource& source, const LoadOptions& options = {}) noexcept;

  /// Throws ArgumentError for a request that is not possible, NumericError when a network computes NaN or
  /// infinity (naming the network, and the weights at fault if it is they), Cancelled.
  Result generate(const Request& request) const;
  Expected<Result> try_generate(const Request& request) const noexcept;
  /// Checks the request as `generate` does, without running it. Throws ArgumentError.
  RunOutline outline(const Request& request) const;

  /// A ControlNet or T2I-Adapter for this model, for `Request::controls`: a folder in diffusers' layout, or
  /// one file, safetensors or GGUF, under diffusers' names or those of its authors (lllyasviel's ControlNet,
  /// TencentARC's T2I-Adapter, XLabs' for FLUX.1). It computes as the model does, and its weights are kept as
  /// the denoiser's are. Throws FileError, FormatError, ConfigError or WeightError, naming the file, and
  /// where it does not fit the model both files.
  std::shared_ptr<const Control> load_control(const std::filesystem::path& path) const;
  Expected<std::shared_ptr<const Control>> try_load_control(const std::filesystem::path& path) const noexcept;
  /// CLIP's image encoder and an IP-Adapter (see pipeline/ip_adapter.hpp), with this pipeline's engine,
  /// threads and precision, for Request::image_prompts. Throw what `load` throws.
  std::shared_ptr<const ImageEncoder> load_image_encoder(const std::filesystem::path& folder) const;
  std::shared_ptr<const IpAdapter> load_ip_adapter(const std::filesystem::path& file,
                                                   std::shared_ptr<const ImageEncoder> encoder) const;

  /// What the model is and can do, and what was decided at load.
  const PipelineInfo& info() const noexcept;
  /// The model itself, in tensors: stages that can be run one by one, parts that can be shared.
  const Model& model() const noexcept;
  /// The LoRA of that name, as a prompt or a picture's settings have it, from LoadOptions::find_lora or
  /// lora_dir. Throws ArgumentError for a name that is not there; what Lora::load throws.
  std::shared_ptr<const Lora> lora(std::string_view name) const;
  /// What these LoRAs change in the model, prepared for requests that name them. Throws as `generate` does
  /// for them.
  std::vector<LoraInfo> prepare(const std::vector<LoraUse>& loras) const;
  /// The id of the class of that name, as ClassNames::find. Throws ArgumentError.
  std::int32_t class_id(std::string_view name) const;

 private:
  struct State;
  explicit Pipeline(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
