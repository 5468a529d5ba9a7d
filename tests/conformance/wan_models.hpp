#pragma once

#include "conformance/case.hpp"

namespace daguerre::conformance {

/// Runs a recorded case of Wan's transformers. For float and bfloat16.
template <class T>
void run_wan_transformer(const std::filesystem::path& folder, const Config& config,
                         const ops::Context& context, Result& result);

}  // namespace daguerre::conformance
