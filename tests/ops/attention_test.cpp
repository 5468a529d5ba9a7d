#include <cmath>
#include <limits>
#include <vector>

#include "ops/engines/native/kernels.hpp"
#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

namespace {

struct HeadCase {
  Index queries, keys, width, value_width;
  float scale;
  bool has_bias, causal, has_relative_bias = false;
  Index first_query = 0, window = 0;
  float soft_cap = 0.0f;

  /// The keys [first, second) that query i sees.
  std::pair<Index, Index> seen(Index i) const {
    if (!causal) return {0, keys};
    const Index own = first_query + i;
    return {window > 0 ? std::max<Index>(0, own + 1 - window) : 0, std::min(keys, own + 1)};
  }
};

struct Biases {
  Tensor<float> key, relative;  ///< [keys], [queries + keys - 1, 3], of which the middle column is the head's
};

/// softmax(q k^T * scale + bias) v in double, one logit at a time.
template <class T>
Tensor<float> naive_attention(const HeadCase& c, const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                              const Biases& biases) {
  auto y = Tensor<float>::zeros({c.queries, c.value_width});
  const auto at = [](const auto& x, Index i, Index j) {
    return static_cast<double>(convert<float>(x.data()[i * x.dim(1) + j]));
  };
  for (Index i = 0; i < c.queries; ++i) {
    const auto seen = c.seen(i);
    std::vector<double> weights;
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0.0;
    for (Index j = seen.first; j < seen.second; ++j) {
      double logit = 0.0;
      for (Index d = 0; d < c.width; ++d) logit += at(q, i, d) * at(k, j, d);
      logit *= static_cast<double>(c.scale);
      if (c.soft_cap > 0.0f) logit = c.soft_cap * std::tanh(logit / static_cast<double>(c.soft_cap));
      if (c.has_bias) logit += static_cast<double>(biases.key.data()[j]);
      if (c.has_relative_bias) logit += at(biases.relative, j - i + c.queries - 1, 1);
      weights.push_back(logit);
      greatest = std::max(greatest, logit);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - greatest);
    for (Index d = 0; d < c.value_width; ++d) {
      double value = 0.0;
      for (Index j = seen.first; j < seen.second; ++j)
        value += weights[static_cast<std::size_t>(j - seen.first)] * at(v, j, d);
      y.data()[i * c.value_width + d] = static_cast<float>(value / sum);
    }
  }
  return y;
}

template <class T>
Tensor<T> attend(const kernels::RowKernels<T>& kernel, const HeadCase& c, const Tensor<T>& q,
                 const Tensor<T>& k, const Tensor<T>& v, const Biases& biases) {
  Tensor<float> packed({kernel.packed_head_size(c.keys, c.width, c.value_width)});
  Tensor<float> scratch({kernel.attention_scratch_size(c.width, c.value_width)});
  kernel.pack_head(k.data(), c.width, v.data(), c.value_width, c.keys, c.width, c.value_width, packed.data());
  const kernels::AttentionHead<T> head{
      packed.data(),
      c.keys,
      c.width,
      c.value_width,
      c.scale,
      c.has_bias ? biases.key.data() : nullptr,
      c.causal,
      c.has_relative_bias ? biases.relative.data() + (c.queries - 1) * 3 + 1 : nullptr,
      3,
      c.window,
      c.soft_cap};
  Tensor<T> y({c.queries, c.value_width});
  for (Index first = 0; first < c.queries; first += kernel.attention_queries)
    kernel.attend(head, q.data() + first * c.width, c.width,
                  std::min(kernel.attention_queries, c.queries - first), c.first_query + first,
                  y.data() + first * c.value_width, c.value_width, scratch.data());
  return y;
}

template <class T>
void test_attention(const kernels::Kernels& kernels) {
  for (const auto& c : {HeadCase{70, 300, 40, 40, 0.16f, false, false},
                        {33, 77, 64, 64, 0.125f, true, false},
                        {77, 77, 64, 64, 0.125f, false, true},
                        {1, 1, 1, 1, 1.0f, false, false},
                        {5, 97, 7, 13, 0.4f, false, false},
                        {65, 241, 9, 5, -0.3f, true, true},
                        {40, 200, 160, 33, 3.0f, false, false},
                        {77, 77, 64, 64, 1.0f, false, false, true},
                        {1, 250, 8, 8, 0.5f, false, false, true},
                        {150, 3, 16, 8, 0.5f, true, false, true},
                        {67, 131, 16, 9, 0.5f, true, true, true},
                        {40, 300, 12, 12, 0.5f, false, true, false, 260},
                        {90, 400, 12, 20, 0.5f, true, true, false, 300, 7},
                        {150, 150, 8, 8, 0.5f, false, true, false, 0, 130, 2.0f},
                        {20, 33, 8, 8, 4.0f, true, false, false, 0, 0, 50.0f}}) {
    INFO(c.queries << " queries, " << c.keys << " keys, widths " << c.width << " and " << c.value_width);
    const auto q = random_tensor({c.queries, c.width}, 1).template to<T>();
    const auto k = random_tensor({c.keys, c.width}, 2).template to<T>();
    const auto v = random_tensor({c.keys, c.value_width}, 3).template to<T>();
    const Biases biases{random_tensor({c.keys}, 4), random_tensor({c.queries + c.keys - 1, 3}, 5)};
    const auto y = attend(kernels.of<T>(), c, q, k, v, biases);
    // Logits of some tens are sums that float32 holds to a few 1e-6; bfloat16 rounds the weights and the
    // result.
    CHECK(difference(y.template to<float>(), naive_attention(c, q, k, v, biases)).rel_l2 <
          (std::is_same_v<T, float> ? 5e-6 : 6e-3));
  }
}

}  // namespace

