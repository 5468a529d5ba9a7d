#include <array>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/denoisers/flux_transformer.hpp"
#include "daguerre/models/denoisers/pixart_transformer.hpp"
#include "daguerre/models/denoisers/sd3_transformer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

Config config_of(const std::string& name) {
  return Config::load(test::golden("dit/" + name) / "config.json");
}

nn::Loader weights_of(const std::string& name, const ops::Context& context) {
  return conformance::loader_for(test::golden("dit/" + name) / "weights.safetensors", context);
}

/// Positions of a grid of patches, as FLUX has them.
Tensor<float> grid(Index height, Index width) {
  auto ids = Tensor<float>::zeros({height * width, 3});
  for (Index i = 0; i < height * width; ++i) {
    ids.data()[3 * i + 1] = static_cast<float>(i / width);
    ids.data()[3 * i + 2] = static_cast<float>(i % width);
  }
  return ids;
}

}  // namespace

TEST_CASE("SD3 takes other sizes, and each image of a batch stands alone", "[models][sd3]") {
  const auto context = test::context_for("native");
  const models::SD3Transformer<float> network(
      models::SD3TransformerConfig::from(config_of("sd35_medium_dual")),
      weights_of("sd35_medium_dual", context));
  const auto sample = test::random_tensor({2, 4, 16, 16}, 7), states = test::random_tensor({2, 3, 24}, 8),
             pooled = test::random_tensor({2, 20}, 9);
  const std::array<float, 2> timesteps{10.0f, 900.0f};
  const auto both = network(context, sample, timesteps, states, pooled);
  CHECK(both.shape() == Shape{2, 4, 16, 16});
  const auto second =
      network(context, sample.slice(1, 2), std::array{900.0f}, states.slice(1, 2), pooled.slice(1, 2));
  CHECK(test::difference(both.slice(1, 2), second).rel_l2 < 1e-6);
}

TEST_CASE("SD3 refuses what it cannot take", "[models][sd3]") {
  auto context = test::context_for("native");
  const auto config = models::SD3TransformerConfig::from(config_of("sd3"));
  const models::SD3Transformer<float> network(config, weights_of("sd3", context));
  const auto x = Tensor<float>::zeros({1, 8, 8, 16}), states = Tensor<float>::zeros({1, 3, 24}),
             pooled = Tensor<float>::zeros({1, 20});
  const std::array<float, 1> t{1.0f};
  const auto call = [&](const Tensor<float>& sample, const Tensor<float>& prompt,
                        const Tensor<float>& vector) { network(context, sample, t, prompt, vector); };
  test::expect_error<ArgumentError>(
      [&] {
        call(Tensor<float>::zeros({1, 7, 8, 16}), states, pooled);
      },
      {"[1, 7, 8, 16]"});
  test::expect_error<ArgumentError>(
      [&] {
        call(Tensor<float>::zeros({1, 18, 4, 16}), states, pooled);
      },
      {"9 x 2 patches", "8 x 8"});
  test::expect_error<ArgumentError>(
      [&] {
        call(x, Tensor<float>::zeros({1, 3, 23}), pooled);
      },
      {"[1, 3, 23]"});
  test::expect_error<ArgumentError>([&] { call(x, states, Tensor<float>::zeros({1, 19})); }, {"[1, 19]"});
  std::stop_source source;
  source.request_stop();
  context.stop = source.get_token();
  test::expect_error<Cancelled>([&] { call(x, states, pooled); }, {"stopped"});

  const auto refuses = [](const char* overrides, std::string_view part) {
    INFO(overrides);
    test::expect_error<ConfigError>(
        [&] { models::SD3TransformerConfig::from(config_of("sd3").with(overrides)); }, {part});
  };
  refuses(R"({"_class_name": "FluxTransformer2DModel"})", "SD3Transformer2DModel");
  refuses(R"({"qk_norm": "layer_norm"})", "qk_norm");
  refuses(R"({"caption_projection_dim": 32})", "caption_projection_dim is 32");
  refuses(R"({"patch_size": 3})", "patch size");
  refuses(R"({"guidance_embeds": true})", "guidance_embeds");
}

TEST_CASE("each image of a batch of FLUX stands alone", "[models][flux]") {
  const auto context = test::context_for("native");
  const models::FluxTransformer<float> network(models::FluxTransformerConfig::from(config_of("flux_dev")),
                                               weights_of("flux_dev", context));
  const std::array<float, 2> timesteps{0.1f, 0.9f}, guidance{1.0f, 4.0f};
  models::FluxInputs inputs{.hidden_states = test::random_tensor({2, 6, 16}, 1),
                            .encoder_hidden_states = test::random_tensor({2, 3, 24}, 2),
                            .pooled = test::random_tensor({2, 20}, 3),
                            .timesteps = timesteps,
                            .guidance = guidance,
                            .img_ids = grid(2, 3),
                            .txt_ids = Tensor<float>::zeros({3, 3})};
  const auto both = network(context, inputs);
  CHECK(both.shape() == Shape{2, 6, 16});
  inputs.hidden_states = inputs.hidden_states.slice(1, 2);
  inputs.encoder_hidden_states = inputs.encoder_hidden_states.slice(1, 2);
  inputs.pooled = inputs.pooled.slice(1, 2);
  inputs.timesteps = inputs.timesteps.subspan(1);
  inputs.guidance = inputs.guidance.subspan(1);
  CHECK(test::difference(both.slice(1, 2), network(context, inputs)).rel_l2 < 1e-6);
}

