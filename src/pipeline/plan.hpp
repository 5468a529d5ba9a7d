#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/pipeline/class_names.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre {

/// A host's order as the model understands it.
struct Plan {
  Task task;
  /// What the picture's settings say beside what all models have.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::vector<std::string> warnings;
};

/// Throws ArgumentError for an order that `model` cannot carry out.
Plan plan_for(const GenerateOptions& options, const Model& model, const ClassNames& class_names,
              std::shared_ptr<const samplers::Sampler> sampler);

/// Width and height: the options', else those of the initial latents, else those of the picture to start
/// from, rounded down to multiples of `downscale` (with one side given the other keeps its proportions), else
/// `default_size`. Throws ArgumentError for a picture that is smaller than a multiple.
std::pair<Index, Index> size_of(const GenerateOptions& options, Index downscale,
                                std::pair<Index, Index> default_size);
/// A number as people write it: "7.5", "20".
std::string number(double value);

}  // namespace daguerre
