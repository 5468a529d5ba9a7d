#include "ops/engines.hpp"

#ifndef DAGUERRE_HAS_ONEDNN

namespace daguerre::ops {
std::shared_ptr<const Engine> make_onednn_engine() {
  return nullptr;
}
}  // namespace daguerre::ops

#else

#include <algorithm>

#include "ops/onednn_primitives.hpp"

// The engine built on oneDNN. Weights are packed at load into the layout that oneDNN prefers for a typical
// shape; the primitive for each shape that is met is built once and kept. Should another shape prefer another
// layout, that layout is kept too, so that nothing is ever repacked twice.
namespace daguerre::ops {
namespace {

using namespace onednn;

void append_activation(dnnl::post_ops& operations, Activation activation) {
  using dnnl::algorithm;
  switch (activation) {
    case Activation::none:
      return;
    case Activation::silu:
      return append_eltwise(operations, algorithm::eltwise_swish, 1.0f);
    case Activation::quick_gelu:
      return append_eltwise(operations, algorithm::eltwise_swish, 1.702f);
    case Activation::gelu:
      return append_eltwise(operations, algorithm::eltwise_gelu_erf, 0.0f);
    case Activation::gelu_tanh:
      return append_eltwise(operations, algorithm::eltwise_gelu_tanh, 0.0f);
  }
}

template <class T>
class OneDnnLinear final : public PackedLinear<T> {
 public:
  OneDnnLinear(const Tensor<float>& weight, const Tensor<float>& bias, Activation activation)
      : engine_(cpu()),
        in_(weight.dim(1)),
        out_(weight.dim(0)),
        bias_(bias),
        activation_(activation),
        weights_(engine_, {{in_, out_}, Type::f32, Tag::ba}, weight,
                 desc({1024, false, true, 0}).weights_desc()) {}

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return multiply<T>(context, x, nullptr);
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    return multiply<float>(context, x, residual);
  }

 private:
  /// The number of threads is part of it: a primitive divides its work when it is made.
  struct Key {
    Index rows;
    bool residual;
    bool rounded;  ///< to T, else float32
    int threads;
    auto operator<=>(const Key&) const = default;
  };

  template <class Out>
  Tensor<Out> multiply(const Context& context, const Tensor<T>& x, const Tensor<float>* residual) const {
    auto y = context.empty<Out>(linear_output_shape(x.shape(), in_, out_));
    check_residual(y.shape(), residual, "linear");
    if (y.empty()) return y;
    const ThreadLimit limit(context.threads);
    translated("linear", [&] {
      const Key key{y.size() / out_, residual != nullptr, std::is_same_v<Out, T>, context.threads};
      const auto prepared = cache_.get(key, [&] {
        const auto d = desc(key);
        return Prepared::from(d, dnnl::matmul(d), weights_.get(d.weights_desc()));
      });
      Arguments extra;
      if (residual != nullptr)
        extra.emplace(
            DNNL_ARG_ATTR_MULTIPLE_POST_OP(activation_ == Activation::none ? 0 : 1) | DNNL_ARG_SRC_1,
            borrow(prepared.destination, engine_, residual->data()));
      execute_layer(context, prepared, engine_, x, y, bias_, bias_desc(), std::move(extra));
    });
    return y;
  }

  memory::desc bias_desc() const {
    return bias_.empty() ? memory::desc() : memory::desc({1, out_}, Type::f32, Tag::ab);
  }
  dnnl::matmul::primitive_desc desc(const Key& key) const {
    const memory::desc result({key.rows, out_}, key.rounded ? type_of<T> : Type::f32, Tag::ab);
    dnnl::post_ops operations;
    append_activation(operations, activation_);
    if (key.residual) operations.append_binary(dnnl::algorithm::binary_add, result);
    return matmul_desc(engine_, {{key.rows, in_}, type_of<T>, Tag::ab}, {{in_, out_}, type_of<T>, Tag::any},
                       bias_desc(), result, attributes_with(operations));
  }

  dnnl::engine engine_;
  Index in_, out_;
  Tensor<float> bias_;
  Activation activation_;
  mutable PackedWeights weights_;
  mutable PrimitiveCache<Key> cache_;
};

template <class T>
class OneDnnConv2d final : public PackedConv2d<T> {
 public:
  OneDnnConv2d(const Tensor<float>& weight, const Tensor<float>& bias, const ConvGeometry& geometry)
      : engine_(cpu()),
        shape_(weight.shape()),
        bias_(bias),
        geometry_(geometry),
        weights_(engine_, {dims(shape_), Type::f32, Tag::oihw}, weight, desc(typical()).weights_desc()) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    return convolve<float>(context, x, std::move(residual));
  }
  Tensor<T> rounded(const Context& context, const Tensor<T>& x) const override {
    return convolve<T>(context, x, {});
  }

