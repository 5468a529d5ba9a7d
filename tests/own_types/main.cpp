// What a host adds without touching the library, with nothing but its public headers: an engine of its own,
// element types of its own, and networks made for them. What they compute is compared with what the reference
// recorded.
//
//     own_types GOLDEN_FOLDER

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>

#include <daguerre/core/layout.hpp>
#include <daguerre/models/autoencoders/autoencoder_kl-inl.hpp>
#include <daguerre/models/autoencoders/vq_model-inl.hpp>
#include <daguerre/models/denoisers/dit-inl.hpp>
#include <daguerre/models/denoisers/unet_2d-inl.hpp>
#include <daguerre/models/denoisers/unet_2d_condition-inl.hpp>
#include <daguerre/models/text_encoders/clip_text-inl.hpp>
#include <daguerre/models/text_encoders/t5_encoder-inl.hpp>

#include "naive_engine.hpp"

namespace host {

/// An element type that the library has never heard of: float32 without its last eight bits.
struct Float24 {
  Float24() = default;
  explicit Float24(float value)
      : kept(std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) + 0x80u) & 0xFFFFFF00u)) {}
  explicit operator float() const { return kept; }
  explicit operator double() const { return static_cast<double>(kept); }
  float kept = 0.0f;
};

/// It does not do bfloat16.
class NaiveEngine final : public ops::Engine,
                          public NaiveFor<float>,
                          public NaiveFor<double>,
                          public NaiveFor<Float24> {
 public:
  std::string_view name() const noexcept override { return "naive"; }
};

}  // namespace host

// All of every network, also what the cases below do not go through.
namespace daguerre::models {

template class AutoencoderKl<host::Float24>;
template class ClipText<host::Float24>;
template class DiT<host::Float24>;
template class T5Encoder<host::Float24>;
template class UNet2D<host::Float24>;
template class UNet2DCondition<host::Float24>;
template class VqModel<host::Float24>;

}  // namespace daguerre::models

namespace {

namespace fs = std::filesystem;
using namespace daguerre;

int failures = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::printf("FAILED: %s\n", what.c_str());
  ++failures;
}

/// A recorded case: its network's configuration and weights, what went in and what came out.
struct Case {
  Case(const fs::path& golden, const std::string& name, const ops::Context& context)
      : name(name),
        config(Config::load(golden / name / "config.json")),
        loader{weights::StateDict::load(golden / name / "weights.safetensors"), context},
        io(weights::SafetensorsFile::open(golden / name / "io.safetensors")) {}

  Tensor<float> tensor(const std::string& key) const {
    const auto read = io.read<float>(key);
    return read.rank() == 4 ? to_channels_last(read) : read;
  }
  void compare(const std::string& key, const Tensor<float>& actual, double bound) const {
    const auto expected = tensor(key);
    if (!(actual.shape() == expected.shape()))
      return expect(false, name + ", " + key + ": shape " + to_string(actual.shape()));
    double error = 0.0, norm = 0.0;
    for (Index i = 0; i < expected.size(); ++i) {
      const double value = static_cast<double>(expected.data()[i]);
      error += std::pow(static_cast<double>(actual.data()[i]) - value, 2.0);
      norm += value * value;
    }
    const double relative = std::sqrt(error / norm);
    std::printf("%s, %s: %.2e\n", name.c_str(), key.c_str(), relative);
    expect(relative <= bound, name + ", " + key + " is off by " + std::to_string(relative));
  }

  std::string name;
  Config config;
  nn::Loader loader;
  weights::SafetensorsFile io;
};

/// `rounding` is how far numbers of T are from those of float32.
template <class T>
void run_networks(const fs::path& golden, const ops::Context& context, double rounding) {
  {
    const Case recorded(golden, "unet/sd1", context);
    const models::UNet2DCondition<T> unet(models::UNet2DConditionConfig::from(recorded.config),
                                          recorded.loader);
    recorded.compare("out.sample",
                     unet(context, recorded.tensor("in.sample"), recorded.tensor("in.timestep").span(),
                          recorded.tensor("in.encoder_hidden_states")),
                     2e-5 + rounding);
  }
  {
    const Case recorded(golden, "dit/dit", context);
    const models::DiT<T> dit(models::DiTConfig::from(recorded.config), recorded.loader);
    recorded.compare("out.sample",
                     dit(context, recorded.tensor("in.hidden_states"), recorded.tensor("in.timestep").span(),
                         recorded.io.read<std::int32_t>("in.class_labels").span()),
                     2e-5 + rounding);
  }
  {
    const Case recorded(golden, "text/clip_l", context);
    const models::ClipText<T> clip(models::ClipTextConfig::from(recorded.config), recorded.loader);
    recorded.compare("out.last_hidden_state",
                     clip(context, recorded.io.read<std::int32_t>("in.input_ids")).last_hidden_state,
                     1e-6 + rounding);
  }
  {
    const Case recorded(golden, "text/t5_v1_1", context);
    const models::T5Encoder<T> t5(models::T5EncoderConfig::from(recorded.config), recorded.loader);
    recorded.compare("out.last_hidden_state", t5(context, recorded.io.read<std::int32_t>("in.input_ids")),
                     1e-6 + rounding);
  }
  {
    const Case recorded(golden, "vae/kl_sd1", context);
    const models::AutoencoderKl<T> vae(models::AutoencoderKlConfig::from(recorded.config), recorded.loader);
    recorded.compare("out.decoded", vae.decode(context, recorded.tensor("in.latents")), 5e-6 + rounding);
    recorded.compare("out.mean", vae.encode(context, recorded.tensor("in.sample")).mean, 5e-6 + rounding);
  }
}

/// An engine says which element types it does not do, and what is made for one of those says so.
void refuse_bfloat16(const fs::path& golden, const ops::Context& context) {
  expect(context.engine->find<bfloat16>() == nullptr, "the engine offers what it does not have");
  const Case recorded(golden, "unet/sd1", context);
  try {
    const models::UNet2DCondition<bfloat16> unet(models::UNet2DConditionConfig::from(recorded.config),
                                                 recorded.loader);
    expect(false, "a network in bfloat16 was made with an engine that has none");
  } catch (const ArgumentError& error) {
    const std::string said = error.what();
    expect(said.find("\"naive\"") != said.npos && said.find("bfloat16") != said.npos, said);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::puts("usage: own_types GOLDEN_FOLDER"), 2;
  try {
    ops::Context context;
    context.engine = std::make_shared<host::NaiveEngine>();
    run_networks<float>(argv[1], context, 0.0);
    run_networks<double>(argv[1], context, 0.0);
    run_networks<host::Float24>(argv[1], context, 3e-4);
    refuse_bfloat16(argv[1], context);
    // The library's own engines have no double.
    try {
      static_cast<void>(ops::make_engine("native")->as<double>());
      expect(false, "the engine \"native\" does double");
    } catch (const ArgumentError& error) {
      expect(std::string(error.what()).find("\"native\" does not multiply double") != std::string::npos,
             error.what());
    }
  } catch (const std::exception& error) {
    expect(false, error.what());
  }
  return failures == 0 ? 0 : 1;
}
