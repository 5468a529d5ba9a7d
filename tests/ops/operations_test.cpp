#include "daguerre/ops/operations.hpp"

#include <array>
#include <set>

#include "conformance/case.hpp"
#include "daguerre/models/autoencoders/autoencoder_kl.hpp"
#include "daguerre/models/denoisers/dit.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/models/text_encoders/clip_text.hpp"
#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/channel_distance.hpp"
#include "daguerre/ops/fir.hpp"
#include "daguerre/ops/joint_modulation.hpp"
#include "daguerre/ops/norm.hpp"
#include "daguerre/ops/reduce.hpp"
#include "daguerre/ops/space_time.hpp"
#include "daguerre/ops/tokens-inl.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "support/tallying_engine.hpp"

using namespace daguerre;
using namespace daguerre::test;
using ops::Context;

namespace {

Context tallying_context(const std::shared_ptr<Tally>& tally) {
  auto context = context_for("native");
  context.engine = std::make_shared<TallyingEngine>(tally);
  return context;
}

template <class T>
bool same(const Tensor<T>& a, const Tensor<T>& b) {
  const auto equal = [](T x, T y) { return convert<float>(x) == convert<float>(y); };
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin(), equal);
}

/// Runs `operation` with the counting engine, with "native" and without an engine: the first is asked for
/// `name` once and for nothing else, and all give the same.
template <class F>
void expect_asked(const std::string& name, const F& operation) {
  INFO(name);
  const auto tally = std::make_shared<Tally>();
  const auto made = operation(tallying_context(tally));
  CHECK(tally->take() == std::map<std::string, int>{{name, 1}});
  CHECK(same(made, operation(context_for("native"))));
  CHECK(same(made, operation(Context{})));
}

}  // namespace

