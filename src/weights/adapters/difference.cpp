#include "weights/adapters/difference.hpp"

#include <algorithm>
#include <mutex>
#include <utility>

#include "ops/engines/native/kernels.hpp"

namespace daguerre::weights::adapters {
namespace {

class Whole final : public Difference {
 public:
  Whole(Tensor<float> values, float scale)
      : Difference(values.dim(0), values.shape().tail().size()), values_(std::move(values)), scale_(scale) {}

  void add(Index begin, Index end, float factor, float* out) const override {
    const float* from = values_.data() + begin * row_size();
    for (Index i = 0; i < (end - begin) * row_size(); ++i) out[i] += factor * (scale_ * from[i]);
  }

 private:
  Tensor<float> values_;
  float scale_;
};

/// Multiplied by the native engine's kernels, in which no row depends on those beside it.
class Product final : public Difference {
 public:
  Product(const Tensor<float>& up, const Tensor<float>& down, float scale)
      : Difference(up.dim(0), down.shape().tail().size()), rank_(down.dim(0)), up_({up.dim(0), rank_}) {
    std::transform(up.data(), up.data() + up.size(), up_.data(), [&](float value) { return scale * value; });
    const auto& kernels = ops::kernels::active();
    const Index panels = (row_size() + kernels.panel_width - 1) / kernels.panel_width;
    panels_.resize(static_cast<std::size_t>(panels * rank_ * kernels.panel_width));
    kernels.pack_panels(down.data(), rank_, row_size(), row_size(), 1, panels_.data());
  }

  void add(Index begin, Index end, float factor, float* out) const override {
    const auto& kernels = ops::kernels::active();
    const Index block = std::min(kernels.row_block, end - begin);
    std::vector<float> scaled(static_cast<std::size_t>(block * rank_));
    std::vector<const float*> rows(static_cast<std::size_t>(block));
    for (Index i = 0; i < block; ++i) rows[static_cast<std::size_t>(i)] = scaled.data() + i * rank_;
    for (; begin < end; begin += block, out += block * row_size()) {
      const Index count = std::min(block, end - begin);
      const float* const from = up_.data() + begin * rank_;
      std::transform(from, from + count * rank_, scaled.begin(),
                     [factor](float value) { return factor * value; });
      kernels.f32.multiply(rows.data(), count, rank_, panels_.data(), rank_ * kernels.panel_width, row_size(),
                           out, row_size());
    }
  }

  /// All that are given have one right factor, by which they are known to belong together.
  std::optional<LowRank> low_rank(Index begin, Index end) const override {
    std::call_once(unpacked_, [this] { down_ = unpacked(); });
    return LowRank{up_.slice(begin, end), down_};
  }

 private:
  Tensor<float> unpacked() const {
    const Index width = ops::kernels::active().panel_width;
    Tensor<float> down({rank_, row_size()});
    for (Index k = 0; k < rank_; ++k)
      for (Index j = 0; j < row_size(); ++j)
        down.data()[k * row_size() + j] =
            panels_[static_cast<std::size_t>((j / width * rank_ + k) * width + j % width)];
    return down;
  }

  Index rank_;
  Tensor<float> up_;
  std::vector<float> panels_;
  mutable std::once_flag unpacked_;
  mutable Tensor<float> down_;
};

class Hadamard final : public Difference {
 public:
  Hadamard(DifferencePointer a, DifferencePointer b)
      : Difference(a->rows(), a->row_size()), a_(std::move(a)), b_(std::move(b)) {}

  void add(Index begin, Index end, float factor, float* out) const override {
    const auto size = static_cast<std::size_t>(row_size());
    std::vector<float> a(size), b(size);
    for (Index row = begin; row < end; ++row, out += row_size()) {
      std::fill(a.begin(), a.end(), 0.0f);
      std::fill(b.begin(), b.end(), 0.0f);
      a_->add(row, row + 1, 1.0f, a.data());
      b_->add(row, row + 1, 1.0f, b.data());
      for (std::size_t i = 0; i < size; ++i) out[i] += factor * (a[i] * b[i]);
    }
  }

 private:
  DifferencePointer a_, b_;
};

class Kronecker final : public Difference {
 public:
  Kronecker(Tensor<float> left, DifferencePointer right)
      : Difference(left.dim(0) * right->rows(), left.dim(1) * right->row_size()),
        left_(std::move(left)),
        right_(std::move(right)) {}

  void add(Index begin, Index end, float factor, float* out) const override {
    const Index width = right_->row_size(), columns = left_.dim(1);
    std::vector<float> row(static_cast<std::size_t>(width));
    for (; begin < end; ++begin) {
      const Index left = begin / right_->rows(), right = begin % right_->rows();
      std::fill(row.begin(), row.end(), 0.0f);
      right_->add(right, right + 1, 1.0f, row.data());
      for (Index column = 0; column < columns; ++column, out += width) {
        const float scale = factor * left_.data()[left * columns + column];
        for (Index i = 0; i < width; ++i) out[i] += scale * row[static_cast<std::size_t>(i)];
      }
    }
  }

 private:
  Tensor<float> left_;
  DifferencePointer right_;
};

}  // namespace

std::optional<LowRank> Difference::low_rank(Index /*begin*/, Index /*end*/) const {
  return std::nullopt;
}

DifferencePointer whole(Tensor<float> values, float scale) {
  return std::make_shared<const Whole>(std::move(values), scale);
}

DifferencePointer product(const Tensor<float>& up, const Tensor<float>& down, float scale) {
  return std::make_shared<const Product>(up, down, scale);
}

DifferencePointer hadamard(DifferencePointer a, DifferencePointer b) {
  return std::make_shared<const Hadamard>(std::move(a), std::move(b));
}

DifferencePointer kronecker(Tensor<float> left, DifferencePointer right) {
  return std::make_shared<const Kronecker>(std::move(left), std::move(right));
}

Tensor<float> contract_core(const Tensor<float>& core, const Tensor<float>& down) {
  const Index outer = core.dim(0), inner = core.dim(1), kernel = core.shape().tail().tail().size(),
              channels = down.shape().tail().size();
  auto result = Tensor<float>::full({outer, channels, kernel}, 0.0f);
  for (Index p = 0; p < outer; ++p)
    for (Index q = 0; q < inner; ++q) {
      const float* const from = core.data() + (p * inner + q) * kernel;
      for (Index i = 0; i < channels; ++i) {
        const float factor = down.data()[q * channels + i];
        float* const out = result.data() + (p * channels + i) * kernel;
        for (Index k = 0; k < kernel; ++k) out[k] += factor * from[k];
      }
    }
  return result;
}

Tensor<float> transposed(const Tensor<float>& matrix) {
  const Index rows = matrix.dim(0), columns = matrix.dim(1);
  Tensor<float> result({columns, rows});
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) result.data()[j * rows + i] = matrix.data()[i * columns + j];
  return result;
}

Tensor<float> materialised(const Difference& difference) {
  auto result = Tensor<float>::full({difference.rows(), difference.row_size()}, 0.0f);
  difference.add(0, difference.rows(), 1.0f, result.data());
  return result;
}

}  // namespace daguerre::weights::adapters
