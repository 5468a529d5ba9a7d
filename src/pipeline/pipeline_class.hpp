#pragma once

#include <memory>
#include <string>

#include "pipeline/backend.hpp"
#include "pipeline/model_folder.hpp"

namespace daguerre {

/// A pipeline class of model_index.json: what loads it, and what diffusers' class does in its constructor to
/// the scheduler that it is given.
struct PipelineClass {
  const char* name;
  std::unique_ptr<const Backend> (*load)(const BackendSource&);
  /// Keys that the constructor sets, as a JSON object.
  const char* scheduler_overrides;
  /// The class that it turns any scheduler into; nullptr: it takes the scheduler as it is.
  const char* scheduler_class;
};

/// The class that `folder` names. Throws ConfigError, listing those there are.
const PipelineClass& pipeline_class_of(const ModelFolder& folder);

/// The model's scheduler_config.json as the pipeline's constructor leaves it; its class is the one in
/// model_index.json, or that of the pipeline.
weights::Config scheduler_config(const ModelFolder& folder, const PipelineClass& pipeline);

}  // namespace daguerre
