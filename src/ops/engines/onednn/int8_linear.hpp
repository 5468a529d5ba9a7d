#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/engines/engines.hpp"
#include "ops/engines/onednn/int8_kernels.hpp"
#include "ops/engines/onednn/int8_weights.hpp"
#include "ops/engines/onednn/onednn_weights.hpp"

/// Linear layers that multiply unsigned 8-bit activations by signed 8-bit weights.
namespace daguerre::ops::onednn {

/// Writes `values`, which lie as `plain` says, in a layout; output channels are on `axis`.
inline auto written_from(const Threads& threads, const dnnl::engine& engine, const memory::desc& plain,
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

inline Index round_up(Index value, Index multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// y = x W^T, a block of rows after the other, each in one thread: rounded to 8 bits, multiplied, scaled and
/// finished while it is in the second-level cache.
class Int8Linear final : public PackedLinear<bfloat16> {
  using T = bfloat16;

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

/// The same, of mapped weights: a tile of columns after the other, each in one thread, is rounded into the
/// cache, multiplied by all rows and finished. The sums are exact, so that the results are equal.
class MappedInt8Linear final : public PackedLinear<bfloat16> {
  using T = bfloat16;

 public:
  MappedInt8Linear(const Weight& weight, const Tensor<float>& bias, Activation activation)
      : engine_(cpu()),
        in_(weight.dim(1)),
        out_(weight.dim(0)),
        weight_(weight),
        bias_(bias),
        activation_(activation) {}

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return multiply<T>(context, x, nullptr);
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    return multiply<float>(context, x, residual);
  }

 private:
  static constexpr Index tile_rows = 512;
  static constexpr Index tile_bytes = 512 * 1024;  ///< of a tile's weights
  static constexpr Index column_multiple = 64;     ///< oneDNN's

  struct Key {
    Index rows, columns;
    auto operator<=>(const Key&) const = default;
  };
  Prepared prepared(const Key& key) const {
    return cache_.get(key, [&] {
      const auto d =
          matmul_desc(engine_, {{key.rows, in_}, Type::u8, Tag::ab}, {{in_, key.columns}, Type::s8, Tag::ba},
                      {}, {{key.rows, key.columns}, Type::s32, Tag::ab}, attributes_with({}));
      return Prepared::from(d, dnnl::matmul(d));
    });
  }
  Index tile_columns() const {
    const Index fitting = tile_bytes / std::max<Index>(in_, 1) / column_multiple;
    return std::min(out_, std::clamp<Index>(fitting, 1, 4) * column_multiple);
  }

  /// Rows rounded to 8 bits.
  struct Rounded {
    Tensor<std::uint8_t> values;
    std::vector<kernels::Quantization> quantizations;
  };
  Rounded rounded(const Context& context, const T* x, Index rows) const {
    constexpr Index least_piece = 65536;
    const auto& kernel = kernels::int8_active().of<T>();
    const float levels = int8_activation_levels();
    Rounded result{context.empty<std::uint8_t>({rows, in_}), {}};
    result.quantizations.resize(static_cast<std::size_t>(rows));
    std::uint8_t* const to = result.values.data();
    parallel_for(context.threads, rows, std::max<Index>(1, least_piece / std::max<Index>(in_, 1)),
                 [&](Index begin, Index end) {
                   for (Index row = begin; row < end; ++row) {
                     float low = 0.0f, high = 0.0f;
                     kernel.range(x + row * in_, in_, low, high);
                     auto& quantization = result.quantizations[static_cast<std::size_t>(row)];
                     quantization = kernels::Quantization::of_range(low, high, levels);
                     kernel.quantize(x + row * in_, in_, quantization, levels, to + row * in_);
                   }
                 });
    return result;
  }

  template <class Out>
  Tensor<Out> multiply(const Context& context, const Tensor<T>& x, const Tensor<float>* residual) const {
    auto y = context.empty<Out>(linear_output_shape(x.shape(), in_, out_));
    check_residual(y.shape(), residual, "linear");
    if (y.empty()) return y;
    const Index rows = y.size() / out_, columns = tile_columns(), height = std::min(rows, tile_rows);
    const auto left = rounded(context, x.data(), rows);
    const float* const added = residual == nullptr ? nullptr : residual->data();
    Out* const out = y.data();
    translated("linear", [&] {
      parallel_for(context.threads, (out_ + columns - 1) / columns, 1, [&](Index begin, Index end) {
        const OneThread one;
        Tensor<std::int8_t> values({columns, in_});
        auto sums = context.empty<std::int32_t>({height, columns});
        std::vector<float> scales(static_cast<std::size_t>(columns)), scaled_sums(scales.size());
        for (Index tile = begin; tile < end; ++tile) {
          context.check_stop();
          const Index column = tile * columns, count = std::min(columns, out_ - column);
          Int8Weights::round(weight_, column, column + count, values.data(), scales.data(),
                             scaled_sums.data());
          for (Index row = 0; row < rows; row += height) {
            const Index row_count = std::min(height, rows - row), at = row * out_ + column;
            const auto primitive = prepared({row_count, count});
            execute(context, primitive, engine_,
                    {{DNNL_ARG_SRC, borrow(primitive.source, engine_, left.values.data() + row * in_)},
                     {DNNL_ARG_WEIGHTS, borrow(primitive.weights_layout, engine_, values.data())},
                     {DNNL_ARG_DST, borrow(primitive.destination, engine_, sums.data())}});
            kernels::int8_active().of<Out>().finish(
                sums.data(), count, row_count, count,
                {left.quantizations.data() + row, scales.data(), scaled_sums.data(),
                 bias_.empty() ? nullptr : bias_.data() + column, activation_,
                 added == nullptr ? nullptr : added + at},
                out + at, out_);
          }
        }
      });
    });
    weight_.release();
    return y;
  }

  dnnl::engine engine_;
  Index in_, out_;
  Weight weight_;
  Tensor<float> bias_;
  Activation activation_;
  mutable PrimitiveCache<Key> cache_;
};

}  // namespace daguerre::ops::onednn
