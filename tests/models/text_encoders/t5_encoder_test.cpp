#include "daguerre/models/text_encoders/t5_encoder.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using models::T5Encoder;
using models::T5EncoderConfig;
using nlohmann::json;
using test::expect_error;

namespace {

T5EncoderConfig read(json config, const char* name = "T5EncoderModel") {
  config["_class_name"] = name;
  return T5EncoderConfig::from(Config::parse(config.dump(), "config.json"));
}

/// The recorded encoder of that name.
template <class T = float>
T5Encoder<T> recorded(const std::string& name, const std::string& engine) {
  const auto folder = test::golden("text/" + name);
  return {T5EncoderConfig::from(Config::load(folder / "config.json")),
          {weights::StateDict::load(folder / "weights.safetensors"), test::context_for(engine)}};
}

Tensor<std::int32_t> ids_of(const std::vector<std::int32_t>& ids) {
  return Tensor<std::int32_t>::copy_of({1, static_cast<Index>(ids.size())}, ids);
}

}  // namespace

TEST_CASE("what a T5 encoder's configuration leaves out is transformers' default", "[models][t5]") {
  const auto t5 = read(json::object());
  CHECK(t5.vocab_size == 32128);
  CHECK(t5.d_model == 512);
  CHECK(t5.d_kv == 64);
  CHECK(t5.d_ff == 2048);
  CHECK(t5.num_layers == 6);
  CHECK(t5.num_heads == 8);
  CHECK(t5.relative_attention_num_buckets == 32);
  CHECK(t5.relative_attention_max_distance == 128);
  CHECK(t5.layer_norm_epsilon == 1e-6f);
  CHECK(t5.activation == ops::Activation::relu);
  CHECK_FALSE(t5.is_gated);
  CHECK_FALSE(t5.bias_each_layer);
  const auto umt5 = read(json::object(), "UMT5EncoderModel");
  CHECK(umt5.vocab_size == 250112);
  CHECK(umt5.d_ff == 1024);
  CHECK(umt5.num_layers == 8);
  CHECK(umt5.num_heads == 6);
  CHECK(umt5.is_gated);
  CHECK(umt5.activation == ops::Activation::gelu_tanh);
  CHECK(umt5.bias_each_layer);
}

TEST_CASE("a T5 encoder's feed-forward network is what its configuration says", "[models][t5]") {
  const auto gated = read({{"feed_forward_proj", "gated-gelu"}});
  CHECK(gated.is_gated);
  CHECK(gated.activation == ops::Activation::gelu_tanh);
  CHECK(read({{"feed_forward_proj", "gated-silu"}}).activation == ops::Activation::silu);
  CHECK(read({{"feed_forward_proj", "gelu"}}).activation == ops::Activation::gelu);
  CHECK_FALSE(read({{"feed_forward_proj", "gelu"}}).is_gated);
  // What newer files say beside it counts.
  const auto said = read({{"feed_forward_proj", "relu"}, {"dense_act_fn", "silu"}, {"is_gated_act", true}});
  CHECK(said.is_gated);
  CHECK(said.activation == ops::Activation::silu);
}

TEST_CASE("a T5 encoder's impossible configurations are refused", "[models][t5]") {
  expect_error<ConfigError>([] { read(json::object(), "T5ForConditionalGeneration"); },
                            {"T5ForConditionalGeneration", "UMT5EncoderModel"});
  expect_error<ConfigError>([] { read({{"model_type", "umt5"}}); }, {"model_type"});
  expect_error<ConfigError>([] { read({{"no_such_option", 1}}); }, {"no_such_option"});
  expect_error<ConfigError>([] { read({{"feed_forward_proj", "gated-"}}); }, {"activation"});
  for (const auto* key : {"vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads",
                          "relative_attention_num_buckets", "relative_attention_max_distance"}) {
    INFO(key);
    expect_error<ConfigError>([&] { read({{key, 0}}); }, {"[t5_encoder] config.json"});
  }
}

