#include "daguerre/models/denoisers/dit.hpp"

#include <array>
#include <vector>

#include "conformance/case.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

Config config_of(const std::string& name) {
  return Config::load(test::golden("dit/" + name) / "config.json");
}

models::DiT<float> load(const std::string& name, const ops::Context& context,
                        const std::string& overrides = "{}") {
  return {models::DiTConfig::from(config_of(name).with(overrides)),
          conformance::loader_for(test::golden("dit/" + name) / "weights.safetensors", context)};
}

}  // namespace

TEST_CASE("both layouts of DiT are read and keep their own arithmetic", "[models][dit]") {
  const auto diffusers = models::DiTConfig::from(config_of("dit"));
  const auto original = models::DiTConfig::from(config_of("dit_original"));
  CHECK(diffusers.dim() == original.dim());
  CHECK(diffusers.null_class() == 10);
  CHECK(original.null_class() == 10);
  CHECK(original.out_channels == 8);
  CHECK(diffusers.timestep.freq_shift == 1.0f);
  CHECK(original.timestep.freq_shift == 0.0f);
  CHECK(diffusers.guided_channels == 0);
  CHECK(original.guided_channels == 3);

  // The two recorded cases share their weights: with the other's arithmetic each gives the other's result.
  const auto context = test::context_for("native");
  const auto sample = test::random_tensor({1, 8, 8, 4}, 3);
  const std::array<float, 1> timestep{500.0f};
  const std::array<std::int32_t, 1> label{4};
  const auto a = load("dit", context)(context, sample, timestep, label);
  const auto b = load("dit_original", context)(context, sample, timestep, label);
  auto as_original = diffusers;
  as_original.timestep.freq_shift = 0.0f;
  as_original.norm_eps = 1e-6f;
  const models::DiT<float> mixed(
      as_original, conformance::loader_for(test::golden("dit/dit") / "weights.safetensors", context));
  CHECK(test::difference(a, b).rel_l2 > 1e-2);
  CHECK(test::difference(mixed(context, sample, timestep, label), b).rel_l2 < 2e-6);
}

TEST_CASE("DiT takes other sizes, and each image of a batch stands alone", "[models][dit]") {
  const auto context = test::context_for("native");
  const auto dit = load("dit", context);
  const auto sample = test::random_tensor({2, 4, 12, 4}, 7);
  const std::array<float, 2> timesteps{10.0f, 900.0f};
  const std::array<std::int32_t, 2> labels{0, 10};
  const auto both = dit(context, sample, timesteps, labels);
  CHECK(both.shape() == Shape{2, 4, 12, 8});
  const auto second = dit(context, sample.slice(1, 2), std::array{900.0f}, std::array<std::int32_t, 1>{10});
  CHECK(test::difference(both.slice(1, 2), second).rel_l2 < 1e-6);
}

TEST_CASE("DiT is read under the name that its published files bear", "[models][dit]") {
  // facebook/DiT-XL-2-256's keys.
  const auto published = config_of("dit")
                             .with(R"({"_class_name": "Transformer2DModel", "cross_attention_dim": null,
      "num_vector_embeds": null, "only_cross_attention": false, "use_linear_projection": false})")
                             .without({"norm_eps"});
  const auto config = models::DiTConfig::from(published);
  CHECK(config.norm_eps == 1e-5f);
  CHECK(config.dim() == models::DiTConfig::from(config_of("dit")).dim());
  const auto refuses = [&](const Config& other, std::string_view part) {
    test::expect_error<ConfigError>([&] { models::DiTConfig::from(other); }, {part});
  };
  refuses(published.with(R"({"norm_type": "ada_norm_single"})"), "ada_norm_zero");  // PixArt's
  refuses(published.without({"norm_type"}), "norm_type");
  refuses(published.with(R"({"norm_type": null})"), "norm_type");
  refuses(published.with(R"({"cross_attention_dim": 768})"), "cross_attention_dim");
  refuses(published.with(R"({"num_embeds_ada_norm": null})"), "num_embeds_ada_norm");
}

TEST_CASE("DiT refuses what it cannot take", "[models][dit]") {
  auto context = test::context_for("native");
  const auto dit = load("dit", context);
  const auto x = Tensor<float>::zeros({1, 8, 8, 4});
  const std::array<float, 1> t{1.0f};
  const auto call = [&](const Tensor<float>& sample, std::vector<std::int32_t> labels) {
    dit(context, sample, t, labels);
  };
  test::expect_error<ArgumentError>([&] { call(x, {11}); }, {"id 11"});
  test::expect_error<ArgumentError>([&] { call(x, {1, 2}); }, {"2 class labels for a batch of 1"});
  test::expect_error<ArgumentError>([&] { call(Tensor<float>::zeros({1, 7, 8, 4}), {1}); }, {"[1, 7, 8, 4]"});
  std::stop_source source;
  source.request_stop();
  context.stop = source.get_token();
  test::expect_error<Cancelled>([&] { call(x, {1}); }, {"stopped"});

  const auto refuses = [](const char* name, const char* overrides, std::string_view part) {
    INFO(overrides);
    test::expect_error<ConfigError>([&] { models::DiTConfig::from(config_of(name).with(overrides)); },
                                    {part});
  };
  refuses("dit", R"({"norm_type": "ada_norm_single"})", "norm_type");
  refuses("dit", R"({"patch_size": 3})", "patch");
  refuses("dit", R"({"num_layers": 0})", "positive");
  refuses("dit", R"({"interpolation_scale": 2})", "interpolation_scale");
  refuses("dit_original", R"({"num_heads": 5})", "5 heads");
  refuses("dit_original", R"({"mlp_ratio": 2.5})", "mlp_ratio");
}