 private:
  struct Key {
    Index batch, height, width;
    bool residual;
    bool rounded;  ///< to T, else float32
    int threads;
    auto operator<=>(const Key&) const = default;
  };

  template <class Out>
  Tensor<Out> convolve(const Context& context, const Tensor<T>& x, Tensor<float> residual) const {
    const auto shape = conv_output_shape(x.shape(), shape_, geometry_);
    const bool accumulates = !residual.empty();
    check_residual(shape, accumulates ? &residual : nullptr, "conv2d");
    // Onto the residual: as a separate summand it would take oneDNN's slower kernels.
    Tensor<Out> y;
    if constexpr (std::is_same_v<Out, float>)
      y = destination(context, shape, std::move(residual));
    else
      y = context.empty<Out>(shape);
    if (y.empty()) return y;
    const ThreadLimit limit(context.threads);
    translated("conv2d", [&] {
      const Key key{x.dim(0), x.dim(1), x.dim(2), accumulates, std::is_same_v<Out, T>, context.threads};
      const auto prepared = cache_.get(key, [&] {
        const auto d = desc(key);
        return Prepared::from(d, dnnl::convolution_forward(d), weights_.get(d.weights_desc()));
      });
      execute_layer(context, prepared, engine_, x, y, bias_, bias_desc());
    });
    return y;
  }

  static memory::dims dims(const Shape& shape) { return {shape.begin(), shape.end()}; }
  Key typical() const {
    return {2, std::max<Index>(32, shape_[2]), std::max<Index>(32, shape_[3]), false, false, 0};
  }
  memory::desc bias_desc() const {
    return bias_.empty() ? memory::desc() : memory::desc({shape_[0]}, Type::f32, Tag::a);
  }
  dnnl::convolution_forward::primitive_desc desc(const Key& key) const {
    const Shape input{key.batch, key.height, key.width, shape_[1]};
    const Shape output = conv_output_shape(input, shape_, geometry_);
    dnnl::post_ops operations;
    if (key.residual) operations.append_sum(1.0f);
    return convolution_desc(
        engine_, {{input[0], input[3], input[1], input[2]}, type_of<T>, Tag::nhwc},
        {dims(shape_), type_of<T>, Tag::any}, bias_desc(),
        {{output[0], output[3], output[1], output[2]}, key.rounded ? type_of<T> : Type::f32, Tag::nhwc},
        {geometry_.stride, geometry_.stride}, {geometry_.pad_top, geometry_.pad_left},
        {geometry_.pad_bottom, geometry_.pad_right}, attributes_with(operations));
  }

  dnnl::engine engine_;
  Shape shape_;
  Tensor<float> bias_;
  ConvGeometry geometry_;
  mutable PackedWeights weights_;
  mutable PrimitiveCache<Key> cache_;
};

template <class T>
class OneDnnEngineFor : public virtual EngineFor<T> {
 public:
  std::unique_ptr<const PackedLinear<T>> pack_linear(const Tensor<float>& weight, const Tensor<float>& bias,
                                                     Activation activation) const override {
    check_linear_shapes(weight, bias);
    return translated("linear", [&] { return std::make_unique<OneDnnLinear<T>>(weight, bias, activation); });
  }
  std::unique_ptr<const PackedConv2d<T>> pack_conv2d(const Tensor<float>& weight, const Tensor<float>& bias,
                                                     const ConvGeometry& geometry) const override {
    check_conv_shapes(weight, bias);
    return translated("conv2d", [&] { return std::make_unique<OneDnnConv2d<T>>(weight, bias, geometry); });
  }

  Tensor<T> attention(const Context& context, const AttentionArguments<T>& a) const override {
    return blockwise_attention(context, a);
  }
};

class OneDnnEngine final : public Engine, OneDnnEngineFor<float>, OneDnnEngineFor<bfloat16> {
 public:
  std::string_view name() const noexcept override { return "onednn"; }
};

}  // namespace

std::shared_ptr<const Engine> make_onednn_engine() {
  return translated("engine", [] { return std::make_shared<OneDnnEngine>(); });
}

}  // namespace daguerre::ops

#endif
