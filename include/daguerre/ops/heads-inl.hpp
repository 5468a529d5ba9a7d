#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "daguerre/ops/heads.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace detail {

inline void check_head_size(const Tensor<float>& vector, Index size, const char* what) {
  if (!vector.empty() && vector.size() != size)
    throw ArgumentError("join_heads", std::string(what) + " " + to_string(vector.shape()) + " for heads of " +
                                          std::to_string(size));
}

/// What a row is shifted by and then multiplied with.
struct RowScale {
  double shift = 0.0, factor = 1.0;
};

template <class T>
RowScale row_scale(const T* row, Index size, const HeadNorm& norm) {
  const auto count = static_cast<double>(size), epsilon = static_cast<double>(norm.epsilon);
  double mean = 0.0, squares = 0.0;
  if (norm.kind == HeadNorm::Kind::layer_norm) {
    for (Index i = 0; i < size; ++i) mean += static_cast<double>(convert<float>(row[i]));
    mean /= count;
  }
  for (Index i = 0; i < size; ++i) {
    const double offset = static_cast<double>(convert<float>(row[i])) - mean;
    squares += offset * offset;
  }
  if (norm.kind == HeadNorm::Kind::l2) return {0.0, 1.0 / std::max(std::sqrt(squares), epsilon)};
  return {mean, 1.0 / std::sqrt(squares / count + epsilon)};
}

/// One head, or all of a token's, by `norm`, in float32.
template <class T>
void norm_head(const T* row, float* out, Index size, const HeadNorm& norm) {
  const auto scale = row_scale(row, size, norm);
  const auto shift = static_cast<float>(scale.shift), factor = static_cast<float>(scale.factor);
  for (Index i = 0; i < size; ++i) out[i] = (convert<float>(row[i]) - shift) * factor;
  if (!norm.gamma.empty())
    for (Index i = 0; i < size; ++i) out[i] *= norm.gamma.data()[i];
  if (!norm.beta.empty())
    for (Index i = 0; i < size; ++i) out[i] += norm.beta.data()[i];
}

/// One head turned in place, by the cosine and sine of each of its pairs.
inline void rotate_head(float* head, Index size, const float* cosine, const float* sine, RotaryPairs pairs) {
  const Index half = size / 2;
  const bool together = pairs == RotaryPairs::neighbours;
  const Index step = together ? 2 : 1, apart = together ? 1 : half;
  for (Index i = 0; i < half; ++i) {
    float &x = head[i * step], &y = head[i * step + apart];
    const float turned = x * cosine[i] - y * sine[i];
    y = y * cosine[i] + x * sine[i];
    x = turned;
  }
}

template <class T>
void check_streams(std::span<const HeadStream<T>> streams, Index head_dim, const RotaryTable* rotation) {
  constexpr const char* who = "join_heads";
  if (streams.empty()) throw ArgumentError(who, "no tokens");
  const auto& first = streams.front().tokens;
  if (head_dim < 1 || first.width % head_dim != 0)
    throw ArgumentError(
        who, std::to_string(first.width) + " columns do not split into heads of " + std::to_string(head_dim));
  Index length = 0;
  for (const auto& [tokens, norm] : streams) {
    if (tokens.batch != first.batch || tokens.width != first.width)
      throw ArgumentError(who, "tokens " + to_string(Shape{tokens.batch, tokens.length, tokens.width}) +
                                   " behind " + to_string(Shape{first.batch, first.length, first.width}));
    length += tokens.length;
    if (norm == nullptr) continue;
    const Index size = norm->across_heads ? first.width : head_dim;
    check_head_size(norm->gamma, size, "gamma");
    check_head_size(norm->beta, size, "beta");
  }
  if (rotation == nullptr) return;
  const auto& table = rotation->cosine.shape();
  const bool is_for_all = table == Shape{length, head_dim / 2},
             is_for_each = table == Shape{length, first.width / 2};
  if (head_dim % 2 != 0 || !(is_for_all || is_for_each) || !(rotation->sine.shape() == table))
    throw ArgumentError(who, "a rotation of " + to_string(rotation->cosine.shape()) + " for " +
                                 std::to_string(length) + " tokens with heads of " +
                                 std::to_string(head_dim));
}

}  // namespace detail

namespace host {

template <class T>
Tensor<T> join_heads(const Context& context, std::span<const HeadStream<T>> streams, Index head_dim,
                     const RotaryTable* rotation) {
  const Index batch = streams.front().tokens.batch, width = streams.front().tokens.width;
  Index length = 0;
  for (const auto& stream : streams) length += stream.tokens.length;
  auto result = context.empty<T>({batch, length, width});
  T* const elements = result.data();
  const Index half = head_dim / 2, angles = rotation == nullptr ? 0 : rotation->cosine.dim(1);
  Index before = 0;  // tokens of the streams that are done
  for (const auto& [tokens, norm] : streams) {
    const auto join = [&, &view = tokens, norm = norm](Index begin, Index end) {
      std::vector<float> heads(static_cast<std::size_t>(width));
      for (Index token = begin; token < end; ++token) {
        const T* const row = view.at(token / view.length, token % view.length);
        const Index place = before + token % view.length;
        T* const out = elements + (token / view.length * length + place) * width;
        if (norm == nullptr && rotation == nullptr) {
          std::copy_n(row, width, out);
          continue;
        }
        if (norm == nullptr) {
          std::transform(row, row + width, heads.begin(), convert<float, T>);
        } else {
          const Index size = norm->across_heads ? width : head_dim;
          for (Index column = 0; column < width; column += size)
            detail::norm_head(row + column, heads.data() + column, size, *norm);
        }
        for (Index column = 0; rotation != nullptr && column < width; column += head_dim) {
          const Index pair = place * angles + (angles == half ? 0 : column / 2);
          detail::rotate_head(heads.data() + column, head_dim, rotation->cosine.data() + pair,
                              rotation->sine.data() + pair, rotation->pairs);
        }
        std::transform(heads.begin(), heads.end(), out, convert<T, float>);
      }
    };
    parallel_for(context.threads, batch * tokens.length, 16, join);
    before += tokens.length;
  }
  return result;
}

}  // namespace host

template <class T>
Tensor<T> join_heads(const Context& context, std::span<const HeadStream<T>> streams, Index head_dim,
                     const RotaryTable* rotation) {
  const Profile::Scope scope(context, OpKind::layer_norm);
  detail::check_streams(streams, head_dim, rotation);
  if (const auto* engine = engine_for<T>(context))
    return engine->join_heads(context, streams, head_dim, rotation);
  return host::join_heads(context, streams, head_dim, rotation);
}

extern template Tensor<float> join_heads(const Context&, std::span<const HeadStream<float>>, Index,
                                         const RotaryTable*);
extern template Tensor<bfloat16> join_heads(const Context&, std::span<const HeadStream<bfloat16>>, Index,
                                            const RotaryTable*);

}  // namespace daguerre::ops
