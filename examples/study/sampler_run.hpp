#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <daguerre/config/config.hpp>
#include <daguerre/ops/context.hpp>
#include <daguerre/pipeline/model.hpp>

#include "results.hpp"

namespace CLI {
class App;
}

namespace daguerre::study {

/// Makes latents of many prompts with one sampler after another, several pictures at a time.
class LatentMaker {
 public:
  struct Options {
    std::filesystem::path model;
    Precision precision = Precision::automatic;
    int threads = 0;  ///< 0: as many as there are processors
    float guidance = 1.0f;
    std::string spacing = "trailing";  ///< of the timesteps; see samplers/timesteps.hpp
    std::uint64_t seed = 0;            ///< picture i has seed + i
    Index batch = 50;
  };
  /// Reads the model and the prompts, one for each picture. Throws what Pipeline::load throws.
  LatentMaker(const Options& options, const std::vector<std::string>& prompts);

  /// Latents of all prompts, `[N, h, w, C]`, as the denoiser sees them; `sampler` is a short name. `progress`
  /// is told how many pictures are done. Throws ConfigError for an unknown sampler, NumericError.
  Tensor<float> make(const std::string& sampler, int steps, const std::function<void(Index)>& progress) const;

 private:
  Tensor<float> make_some(std::shared_ptr<const samplers::Sampler> sampler, int steps, Index begin,
                          Index end) const;

  Task task_for(Index begin, Index end) const;

  Options options_;
  ops::Context context_;
  Model model_;
  Config scheduler_;
  std::vector<Prompt> prompts_;
  std::vector<Conditions> conditions_;
};

/// The options of a command that makes latents.
void add_sampling_options(CLI::App& app, LatentMaker::Options& make, std::string& precision,
                          bool& unconditional);
/// What decides on the results of a study, the weights' checksum among it; see Results.
Json settings_of(const LatentMaker::Options& make, const std::string& precision, bool unconditional,
                 std::size_t samples);

}  // namespace daguerre::study
