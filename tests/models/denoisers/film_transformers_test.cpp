#include <array>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/denoisers/detail/film_patches.hpp"
#include "daguerre/models/denoisers/hunyuan_video_transformer.hpp"
#include "daguerre/models/denoisers/latte_transformer.hpp"
#include "daguerre/models/denoisers/mochi_transformer.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;

namespace {

Config config_of(const std::string& name) {
  return Config::load(test::golden(name) / "config.json");
}

template <class Network, class NetworkConfig>
Network load(const std::string& name, const ops::Context& context,
             const std::string& file = "weights.safetensors") {
  return Network(NetworkConfig::from(config_of(name)),
                 conformance::loader_for(test::golden(name) / file, context));
}

models::HunyuanVideoTransformer<float> hunyuan(const ops::Context& context) {
  return load<models::HunyuanVideoTransformer<float>, models::HunyuanVideoTransformerConfig>(
      "video/hunyuan_video_i2v_token_replace", context);
}

const std::array<float, 2> timesteps{10.0f, 900.0f}, guidance{3000.0f, 6000.0f};
const auto second_time = std::span(timesteps).subspan(1), second_guidance = std::span(guidance).subspan(1);

}  // namespace

TEST_CASE("patches of a film lie channel by channel, and come back", "[models][film]") {
  const auto context = test::context_for("native");
  const auto x = test::random_tensor({2, 4, 6, 4, 3}, 5);
  const models::detail::FilmPatch patch{2, 2};
  const auto tokens = models::detail::film_to_tokens(context, x, patch);
  REQUIRE(tokens.shape() == Shape{2, 2 * 3 * 2, 3 * 2 * 2 * 2});
  // Film 1, frames 2 and 3, rows 4 and 5, columns 0 and 1: the last but one token. Channel 2 of frame 3, row
  // 4, column 1.
  const Index token = 12 + 10, element = ((2 * 2 + 1) * 2 + 0) * 2 + 1;
  const Index place = (((1 * 4 + 3) * 6 + 4) * 4 + 1) * 3 + 2;
  CHECK(tokens.data()[token * 24 + element] == x.data()[place]);
  const auto back = models::detail::tokens_to_film(context, tokens, {4, 6, 4}, patch);
  REQUIRE(back.shape() == x.shape());
  CHECK(std::equal(back.span().begin(), back.span().end(), x.span().begin()));
}

TEST_CASE("HunyuanVideo sees nothing of padding, and each film of a batch stands alone", "[models][film]") {
  const auto context = test::context_for("native");
  const auto network = hunyuan(context);
  const auto sample = test::random_tensor({2, 2, 6, 4, 4}, 7), states = test::random_tensor({2, 5, 20}, 8),
             pooled = test::random_tensor({2, 12}, 9);
  const auto mask =
      Tensor<float>::copy_of({2, 5}, std::array{1.f, 1.f, 1.f, 1.f, 1.f, 1.f, 1.f, 0.f, 0.f, 0.f});
  const auto both = network(context, {sample, timesteps, states, mask, pooled, guidance});
  REQUIRE(both.shape() == Shape{2, 2, 6, 4, 4});
  auto other = states.clone();  // behind the second prompt's two tokens
  for (Index i = (5 + 2) * 20; i < other.size(); ++i) other.data()[i] = 100.0f;
  const auto second = network(context, {sample.slice(1, 2), second_time, other.slice(1, 2), mask.slice(1, 2),
                                        pooled.slice(1, 2), second_guidance});
  CHECK(test::difference(both.slice(1, 2), second).rel_l2 == 0.0);
}

