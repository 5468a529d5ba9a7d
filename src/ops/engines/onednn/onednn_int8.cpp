#include "ops/engines/engines.hpp"

#ifndef DAGUERRE_HAS_ONEDNN

namespace daguerre::ops {
std::unique_ptr<const PackedLinear<bfloat16>> make_int8_linear(const Context&, const Weight&,
                                                               const Tensor<float>&, Activation) {
  throw ArgumentError("linear", "this build has no oneDNN, which 8-bit layers need");
}
std::unique_ptr<const PackedConv2d<bfloat16>> make_int8_conv2d(const Context&, const Weight&,
                                                               const Tensor<float>&, const ConvGeometry&,
                                                               Activation) {
  throw ArgumentError("conv2d", "this build has no oneDNN, which 8-bit layers need");
}
}  // namespace daguerre::ops

#else

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "ops/engines/native/work_tiles.hpp"
#include "ops/engines/onednn/int8_linear.hpp"

// Layers that multiply unsigned 8-bit activations by signed 8-bit weights. The sums are exact, so that
// results depend neither on the threads nor on how the work is cut.
namespace daguerre::ops {
namespace {

using namespace onednn;
using T = bfloat16;

/// One image after the other, each with its own scale and zero point. The image is copied, rounded, with its
/// padding around it, so that the zero point costs nothing but another bias.
class Int8Conv2d final : public PackedConv2d<T> {
 public:
  Int8Conv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
             const ConvGeometry& geometry, Activation activation)
      : Int8Conv2d(context, Int8Weights(context.threads, weight), bias, geometry, activation) {}

  Tensor<float> operator()(const Context& context, const Tensor<T>& x,
                           Tensor<float> residual) const override {
    const auto shape = conv_output_shape(x.shape(), shape_, geometry_);
    const bool accumulates = !residual.empty();
    check_residual(shape, accumulates ? &residual : nullptr, "conv2d");
    auto y = destination(context, shape, std::move(residual));
    if (y.empty()) return y;
    const Index height = x.dim(1) + geometry_.pad_top + geometry_.pad_bottom,
                width = x.dim(2) + geometry_.pad_left + geometry_.pad_right;
    auto padded = context.empty<std::uint8_t>({height, width, x.dim(3)});
    Tensor<float> factors({shape_[0]}), offsets({shape_[0]});
    const Index image_in = x.size() / x.dim(0), image_out = y.size() / y.dim(0);
    const ConvGeometry unpadded{.stride = geometry_.stride};
    const auto tiles = RowTiles::of(shape.with(0, 1), shape_);
    const auto window = [&](Index i) {
      return RowWindow::of(tiles, i, height, shape[1], shape_[2], unpadded);
    };
    const Index row_in = width * x.dim(3), row_out = y.dim(2) * y.dim(3);
    translated("conv2d", [&] {
      std::vector<Prepared> prepared;
      for (Index i = 0; i < tiles.count; ++i)
        prepared.push_back(prepare({window(i).inputs, width, accumulates}));
      for (Index n = 0; n < x.dim(0); ++n) {
        context.check_stop();
        const auto quantization = rounded(context, x.data() + n * image_in, x.dim(1), x.dim(2), padded);
        for (Index c = 0; c < shape_[0]; ++c) {
          const auto i = static_cast<std::size_t>(c);
          factors.data()[c] = quantization.scale * scales_[i];
          offsets.data()[c] = (bias_.empty() ? 0.0f : bias_.data()[c]) -
                              quantization.scale * (quantization.zero_point * scaled_sums_[i]);
        }
        float* const out = y.data() + n * image_out;
        parallel_for(context.threads, tiles.count, 1, [&](Index begin, Index end) {
          const OneThread one;
          for (Index i = begin; i < end; ++i) {
            const auto& primitive = prepared[static_cast<std::size_t>(i)];
            const auto rows = window(i);
            execute(
                context, primitive, engine_,
                {{DNNL_ARG_SRC, borrow(primitive.source, engine_, padded.data() + rows.first_input * row_in)},
                 {DNNL_ARG_WEIGHTS, primitive.weights},
                 {DNNL_ARG_DST, borrow(primitive.destination, engine_, out + rows.first_output * row_out)},
                 {DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1,
                  borrow(channel_desc(), engine_, factors.data())},
                 {DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1,
                  borrow(channel_desc(), engine_, offsets.data())}});
          }
        });
      }
    });
    return y;
  }

 private:
  /// Of a tile's rows of the padded image.
  struct Key {
    Index height, width;
    bool residual;
    auto operator<=>(const Key&) const = default;
  };