TEST_CASE("FLUX refuses what it cannot take", "[models][flux]") {
  const auto context = test::context_for("native");
  const models::FluxTransformer<float> network(models::FluxTransformerConfig::from(config_of("flux_dev")),
                                               weights_of("flux_dev", context));
  const std::array<float, 1> one{1.0f};
  const auto call = [&](const auto& change) {
    models::FluxInputs inputs{.hidden_states = Tensor<float>::zeros({1, 6, 16}),
                              .encoder_hidden_states = Tensor<float>::zeros({1, 3, 24}),
                              .pooled = Tensor<float>::zeros({1, 20}),
                              .timesteps = one,
                              .guidance = one,
                              .img_ids = grid(2, 3),
                              .txt_ids = Tensor<float>::zeros({3, 3})};
    change(inputs);
    network(context, inputs);
  };
  test::expect_error<ArgumentError>([&] { call([](auto& i) { i.hidden_states = i.pooled; }); }, {"[1, 20]"});
  test::expect_error<ArgumentError>([&] { call([](auto& i) { i.img_ids = grid(2, 2); }); },
                                    {"img_ids [4, 3], expected [6, 3]"});
  test::expect_error<ArgumentError>([&] { call([](auto& i) {
                                            i.txt_ids = Tensor<float>::zeros({3, 2});
                                          }); },
                                    {"txt_ids [3, 2]"});
  test::expect_error<ArgumentError>([&] { call([](auto& i) { i.guidance = {}; }); }, {"0 guidance scales"});

  const auto refuses = [](const char* overrides, std::string_view part) {
    INFO(overrides);
    test::expect_error<ConfigError>(
        [&] { models::FluxTransformerConfig::from(config_of("flux_dev").with(overrides)); }, {part});
  };
  refuses(R"({"patch_size": 2})", "patch_size");
  refuses(R"({"axes_dims_rope": [4, 4, 6]})", "axes_dims_rope");
  refuses(R"({"axes_dims_rope": [3, 5, 4]})", "axes_dims_rope");
  refuses(R"({"num_attention_heads": 0})", "positive");
  refuses(R"({"qk_norm": "rms_norm"})", "qk_norm");
}

TEST_CASE("PixArt is read under the name that its published files bear", "[models][pixart]") {
  // PixArt-XL-2-1024-MS' keys.
  const auto published = config_of("pixart_alpha")
                             .with(R"({"_class_name": "Transformer2DModel", "double_self_attention": false,
      "num_vector_embeds": null, "only_cross_attention": false, "use_linear_projection": false})")
                             .without({"interpolation_scale", "use_additional_conditions"});
  CHECK(models::PixArtTransformerConfig::is_old(published));
  const auto config = models::PixArtTransformerConfig::from(published);
  CHECK(config.interpolation_scale == 1.0);
  CHECK_FALSE(config.use_additional_conditions);
  const auto large = models::PixArtTransformerConfig::from(published.with(R"({"sample_size": 128})"));
  CHECK(large.interpolation_scale == 2.0);
  CHECK(large.use_additional_conditions);
  const auto sigma = models::PixArtTransformerConfig::from(
      published.with(R"({"sample_size": 128, "use_additional_conditions": false})"));
  CHECK_FALSE(sigma.use_additional_conditions);

  const auto refuses = [&](const Config& other, std::string_view part) {
    test::expect_error<ConfigError>([&] { models::PixArtTransformerConfig::from(other); }, {part});
  };
  refuses(published.with(R"({"norm_type": "ada_norm_zero"})"), "norm_type");
  refuses(published.without({"caption_channels"}), "PixArtTransformer2DModel");
  refuses(published.with(R"({"cross_attention_dim": 768})"), "cross_attention_dim is 768");
}

TEST_CASE("PixArt refuses what it cannot take", "[models][pixart]") {
  const auto context = test::context_for("native");
  const models::PixArtTransformer<float> network(
      models::PixArtTransformerConfig::from(config_of("pixart_alpha_size_cond")),
      weights_of("pixart_alpha_size_cond", context));
  const std::array<float, 1> one{1.0f};
  const std::array<float, 2> size{64.0f, 64.0f};
  const auto call = [&](const auto& change) {
    models::PixArtInputs inputs{.sample = Tensor<float>::zeros({1, 8, 8, 4}),
                                .timesteps = one,
                                .encoder_hidden_states = Tensor<float>::zeros({1, 3, 24}),
                                .encoder_attention_mask = {},
                                .resolution = size,
                                .aspect_ratio = one};
    change(inputs);
    return network(context, inputs);
  };
  CHECK(call([](auto&) {}).shape() == Shape{1, 8, 8, 8});
  test::expect_error<ArgumentError>(
      [&] { call([](auto& i) {
              i.sample = Tensor<float>::zeros({1, 7, 8, 4});
            }); }, {"[1, 7, 8, 4]"});
  test::expect_error<ArgumentError>(
      [&] { call([](auto& i) {
              i.encoder_hidden_states = Tensor<float>::zeros({1, 3, 20});
            }); },
      {"[1, 3, 20]"});
  test::expect_error<ArgumentError>(
      [&] { call([](auto& i) {
              i.encoder_attention_mask = Tensor<float>::zeros({1, 4});
            }); }, {"[1, 4]"});
  test::expect_error<ArgumentError>([&] { call([](auto& i) { i.resolution = {}; }); },
                                    {"0 numbers of sizes", "expected 2 and 1"});
}
