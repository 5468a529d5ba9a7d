#pragma once

#include <algorithm>
#include <string>

#include "daguerre/pipeline/pipeline.hpp"
#include "support/golden.hpp"

namespace daguerre::test {

inline Pipeline load_tiny(const std::string& engine = "auto", int threads = 1,
                          Precision precision = Precision::float32) {
  return Pipeline::load(golden("pipelines/sd1"),
                        {.precision = precision, .engine = engine, .threads = threads});
}

inline Request small_order() {
  Request options;
  options.prompt = "a cat on a red carpet";
  options.size.width = 24;
  options.size.height = 16;
  options.sampling.steps = 3;
  options.sampling.seed = 7;
  options.sampling.sampler = "ddim";
  options.output.decoded = true;
  return options;
}

/// Bit for bit.
inline bool equal(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}
inline bool equal(const Result& a, const Result& b) {
  return equal(a.latents, b.latents) && equal(a.decoded, b.decoded) && a.infotexts == b.infotexts;
}

}  // namespace daguerre::test