TEST_CASE("relative positions fall into T5's buckets", "[models][t5]") {
  const Index length = 300;
  const auto buckets = models::relative_position_buckets(length, 32, 128);
  REQUIRE(buckets.size() == 599);
  const auto at = [&](Index offset) { return buckets[static_cast<std::size_t>(offset + length - 1)]; };
  // Half of each side for a distance each, then ever wider ones; the recorded encoders hold the edges.
  for (Index distance = 0; distance < 8; ++distance) CHECK(at(-distance) == distance);
  for (Index distance = 1; distance < 8; ++distance) CHECK(at(distance) == 16 + distance);
  for (Index distance = 1; distance < length; ++distance) {
    CHECK(at(distance) == at(-distance) + 16);
    CHECK(at(-distance) >= at(1 - distance));
  }
  CHECK(at(-8) == 8);
  CHECK(at(-16) == 10);
  CHECK(at(-32) == 12);
  CHECK(at(-64) == 14);
  CHECK(at(-127) == 15);
  CHECK(at(-299) == 15);
}

TEST_CASE("a T5 encoder does not see what its mask hides", "[models][t5][golden]") {
  for (const auto& engine : ops::engine_names()) {
    INFO("engine " << engine);
    const auto t5 = recorded("t5_v1_1", engine);
    const auto context = test::context_for(engine);
    const auto mask = Tensor<float>::copy_of({1, 6}, std::vector<float>{1, 1, 1, 1, 0, 0});
    const auto first = t5(context, ids_of({5, 9, 30, 1, 0, 0}), &mask);
    const auto other = t5(context, ids_of({5, 9, 30, 1, 77, 200}), &mask);
    const auto seen = 4 * t5.config().d_model;
    CHECK(std::equal(first.data(), first.data() + seen, other.data()));
    const auto without = t5(context, ids_of({5, 9, 30, 1, 77, 200}));
    CHECK_FALSE(std::equal(first.data(), first.data() + seen, without.data()));
    // What follows is not there at all.
    const auto alone = t5(context, ids_of({5, 9, 30, 1}));
    CHECK(test::difference(first.slice(0, 1).reshape({6, -1}).slice(0, 4), alone.reshape({4, -1})).rel_l2 <
          1e-6);
  }
}