TEST_CASE("HunyuanVideo refuses what it cannot take", "[models][film]") {
  const auto context = test::context_for("native");
  const auto network = hunyuan(context);
  const auto x = Tensor<float>::zeros({1, 1, 4, 4, 4}), states = Tensor<float>::zeros({1, 3, 20}),
             pooled = Tensor<float>::zeros({1, 12});
  const auto refuses = [&](const models::HunyuanVideoInputs& inputs, const std::string& part) {
    test::expect_error<ArgumentError>([&] { network(context, inputs); }, {"[hunyuan_video]", part});
  };
  const auto masked = [](std::array<float, 3> values) { return Tensor<float>::copy_of({1, 3}, values); };
  refuses({Tensor<float>::zeros({1, 1, 5, 4, 4}), second_time, states, {}, pooled, second_guidance},
          "[1, 1, 5, 4, 4]");
  refuses({Tensor<float>::zeros({1, 4, 4, 4}), second_time, states, {}, pooled, second_guidance},
          "[N, F, H, W, 4]");
  refuses({x, second_time, Tensor<float>::zeros({1, 3, 19}), {}, pooled, second_guidance}, "[1, 3, 19]");
  refuses({x, second_time, states, masked({0, 1, 1}), pooled, second_guidance}, "padding must come last");
  refuses({x, second_time, states, masked({0, 0, 0}), pooled, second_guidance}, "0 tokens to look at");
  refuses({x, second_time, states, {}, Tensor<float>::zeros({1, 11}), second_guidance}, "[1, 11]");
  refuses({x, second_time, states, {}, pooled, {}}, "0 guidance scales");
  const auto config_refuses = [](const char* overrides, std::string_view part) {
    INFO(overrides);
    const auto config = config_of("video/hunyuan_video_i2v_token_replace").with(overrides);
    test::expect_error<ConfigError>([&] { models::HunyuanVideoTransformerConfig::from(config); }, {part});
  };
  config_refuses(R"({"rope_axes_dim": [4, 6, 8]})", "add up to 16");
  config_refuses(R"({"rope_axes_dim": [16]})", "three even numbers");
  config_refuses(R"({"image_condition_type": "frames"})", "latent_concat");
  config_refuses(R"({"patch_size_t": 0})", "positive");
  config_refuses(R"({"unheard_of": 1})", "unheard_of");
}

TEST_CASE("Mochi sees nothing of padding, and each film of a batch stands alone", "[models][film]") {
  const auto context = test::context_for("native");
  const auto network = load<models::MochiTransformer<float>, models::MochiTransformerConfig>(
      "video/mochi_transformer", context);
  const auto sample = test::random_tensor({2, 3, 2, 6, 4}, 7), states = test::random_tensor({2, 4, 16}, 8);
  const auto mask = Tensor<float>::copy_of({2, 4}, std::array{1.f, 1.f, 1.f, 1.f, 1.f, 0.f, 0.f, 0.f});
  const auto both = network(context, {sample, timesteps, states, mask});
  REQUIRE(both.shape() == sample.shape());
  const auto second = network(context, {sample.slice(1, 2),
                                        second_time,
                                        states.slice(1, 2).reshape({4, 16}).slice(0, 1).reshape({1, 1, 16}),
                                        {}});
  CHECK(test::difference(both.slice(1, 2), second).rel_l2 == 0.0);
  test::expect_error<ArgumentError>(
      [&] {
        network(context, {sample, timesteps, states, mask.slice(0, 1)});
      },
      {"[mochi]", "[1, 4]"});
  test::expect_error<ConfigError>(
      [] {
        models::MochiTransformerConfig::from(
            config_of("video/mochi_transformer").with(R"({"attention_head_dim": 7})"));
      },
      {"no pairs"});
}

TEST_CASE("Latte takes films of any length, and pictures where nothing moves", "[models][film]") {
  const auto context = test::context_for("native");
  const auto network = load<models::LatteTransformer<float>, models::LatteTransformerConfig>(
      "pipelines/latte/transformer", context, "diffusion_pytorch_model.safetensors");
  const auto sample = test::random_tensor({2, 3, 6, 10, 4}, 7), states = test::random_tensor({2, 4, 20}, 8);
  const auto both = network(context, {sample, timesteps, states});
  REQUIRE(both.shape() == Shape{2, 3, 6, 10, 8});
  const auto second = network(context, {sample.slice(1, 2), second_time, states.slice(1, 2)});
  CHECK(test::difference(both.slice(1, 2), second).rel_l2 < 1e-6);
  // Frame by frame it is the same, where frames do not look at each other.
  const auto still = network(context, {sample.slice(1, 2), second_time, states.slice(1, 2), false});
  CHECK(test::difference(still, second).rel_l2 > 1e-3);
  const auto frame = sample[1].slice(2, 3).reshape({1, 1, 6, 10, 4});
  const auto alone = network(context, {frame, second_time, states.slice(1, 2), false});
  CHECK(test::difference(still[0].slice(2, 3), alone[0]).rel_l2 < 1e-6);
  test::expect_error<ArgumentError>(
      [&] {
        network(context, {Tensor<float>::zeros({1, 3, 5, 10, 4}), second_time, states.slice(1, 2)});
      },
      {"[latte]", "[1, 3, 5, 10, 4]"});
}
