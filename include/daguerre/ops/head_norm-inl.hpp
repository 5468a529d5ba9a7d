#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "daguerre/ops/head_norm.hpp"
#include "daguerre/ops/profile.hpp"

namespace daguerre::ops {
namespace detail {

inline void check_head_size(const Tensor<float>& vector, Index head_dim, const char* what) {
  if (!vector.empty() && vector.size() != head_dim)
    throw ArgumentError("norm_heads", std::string(what) + " " + to_string(vector.shape()) + " for heads of " +
                                          std::to_string(head_dim));
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

}  // namespace detail

namespace host {

template <class T>
Tensor<T> norm_heads(const Context& context, const TokenView<T>& tokens, Index head_dim,
                     const HeadNorm& norm) {
  const auto or_else = [&](const Tensor<float>& vector, float value) {
    if (vector.empty()) return std::vector<float>(static_cast<std::size_t>(head_dim), value);
    return std::vector<float>(vector.data(), vector.data() + head_dim);
  };
  const auto gamma = or_else(norm.gamma, 1.0f), beta = or_else(norm.beta, 0.0f);

  auto result = context.empty<T>({tokens.batch, tokens.length, tokens.width});
  parallel_for(context.threads, tokens.batch * tokens.length, 16, [&](Index begin, Index end) {
    for (Index token = begin; token < end; ++token)
      for (Index column = 0; column < tokens.width; column += head_dim) {
        const T* const row = tokens.data + token * tokens.stride + column;
        T* const out = result.data() + token * tokens.width + column;
        const auto scale = detail::row_scale(row, head_dim, norm);
        const auto shift = static_cast<float>(scale.shift), factor = static_cast<float>(scale.factor);
        for (Index i = 0; i < head_dim; ++i) {
          const auto at = static_cast<std::size_t>(i);
          out[i] = convert<T>((convert<float>(row[i]) - shift) * factor * gamma[at] + beta[at]);
        }
      }
  });
  return result;
}

}  // namespace host

template <class T>
Tensor<T> norm_heads(const Context& context, const TokenView<T>& tokens, Index head_dim,
                     const HeadNorm& norm) {
  const Profile::Scope scope(context, OpKind::layer_norm);
  if (head_dim < 1 || tokens.width % head_dim != 0)
    throw ArgumentError("norm_heads", std::to_string(tokens.width) + " columns do not split into heads of " +
                                          std::to_string(head_dim));
  detail::check_head_size(norm.gamma, head_dim, "gamma");
  detail::check_head_size(norm.beta, head_dim, "beta");
  if (const auto* engine = engine_for<T>(context)) return engine->norm_heads(context, tokens, head_dim, norm);
  return host::norm_heads(context, tokens, head_dim, norm);
}

extern template Tensor<float> norm_heads(const Context&, const TokenView<float>&, Index, const HeadNorm&);
extern template Tensor<bfloat16> norm_heads(const Context&, const TokenView<bfloat16>&, Index,
                                            const HeadNorm&);

}  // namespace daguerre::ops
