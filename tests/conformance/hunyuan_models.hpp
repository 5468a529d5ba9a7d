#pragma once

#include "conformance/case.hpp"

namespace daguerre::conformance {

/// Runs a case of the transformers of HunyuanVideo, Mochi and Latte; false: its class is another one. For
/// float and bfloat16.
template <class T>
bool run_hunyuan_model(const std::filesystem::path& folder, const Config& config, const ops::Context& context,
                       Result& result);

}  // namespace daguerre::conformance
