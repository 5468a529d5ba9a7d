#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/pipeline/model.hpp"

/// What recorded runs of pipelines were given.
namespace daguerre::conformance {

/// Replays the noise that the reference drew.
class RecordedNoise final : public NoiseStreams {
 public:
  explicit RecordedNoise(const Recorded& run) : run_(run) {}
  using NoiseStreams::draw;
  /// Puts `noise` in the place of what was recorded as the first draw for `use`.
  void replace_first(Use use, Tensor<float> noise) {
    first_[static_cast<std::size_t>(use)] = std::move(noise);
  }
  /// What the reference draws for both sides of guidance at once may be asked for one after the other.
  Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) override;

 private:
  const Recorded& run_;
  std::array<Tensor<float>, 4> first_;  // empty: as recorded
  std::array<int, 4> next_{};
  std::array<Index, 4> rows_{};       // of the one that is next, those that were given out
  std::array<std::string, 4> again_;  // a second draw that comes before it
};

/// ControlNets and T2I-Adapters of a folder, by the names of theirs.
using Controls = std::map<std::string, std::shared_ptr<const Control>>;
Controls controls_in(const std::filesystem::path& folder, const Model& model, const LoadContext& context);
/// Puts those of a run, with their pictures, into its task; `arguments` are the run's.
void set_controls(const Config& config, const nlohmann::json& arguments, const Recorded& run,
                  const Controls& controls, Task& task);

/// Arguments of pipelines that make films.
const std::set<std::string>& film_arguments();
/// Puts them, and what films begin with, into the task.
void set_film(const nlohmann::json& arguments, const Recorded& run, const Model& model,
              const Controls& controls, Task& task);
/// The reference's LTXConditionPipeline mixes what it knows of the first frame into the noise that it drew,
/// in place, and so into what was recorded: the noise before that. Empty where nothing was mixed in part.
Tensor<float> noise_before_mixing(const ops::Context& context, const Recorded& run, const Model& model,
                                  const Task& task);
/// A film as the reference has it, `[N, C, F, H, W]` or `[N, F, C, H, W]`, as `[N, F, H, W, C]`; what is none
/// is left as it is.
Tensor<float> film_layout(const Tensor<float>& recorded, FilmOrder order);
/// What was recorded under that name, a film or its frames or tokens, as something of that shape; in the
/// order given, or where that cannot be, in the other one.
Tensor<float> film_like(const Recorded& run, const std::string& name, const Shape& shape, FilmOrder order);

/// The IP-Adapters and pictures of a run; `folder` holds their files.
std::vector<ImagePrompt> image_prompts(const std::filesystem::path& folder, const Config& config,
                                       const Recorded& run, const ops::Context& context);

}  // namespace daguerre::conformance