TEST_CASE("T5 of version 1.0 has one matrix and a relu", "[models][t5]") {
  // No recorded case: against the same arithmetic in a naive loop, one layer, one head, two tokens.
  const Index width = 3, inner = 2, hidden = 4;
  const weights::StateDict state({std::make_shared<const weights::RandomTensors>(3, DType::f32)}, "random");
  const std::string block = "encoder.block.0.layer.", table = "encoder.embed_tokens.weight";
  std::map<std::string, Tensor<float>> named;
  const auto add = [&](const std::string& name, const Shape& shape) {
    named[name] = state.tensor(name, shape);
  };
  add(table, {7, width});
  for (const auto* name : {"q", "k", "v"}) add(block + "0.SelfAttention." + name + ".weight", {inner, width});
  add(block + "0.SelfAttention.o.weight", {width, inner});
  add(block + "0.SelfAttention.relative_attention_bias.weight", {32, 1});
  add(block + "1.DenseReluDense.wi.weight", {hidden, width});
  add(block + "1.DenseReluDense.wo.weight", {width, hidden});
  for (const auto& name : {block + "0.layer_norm.weight", block + "1.layer_norm.weight",
                           std::string("encoder.final_layer_norm.weight")})
    add(name, {width});

  using Row = std::vector<double>;
  const auto value = [&](const std::string& name, Index i) {
    return static_cast<double>(named.at(name).data()[i]);
  };
  const auto product = [&](const std::string& name, const Row& x) {
    const auto& w = named.at(name);
    Row y(static_cast<std::size_t>(w.dim(0)));
    for (Index o = 0; o < w.dim(0); ++o)
      for (Index i = 0; i < w.dim(1); ++i)
        y[static_cast<std::size_t>(o)] += value(name, o * w.dim(1) + i) * x[static_cast<std::size_t>(i)];
    return y;
  };
  const auto norm = [&](const std::string& name, Row x) {
    double squares = 0.0;
    for (const double each : x) squares += each * each;
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] *= value(name, static_cast<Index>(i)) / std::sqrt(squares / static_cast<double>(x.size()) + 1e-6);
    return x;
  };
  const std::vector<std::int32_t> ids{4, 2};
  std::vector<Row> x;
  for (const auto id : ids) {
    x.emplace_back();
    for (Index i = 0; i < width; ++i) x.back().push_back(value(table, id * width + i));
  }
  std::vector<Row> q, k, v;
  for (const auto& row : x) {
    const auto normed = norm(block + "0.layer_norm.weight", row);
    q.push_back(product(block + "0.SelfAttention.q.weight", normed));
    k.push_back(product(block + "0.SelfAttention.k.weight", normed));
    v.push_back(product(block + "0.SelfAttention.v.weight", normed));
  }
  Tensor<float> expected({1, 2, width});
  for (std::size_t i = 0; i < 2; ++i) {
    Row weights(2), mixed(static_cast<std::size_t>(inner));
    double sum = 0.0;
    for (std::size_t j = 0; j < 2; ++j) {
      const Index bucket = i == j ? 0 : j < i ? 1 : 17;
      double logit = value(block + "0.SelfAttention.relative_attention_bias.weight", bucket);
      for (std::size_t c = 0; c < mixed.size(); ++c) logit += q[i][c] * k[j][c];
      sum += weights[j] = std::exp(logit);
    }
    for (std::size_t j = 0; j < 2; ++j)
      for (std::size_t c = 0; c < mixed.size(); ++c) mixed[c] += weights[j] / sum * v[j][c];
    auto row = x[i];
    const auto added = product(block + "0.SelfAttention.o.weight", mixed);
    for (std::size_t c = 0; c < row.size(); ++c) row[c] += added[c];
    auto between = product(block + "1.DenseReluDense.wi.weight", norm(block + "1.layer_norm.weight", row));
    for (double& each : between) each = std::max(each, 0.0);
    const auto dense = product(block + "1.DenseReluDense.wo.weight", between);
    for (std::size_t c = 0; c < row.size(); ++c) row[c] += dense[c];
    row = norm("encoder.final_layer_norm.weight", row);
    for (std::size_t c = 0; c < row.size(); ++c)
      expected.data()[static_cast<Index>(i) * width + static_cast<Index>(c)] = static_cast<float>(row[c]);
  }

  const auto config = read(
      {{"vocab_size", 7}, {"d_model", 3}, {"d_kv", 2}, {"d_ff", 4}, {"num_layers", 1}, {"num_heads", 1}});
  for (const auto& engine : ops::engine_names()) {
    INFO("engine " << engine);
    const auto context = test::context_for(engine);
    const T5Encoder<float> t5(config, {state, context});
    CHECK(test::difference(t5(context, ids_of(ids)), expected).rel_l2 < 1e-6);
  }
}

TEST_CASE("a T5 encoder says what it was given", "[models][t5][golden]") {
  const auto t5 = recorded("t5_v1_1", "native");
  const auto context = test::context_for("native");
  expect_error<ArgumentError>([&] { t5(context, Tensor<std::int32_t>({4})); }, {"[t5_encoder]", "[N, L]"});
  expect_error<ArgumentError>([&] { t5(context, ids_of({300})); }, {"300", "300 rows"});
  const auto mask = Tensor<float>::full({1, 3}, 1.0f);
  expect_error<ArgumentError>([&] { t5(context, ids_of({1, 2}), &mask); }, {"mask"});
}