TEST_CASE("attention of every instruction set agrees with a naive loop", "[ops][kernels][attention]") {
  for (const auto* kernel : kernels::available()) {
    INFO("kernels " << kernel->instruction_set);
    test_attention<float>(*kernel);
    test_attention<bfloat16>(*kernel);
  }
}

namespace {

/// The same by the kernel for few queries, which takes keys span by span, brought together in double.
template <class T>
Tensor<float> attend_in_place(const kernels::RowKernels<T>& kernel, const HeadCase& c, const Tensor<T>& q,
                              const Tensor<T>& k, const Tensor<T>& v, const Biases& biases) {
  const auto queries = q.template to<float>();
  const Index row_size = 2 + c.value_width;
  std::vector<double> greatest(static_cast<std::size_t>(c.queries), -1e300), sum(greatest.size());
  std::vector<std::vector<double>> values(greatest.size());
  for (Index begin = 0; begin < c.keys; begin += kernel.attention_row_keys) {
    std::vector<Index> first, end;
    for (Index i = 0; i < c.queries; ++i) {
      first.push_back(std::max<Index>(0, c.seen(i).first - begin));
      end.push_back(c.seen(i).second - begin);
    }
    Tensor<float> partial({c.queries, row_size});
    kernel.attend_rows({.key = k.data() + begin * c.width,
                        .key_stride = c.width,
                        .value = v.data() + begin * c.value_width,
                        .value_stride = c.value_width,
                        .keys = std::min(kernel.attention_row_keys, c.keys - begin),
                        .width = c.width,
                        .value_width = c.value_width,
                        .queries = queries.data(),
                        .rows = c.queries,
                        .first = first.data(),
                        .end = end.data(),
                        .scale = c.scale,
                        .soft_cap = c.soft_cap,
                        .key_bias = c.has_bias ? biases.key.data() + begin : nullptr},
                       partial.data());
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const float* const row = std::as_const(partial).data() + static_cast<Index>(i) * row_size;
      const double now = std::max(greatest[i], static_cast<double>(row[0]));
      const double before = std::exp(greatest[i] - now), here = std::exp(static_cast<double>(row[0]) - now);
      greatest[i] = now;
      sum[i] = sum[i] * before + static_cast<double>(row[1]) * here;
      values[i].resize(static_cast<std::size_t>(c.value_width));
      for (std::size_t d = 0; d < values[i].size(); ++d)
        values[i][d] = values[i][d] * before + static_cast<double>(row[2 + d]) * here;
    }
  }
  Tensor<float> y({c.queries, c.value_width});
  for (Index i = 0; i < y.size(); ++i) {
    const auto row = static_cast<std::size_t>(i / c.value_width);
    y.data()[i] = static_cast<float>(values[row][static_cast<std::size_t>(i % c.value_width)] / sum[row]);
  }
  return y;
}

