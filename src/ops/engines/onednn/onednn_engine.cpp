#include "ops/engines/engines.hpp"

#ifndef DAGUERRE_HAS_ONEDNN

namespace daguerre::ops {
std::shared_ptr<const Engine> make_onednn_engine() {
  return nullptr;
}
}  // namespace daguerre::ops

#else

#include <algorithm>
#include <vector>

#include "ops/engines/native/winograd_conv.hpp"
#include "ops/engines/native/work_tiles.hpp"
#include "ops/engines/onednn/onednn_linear.hpp"

// The engine built on oneDNN. Weights are packed at load into the layout that oneDNN prefers for a typical
// shape; the primitive for each shape that is met is built once and kept. Should another shape prefer another
// layout, that layout is kept too, so that nothing is ever repacked twice.
namespace daguerre::ops {
namespace {

using namespace onednn;

template <class T>
class OneDnnConv2d final : public PackedConv2d<T> {
 public:
  OneDnnConv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
               const ConvGeometry& geometry, Activation activation)
      : engine_(cpu()),
        shape_(weight.shape()),
        bias_(bias),
        geometry_(geometry),
        activation_(activation),
        weights_(context, WeightWriter<T>(engine_, weight, dims(shape_), Tag::oihw, 0),
                 desc(typical()).weights_desc()) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    return convolve<float>(context, x, std::move(residual));
  }
  Tensor<T> rounded(const Context& context, const Tensor<T>& x) const override {
    return convolve<T>(context, x, {});
  }

 private:
  /// Of a tile.
  struct Key {
    Index batch, height, width;
    int pad_top, pad_bottom;
    bool residual;
    bool rounded;  ///< to T, else float32
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
    const auto tiles = RowTiles::of(shape, shape_);
    const Index images = tiles.joined ? 1 : x.dim(0);
    const Index row_in = x.dim(2) * x.dim(3), row_out = y.dim(2) * y.dim(3);
    translated("conv2d", [&] {
      std::vector<Tile> prepared;
      typename LayerWeights<T>::Call weights(context, weights_);
      for (Index i = 0; i < tiles.count; ++i) {
        auto tile = prepare(tiles, i, x.shape(), shape[1], accumulates, std::is_same_v<Out, T>);
        weights.provide(tile.primitive, tile.primitive.weights_layout);
        prepared.push_back(std::move(tile));
      }
      parallel_for(context.threads, images * tiles.count, 1, [&](Index begin, Index end) {
        const OneThread one;
        for (Index i = begin; i < end; ++i) {
          const auto& [window, primitive] = prepared[static_cast<std::size_t>(i % tiles.count)];
          const Index image = i / tiles.count;
          Arguments arguments{
              {DNNL_ARG_SRC, borrow(primitive.source, engine_,
                                    x.data() + (image * x.dim(1) + window.first_input) * row_in)},
              {DNNL_ARG_WEIGHTS, primitive.weights},
              {DNNL_ARG_DST, borrow(primitive.destination, engine_,
                                    y.data() + (image * y.dim(1) + window.first_output) * row_out)}};
          if (!bias_.empty()) arguments.emplace(DNNL_ARG_BIAS, borrow(bias_desc(), engine_, bias_.data()));
          execute(context, primitive, engine_, std::move(arguments));
        }
      });
    });
    return y;
  }

  struct Tile {
    RowWindow window;
    Prepared primitive;
  };
  Tile prepare(const RowTiles& tiles, Index index, const Shape& input, Index output_height, bool residual,
               bool rounded) const {
    const auto window = RowWindow::of(tiles, index, input[1], output_height, shape_[2], geometry_);
    const Key key{tiles.joined ? input[0] : 1, window.inputs, input[2], window.pad_top,
                  window.pad_bottom,           residual,      rounded};
    return {window, cache_.get(key, [&] {
              const auto d = desc(key);
              return Prepared::from(d, dnnl::convolution_forward(d), weights_.kept(d.weights_desc()));
            })};
  }

