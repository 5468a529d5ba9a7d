#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "daguerre/ops/detail/rows-inl.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/ops/norm.hpp"
#include "daguerre/ops/norm_statistics.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace detail {

/// Rows summed in float32 before the sums go over to double; fixed, so that the result does not depend on the
/// threads.
inline constexpr Index rows_per_sum = 128;
/// Rows whose mean stands for that of all, evenly spaced.
inline constexpr Index rows_for_shift = 16;

inline void check_channel_vector(const Tensor<float>& vector, Index channels, const char* who,
                                 const char* what) {
  if (vector.size() != channels)
    throw ArgumentError(who, std::string(what) + " " + to_string(vector.shape()) + " for " +
                                 std::to_string(channels) + " channels");
}

/// Sum and sum of squares of (x - shift) per channel, for one image.
struct ChannelMoments {
  std::vector<float> shift;
  std::vector<double> sum, square;
};

/// Rows `[rows, C]` of an image, of which others may lie elsewhere.
template <class From>
struct RowRun {
  const From* data = nullptr;
  Index rows = 0;
};

/// Of an image whose rows are the runs', one behind the other.
template <class From>
ChannelMoments channel_moments(const Context& context, std::span<const RowRun<From>> runs, Index channels) {
  const auto size = static_cast<std::size_t>(channels);
  Index rows = 0;
  for (const auto& run : runs) rows += run.rows;
  // Calls `take` with the parts of runs that rows [begin, end) of all are.
  const auto for_rows = [&](Index begin, Index end, const auto& take) {
    for (const auto& run : runs) {
      if (begin < std::min(end, run.rows)) take(run.data + begin * channels, std::min(end, run.rows) - begin);
      begin = std::max<Index>(0, begin - run.rows);
      end -= run.rows;
      if (end <= 0) return;
    }
  };
  ChannelMoments moments{std::vector<float>(size), std::vector<double>(size), std::vector<double>(size)};
  // Squares of values far from zero would cancel in the variance. The mean of some rows is near enough to
  // that of all; the first one alone may stand far apart, as a prompt's first token does from its padding.
  std::vector<float> row(size);
  const Index taken = std::min(rows, rows_for_shift);
  for (Index i = 0; i < taken; ++i) {
    for_rows(i * rows / taken, i * rows / taken + 1,
             [&](const From* found, Index) { row_functions<From>().to_float(found, row.data(), channels); });
    for (std::size_t c = 0; c < size; ++c) moments.shift[c] += row[c] / static_cast<float>(taken);
  }

  const Index blocks = (rows + rows_per_sum - 1) / rows_per_sum;
  auto partial = context.empty<float>({blocks, 2, channels});
  parallel_for(context.threads, blocks, 1, [&](Index begin, Index end) {
    for (Index block = begin; block < end; ++block) {
      float* sum = partial.data() + block * 2 * channels;
      std::fill_n(sum, 2 * channels, 0.0f);
      const Index first = block * rows_per_sum;
      // Row by row, so that it makes no difference where a run ends.
      for_rows(first, std::min(rows, first + rows_per_sum), [&](const From* found, Index count) {
        row_functions<From>().channel_sums(found, count, channels, moments.shift.data(), sum, sum + channels);
      });
    }
  });
  for (Index block = 0; block < blocks; ++block) {
    const float* sum = partial.data() + block * 2 * channels;
    for (std::size_t c = 0; c < size; ++c) {
      moments.sum[c] += static_cast<double>(sum[c]);
      moments.square[c] += static_cast<double>(sum[size + c]);
    }
  }
  return moments;
}

/// Mean and variance of the channels [first, first + count) of so many rows; `bias[C]` is added to what was
/// measured, nullptr: nothing.
inline NormStatistics::Group group_of(const ChannelMoments& moments, Index rows, Index first, Index count,
                                      const float* bias) {
  const auto channel_mean = [&](Index c) {
    const auto i = static_cast<std::size_t>(c);
    return moments.shift[i] + moments.sum[i] / static_cast<double>(rows) +
           (bias == nullptr ? 0.0 : static_cast<double>(bias[c]));
  };
  NormStatistics::Group found;
  double squares = 0.0;
  for (Index c = first; c < first + count; ++c) found.mean += channel_mean(c) / static_cast<double>(count);
  for (Index c = first; c < first + count; ++c) {
    const auto i = static_cast<std::size_t>(c);
    const double offset = channel_mean(c) - found.mean;
    squares += moments.square[i] - moments.sum[i] * moments.sum[i] / static_cast<double>(rows) +
               static_cast<double>(rows) * offset * offset;
  }
  found.variance = std::max(0.0, squares / static_cast<double>(rows * count));
  return found;
}

inline void check_norm_maps(const Tensor<float>& maps, const Shape& shape) {
  const int rank = shape.rank();
  bool fits =
      rank >= 4 && maps.rank() == rank && maps.dim(-1) == checked_multiply(2, shape[-1]) && !maps.empty();
  for (int axis = 0; fits && axis < rank - 3; ++axis) fits = maps.dim(axis) == shape[axis];
  if (!fits)
    throw ArgumentError("group_norm", "maps " + to_string(maps.shape()) + " over " + to_string(shape));
}

