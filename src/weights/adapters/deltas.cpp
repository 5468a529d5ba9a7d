#include "weights/adapters/deltas.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights::adapters {
namespace {

/// A delta of rows that are in a larger thing.
class PlacedDelta : public Delta {
 public:
  PlacedDelta(const Shape& shape, Place place)
      : shape_(shape), row_size_(shape.tail().size()), place_(place) {}
  const Shape& shape() const noexcept override { return shape_; }

 protected:
  Index rows() const { return shape_[0]; }
  Index row_size() const noexcept { return row_size_; }
  /// Columns of one input channel.
  Index channel_size() const { return shape_.tail().tail().size(); }
  /// Where row `row` is in the larger thing.
  Index place_of(Index row) const {
    const Index half = rows() / 2;
    return place_.first + (place_.halves_swapped ? (row < half ? row + half : row - half) : row);
  }
  const Place& place() const noexcept { return place_; }

 private:
  Shape shape_;
  Index row_size_;
  Place place_;
};

class Added final : public PlacedDelta {
 public:
  Added(const Shape& shape, DifferencePointer difference, Place place)
      : PlacedDelta(shape, place), difference_(std::move(difference)) {}

  void apply(Index begin, Index end, float strength, float* values) const override {
    if (strength == 0.0f) return;
    if (!place().halves_swapped)
      return difference_->add(place_of(begin), place_of(begin) + (end - begin), strength, values);
    for (; begin < end; ++begin, values += row_size())
      difference_->add(place_of(begin), place_of(begin) + 1, strength, values);
  }

  std::optional<LowRank> low_rank() const override {
    auto result = difference_->low_rank(place().first, place().first + rows());
    if (result && place().halves_swapped) {
      const Index half = rows() / 2;
      result->up =
          concat_leading<float>(std::array{result->up.slice(half, rows()), result->up.slice(0, half)});
    }
    return result;
  }

