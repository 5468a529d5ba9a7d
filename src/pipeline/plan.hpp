#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/pipeline/class_names.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/request.hpp"
#include "pipeline/number.hpp"

namespace daguerre {

/// A host's request as the model understands it.
struct Plan {
  Task task;
  std::optional<Task> second{};  ///< the pass over the picture made larger
  /// What the picture's settings say beside what all models have.
  std::vector<std::pair<std::string, std::string>> parameters;
  std::vector<std::string> warnings;
};

/// Throws ArgumentError for a request that `model` cannot carry out.
Plan plan_for(const Request& request, const Model& model, const ClassNames& class_names,
              std::shared_ptr<const samplers::Sampler> sampler);

/// Height and width: the request's, else those of the latents, of `ratio` pixels each, else those of the
/// picture to start from, rounded down to multiples of `multiple` (with one side given the other keeps its
/// proportions), else `usual`. Throws ArgumentError for a picture that is smaller than a multiple.
Extent size_of(const Request& request, Index ratio, Index multiple, Extent usual);
/// The request's mask at that size, as tasks have it: 0 and 1, or its grey where that is a strength.
Tensor<float> task_mask(const Request& request, Index width, Index height);

}  // namespace daguerre
