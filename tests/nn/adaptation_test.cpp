#include "daguerre/nn/adaptation.hpp"

#include <array>
#include <cmath>
#include <map>

#include "daguerre/nn/conv.hpp"
#include "daguerre/nn/linear.hpp"
#include "daguerre/nn/norm.hpp"
#include "daguerre/ops/elementwise.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

constexpr Index in = 64, out = 48, rank = 2;

/// strength * up x down, as LoRA; also of convolutions.
class ProductDelta final : public weights::Delta {
 public:
  ProductDelta(const Shape& shape, unsigned seed)
      : shape_(shape),
        factors_{random_tensor({shape[0], rank}, seed, 0.1f),
                 random_tensor({rank, shape.tail().size()}, seed + 1, 0.1f)} {}
  const Shape& shape() const noexcept override { return shape_; }
  void apply(Index begin, Index end, float strength, float* rows) const override {
    const auto &up = factors_.up, &down = factors_.down;
    for (Index row = begin; row < end; ++row)
      for (Index i = 0; i < down.dim(1); ++i)
        for (Index r = 0; r < rank; ++r)
          rows[(row - begin) * down.dim(1) + i] +=
              strength * up.data()[row * rank + r] * down.data()[r * down.dim(1) + i];
  }
  std::optional<weights::LowRank> low_rank() const override { return factors_; }

 private:
  Shape shape_;
  weights::LowRank factors_;
};

/// Adds a whole tensor.
class WholeDelta final : public weights::Delta {
 public:
  WholeDelta(const Shape& shape, unsigned seed) : change_(random_tensor(shape, seed, 0.1f)) {}
  const Shape& shape() const noexcept override { return change_.shape(); }
  void apply(Index begin, Index end, float strength, float* rows) const override {
    const Index size = change_.shape().tail().size();
    for (Index i = begin * size; i < end * size; ++i) *rows++ += strength * change_.data()[i];
  }

 private:
  Tensor<float> change_;
};

const std::map<std::string, Shape>& shapes() {
  static const std::map<std::string, Shape> all{
      {"alone.weight", {out, in}}, {"alone.bias", {out}},
      {"q.weight", {out, in}},     {"k.weight", {out, in}},
      {"v.weight", {out, in}},     {"active.weight", {out, in}},
      {"active.bias", {out}},      {"pixel.weight", {out, in, 1, 1}},
      {"pixel.bias", {out}},       {"conv.weight", {out, in, 3, 3}},
      {"conv.bias", {out}},        {"norm.weight", {in}},
      {"norm.bias", {in}},         {"other.weight", {out, in}},
      {"other.bias", {out}}};
  return all;
}

weights::StateDict some_weights() {
  weights::SafetensorsWriter writer;
  unsigned seed = 1;
  for (const auto& [name, shape] : shapes()) writer.add(name, random_tensor(shape, ++seed, 0.1f));
  return weights::StateDict({weights::SafetensorsFile::from_memory(
      std::make_shared<const std::vector<std::byte>>(writer.to_bytes()), "some")});
}

/// One of each kind of layer.
template <class T>
struct Layers {
  explicit Layers(const nn::Loader& loader)
      : alone(loader.sub("alone"), in, out),
        qkv(nn::Linear<T>::side_by_side(std::array{loader.sub("q"), loader.sub("k"), loader.sub("v")}, in,
                                        out, {.bias = false})),
        active(loader.sub("active"), in, out, {.activation = ops::Activation::gelu}),
        pixel(loader.sub("pixel"), in, out, {.stored_as_conv = true}),
        other(loader.sub("other"), in, out),
        conv(loader.sub("conv"), in, out, 3, ops::ConvGeometry::same(1, 2)),
        norm(loader.sub("norm"), in, 1e-5f) {}

  /// What each of them makes.
  std::map<std::string, Tensor<float>> operator()(const ops::Context& context) const {
    const auto input = random_tensor({2, 30, in}, 99);
    const auto x = ops::cast<T>(context, input);
    const auto picture = ops::cast<T>(context, random_tensor({1, 9, 7, in}, 98));
    const auto residual = random_tensor({2, 30, out}, 97);
    const auto as_float = [&](const Tensor<T>& y) { return ops::cast<float>(context, y); };
    return {{"alone", as_float(alone(context, x))},
            {"alone onto a residual", alone.accumulate(context, x, &residual)},
            {"qkv", as_float(qkv(context, x))},
            {"active", as_float(active(context, x))},
            {"pixel", pixel.accumulate(context, x)},
            {"other", other.accumulate(context, x)},
            {"conv", conv(context, picture)},
            {"conv onto a residual", conv(context, picture, random_tensor({1, 5, 4, out}, 96))},
            {"conv, rounded", as_float(conv.rounded(context, picture))},
            {"norm", norm.template apply<float>(context, input)}};
  }

  nn::Linear<T> alone, qkv, active, pixel, other;
  nn::Conv2d<T> conv;
  nn::LayerNorm norm;
};