template <class T>
void test_in_place(const kernels::Kernels& kernels) {
  for (const auto& c : {HeadCase{1, 1, 8, 8, 0.5f, false, true},
                        {1, 700, 64, 64, 0.125f, false, true, false, 699},
                        {3, 300, 40, 12, 0.2f, true, true, false, 297},
                        {16, 259, 7, 70, 0.4f, false, false},
                        {5, 600, 16, 33, 0.4f, true, true, false, 595, 6},
                        {7, 600, 16, 32, 3.0f, false, true, false, 500, 300, 2.0f}}) {
    INFO(c.queries << " queries, " << c.keys << " keys, widths " << c.width << " and " << c.value_width);
    const auto q = random_tensor({c.queries, c.width}, 1).template to<T>();
    const auto k = random_tensor({c.keys, c.width}, 2).template to<T>();
    const auto v = random_tensor({c.keys, c.value_width}, 3).template to<T>();
    const Biases biases{random_tensor({c.keys}, 4), {}};
    CHECK(
        difference(attend_in_place(kernels.of<T>(), c, q, k, v, biases), naive_attention(c, q, k, v, biases))
            .rel_l2 < (std::is_same_v<T, float> ? 2e-6 : 1e-4));
  }
}

}  // namespace

TEST_CASE("few queries find the same where keys are stored", "[ops][kernels][attention]") {
  for (const auto* kernel : kernels::available()) {
    INFO("kernels " << kernel->instruction_set);
    test_in_place<float>(*kernel);
    test_in_place<bfloat16>(*kernel);
  }
}

TEST_CASE("attention keeps apart what a mask or a huge logit sets apart", "[ops][kernels][attention]") {
  const HeadCase c{3, 250, 8, 4, 1.0f, true, false};
  const auto q = random_tensor({c.queries, c.width}, 1), k = random_tensor({c.keys, c.width}, 2);
  auto v = random_tensor({c.keys, c.value_width}, 3);
  auto bias = Tensor<float>::full({c.keys}, -10000.0f);
  bias.data()[200] = 0.0f;
  for (const auto* kernel : kernels::available()) {
    INFO("kernels " << kernel->instruction_set);
    const auto y = attend(kernel->f32, c, q, k, v, {bias, {}});
    for (Index i = 0; i < c.queries; ++i)
      for (Index d = 0; d < c.value_width; ++d)
        CHECK(y.data()[i * c.value_width + d] == Approx(v.data()[200 * c.value_width + d]).epsilon(1e-6));
  }
}

TEST_CASE("attention passes on what is not a number", "[ops][kernels][attention]") {
  const HeadCase c{40, 130, 16, 8, 0.25f, false, false};
  auto q = random_tensor({c.queries, c.width}, 1);
  const auto k = random_tensor({c.keys, c.width}, 2), v = random_tensor({c.keys, c.value_width}, 3);
  q.data()[7 * c.width] = std::numeric_limits<float>::quiet_NaN();
  for (const auto* kernel : kernels::available()) {
    INFO("kernels " << kernel->instruction_set);
    const auto y = attend(kernel->f32, c, q, k, v, {});
    const auto rounded = attend(kernel->bf16, c, q.to<bfloat16>(), k.to<bfloat16>(), v.to<bfloat16>(), {});
    for (Index i = 0; i < c.queries; ++i) {
      CHECK(std::isnan(y.data()[i * c.value_width]) == (i == 7));
      CHECK(std::isnan(convert<float>(rounded.data()[i * c.value_width])) == (i == 7));
    }
  }
}
