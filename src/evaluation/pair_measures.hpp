#pragma once

#include <optional>
#include <string>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/evaluation/evaluate.hpp"

namespace daguerre::evaluation {

/// The measure of two pictures that `measure` names: "psnr", "ssim", "lpips-alex:PATH" and what else
/// PerceptualDistance::load takes;
/// nothing for another name. Throws what loading throws.
std::optional<PairMeasure> open_pair_measure(const std::string& measure,
                                             const FeatureNetworkOptions& options);

/// Adds CMMD, or improved precision and recall, of features against a reference's.
void add_other_distribution_figures(bool cmmd, const Tensor<float>& features, const Tensor<float>& reference,
                                    const Threads& threads, const std::string& definition, Report& report);

}  // namespace daguerre::evaluation
