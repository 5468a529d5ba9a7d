#include "ops/engines/engines.hpp"

#ifndef DAGUERRE_HAS_ONEDNN

namespace daguerre::ops {
std::unique_ptr<const PackedLinear<bfloat16>> make_int8_linear(const Context&, const Weight&,
                                                               const Tensor<float>&, Activation) {
  throw ArgumentError("linear", "this build has no oneDNN, which 8-bit layers need");
}
std::unique_ptr<const PackedConv2d<bfloat16>> make_int8_conv2d(const Context&, const Weight&,
                                                               const Tensor<float>&, const ConvGeometry&) {
  throw ArgumentError("conv2d", "this build has no oneDNN, which 8-bit layers need");
}
}  // namespace daguerre::ops

#else

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "ops/engines/native/work_tiles.hpp"
#include "ops/engines/onednn/int8_kernels.hpp"
#include "ops/engines/onednn/int8_weights.hpp"
#include "ops/engines/onednn/onednn_weights.hpp"

// Layers that multiply unsigned 8-bit activations by signed 8-bit weights. The sums are exact, so that
// results depend neither on the threads nor on how the work is cut.
namespace daguerre::ops {
namespace {

using namespace onednn;
using T = bfloat16;

/// Writes `values`, which lie as `plain` says, in a layout; output channels are on `axis`.
auto written_from(const Threads& threads, const dnnl::engine& engine, const memory::desc& plain,
                  const Tensor<std::int8_t>& values, int axis) {
  return [=, &values](const memory::desc& layout, std::byte* to) {
    const auto whole = borrow(plain, engine, values.data());
    constexpr std::size_t smallest_divided = std::size_t{1} << 20;
    constexpr memory::dim channels = 64;
    const bool divided = threads.count() > 1 && layout.get_size() >= smallest_divided;
    const ChannelParts parts(layout, axis,
                             divided ? channels : layout.dims()[static_cast<std::size_t>(axis)]);
    if (parts.empty()) return reorder(engine, whole, memory(layout, engine, to));
    parallel_for(threads, parts.size(), 1, [&](Index begin, Index end) {
      const OneThread one;
      for (Index i = begin; i < end; ++i) {
        memory::dims offsets(plain.dims().size(), 0);
        offsets[static_cast<std::size_t>(axis)] = parts.first(i);
        const auto source = plain.submemory_desc(parts[i].layout.dims(), offsets);
        reorder(engine, borrow(source, engine, values.data()),
                memory(parts[i].layout, engine, to + parts[i].offset));
      }
    });
  };
}

Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// y = x W^T, a block of rows after the other, each in one thread: rounded to 8 bits, multiplied, scaled and
/// finished while it is in the second-level cache.
class Int8Linear final : public PackedLinear<T> {
 public:
  Int8Linear(const Context& context, const Weight& weight, const Tensor<float>& bias, Activation activation)
      : Int8Linear(context, Int8Weights(context.threads, weight), bias, activation) {}

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return multiply<T>(context, x, nullptr);
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    return multiply<float>(context, x, residual);
  }

 private:
  Int8Linear(const Context& context, Int8Weights weights, const Tensor<float>& bias, Activation activation)
      : engine_(cpu()),
        in_(weights.values.dim(1)),
        out_(weights.values.dim(0)),
        bias_(bias),
        activation_(activation),
        scales_(std::move(weights.scales)),
        scaled_sums_(std::move(weights.scaled_sums)),
        weights_(
            engine_, desc(row_multiple).weights_desc(),
            written_from(context.threads, engine_, {{in_, out_}, Type::s8, Tag::ba}, weights.values, 1)) {}

  static constexpr Index row_multiple = 64;  ///< fewer rows cost oneDNN's kernels a few per cent
  static constexpr Index most_rows = 256;
  static constexpr Index block_bytes = 384 * 1024;  ///< of sums and rounded rows, to stay in the cache

  static constexpr Index wanted_blocks = 8;

  /// Rows of a block: as many as fit, but so that there are some for every thread.
  Index block_rows(Index rows) const {
    const Index fitting = block_bytes / (4 * out_ + in_) / row_multiple * row_multiple;
    const Index most = std::clamp(fitting, row_multiple, most_rows);
    const Index wanted = std::max((rows + wanted_blocks - 1) / wanted_blocks, row_multiple);
    const Index blocks = (rows + std::min(most, wanted) - 1) / std::min(most, wanted);
    return std::min(rows, round_up((rows + blocks - 1) / blocks, 16));
  }

  memory::desc sums_desc(Index rows) const { return {{rows, out_}, Type::s32, Tag::ab}; }
  dnnl::matmul::primitive_desc desc(Index rows) const {
    return matmul_desc(engine_, {{rows, in_}, Type::u8, Tag::ab}, {{in_, out_}, Type::s8, Tag::any}, {},
                       sums_desc(rows), attributes_with({}));
  }
  Prepared prepared(Index rows) const {
    return cache_.get(rows, [&] {
      const auto d = desc(rows);
      return Prepared::from(d, dnnl::matmul(d), weights_.get(d.weights_desc()));
    });
  }

