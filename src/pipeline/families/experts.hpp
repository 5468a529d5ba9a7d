#pragma once

#include <memory>
#include <vector>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/guider.hpp"

/// Two denoisers that share a run: one for the noisy part, one for the rest (ensembles of experts; Balaji et
/// al. 2022; Wan 2.2).
namespace daguerre::families {

/// One denoiser of both, which asks the second one at timesteps below `boundary`
/// (DenoiserInfo::expert_boundary). Throws ConfigError for experts that read or give other things than each
/// other.
std::shared_ptr<const Denoiser> experts(std::shared_ptr<const Denoiser> first,
                                        std::shared_ptr<const Denoiser> second, double boundary);

/// Guidance of two experts: `Guidance::scale` as long as the first is asked, then `scale_2`, where there is
/// one. Whether there is guidance at all is what the first scale says.
std::shared_ptr<const Guider> expert_guider(const Guidance& guidance, const DenoiserInfo& denoiser);

}  // namespace daguerre::families
