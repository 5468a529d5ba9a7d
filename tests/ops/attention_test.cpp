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
    const Index seen = c.causal ? std::min(c.keys, i + 1) : c.keys;
    std::vector<double> weights;
    double greatest = -std::numeric_limits<double>::infinity(), sum = 0.0;
    for (Index j = 0; j < seen; ++j) {
      double logit = 0.0;
      for (Index d = 0; d < c.width; ++d) logit += at(q, i, d) * at(k, j, d);
      logit *= static_cast<double>(c.scale);
      if (c.has_bias) logit += static_cast<double>(biases.key.data()[j]);
      if (c.has_relative_bias) logit += at(biases.relative, j - i + c.queries - 1, 1);
      weights.push_back(logit);
      greatest = std::max(greatest, logit);
    }
    for (double& weight : weights) sum += weight = std::exp(weight - greatest);
    for (Index d = 0; d < c.value_width; ++d) {
      double value = 0.0;
      for (Index j = 0; j < seen; ++j) value += weights[static_cast<std::size_t>(j)] * at(v, j, d);
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
      3};
  Tensor<T> y({c.queries, c.value_width});
  for (Index first = 0; first < c.queries; first += kernel.attention_queries)
    kernel.attend(head, q.data() + first * c.width, c.width,
                  std::min(kernel.attention_queries, c.queries - first), first,
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
                        {67, 131, 16, 9, 0.5f, true, true, true}}) {
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