TEST_CASE("an engine is asked for every operation whose result is float32", "[ops][engine]") {
  const auto picture = random_tensor({2, 6, 4, 8}, 1), other = random_tensor({2, 6, 4, 8}, 2);
  const auto tokens = random_tensor({2, 5, 8}, 3), residual = random_tensor({2, 5, 8}, 4);
  const auto parts = random_tensor({2, 24}, 5);
  const std::array times{1.0f, 700.0f};
  expect_asked("activate", [&](const Context& c) { return activate(c, picture, ops::Activation::gelu); });
  expect_asked("add", [&](const Context& c) { return add(c, picture, other, 0.5f); });
  expect_asked("add_gated", [&](const Context& c) { return add_gated(c, residual, {parts, 1}, tokens); });
  expect_asked("resize_bilinear", [&](const Context& c) { return resize_bilinear(c, picture, 3, 9); });
  expect_asked("resize_bilinear_tf1",
               [&](const Context& c) { return resize_bilinear_tf1(c, picture, 3, 9); });
  expect_asked("average_pool_2x2", [&](const Context& c) { return average_pool_2x2(c, picture); });
  expect_asked("global_average_pool", [&](const Context& c) { return global_average_pool(c, picture); });
  const auto means = random_tensor({8}, 21), deviations = random_tensor({8}, 22);
  expect_asked("standardise", [&](const Context& c) { return standardise(c, picture, means, deviations); });
  expect_asked("direction_distance",
               [&](const Context& c) { return direction_distance(c, picture, other, means); });
  expect_asked("fir_downsample",
               [&](const Context& c) { return fir_downsample(c, picture, ops::Border::zeros); });
  expect_asked("fir_upsample",
               [&](const Context& c) { return fir_upsample(c, picture, ops::Border::reflected); });
  expect_asked("timestep_embedding", [&](const Context& c) { return timestep_embedding(c, times, 6); });
  const auto bias = random_tensor({5, 8}, 6), frequencies = random_tensor({4}, 7);
  expect_asked("fourier_embedding",
               [&](const Context& c) { return fourier_embedding(c, times, frequencies, true); });
  expect_asked("add_to_each", [&](const Context& c) { return add_to_each(c, tokens, bias); });
  expect_asked("add_rows", [&](const Context& c) { return add_rows(c, tokens, random_tensor({2, 8}, 9)); });
  expect_asked("put_rows", [&](const Context& c) {
    return ops::put_rows(c, tokens, std::array<std::int32_t, 2>{1, 3}, random_tensor({2, 8}, 9));
  });
  expect_asked("weighted_sum",
               [&](const Context& c) { return weighted_sum(c, picture, 0.25f, other, 2.0f); });
  expect_asked("divide_each", [&](const Context& c) { return divide_each(c, tokens, times); });
  expect_asked("multiply_add", [&](const Context& c) { return multiply_add(c, picture, other, picture); });
  expect_asked("affine", [&](const Context& c) { return affine(c, picture, 2.0f, -1.0f); });
  expect_asked("clamp", [&](const Context& c) { return clamp(c, picture, -0.5f, 0.5f); });
  expect_asked("exponential", [&](const Context& c) { return exponential(c, picture, 0.5f); });
  expect_asked("full", [&](const Context& c) { return full(c, {2, 3}, 4.0f); });
  expect_asked("mean", [&](const Context& c) { return mean(c, tokens, 1); });
  expect_asked("nearest_rows", [&](const Context& c) { return nearest_rows(c, bias, tokens); });
  const auto gates = random_tensor({2, 16}, 8);
  expect_asked("add_joint_gated", [&](const Context& c) {
    return add_joint_gated(c, tokens, 2, {{gates, 0}, {gates, 1}}, tokens);
  });
  expect_asked("patchify", [&](const Context& c) { return patchify(c, picture, 2); });
  expect_asked("unpatchify", [&](const Context& c) {
    return unpatchify(c, random_tensor({2, 6, 12}, 8), 2, 3, 2, ops::PatchOrder::channels_rows_columns);
  });
  const auto film = random_tensor({1, 2, 4, 6, 8}, 10);
  expect_asked("depth_to_space_time", [&](const Context& c) {
    return depth_to_space_time(c, film, {.frames = 2, .rows = 2, .columns = 2},
                               ops::DepthOrder::channels_frames_rows_columns);
  });
  expect_asked("space_time_to_depth", [&](const Context& c) {
    return space_time_to_depth(c, film, {.frames = 2, .rows = 2, .columns = 3},
                               ops::DepthOrder::frames_rows_columns_channels);
  });
  expect_asked("add_plane", [&](const Context& c) {
    return add_plane(c, film, random_tensor({4, 6}, 11), random_tensor({8}, 12));
  });
  expect_asked("duplicate_to_space_time", [&](const Context& c) {
    return duplicate_to_space_time(c, film, {.frames = 2, .rows = 2, .columns = 2}, 4);
  });
  expect_asked("fourier_features", [&](const Context& c) { return fourier_features(c, picture, times); });
  expect_asked("blend", [&](const Context& c) { return blend(c, picture, other, 2, 3); });
  expect_asked("group_statistics", [&](const Context& c) {
    auto result = Tensor<float>({2, 2});
    const auto found = ops::group_statistics(c, std::array{picture, other}, 2);
    for (Index i = 0; i < 2; ++i) {
      result.data()[2 * i] = static_cast<float>(found[static_cast<std::size_t>(i)].mean);
      result.data()[2 * i + 1] = static_cast<float>(found[static_cast<std::size_t>(i)].variance);
    }
    return result;
  });
}

