#include <cstdint>
#include <string_view>

#include "daguerre/core/error.hpp"
#include "daguerre/samplers/registry.hpp"

// A scheduler_config.json; where a sampler comes of it, four steps are planned.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto registry = daguerre::samplers::SamplerRegistry::standard();
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto sampler = registry.make(daguerre::Config::parse(text, "fuzz"));
    daguerre::samplers::RunOptions options;
    options.steps = 4;
    (void)sampler->start(options)->timesteps();
  } catch (const daguerre::Error&) {
  }
  return 0;
}