weights::Deltas some_deltas() {
  const auto product = [](const char* name, unsigned seed) {
    return std::make_shared<const ProductDelta>(shapes().at(name), seed);
  };
  const auto whole = [](const char* name, unsigned seed) {
    return std::make_shared<const WholeDelta>(shapes().at(name), seed);
  };
  return {{"alone.weight", {{product("alone.weight", 20), 0.8f}, {product("alone.weight", 22), -1.5f}}},
          {"alone.bias", {{whole("alone.bias", 24), 0.5f}}},
          {"q.weight", {{product("q.weight", 26), 1.0f}}},
          {"v.weight", {{product("v.weight", 28), 2.0f}}},
          {"active.weight", {{product("active.weight", 30), 1.0f}}},
          {"pixel.weight", {{whole("pixel.weight", 32), 1.0f}}},
          {"conv.weight", {{product("conv.weight", 34), 1.0f}}},
          {"norm.weight", {{whole("norm.weight", 36), 1.0f}}}};
}

/// As `Layers` keeps them.
template <class Layer>
std::shared_ptr<const Layer> kept(const nn::PackedLayers& layers, std::vector<std::string> modules,
                                  bool has_bias, const std::string& how) {
  std::string key = how + (has_bias ? " with bias" : "");
  for (const auto& name : modules) key += "|" + name;
  return layers.find<Layer>(key);
}

template <class T>
void test_adaptation(const ops::Context& context, double bound) {
  const auto state = some_weights();
  const auto record = std::make_shared<nn::PackedLayers>();
  nn::Adaptation recorded{.record = record};
  const Layers<T> base({weights::Scope(state), context, std::make_shared<const nn::Adaptation>(recorded)});
  const auto before = base(context);

  const auto deltas = some_deltas();
  const weights::Scope changed(state.with_deltas(deltas));
  const auto merged = Layers<T>({changed, context})(context);
  using Linear = ops::PackedLinear<T>;
  const std::vector<std::pair<std::vector<std::string>, bool>> extended{
      {{"alone"}, true}, {{"q", "k", "v"}, false}, {{"other"}, true}};
  std::vector<long> users;
  for (const auto& [modules, has_bias] : extended) {
    const auto layer = kept<Linear>(*record, modules, has_bias, "linear 0");
    REQUIRE(layer != nullptr);
    users.push_back(layer.use_count());
  }
  const auto adaptation =
      std::make_shared<const nn::Adaptation>(nn::Adaptation{.base = record, .added = deltas});
  const Layers<T> adapted({changed, context, adaptation});
  for (std::size_t i = 0; i < extended.size(); ++i) {
    INFO(extended[i].first.front());
    // Not packed anew: what is there goes on.
    CHECK(kept<Linear>(*record, extended[i].first, extended[i].second, "linear 0").use_count() ==
          users[i] + 1);
  }
  const auto now = adapted(context);
  for (const auto& [name, expected] : merged) {
    INFO(name);
    CHECK(difference(now.at(name), expected).rel_l2 <= bound);
    if (name == "other")
      CHECK(difference(now.at(name), before.at(name)).max_abs == 0.0);
    else
      CHECK(difference(now.at(name), before.at(name)).rel_l2 > 3 * bound);
  }
  for (const auto& [name, after] : base(context)) {
    INFO(name);
    CHECK(difference(after, before.at(name)).max_abs == 0.0);
  }
}

}  // namespace

TEST_CASE("a network beside another shares its layers, and gives what merged weights give", "[nn][lora]") {
  for (const auto& engine : ops::engine_names())
    for (const auto placement : {ops::WeightPlacement::packed, ops::WeightPlacement::mapped}) {
      const bool packed = placement == ops::WeightPlacement::packed;
      auto context = context_for(engine);
      context.placement = placement;
      INFO(engine << (packed ? ", packed" : ", mapped"));
      SECTION(engine + (packed ? " packed" : " mapped")) {
        test_adaptation<float>(context, 2e-6);
        test_adaptation<bfloat16>(context, 8e-3);
      }
      if (engine != "onednn") continue;
      SECTION(std::string("int8") + (packed ? " packed" : " mapped")) {
        context.engine = ops::make_int8_engine(context.engine);
        test_adaptation<bfloat16>(context, 3e-2);
      }
    }
}

TEST_CASE("terms of low rank are stacked, those of one down only once", "[ops][lora]") {
  const auto down = random_tensor({2, 5}, 1), other = random_tensor({1, 5}, 2);
  const auto first = random_tensor({3, 2}, 3), second = random_tensor({3, 2}, 4),
             third = random_tensor({6, 1}, 5);
  const std::vector<ops::LowRankTerm> terms{
      {first, down, 0.5f, 0}, {second, down, 2.0f, 3}, {third, other, 1.0f, 0}};
  const auto stack = ops::stacked(6, 5, terms);
  CHECK(stack.rank() == 3);
  CHECK(stack.down.shape() == Shape{3, 5});
  const float* const up = std::as_const(stack.up).data();
  CHECK(up[0] == 0.5f * first.data()[0]);
  CHECK(up[3 * 3 + 1] == 2.0f * second.data()[1]);
  CHECK(up[3 * 3 + 2] == third.data()[3]);
  CHECK(std::abs(stack.cost() - 3.0 * 11 / 30) < 1e-12);
  expect_error<ArgumentError>([&] { ops::stacked(5, 5, terms); }, {"low_rank", "from row 3", "[5, 5]"});
  expect_error<ArgumentError>([&] { ops::change_of(first, third); }, {"low_rank", "[6, 1]", "[3, 2]"});
}