TEMPLATE_TEST_CASE("an engine is asked for every operation of its types", "[ops][engine]", float, bfloat16) {
  using T = TestType;
  const auto picture = random_tensor({2, 6, 4, 8}, 1), tokens = random_tensor({2, 5, 8}, 3);
  const auto gamma = random_tensor({8}, 4), beta = random_tensor({8}, 5), parts = random_tensor({2, 24}, 6);
  const auto table = random_tensor({7, 3}, 7).to<T>(), qkv = tokens.to<T>();
  const std::array<std::int32_t, 3> ids{6, 0, 6};
  expect_asked("group_norm", [&](const Context& c) {
    return ops::group_norm<T>(c, picture, gamma, beta, 4, 1e-5f, ops::Activation::silu);
  });
  expect_asked("layer_norm",
               [&](const Context& c) { return ops::layer_norm<T>(c, tokens, gamma, beta, 1e-5f); });
  expect_asked("rms_norm", [&](const Context& c) { return ops::rms_norm<T>(c, tokens, gamma, 1e-5f); });
  expect_asked("modulated_layer_norm", [&](const Context& c) {
    return ops::modulated_layer_norm<T>(c, tokens, {parts, 2}, {parts, 0}, 1e-5f);
  });
  expect_asked("joint_modulated_norm", [&](const Context& c) {
    return ops::joint_modulated_norm<T>(c, tokens, 2, gamma, beta, {{parts, 2}, {parts, 1}},
                                        {{parts, 0}, {parts, 1}}, 1e-5f);
  });
  expect_asked("modulated_rms_norm", [&](const Context& c) {
    return ops::modulated_rms_norm<T>(c, tokens, {parts, 2}, {parts, 0}, 1e-5f);
  });
  const ops::HeadNorm norm;
  const ops::HeadStream<T> stream{ops::TokenView<T>::all(qkv), &norm};
  expect_asked("join_heads", [&](const Context& c) {
    return ops::join_heads<T>(c, std::array{stream, stream}, 4);
  });
  expect_asked("append_tokens", [&](const Context& c) {
    return ops::append_tokens<T>(c, {}, 0, ops::TokenView<T>::all(qkv), 9);
  });
  expect_asked("gated_activation",
               [&](const Context& c) { return ops::gated_activation(c, qkv, ops::Activation::gelu); });
  expect_asked("concat_channels",
               [&](const Context& c) { return ops::concat_channels<T>(c, picture, picture); });
  const std::array<Index, 3> begin{0, 1, 2};
  expect_asked("concat", [&](const Context& c) { return ops::concat<T>(c, std::array{qkv, qkv}, 1); });
  expect_asked("crop", [&](const Context& c) { return ops::crop(c, qkv, begin, {2, 3, 4}); });
  expect_asked("crop", [&](const Context& c) { return ops::narrow(c, qkv, -1, 3, 2); });
  expect_asked("repeat_edges", [&](const Context& c) { return ops::repeat_edges(c, picture.to<T>(), 1, 2); });
  expect_asked("swap_axes", [&](const Context& c) { return ops::swap_axes(c, qkv); });
  expect_asked("upsample_nearest",
               [&](const Context& c) { return ops::upsample_nearest<T>(c, picture, 12, 7); });
  const auto narrow = picture.to<T>();
  expect_asked("max_pool", [&](const Context& c) { return ops::max_pool(c, narrow, {}); });
  expect_asked("average_pool", [&](const Context& c) { return ops::average_pool(c, narrow, {3, 1, 1}); });
  expect_asked("embedding_lookup", [&](const Context& c) { return ops::embedding_lookup(c, table, ids); });
  expect_asked("embedding_lookup", [&](const Context& c) {
    return ops::EmbeddingTable<T>(c, random_tensor({7, 3}, 7))(c, ids);
  });
  expect_asked("mapped_embedding_lookup", [&](Context c) {
    c.placement = ops::WeightPlacement::mapped;
    return ops::EmbeddingTable<T>(c, random_tensor({7, 3}, 7))(c, ids);
  });
}

TEST_CASE("an engine is asked for conversions and for norms of rounded numbers", "[ops][engine]") {
  const auto x = random_tensor({2, 5, 8}, 1);
  const auto rounded = x.to<bfloat16>();
  const auto gamma = random_tensor({8}, 4), beta = random_tensor({8}, 5);
  expect_asked("rounded", [&](const Context& c) { return ops::cast<bfloat16>(c, x); });
  expect_asked("widened", [&](const Context& c) { return ops::cast<float>(c, rounded); });
  expect_asked("group_norm_rounded", [&](const Context& c) {
    return ops::group_norm<bfloat16>(c, rounded, gamma, beta, 4, 1e-5f);
  });
}