  template <class Out>
  Tensor<Out> multiply(const Context& context, const Tensor<T>& x, const Tensor<float>* residual) const {
    auto y = context.empty<Out>(linear_output_shape(x.shape(), in_, out_));
    check_residual(y.shape(), residual, "linear");
    if (y.empty()) return y;
    const Index rows = y.size() / out_, block = block_rows(rows);
    const Index blocks = (rows + block - 1) / block, last = rows - (blocks - 1) * block;
    translated("linear", [&] {
      const Prepared full = prepared(block), rest = last == block ? full : prepared(last);
      parallel_for(context.threads, blocks, 1, [&](Index begin, Index end) {
        const OneThread one;
        Worker worker(context, *this, block);
        for (Index b = begin; b < end; ++b) {
          const Index first = b * block;
          worker.run(b + 1 == blocks ? rest : full, std::min(block, rows - first), x.data() + first * in_,
                     residual == nullptr ? nullptr : residual->data() + first * out_,
                     y.data() + first * out_);
        }
      });
    });
    return y;
  }

  /// What one thread needs for its blocks.
  class Worker {
   public:
    Worker(const Context& context, const Int8Linear& layer, Index block)
        : context_(context),
          layer_(layer),
          rounded_(context.empty<std::uint8_t>({block, layer.in_})),
          sums_(context.empty<std::int32_t>({block, layer.out_})),
          quantizations_(static_cast<std::size_t>(block)) {}

    template <class Out>
    void run(const Prepared& prepared, Index rows, const T* x, const float* residual, Out* y) {
      const auto& kernel = kernels::int8_active().of<T>();
      const Index in = layer_.in_, out = layer_.out_;
      for (Index row = 0; row < rows; ++row) {
        float low = 0.0f, high = 0.0f;
        kernel.range(x + row * in, in, low, high);
        auto& quantization = quantizations_[static_cast<std::size_t>(row)];
        quantization = kernels::Quantization::of_range(low, high, layer_.levels_);
        kernel.quantize(x + row * in, in, quantization, layer_.levels_, rounded_.data() + row * in);
      }
      execute(context_, prepared, layer_.engine_,
              {{DNNL_ARG_SRC, borrow(prepared.source, layer_.engine_, rounded_.data())},
               {DNNL_ARG_WEIGHTS, prepared.weights},
               {DNNL_ARG_DST, borrow(prepared.destination, layer_.engine_, sums_.data())}});
      kernels::int8_active().of<Out>().finish(
          sums_.data(), out, rows, out,
          {quantizations_.data(), layer_.scales_.data(), layer_.scaled_sums_.data(),
           layer_.bias_.empty() ? nullptr : layer_.bias_.data(), layer_.activation_, residual},
          y, out);
    }

   private:
    const Context& context_;
    const Int8Linear& layer_;
    Tensor<std::uint8_t> rounded_;
    Tensor<std::int32_t> sums_;
    std::vector<kernels::Quantization> quantizations_;
  };

  dnnl::engine engine_;
  Index in_, out_;
  Tensor<float> bias_;
  Activation activation_;
  float levels_ = int8_activation_levels();
  std::vector<float> scales_, scaled_sums_;
  mutable PackedWeights weights_;
  mutable PrimitiveCache<Index> cache_;
};

/// One image after the other, each with its own scale and zero point. The image is copied, rounded, with its
/// padding around it, so that the zero point costs nothing but another bias.
class Int8Conv2d final : public PackedConv2d<T> {
 public:
  Int8Conv2d(const Context& context, const Weight& weight, const Tensor<float>& bias,
             const ConvGeometry& geometry)
      : Int8Conv2d(context, Int8Weights(context.threads, weight), bias, geometry) {}

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
             const ConvGeometry& geometry)
      : engine_(cpu()),
        shape_(weights.values.shape()),
        bias_(bias),
        geometry_(geometry),
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
  float levels_ = int8_activation_levels();
  std::vector<float> scales_, scaled_sums_;
  mutable PackedWeights weights_;
  mutable PrimitiveCache<Key> cache_;
};

}  // namespace

std::unique_ptr<const PackedLinear<T>> make_int8_linear(const Context& context, const Weight& weight,
                                                        const Tensor<float>& bias, Activation activation) {
  return translated("linear",
                    [&] { return std::make_unique<Int8Linear>(context, weight, bias, activation); });
}

std::unique_ptr<const PackedConv2d<T>> make_int8_conv2d(const Context& context, const Weight& weight,
                                                        const Tensor<float>& bias,
                                                        const ConvGeometry& geometry) {
  return translated("conv2d", [&] { return std::make_unique<Int8Conv2d>(context, weight, bias, geometry); });
}

}  // namespace daguerre::ops

#endif
