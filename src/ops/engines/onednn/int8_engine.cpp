#include "ops/engines/engines.hpp"
#include "ops/engines/native/kernels.hpp"

namespace daguerre::ops {
namespace {

/// `view` widened to float32, as a tensor of its own.
Tensor<float> widened_tokens(const Context& context, const TokenView<bfloat16>& view) {
  auto result = context.empty<float>({view.batch, view.length, view.width});
  parallel_for(context.threads, view.batch * view.length, 64, [&](Index begin, Index end) {
    for (Index row = begin; row < end; ++row)
      kernels::active().bf16.to_float(view.at(row / view.length, row % view.length),
                                      result.data() + row * view.width, view.width);
  });
  return result;
}

class Int8Layers : public EngineFor<bfloat16> {
 public:
  explicit Int8Layers(std::shared_ptr<const Engine> engine)
      : engine_(std::move(engine)), attends_in_bfloat16_(has_native_bfloat16()) {}

  std::unique_ptr<const PackedLinear<bfloat16>> pack_linear(const Context& context, const Weight& weight,
                                                            const Tensor<float>& bias,
                                                            Activation activation) const override {
    check_linear_shapes(weight, bias);
    return make_int8_linear(context, weight, bias, activation);
  }
  std::unique_ptr<const PackedConv2d<bfloat16>> pack_conv2d(const Context& context, const Weight& weight,
                                                            const Tensor<float>& bias,
                                                            const ConvGeometry& geometry,
                                                            Activation activation) const override {
    check_conv_shapes(weight, bias);
    return make_int8_conv2d(context, weight, bias, geometry, activation);
  }

  Tensor<bfloat16> attention(const Context& context, const AttentionArguments<bfloat16>& a) const override {
    if (attends_in_bfloat16_) return engine_->as<bfloat16>().attention(context, a);
    check_attention(a);
    const auto query = widened_tokens(context, a.query), key = widened_tokens(context, a.key),
               value = widened_tokens(context, a.value);
    using View = TokenView<float>;
    const auto y = engine_->as<float>().attention(context, {.query = View::all(query),
                                                            .key = View::all(key),
                                                            .value = View::all(value),
                                                            .heads = a.heads,
                                                            .scale = a.scale,
                                                            .key_bias = a.key_bias,
                                                            .relative_bias = a.relative_bias,
                                                            .causal = a.causal,
                                                            .key_heads = a.key_heads,
                                                            .first_query = a.first_query,
                                                            .window = a.window,
                                                            .soft_cap = a.soft_cap});
    auto result = context.empty<bfloat16>(y.shape());
    parallel_for(context.threads, y.size(), 4096, [&](Index begin, Index end) {
      kernels::active().bf16.from_float(y.data() + begin, result.data() + begin, end - begin);
    });
    return result;
  }

 private:
  std::shared_ptr<const Engine> engine_;
  /// Elsewhere float32 is faster, in spite of the conversions.
  bool attends_in_bfloat16_;
};

class FloatLayers : public EngineFor<float> {
 public:
  explicit FloatLayers(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}

  std::unique_ptr<const PackedLinear<float>> pack_linear(const Context& context, const Weight& weight,
                                                         const Tensor<float>& bias,
                                                         Activation activation) const override {
    return engine_->as<float>().pack_linear(context, weight, bias, activation);
  }
  std::unique_ptr<const PackedConv2d<float>> pack_conv2d(const Context& context, const Weight& weight,
                                                         const Tensor<float>& bias,
                                                         const ConvGeometry& geometry,
                                                         Activation activation) const override {
    return engine_->as<float>().pack_conv2d(context, weight, bias, geometry, activation);
  }
  Tensor<float> attention(const Context& context, const AttentionArguments<float>& a) const override {
    return engine_->as<float>().attention(context, a);
  }

 private:
  std::shared_ptr<const Engine> engine_;
};

class Int8Engine final : public Engine, public Int8Layers, public FloatLayers {
 public:
  explicit Int8Engine(const std::shared_ptr<const Engine>& engine)
      : Int8Layers(engine),
        FloatLayers(engine),
        name_(std::string(engine->name()) + " int8"),
        version_(engine->version()) {}
  std::string_view name() const noexcept override { return name_; }
  std::string version() const override { return version_; }

 private:
  std::string name_, version_;
};

}  // namespace

std::shared_ptr<const Engine> make_int8_engine(std::shared_ptr<const Engine> engine) {
  if (engine == nullptr || engine->name() != "onednn")
    throw ArgumentError("engine", "8-bit layers need the engine \"onednn\", this one is \"" +
                                      std::string(engine == nullptr ? "none" : engine->name()) + "\"");
  return std::make_shared<Int8Engine>(engine);
}

}  // namespace daguerre::ops