/// Calls `run` for pixels that one of the maps' pixels lies over, of those that lie in [first_line, end_line)
/// of the lines of all images of `shape[N, ..., H, W, C]`: their first one, their number, and that pixel.
template <class Run>
void for_map_pixels(const Shape& shape, const Shape& maps, Index first_line, Index end_line, const Run& run) {
  const Index height = shape[-3], width = shape[-2], rows = maps[-3], columns = maps[-2];
  for (Index line = first_line; line < end_line; ++line) {
    const Index over = (line / height * rows + line % height * rows / height) * columns;
    for (Index begin = 0, column = 0; begin < width; ++column) {
      const Index end = std::min(width, ((column + 1) * width + columns - 1) / columns);
      if (end > begin) run(line * width + begin, end - begin, over + column);
      begin = std::max(begin, end);
    }
  }
}

}  // namespace detail

namespace host {

template <class T, class From>
Tensor<T> group_norm(const Context& context, const Tensor<From>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, int groups, float epsilon, Activation activation,
                     const GroupNormExtras& extras) {
  const Index batch = x.dim(0), channels = x.dim(-1);
  const Index rows = x.size() == 0 ? 0 : x.size() / (batch * channels);
  const Index per_group = channels / groups;
  auto y = context.empty<T>(x.shape());
  T* const out = y.data();
  std::vector<float> scale(static_cast<std::size_t>(channels)), shift(scale.size());
  auto* const kept = extras.statistics.empty() ? context.norm_statistics.get() : nullptr;
  const bool given = !extras.statistics.empty() || (kept != nullptr && kept->uses());
  std::span<NormStatistics::Group> places;
  if (kept != nullptr && rows > 0) places = kept->next(static_cast<std::size_t>(batch * groups));
  const std::span<const NormStatistics::Group> statistics =
      extras.statistics.empty() ? std::span<const NormStatistics::Group>(places) : extras.statistics;
  for (Index n = 0; n < batch && rows > 0; ++n) {
    const From* image = x.data() + n * rows * channels;
    const detail::RowRun<From> run{image, rows};
    const auto moments =
        given ? detail::ChannelMoments() : detail::channel_moments<From>(context, {&run, 1}, channels);
    const auto extra = [&](const Tensor<float>* tensor, Index c) {
      return tensor == nullptr ? 0.0 : static_cast<double>(tensor->data()[n * channels + c]);
    };
    const float* const bias =
        extras.channel_bias == nullptr ? nullptr : std::as_const(*extras.channel_bias).data() + n * channels;
    for (Index group = 0; group < groups; ++group) {
      const Index first = group * per_group;
      const auto place = static_cast<std::size_t>(n * groups + group);
      const auto [mean, variance] =
          given ? statistics[place] : detail::group_of(moments, rows, first, per_group, bias);
      if (kept != nullptr && !given) places[place] = {mean, variance};
      const double inverse = 1.0 / std::sqrt(variance + static_cast<double>(epsilon));
      for (Index c = first; c < first + per_group; ++c) {
        const auto i = static_cast<std::size_t>(c);
        const double gain = static_cast<double>(gamma.data()[c]) * inverse;
        const double offset =
            static_cast<double>(beta.data()[c]) + (extra(extras.channel_bias, c) - mean) * gain;
        const double modulation = 1.0 + extra(extras.channel_scale, c);
        scale[i] = static_cast<float>(gain * modulation);
        shift[i] = static_cast<float>(offset * modulation + extra(extras.channel_shift, c));
      }
    }
    const auto apply = [&](Index first, Index count, const float* factor, const float* offset) {
      const auto& kernel = detail::row_functions<T>();
      T* const to = out + (n * rows + first) * channels;
      if constexpr (std::is_same_v<From, float>)
        kernel.scale_shift(image + first * channels, to, count, channels, factor, offset, activation);
      else
        kernel.scale_shift_rounded(image + first * channels, to, count, channels, factor, offset, activation);
    };
    if (extras.maps == nullptr) {
      parallel_for(context.threads, rows, 16,
                   [&](Index begin, Index end) { apply(begin, end - begin, scale.data(), shift.data()); });
      continue;
    }
    const auto& maps = *extras.maps;
    const float* const places = maps.data() + n * (maps.size() / batch);
    parallel_for(context.threads, rows / x.dim(-2), 1, [&](Index begin, Index end) {
      std::vector<float> factor(scale.size()), offset(scale.size());
      detail::for_map_pixels(x.shape(), maps.shape(), begin, end, [&](Index first, Index count, Index pixel) {
        const float* const map = places + pixel * 2 * channels;
        for (Index c = 0; c < channels; ++c) {
          const auto i = static_cast<std::size_t>(c);
          factor[i] = scale[i] * map[c];
          offset[i] = shift[i] * map[c] + map[channels + c];
        }
        apply(first, count, factor.data(), offset.data());
      });
    });
  }
  return y;
}

template <class T>
Tensor<T> layer_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, float epsilon) {
  const Index channels = x.dim(-1);
  auto y = context.empty<T>(x.shape());
  parallel_for(context.threads, channels == 0 ? 0 : x.size() / channels, 16, [&](Index begin, Index end) {
    detail::row_functions<T>().layer_norm(x.data() + begin * channels, y.data() + begin * channels,
                                          end - begin, channels, gamma.data(), beta.data(), epsilon);
  });
  return y;
}

