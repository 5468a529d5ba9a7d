#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "daguerre/samplers/registry.hpp"
#include "support/golden.hpp"

namespace daguerre::test {

/// One recorded quantity of a sampler case against ours.
struct SamplerFinding {
  std::string name;  ///< "timesteps", "sigmas", "step.3", "chain", "pred_original_sample.0" …
  Difference found;
  double bound = 0.0;  ///< on `found.rel_l2`; 0 asks for equality
  bool passed() const { return found.rel_l2 <= bound; }
};

struct SamplerReport {
  /// Why the case cannot be run; empty when it was.
  std::string unsupported;
  std::vector<SamplerFinding> findings;
};

/// Largest relative L2 error of tables and single steps, and of a whole chain.
constexpr double sampler_step_bound = 1e-6;
constexpr double sampler_chain_bound = 2e-5;
/// Fractional timesteps: two units in the last place of a float32, each 6e-8 to 1.2e-7 of it. Those of iPNDM
/// come from a sine, a root and an arc tangent, which PyTorch's vectorised functions give to one unit each.
constexpr double sampler_fraction_bound = 2.4e-7;

/// Runs a case folder of `schedulers/` (config.json, case.json, io.safetensors): tables, scaled model inputs,
/// every step from its recorded sample, the chain that carries its own sample; the calls of `edm_paper_*`;
/// noising, targets, losses and gradients of `forward_*` and `training_losses`. A recorded result (`out.*`)
/// that nothing was compared with is a failed finding. Throws what the library throws.
SamplerReport check_sampler_case(const std::filesystem::path& folder,
                                 const samplers::SamplerRegistry& registry);

}  // namespace daguerre::test
