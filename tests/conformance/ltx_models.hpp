#pragma once

#include "conformance/case.hpp"

namespace daguerre::conformance {

// Each runs a recorded case of one of LTX-Video's networks, for float and bfloat16.

template <class T>
void run_ltx_transformer(const std::filesystem::path& folder, const Config& config,
                         const ops::Context& context, Result& result);
template <class T>
void run_ltx_autoencoder(const std::filesystem::path& folder, const Config& config,
                         const ops::Context& context, Result& result);
template <class T>
void run_ltx_latent_upsampler(const std::filesystem::path& folder, const Config& config,
                              const ops::Context& context, Result& result);

}  // namespace daguerre::conformance