  static memory::dims dims(const Shape& shape) { return {shape.begin(), shape.end()}; }
  Key typical() const {
    return {1,
            std::max<Index>(8, shape_[2]),
            std::max<Index>(32, shape_[3]),
            geometry_.pad_top,
            geometry_.pad_bottom,
            false,
            false};
  }
  memory::desc bias_desc() const {
    return bias_.empty() ? memory::desc() : memory::desc({shape_[0]}, Type::f32, Tag::a);
  }
  dnnl::convolution_forward::primitive_desc desc(const Key& key) const {
    const Shape input{key.batch, key.height, key.width, shape_[1]};
    ConvGeometry geometry = geometry_;
    geometry.pad_top = key.pad_top;
    geometry.pad_bottom = key.pad_bottom;
    const Shape output = conv_output_shape(input, shape_, geometry);
    dnnl::post_ops operations;
    append_activation(operations, activation_);
    if (key.residual) operations.append_sum(1.0f);
    return convolution_desc(
        engine_, {{input[0], input[3], input[1], input[2]}, type_of<T>, Tag::nhwc},
        {dims(shape_), type_of<T>, Tag::any}, bias_desc(),
        {{output[0], output[3], output[1], output[2]}, key.rounded ? type_of<T> : Type::f32, Tag::nhwc},
        {geometry.stride, geometry.stride}, {geometry.pad_top, geometry.pad_left},
        {geometry.pad_bottom, geometry.pad_right}, attributes_with(operations));
  }

  dnnl::engine engine_;
  Shape shape_;
  Tensor<float> bias_;
  ConvGeometry geometry_;
  Activation activation_;
  mutable LayerWeights<T> weights_;
  mutable PrimitiveCache<Key> cache_;
};

/// Whether oneDNN multiplies T here: for bfloat16 it wants AVX-512.
template <class T>
bool multiplies() {
  try {
    const memory::desc square({16, 16}, type_of<T>, Tag::ab);
    (void)matmul_desc(cpu(), square, square, {}, square, {});
    return true;
  } catch (const dnnl::error&) {
    return false;
  }
}

template <class T>
class OneDnnEngineFor : public EngineFor<T> {
 public:
  std::unique_ptr<const PackedLinear<T>> pack_linear(const Context& context, const Weight& weight,
                                                     const Tensor<float>& bias,
                                                     Activation activation) const override {
    if (own_ != nullptr) return own_->as<T>().pack_linear(context, weight, bias, activation);
    check_linear_shapes(weight, bias);
    return translated("linear",
                      [&] { return std::make_unique<OneDnnLinear<T>>(context, weight, bias, activation); });
  }
  std::unique_ptr<const PackedConv2d<T>> pack_conv2d(const Context& context, const Weight& weight,
                                                     const Tensor<float>& bias, const ConvGeometry& geometry,
                                                     Activation activation) const override {
    if (own_ != nullptr) return own_->as<T>().pack_conv2d(context, weight, bias, geometry, activation);
    check_conv_shapes(weight, bias);
    // oneDNN 2.6's convolutions of one pixel that skip others read the wrong ones.
    if (geometry.stride > 1 && weight.dim(2) == 1 && weight.dim(3) == 1)
      return make_native_engine()->as<T>().pack_conv2d(context, weight, bias, geometry, activation);
    // Minimal filtering in float32 takes 0.3 to 0.5 of the time of oneDNN's direct convolutions where there
    // are many channels, and less of those in bfloat16 unless they run in AMX.
    if (suits_winograd(context, weight.shape(), geometry) && (std::is_same_v<T, float> || !has_amx_bfloat16()))
      return make_winograd_conv2d<T>(context, weight, bias, geometry, activation);
    return translated("conv2d", [&] {
      return std::make_unique<OneDnnConv2d<T>>(context, weight, bias, geometry, activation);
    });
  }

  Tensor<T> attention(const Context& context, const AttentionArguments<T>& a) const override {
    return blockwise_attention(context, a);
  }

 private:
  /// Our own kernels, where oneDNN has none for T.
  std::shared_ptr<const Engine> own_ = multiplies<T>() ? nullptr : make_native_engine();
};

class OneDnnEngine final : public Engine, public OneDnnEngineFor<float>, public OneDnnEngineFor<bfloat16> {
 public:
  std::string_view name() const noexcept override { return "onednn"; }
  std::string version() const override {
    const auto* version = dnnl_version();
    return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
           std::to_string(version->patch);
  }
};

}  // namespace

std::shared_ptr<const Engine> make_onednn_engine() {
  return translated("engine", [] { return std::make_shared<OneDnnEngine>(); });
}

}  // namespace daguerre::ops

#endif