  Int8Conv2d(const Context& context, Int8Weights weights, const Tensor<float>& bias,
             const ConvGeometry& geometry, Activation activation)
      : engine_(cpu()),
        shape_(weights.values.shape()),
        bias_(bias),
        geometry_(geometry),
        activation_(activation),
        scales_(std::move(weights.scales)),
        scaled_sums_(std::move(weights.scaled_sums)),
        weights_(
            engine_, desc(typical()).weights_desc(),
            written_from(context.threads, engine_, {dims(shape_), Type::s8, Tag::oihw}, weights.values, 0)) {}

  Prepared prepare(const Key& key) const {
    return cache_.get(key, [&] {
      const auto d = desc(key);
      return Prepared::from(d, dnnl::convolution_forward(d), weights_.get(d.weights_desc()));
    });
  }
  static memory::dims dims(const Shape& shape) { return {shape.begin(), shape.end()}; }
  Key typical() const { return {std::max<Index>(10, shape_[2]), std::max<Index>(34, shape_[3]), false}; }
  memory::desc channel_desc() const { return {{1, shape_[0], 1, 1}, Type::f32, Tag::nhwc}; }

  dnnl::convolution_forward::primitive_desc desc(const Key& key) const {
    const ConvGeometry unpadded{.stride = geometry_.stride};
    const Index height = unpadded.output_size(key.height, shape_[2], true),
                width = unpadded.output_size(key.width, shape_[3], false);
    dnnl::post_ops operations;
    operations.append_binary(dnnl::algorithm::binary_mul, channel_desc());
    operations.append_binary(dnnl::algorithm::binary_add, channel_desc());
    append_activation(operations, activation_);
    if (key.residual) operations.append_sum(1.0f);
    return convolution_desc(
        engine_, {{1, shape_[1], key.height, key.width}, Type::u8, Tag::nhwc},
        {dims(shape_), Type::s8, Tag::any}, {}, {{1, shape_[0], height, width}, Type::f32, Tag::nhwc},
        {geometry_.stride, geometry_.stride}, {0, 0}, {0, 0}, attributes_with(operations));
  }

  /// Rounds an image into `padded`, whose border stands for zero.
  kernels::Quantization rounded(const Context& context, const T* image, Index height, Index width,
                                Tensor<std::uint8_t>& padded) const {
    const auto& kernel = kernels::int8_active().of<T>();
    const Index row = width * shape_[1], padded_row = padded.dim(1) * shape_[1];
    std::vector<std::array<float, 2>> ranges(static_cast<std::size_t>(height));
    parallel_for(context.threads, height, 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        auto& [low, high] = ranges[static_cast<std::size_t>(i)] = {0.0f, 0.0f};
        kernel.range(image + i * row, row, low, high);
      }
    });
    float low = 0.0f, high = 0.0f;
    for (const auto& [least, greatest] : ranges) {
      low = least < low || least != least ? least : low;  // NaN stays
      high = std::max(high, greatest);
    }
    const auto quantization = kernels::Quantization::of_range(low, high, levels_);
    const auto zero = static_cast<int>(quantization.zero_point);
    const Index left = geometry_.pad_left * shape_[1];
    parallel_for(context.threads, padded.dim(0), 1, [&](Index begin, Index end) {
      for (Index i = begin; i < end; ++i) {
        std::uint8_t* to = padded.data() + i * padded_row;
        const Index from = i - geometry_.pad_top;
        if (from < 0 || from >= height) {
          std::memset(to, zero, static_cast<std::size_t>(padded_row));
          continue;
        }
        std::memset(to, zero, static_cast<std::size_t>(left));
        kernel.quantize(image + from * row, row, quantization, levels_, to + left);
        std::memset(to + left + row, zero, static_cast<std::size_t>(padded_row - left - row));
      }
    });
    return quantization;
  }

  dnnl::engine engine_;
  Shape shape_;
  Tensor<float> bias_;
  ConvGeometry geometry_;
  Activation activation_;
  float levels_ = int8_activation_levels();
  std::vector<float> scales_, scaled_sums_;
  mutable PackedWeights weights_;
  mutable PrimitiveCache<Key> cache_;
};

}  // namespace

std::unique_ptr<const PackedLinear<T>> make_int8_linear(const Context& context, const Weight& weight,
                                                        const Tensor<float>& bias, Activation activation) {
  if (context.placement == WeightPlacement::mapped)
    return std::make_unique<MappedInt8Linear>(weight, bias, activation);
  return translated("linear",
                    [&] { return std::make_unique<Int8Linear>(context, weight, bias, activation); });
}

std::unique_ptr<const PackedConv2d<T>> make_int8_conv2d(const Context& context, const Weight& weight,
                                                        const Tensor<float>& bias,
                                                        const ConvGeometry& geometry, Activation activation) {
  return translated(
      "conv2d", [&] { return std::make_unique<Int8Conv2d>(context, weight, bias, geometry, activation); });
}

}  // namespace daguerre::ops

#endif
