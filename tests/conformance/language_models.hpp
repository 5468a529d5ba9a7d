#pragma once

#include "conformance/case.hpp"

namespace daguerre::conformance {

/// Runs a recorded case of a decoder-only language model; false: its class is another one. For float and
/// bfloat16.
template <class T>
bool run_language_model(const std::filesystem::path& folder, const Config& config,
                        const ops::Context& context, Result& result);

}  // namespace daguerre::conformance
