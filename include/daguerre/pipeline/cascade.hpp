#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/pipeline/cascade_stage.hpp"
#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre {

/// Which stages of a cascade are in memory.
enum class CascadeMemory {
  all,           ///< all, from load on
  one_at_a_time  ///< each is loaded in every run when its turn comes, and dropped behind it
};

/// How a cascade is loaded.
struct CascadeOptions {
  /// Of every stage. Its LoRAs are the first one's; `precision` holds where a stage has none of its own.
  LoadOptions load{};
  CascadeMemory memory = CascadeMemory::all;
};

/// What CascadeRequest::on_step is shown.
struct CascadeStep {
  std::size_t stage = 0, stages = 1;  ///< from 0
  std::string_view name;              ///< the stage's
  std::size_t picture = 0;            ///< of those of the run: the one that the stage works at, or its first
  int index = 0;                      ///< of the steps of all stages and pictures, from 0
  /// Of all. Stages that are loaded later are counted by what their model does by default, and counted anew
  /// once they are there.
  int total = 1;
  double progress = 0.0;  ///< how much is done, above 0 to 1; it never falls
  /// The stage's own step, with its previews; its index and total are those of the stage's run. A tile of an
  /// upscaler has no preview.
  const Step& step;
};

/// An order for a cascade.
struct CascadeRequest {
  /// Goes to the first stage as it is. Its prompts, their language, seed, generator, count, `stop`, `profile`
  /// and what is kept of latents hold for all stages; everything else (LoRAs, controls, masks, a picture to
  /// start from …) is the first one's. What it does not say is as the cascade has it. Its on_step and
  /// on_frame must be empty.
  Request first{};
  /// Over the cascade's own, stage by stage; may have fewer than there are. Those of the first one also hold
  /// over `first`.
  std::vector<StageOptions> stages{};
  /// Called after each step of any stage; return false to stop the run, which then throws Cancelled.
  std::function<bool(const CascadeStep&)> on_step{};
  /// Called with the pictures of each stage but the last, when it is done.
  std::function<void(std::size_t stage, const Result& made)> on_stage{};
};

/// One stage of a loaded cascade.
struct CascadeStageInfo {
  std::string name;
  std::filesystem::path path;
  std::string what;  ///< the class of its pipeline, or what its upscaler is
  StageOptions options;
};

/// Several models as one (Ho et al. 2021, "Cascaded Diffusion Models"; Imagen, DeepFloyd IF): the first makes
/// small pictures from the prompt, each of the others changes or enlarges those of the one before it:
///
///     auto cascade = daguerre::Cascade::load("models/if");
///     cascade.generate({.first = {.prompt = "a lighthouse at dawn"}}).save_png("lighthouse.png");
///
/// A stage may be any model that Pipeline::load takes and that takes pictures (super-resolution by diffusion,
/// image to image, editing), or an upscaler's network. Pictures go from stage to stage with 8 bits a channel.
/// Behind the first stage each picture is made by itself, with the seed that it has in the batch, so that it
/// comes out as it would alone. Immutable and cheap to copy; `generate` may be called from many threads.
class Cascade {
 public:
  /// From a folder with a cascade.json, or that file itself. Throws what CascadeDescription::read throws, and
  /// what Pipeline::load and Upscaler::load throw, naming the stage; ConfigError for stages that cannot
  /// follow each other. Stages that are loaded later are only looked at here.
  static Cascade load(const std::filesystem::path& path, const CascadeOptions& options = {});
  static Cascade load(const CascadeDescription& description, const CascadeOptions& options = {});
  static Expected<Cascade> try_load(const std::filesystem::path& path,
                                    const CascadeOptions& options = {}) noexcept;

  /// The last stage's pictures. Their settings' texts hold those of all stages. Throws what
  /// Pipeline::generate throws, naming the stage: before anything is made, as far as all stages are loaded.
  Result generate(const CascadeRequest& request) const;
  Expected<Result> try_generate(const CascadeRequest& request) const noexcept;

  const std::string& name() const noexcept;
  const std::vector<CascadeStageInfo>& stages() const noexcept;
  /// The first stage's model; nullptr where it is not kept, or no model.
  const Pipeline* first() const noexcept;

 private:
  struct State;
  explicit Cascade(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
