#pragma once

#include <array>
#include <map>
#include <memory>
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
  /// What the reference draws for both sides of guidance at once may be asked for one after the other.
  Tensor<float> draw(Use use, const Shape& shape) override;

 private:
  const Recorded& run_;
  std::array<int, 3> next_{};
  std::array<Index, 3> rows_{};  // of the one that is next, those that were given out
};

/// ControlNets and T2I-Adapters of a folder, by the names of theirs.
using Controls = std::map<std::string, std::shared_ptr<const Control>>;
Controls controls_in(const std::filesystem::path& folder, const Model& model, const LoadContext& context);
/// Puts those of a run, with their pictures, into its task; `arguments` are the run's.
void set_controls(const Config& config, const nlohmann::json& arguments, const Recorded& run,
                  const Controls& controls, Task& task);

/// The IP-Adapters and pictures of a run; `folder` holds their files.
std::vector<ImagePrompt> image_prompts(const std::filesystem::path& folder, const Config& config,
                                       const Recorded& run, const ops::Context& context);

}  // namespace daguerre::conformance