TEST_CASE("an engine is given checked arguments only", "[ops][engine]") {
  const auto tally = std::make_shared<Tally>();
  const auto context = tallying_context(tally);
  const auto x = random_tensor({2, 5, 8}, 1);
  const std::array<std::int32_t, 1> outside{5};
  expect_error<ArgumentError>([&] { ops::add(context, x, x.slice(0, 1)); }, {"[add]"});
  expect_error<ArgumentError>([&] { ops::layer_norm<float>(context, x, x, x, 1e-5f); }, {"[layer_norm]"});
  expect_error<ArgumentError>([&] { ops::rms_norm<float>(context, x, x, 1e-5f); }, {"[rms_norm]"});
  expect_error<ArgumentError>(
      [&] {
        ops::embedding_lookup(context, random_tensor({5, 2}, 1), outside);
      },
      {"id 5"});
  expect_error<ArgumentError>([&] { ops::add_gated(context, x, {x, 0}, x); }, {"[add_gated]"});
  CHECK(tally->take().empty());
}

namespace {

/// The tally of a recorded network's run, which gives what "native" gives.
template <class Network, class NetworkConfig, class F>
std::map<std::string, int> tally_of(const std::string& name, const F& run) {
  const auto folder = golden(name);
  const auto config = NetworkConfig::from(Config::load(folder / "config.json"));
  const auto tally = std::make_shared<Tally>();
  const auto context = tallying_context(tally), native = context_for("native");
  const auto weights = folder / "weights.safetensors";
  const auto recorded = conformance::recorded_runs(folder).front();
  const auto made = run(Network(config, conformance::loader_for(weights, context)), context, recorded);
  CHECK(same(made, run(Network(config, conformance::loader_for(weights, native)), native, recorded)));
  return tally->take();
}

}  // namespace

TEST_CASE("a network's run asks its context's engine", "[ops][engine]") {
  const auto unet = tally_of<models::UNet2DCondition<bfloat16>, models::UNet2DConditionConfig>(
      "unet/sd1", [](const auto& network, const Context& context, const auto& run) {
        return network(context, run.tensor("in.sample"), run.tensor("in.timestep").span(),
                       run.tensor("in.encoder_hidden_states"));
      });
  for (const char* operation : {"group_norm", "group_norm_rounded", "layer_norm", "gated_activation",
                                "concat_channels", "rounded", "activate", "timestep_embedding"}) {
    INFO(operation);
    CHECK(unet.count(operation) == 1);
  }

  const auto dit = tally_of<models::DiT<float>, models::DiTConfig>(
      "dit/dit", [](const auto& network, const Context& context, const auto& run) {
        return network(context, run.tensor("in.hidden_states"), run.tensor("in.timestep").span(),
                       run.file().template read<std::int32_t>("in.class_labels").span());
      });
  const auto layers = models::DiTConfig::from(Config::load(golden("dit/dit") / "config.json")).num_layers;
  CHECK(dit.at("modulated_layer_norm") == 2 * layers + 1);
  CHECK(dit.at("add_gated") == 2 * layers);
  CHECK(dit.at("add_to_each") == 1);
  CHECK(dit.at("unpatchify") == 1);

  const auto vae = tally_of<models::AutoencoderKl<bfloat16>, models::AutoencoderKlConfig>(
      "vae/kl_sd1", [](const auto& network, const Context& context, const auto& run) {
        return network.encode(context, run.tensor("in.sample")).std(context);
      });
  CHECK(vae.at("crop") == 2);
  CHECK(vae.at("clamp") == 1);
  CHECK(vae.at("exponential") == 1);

  const auto clip = tally_of<models::ClipText<float>, models::ClipTextConfig>(
      "text/clip_l", [](const auto& network, const Context& context, const auto& run) {
        return network(context, run.file().template read<std::int32_t>("in.input_ids")).last_hidden_state;
      });
  CHECK(clip.count("layer_norm") == 1);
  CHECK(clip.at("embedding_lookup") == 2);
  CHECK(clip.at("add_to_each") == 1);
}
