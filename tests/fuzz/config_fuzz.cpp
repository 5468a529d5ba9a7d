#include <cstdint>
#include <string_view>

#include "daguerre/config/config.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/autoencoders/vq_model.hpp"
#include "daguerre/models/denoisers/dit.hpp"
#include "daguerre/models/denoisers/unet_2d.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"

namespace {

template <class F>
void refusable(F&& read) {
  try {
    read();
  } catch (const daguerre::Error&) {
  }
}

}  // namespace

// A config.json, given to each network; what is read must be written as JSON that is read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using daguerre::Config;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  refusable([&] {
    const auto config = Config::parse(text, "fuzz");
    if (Config::parse(config.dump(), "dump").dump() != config.dump()) __builtin_trap();
    refusable([&] { (void)daguerre::models::UNet2DConditionConfig::from(Config::parse(text, "fuzz")); });
    refusable([&] { (void)daguerre::models::UNet2DConfig::from(Config::parse(text, "fuzz")); });
    refusable([&] { (void)daguerre::models::DiTConfig::from(Config::parse(text, "fuzz")); });
    refusable([&] { (void)daguerre::models::AutoencoderKlConfig::from(Config::parse(text, "fuzz")); });
    refusable([&] { (void)daguerre::models::VqModelConfig::from(Config::parse(text, "fuzz")); });
  });
  return 0;
}
