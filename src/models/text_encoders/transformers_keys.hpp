#pragma once

#include "daguerre/config/config.hpp"

namespace daguerre::models {

/// Leaves out the attributes that transformers gives every configuration, in one version or another. None is
/// looked at by text encoders; those that would change one have another value than the default only where
/// somebody pruned heads.
void leave_transformers_keys(const Config& config);

}  // namespace daguerre::models
