#pragma once

#include <optional>
#include <string>

#include "daguerre/evaluation/evaluate.hpp"

namespace daguerre::evaluation {

/// The measure of two pictures that `measure` names: "psnr", "ssim", "lpips-alex:PATH" and what else
/// PerceptualDistance::load takes;
/// nothing for another name. Throws what loading throws.
std::optional<PairMeasure> open_pair_measure(const std::string& measure,
                                             const FeatureNetworkOptions& options);

}  // namespace daguerre::evaluation