template <class T>
Tensor<T> rms_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma, float epsilon,
                   Activation activation) {
  const Index channels = x.dim(-1);
  auto y = context.empty<T>(x.shape());
  parallel_for(context.threads, channels == 0 ? 0 : x.size() / channels, 16, [&](Index begin, Index end) {
    detail::row_functions<T>().rms_norm(x.data() + begin * channels, y.data() + begin * channels, end - begin,
                                        channels, gamma.data(), epsilon, activation);
  });
  return y;
}

}  // namespace host

template <class T, class From>
Tensor<T> group_norm(const Context& context, const Tensor<From>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, int groups, float epsilon, Activation activation,
                     const GroupNormExtras& extras) {
  const Profile::Scope scope(context, OpKind::group_norm);
  if (x.rank() < 2)
    throw ArgumentError("group_norm", "input " + to_string(x.shape()) + ", expected [N, ..., C]");
  const Index batch = x.dim(0), channels = x.dim(-1);
  if (groups < 1 || channels % groups != 0)
    throw ArgumentError("group_norm", std::to_string(channels) + " channels do not split into " +
                                          std::to_string(groups) + " groups");
  detail::check_channel_vector(gamma, channels, "group_norm", "gamma");
  detail::check_channel_vector(beta, channels, "group_norm", "beta");
  for (const auto* extra : {extras.channel_bias, extras.channel_scale, extras.channel_shift})
    if (extra != nullptr)
      detail::check_channel_vector(*extra, batch * channels, "group_norm", "a per-channel extra");
  if (extras.maps != nullptr) detail::check_norm_maps(*extras.maps, x.shape());
  if (!extras.statistics.empty() &&
      static_cast<Index>(extras.statistics.size()) != checked_multiply(batch, groups))
    throw ArgumentError("group_norm", std::to_string(extras.statistics.size()) + " statistics for " +
                                          std::to_string(groups) + " groups of " + to_string(x.shape()));

  if (const auto* engine = engine_for<T>(context)) {
    if constexpr (std::is_same_v<From, float>)
      return engine->group_norm(context, x, gamma, beta, groups, epsilon, activation, extras);
    else
      return engine->group_norm_rounded(context, x, gamma, beta, groups, epsilon, activation, extras);
  }
  return host::group_norm<T>(context, x, gamma, beta, groups, epsilon, activation, extras);
}

template <class T>
Tensor<T> layer_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma,
                     const Tensor<float>& beta, float epsilon) {
  const Profile::Scope scope(context, OpKind::layer_norm);
  if (x.rank() == 0) throw ArgumentError("layer_norm", "a scalar has no channels");
  const Index channels = x.dim(-1);
  detail::check_channel_vector(gamma, channels, "layer_norm", "gamma");
  detail::check_channel_vector(beta, channels, "layer_norm", "beta");
  if (const auto* engine = engine_for<T>(context))
    return engine->layer_norm(context, x, gamma, beta, epsilon);
  return host::layer_norm<T>(context, x, gamma, beta, epsilon);
}

template <class T>
Tensor<T> rms_norm(const Context& context, const Tensor<float>& x, const Tensor<float>& gamma, float epsilon,
                   Activation activation) {
  const Profile::Scope scope(context, OpKind::layer_norm);
  if (x.rank() == 0) throw ArgumentError("rms_norm", "a scalar has no channels");
  detail::check_channel_vector(gamma, x.dim(-1), "rms_norm", "gamma");
  if (const auto* engine = engine_for<T>(context))
    return engine->rms_norm(context, x, gamma, epsilon, activation);
  return host::rms_norm<T>(context, x, gamma, epsilon, activation);
}

extern template Tensor<float> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                         const Tensor<float>&, int, float, Activation,
                                         const GroupNormExtras&);
extern template Tensor<bfloat16> group_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                            const Tensor<float>&, int, float, Activation,
                                            const GroupNormExtras&);
extern template Tensor<bfloat16> group_norm(const Context&, const Tensor<bfloat16>&, const Tensor<float>&,
                                            const Tensor<float>&, int, float, Activation,
                                            const GroupNormExtras&);
extern template Tensor<float> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                         const Tensor<float>&, float);
extern template Tensor<bfloat16> layer_norm(const Context&, const Tensor<float>&, const Tensor<float>&,
                                            const Tensor<float>&, float);
extern template Tensor<float> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                       Activation);
extern template Tensor<bfloat16> rms_norm(const Context&, const Tensor<float>&, const Tensor<float>&, float,
                                          Activation);

}  // namespace daguerre::ops
