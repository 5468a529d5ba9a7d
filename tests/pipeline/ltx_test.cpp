// LTX-Video: pictures and clips at frames of a film.
#include <array>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/models/autoencoders/autoencoder_kl_ltx.hpp"
#include "daguerre/models/denoisers/ltx_transformer.hpp"
#include "daguerre/models/upscalers/ltx_latent_upsampler.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/model_source.hpp"
#include "daguerre/pipeline/preparation.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

const Model& ltx_model() {
  static const auto model =
      Model::load(ModelSource::open_folder(golden("pipelines/ltx_095")), {.compute = context_for("native")});
  return model;
}

Image coloured(std::uint8_t value) {
  Image picture(64, 32, 3);
  for (auto& byte : picture.pixels()) byte = value = static_cast<std::uint8_t>(value * 5 + 7);
  return picture;
}

Task ltx_task(Index frames = 17) {
  Task task;
  task.prompts = {{.text = "waves"}};
  task.height = 32;
  task.width = 64;
  task.steps = 3;
  task.guidance.scale = 1.0f;
  task.sequence_length = 16;
  task.sampler = samplers::SamplerRegistry::standard().make(
      Config::load(golden("pipelines/ltx_095") / "scheduler" / "scheduler_config.json"));
  task.film.frames = frames;
  task.film.condition_noise = 0.0f;
  return task;
}

/// Seeded, but autoencoders draw nothing: what is known of pictures is their mean.
class MeansOnly final : public NoiseStreams {
 public:
  explicit MeansOnly(std::vector<std::uint64_t> seeds) : noise_("torch-cpu", std::move(seeds)) {}
  using NoiseStreams::draw;
  Tensor<float> draw(Use use, const Shape& shape, FilmOrder order) override {
    return use == Use::autoencoder ? Tensor<float>::zeros(shape) : noise_.draw(use, shape, order);
  }

 private:
  SeededNoise noise_;
};

Tensor<float> latents_of(const Model& model, const Task& task, std::vector<std::uint64_t> seeds = {4}) {
  const auto context = context_for("native");
  MeansOnly noise(std::move(seeds));
  return model.denoise(context, task, model.condition(context, task, *model.guider(task)), noise);
}

Tensor<float> mean_of(const Model& model, const Task& task, const std::vector<Image>& pictures) {
  const auto context = context_for("native");
  MeansOnly noise({4});
  const Preparation of{context, task, model.family(), model.components(), noise, {1, 1, 1, 1, 1}};
  return of.encode(of.film_of(pictures));
}

Tensor<float> frame(const Tensor<float>& latents, Index at) {
  return latents[0].slice(at, at + 1);
}

}  // namespace

TEST_CASE("pictures stay at the frames that they are put at", "[pipeline][ltx]") {
  const auto& model = ltx_model();
  auto task = ltx_task();
  task.film.conditions = {{{coloured(3)}, 0, 1.0}};
  const auto latents = latents_of(model, task);
  REQUIRE(latents.shape() == Shape{1, 3, 2, 4, 8});
  const auto mean = mean_of(model, task, {coloured(3)});
  CHECK(difference(frame(latents, 0), frame(mean, 0)).max_abs == 0.0);

  // As a condition among others it is held alike; the last frame knows of the other picture.
  auto two = task;
  two.film.conditions.push_back({{coloured(90)}, -1, 1.0});
  const auto held = latents_of(model, two);
  REQUIRE(held.shape() == latents.shape());
  CHECK(difference(frame(held, 0), frame(mean, 0)).max_abs == 0.0);
  CHECK(difference(frame(held, 2), frame(latents, 2)).rel_l2 > 1e-3);

  // New noise on what is held, and nothing held where there is no strength.
  two.film.condition_noise = 0.15f;
  const double noisy = difference(frame(latents_of(model, two), 0), frame(mean, 0)).rel_l2;
  CHECK(noisy > 1e-3);
  CHECK(noisy < 0.5);
  for (auto& condition : two.film.conditions) condition.strength = 0.0;
  CHECK(difference(frame(latents_of(model, two), 0), frame(mean, 0)).rel_l2 > 0.5);
}

TEST_CASE("clips stand at any frame of a film, and films of a batch alone", "[pipeline][ltx]") {
  const auto& model = ltx_model();
  auto task = ltx_task(33);
  std::vector<Image> clip;
  for (int i = 0; i < 30; ++i) clip.push_back(coloured(static_cast<std::uint8_t>(i)));
  task.film.conditions = {{clip, 8, 1.0}};  // 25 frames of it: two latent frames before the film's, two in it
  const auto latents = latents_of(model, task);
  REQUIRE(latents.shape() == Shape{1, 5, 2, 4, 8});
  const auto mean = mean_of(model, task, std::vector<Image>(clip.begin(), clip.begin() + 25));
  CHECK(difference(frame(latents, 3), frame(mean, 2)).max_abs == 0.0);
  CHECK(difference(frame(latents, 4), frame(mean, 3)).max_abs == 0.0);

  // Where fewer frames are made than were asked for, the last is the last of those.
  auto rounded = ltx_task(36), exact = ltx_task(33);
  rounded.film.conditions = exact.film.conditions = {{{coloured(5)}, -1, 1.0}};
  CHECK(difference(latents_of(model, rounded), latents_of(model, exact)).max_abs == 0.0);

  auto both = task;
  both.film.condition_noise = 0.15f;
  both.prompts.push_back({.text = "hills"});
  const auto two = latents_of(model, both, {4, 9});
  both.prompts = {{.text = "hills"}};
  CHECK(difference(two.slice(1, 2), latents_of(model, both, {9})).max_abs == 0.0);
}

