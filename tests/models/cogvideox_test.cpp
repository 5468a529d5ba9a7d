#include <cmath>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl_cogvideox.hpp"
#include "daguerre/models/denoisers/cogvideox_transformer.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;
using models::CogVideoXAutoencoderConfig;
using models::CogVideoXTransformerConfig;

namespace {

const std::filesystem::path& model_folder() {
  static const auto folder = golden("pipelines/cogvideox15_5b");
  return folder;
}

struct Films {
  ops::Context context = context_for("native");
  models::AutoencoderKlCogVideoX<float> vae{
      CogVideoXAutoencoderConfig::from(Config::load(model_folder() / "vae/config.json")),
      conformance::loader_for(model_folder() / "vae/diffusion_pytorch_model.safetensors", context)};
};

Config transformer_config(const std::string& changes = "{}") {
  return Config::load(model_folder() / "transformer/config.json").with(changes);
}

}  // namespace

TEST_CASE("CogVideoX's films are decoded two latents at a time, and handed on as they come",
          "[models][film]") {
  const Films films;
  for (const auto& [latents, expected] :
       {std::pair<Index, std::vector<Index>>{1, {1}}, {2, {8}}, {3, {9}}, {4, {8, 8}}, {5, {9, 8}}}) {
    INFO(latents << " latents");
    const auto z = random_tensor({1, latents, 2, 3, 4}, 1);
    std::vector<Index> counts;
    std::vector<Tensor<float>> frames;
    films.vae.decode(films.context, z, [&](const Tensor<float>& some) {
      counts.push_back(some.dim(1));
      frames.push_back(some[0]);
    });
    CHECK(counts == expected);
    const auto whole = films.vae.decode(films.context, z);
    CHECK(difference(concat_leading<float>(frames), whole[0]).max_abs == 0.0);
    if (latents < 4) continue;
    // What comes later changes nothing of what was there before.
    const auto first =
        films.vae.decode(films.context, z[0].slice(0, latents - 2).reshape({1, latents - 2, 2, 3, 4}));
    CHECK(difference(whole[0].slice(0, first.dim(1)), first[0]).rel_l2 < 1e-6);
  }
}

TEST_CASE("CogVideoX's films are encoded eight frames at a time", "[models][film]") {
  const Films films;
  for (const auto& [frames, latents] :
       {std::pair<Index, Index>{1, 1}, {2, 1}, {5, 2}, {8, 2}, {9, 3}, {12, 3}, {17, 5}}) {
    INFO(frames << " frames");
    const auto encoded = films.vae.encode(films.context, random_tensor({2, frames, 16, 24, 3}, 2));
    CHECK(encoded.mean.shape() == Shape{2, latents, 2, 3, 4});
    CHECK(encoded.logvar.shape() == encoded.mean.shape());
  }
  // A tile that holds the film is the film.
  const auto film = random_tensor({1, 3, 16, 24, 3}, 3);
  const auto tiling = films.vae.default_tiling();
  CHECK(difference(films.vae.encode(films.context, film, &tiling).mean,
                   films.vae.encode(films.context, film).mean)
            .max_abs == 0.0);
  const auto refuse = [&](const models::CogVideoXTiling& tiles, const std::string& what) {
    expect_error<ArgumentError>([&] { films.vae.encode(films.context, film, &tiles); }, {what});
  };
  refuse({4, 16}, "tiles of 4 x 16");
  refuse({16, 16, 1.0, 0.2}, "1.000000");
  refuse({8, 8, 0.9, 0.2}, "not possible");
  expect_error<ArgumentError>(
      [&] {
        films.vae.encode(films.context, random_tensor({1, 16, 24, 3}, 1));
      },
      {"[1, 16, 24, 3]", "[N, F, H, W, 3]"});
  expect_error<ArgumentError>(
      [&] {
        films.vae.decode(films.context, random_tensor({1, 1, 2, 3, 5}, 1));
      },
      {"[1, 1, 2, 3, 5]"});
  expect_error<ArgumentError>(
      [&] {
        films.vae.decode(films.context, random_tensor({2, 1, 2, 3, 4}, 1), [](const Tensor<float>&) {});
      },
      {"2 films"});
}