 private:
  DifferencePointer difference_;
};

/// A hair above what rounding leaves, added to norms by LyCORIS and ComfyUI.
constexpr float norm_epsilon = std::numeric_limits<float>::epsilon();

float norm_of(const float* values, Index count) {
  double sum = 0.0;
  for (Index i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return static_cast<float>(std::sqrt(sum));
}

float ratio(float magnitude, float norm) {
  return norm == 0.0f ? 0.0f : magnitude / norm;
}

class Decomposed final : public PlacedDelta {
 public:
  Decomposed(const Shape& shape, DifferencePointer difference, Place place,
             std::shared_ptr<const Decomposition> decomposition, std::vector<float> channel_ratios = {})
      : PlacedDelta(shape, place),
        difference_(std::move(difference)),
        decomposition_(std::move(decomposition)),
        channel_ratios_(std::move(channel_ratios)) {}

  void apply(Index begin, Index end, float strength, float* values) const override {
    if (strength == 0.0f) return;
    if (decomposition_->on_input && channel_ratios_.empty())
      throw ArgumentError(weights_name, "a delta with norms of input channels must be bound to a weight");
    std::vector<float> merged(static_cast<std::size_t>(row_size()));
    for (; begin < end; ++begin, values += row_size()) {
      std::copy(values, values + row_size(), merged.begin());
      difference_->add(place_of(begin), place_of(begin) + 1, added_strength(strength), merged.data());
      if (decomposition_->on_input)
        for (Index i = 0; i < row_size(); ++i)
          finish(merged[static_cast<std::size_t>(i)],
                 channel_ratios_[static_cast<std::size_t>(i / channel_size())], strength, values[i]);
      else
        finish_row(merged.data(), place_of(begin), strength, values);
    }
  }

  std::shared_ptr<const Delta> bound_to(const ops::Weight& base, float strength) const override {
    if (!decomposition_->on_input || strength == 0.0f) return nullptr;
    if (!(base.shape() == shape()))
      throw WeightError(weights_name, "a weight of shape " + to_string(base.shape()) +
                                          " cannot have other norms as one of " + to_string(shape()));
    const auto channels = static_cast<std::size_t>(shape()[1]);
    std::vector<double> sums(channels, 0.0);
    std::vector<float> row(static_cast<std::size_t>(row_size()));
    for (Index i = 0; i < rows(); ++i) {
      base.read(i, i + 1, row.data());
      difference_->add(place_of(i), place_of(i) + 1, added_strength(strength), row.data());
      for (Index j = 0; j < row_size(); ++j) {
        const double value = row[static_cast<std::size_t>(j)];
        sums[static_cast<std::size_t>(j / channel_size())] += value * value;
      }
    }
    std::vector<float> ratios(channels);
    for (std::size_t i = 0; i < channels; ++i)
      ratios[i] = ratio(decomposition_->magnitude[i], static_cast<float>(std::sqrt(sums[i])) + norm_epsilon);
    return std::make_shared<const Decomposed>(shape(), difference_, place(), decomposition_,
                                              std::move(ratios));
  }

 private:
  /// How much of the difference is in the weight whose norm is taken.
  float added_strength(float strength) const {
    return decomposition_->rule == DoraRule::peft ? strength : 1.0f;
  }
  void finish_row(const float* merged, Index magnitude, float strength, float* values) const {
    const bool unmerged = decomposition_->rule == DoraRule::comfyui;
    float norm = norm_of(unmerged ? values : merged, row_size());
    if (decomposition_->rule != DoraRule::peft) norm += norm_epsilon;
    const float scale = ratio(decomposition_->magnitude[static_cast<std::size_t>(magnitude)], norm);
    for (Index i = 0; i < row_size(); ++i) finish(merged[i], scale, strength, values[i]);
  }
  void finish(float merged, float scale, float strength, float& value) const {
    switch (decomposition_->rule) {
      case DoraRule::lycoris:
        value = merged * (1.0f + strength * (scale - 1.0f));
        return;
      case DoraRule::comfyui:
        value += strength * (scale * merged - value);
        return;
      default:
        value = scale * merged;
    }
  }

  DifferencePointer difference_;
  std::shared_ptr<const Decomposition> decomposition_;
  std::vector<float> channel_ratios_;  ///< of a bound one
};

class Multiplied final : public PlacedDelta {
 public:
  Multiplied(const Shape& shape, std::vector<float> factors, bool on_input, Place place)
      : PlacedDelta(shape, place), factors_(std::move(factors)), on_input_(on_input) {}

  void apply(Index begin, Index end, float strength, float* values) const override {
    for (; begin < end; ++begin, values += row_size())
      for (Index i = 0; i < row_size(); ++i) {
        const Index place = on_input_ ? i / channel_size() : place_of(begin);
        values[i] *= 1.0f + strength * factors_[static_cast<std::size_t>(place)];
      }
  }

 private:
  std::vector<float> factors_;
  bool on_input_;
};

class Replaced final : public Delta {
 public:
  explicit Replaced(Tensor<float> values) : values_(std::move(values)) {}
  const Shape& shape() const noexcept override { return values_.shape(); }
  void apply(Index begin, Index end, float strength, float* rows) const override {
    const Index row_size = values_.shape().tail().size();
    if (strength != 0.0f) std::copy(values_.data() + begin * row_size, values_.data() + end * row_size, rows);
  }

 private:
  Tensor<float> values_;
};

}  // namespace

DeltaPointer added(const Shape& shape, DifferencePointer difference, Place place) {
  return std::make_shared<const Added>(shape, std::move(difference), place);
}

DeltaPointer decomposed(const Shape& shape, DifferencePointer difference, Place place,
                        Decomposition decomposition) {
  return std::make_shared<const Decomposed>(shape, std::move(difference), place,
                                            std::make_shared<const Decomposition>(std::move(decomposition)));
}

DeltaPointer multiplied(const Shape& shape, std::vector<float> factors, bool on_input, Place place) {
  return std::make_shared<const Multiplied>(shape, std::move(factors), on_input, place);
}

DeltaPointer replaced(Tensor<float> values) {
  return std::make_shared<const Replaced>(std::move(values));
}

}  // namespace daguerre::weights::adapters