TEST_CASE("LTX-Video refuses what it cannot do", "[pipeline][ltx]") {
  const auto& model = ltx_model();
  auto task = ltx_task(1);
  task.film.conditions = {{{coloured(1)}, 7, 1.0}};
  expect_error<ArgumentError>([&] { latents_of(model, task); }, {"a condition is at frame 7 of 1"});
  const auto context = context_for("native");
  expect_error<ArgumentError>(
      [&] {
        (*model.components().denoiser)(context, Tensor<float>::zeros({1, 1, 1, 2, 8}), 1.0f, {});
      },
      {"positions"});
}

TEST_CASE("a film that is decoded chunk by chunk is that which is decoded at once", "[models][ltx]") {
  const auto context = context_for("native");
  const auto folder = golden("pipelines/ltx_095") / "vae";
  const auto plain = Config::load(folder / "config.json");
  const auto noise_everywhere = plain.with(R"({"decoder_inject_noise": [true, true, true, true]})");
  const auto frames = GENERATE(Index{1}, Index{3}, Index{14});
  for (const auto& config : {plain, noise_everywhere}) {
    const weights::StateDict state({std::make_shared<const weights::RandomTensors>(3, DType::f32)}, "random");
    const models::AutoencoderKlLtx<float> vae(models::AutoencoderKlLtxConfig::from(config),
                                              {weights::Scope(state), context});
    const auto latents = random_tensor({1, frames, 2, 1, 8}, 5);
    models::LTXDecoding decoding{.timestep = 0.05f, .noise = {}};
    unsigned planes = 0;
    decoding.noise = [&](Index height, Index width) { return random_tensor({height, width}, ++planes); };
    const auto whole = vae.decode(context, latents, decoding);
    CHECK(whole.shape() == Shape{1, 8 * (frames - 1) + 1, 32, 16, 3});
    for (const Index at_once : {1, 5}) {
      planes = 0;
      std::vector<Tensor<float>> parts;
      vae.decode(
          context, latents, decoding, [&](Tensor<float> part) { parts.push_back(part[0]); }, at_once);
      const auto joined = concat_leading<float>(parts).reshape({1, -1, 32, 16, 3});
      REQUIRE(joined.shape() == whole.shape());
      CHECK(difference(joined, whole).rel_l2 < 2e-6);
      if (frames == 14) CHECK(parts.size() > 1);
    }
  }
}

TEST_CASE("configurations of LTX-Video's networks are read strictly", "[models][ltx]") {
  const auto folder = golden("pipelines/ltx_095");
  const auto transformer = Config::load(folder / "transformer" / "config.json");
  const auto vae = Config::load(folder / "vae" / "config.json");
  const auto refuses = [](const auto& read, const Config& config, const char* overrides,
                          std::string_view part) {
    INFO(overrides);
    expect_error<ConfigError>([&] { (void)read(config.with(overrides)); }, {part});
  };
  const auto read_transformer = [](const Config& c) { return models::LTXTransformerConfig::from(c); };
  refuses(read_transformer, transformer, R"({"patch_size": 2})", "patch_size");
  refuses(read_transformer, transformer, R"({"qk_norm": null})", "qk_norm");
  refuses(read_transformer, transformer, R"({"cross_attention_dim": 30})", "cross_attention_dim is 30");
  refuses(read_transformer, transformer, R"({"num_layers": 0})", "positive");
  refuses(read_transformer, transformer, R"({"colour": 1})", "colour");
  const auto read_vae = [](const Config& c) { return models::AutoencoderKlLtxConfig::from(c); };
  CHECK(read_vae(vae).space_ratio() == 16);
  CHECK(read_vae(vae).time_ratio() == 8);
  refuses(read_vae, vae, R"({"downsample_type": ["spatial", "temporal", "spatiotemporal", "sideways"]})",
          "sideways");
  refuses(read_vae, vae, R"({"layers_per_block": [1, 1]})", "layers_per_block has 2 entries, expected 5");
  refuses(read_vae, vae, R"({"spatial_compression_ratio": 32})", "compression ratios");
  refuses(read_vae, vae, R"({"decoder_spatio_temporal_scaling": [true, true, false]})", "does not grow");
  refuses(read_vae, vae, R"({"down_block_types": ["LTXVideoDownBlock3D", "LTXVideo095DownBlock3D",
      "LTXVideo095DownBlock3D", "LTXVideo095DownBlock3D"]})",
          "LTXVideoDownBlock3D");
  const auto upsampler = Config::parse(R"({"_class_name": "LTXLatentUpsamplerModel"})", "upsampler");
  const auto read_upsampler = [](const Config& c) { return models::LTXLatentUpsamplerConfig::from(c); };
  refuses(read_upsampler, upsampler, R"({"spatial_upsample": false})", "neither");
  refuses(read_upsampler, upsampler, R"({"dims": 4})", "dims");
  refuses(read_upsampler, upsampler, R"({"dims": 2, "temporal_upsample": true})", "cannot be doubled");
}