TEST_CASE("CogVideoX's configurations are read strictly", "[models][film]") {
  const auto config = CogVideoXTransformerConfig::from(transformer_config());
  CHECK(config.patch_frames() == 2);
  CHECK_FALSE(config.adds_positions());
  for (const auto& [changes, found] : std::vector<std::pair<std::string, std::string>>{
           {R"({"patch_size": 0})", "patch_size is 0"},
           {R"({"patch_size_t": 0})", "patch_size_t is 0"},
           {R"({"patch_size": 99})", "99"},
           {R"({"attention_head_dim": 24})", "16 must divide"},
           {R"({"ofs_embed_dim": 7})", "ofs_embed_dim is 7"},
           {R"({"use_rotary_positional_embeddings": false, "use_learned_positional_embeddings": true})",
            "use_learned_positional_embeddings"},
           {R"({"timestep_activation_fn": "sine"})", "sine"},
           {R"({"unheard_of": 1})", "unheard_of"},
           {R"({"_class_name": "Other"})", "Other"}}) {
    INFO(changes);
    expect_error<ConfigError>([&, c = changes] { CogVideoXTransformerConfig::from(transformer_config(c)); },
                              {found});
  }
  const auto vae = Config::load(model_folder() / "vae/config.json");
  for (const auto& [changes, found] : std::vector<std::pair<std::string, std::string>>{
           {R"({"use_quant_conv": true})", "use_quant_conv"},
           {R"({"latents_mean": [0.0]})", "latents_mean"},
           {R"({"norm_num_groups": 3})", "norm_num_groups"},
           {R"({"temporal_compression_ratio": 3})", "temporal_compression_ratio is 3"},
           {R"({"block_out_channels": [4, 4]})", "4 down_block_types for 2"},
           {R"({"up_block_types": ["UpBlock"]})", "1 up_block_types"},
           {R"({"scaling_factor": 0})", "scaling_factor"}}) {
    INFO(changes);
    expect_error<ConfigError>([&, c = changes] { CogVideoXAutoencoderConfig::from(vae.with(c)); }, {found});
  }
}

TEST_CASE("CogVideoX's rotary positions fit the grid of training", "[models][film]") {
  CogVideoXTransformerConfig config;
  config.use_rotary_positional_embeddings = true;
  // The grid of training counts; a wider one is as wide, and in the middle of its height.
  const auto angle = [&](const ops::RotaryTable& table, Index token, Index pair) {
    return std::atan2(table.sine.data()[token * 32 + pair], table.cosine.data()[token * 32 + pair]);
  };
  const auto trained = models::cogvideox_rotation(config, 2, 60, 90);
  CHECK(trained.cosine.shape() == Shape{2 * 30 * 45, 32});
  CHECK(angle(trained, 30 * 45, 0) == Approx(1.0));  // the second frame
  CHECK(angle(trained, 45, 8) == Approx(1.0));       // the second row
  CHECK(angle(trained, 1, 20) == Approx(1.0));       // the second column
  const auto wide = models::cogvideox_rotation(config, 1, 30, 90);
  CHECK(angle(wide, 0, 8) == Approx(std::atan2(std::sin(8.0), std::cos(8.0))));  // (30 - 15) / 2, to even
  CHECK(angle(wide, 1, 20) == Approx(1.0));
  const auto small = models::cogvideox_rotation(config, 1, 30, 44);
  CHECK(angle(small, 1, 20) == Approx(2.0).epsilon(1e-6));
  config.patch_size_t = 2;
  CHECK(models::cogvideox_rotation(config, 3, 60, 90).cosine.dim(0) == 2 * 30 * 45);
  expect_error<ArgumentError>([&] { models::cogvideox_rotation(config, 2, 62, 90); }, {"31 x 45", "30 x 45"});
}

TEST_CASE("CogVideoX's transformer refuses what it was not made for", "[models][film]") {
  const auto context = context_for("native");
  const models::CogVideoXTransformer<float> network(
      CogVideoXTransformerConfig::from(transformer_config()),
      conformance::loader_for(model_folder() / "transformer/diffusion_pytorch_model.safetensors", context));
  const float time = 500.0f;
  const auto refuse = [&](const Shape& sample, const Shape& prompt, std::optional<float> ofs,
                          const std::string& what) {
    expect_error<ArgumentError>(
        [&] {
          network(context, {.sample = random_tensor(sample, 1),
                            .timesteps = std::span(&time, 1),
                            .encoder_hidden_states = random_tensor(prompt, 2),
                            .ofs = ofs});
        },
        {what});
  };
  refuse({1, 3, 4, 6, 4}, {1, 24, 20}, {}, "frames that 2 divides");
  refuse({1, 2, 4, 5, 4}, {1, 24, 20}, {}, "[1, 2, 4, 5, 4]");
  refuse({1, 2, 4, 6, 4}, {1, 24, 21}, {}, "[1, 24, 21]");
  refuse({1, 2, 4, 6, 4}, {1, 24, 20}, 2.0f, "ofs");
  refuse({1, 2, 12, 6, 4}, {1, 24, 20}, {}, "6 x 3 patches");
}
