#include "daguerre/ops/head_norm.hpp"

#include <cmath>
#include <random>

#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using ops::HeadNorm;

namespace {

/// One head in double, by the formulas of HeadNorm::Kind.
std::vector<double> naive(const float* row, Index size, const HeadNorm& norm) {
  const auto count = static_cast<double>(size);
  double mean = 0.0, squares = 0.0;
  if (norm.kind == HeadNorm::Kind::layer_norm)
    for (Index i = 0; i < size; ++i) mean += static_cast<double>(row[i]) / count;
  for (Index i = 0; i < size; ++i) squares += std::pow(static_cast<double>(row[i]) - mean, 2.0);
  const auto epsilon = static_cast<double>(norm.epsilon);
  const double length = norm.kind == HeadNorm::Kind::l2 ? std::max(std::sqrt(squares), epsilon)
                                                        : std::sqrt(squares / count + epsilon);
  std::vector<double> result;
  for (Index i = 0; i < size; ++i)
    result.push_back((static_cast<double>(row[i]) - mean) / length *
                         (norm.gamma.empty() ? 1.0 : static_cast<double>(norm.gamma.data()[i])) +
                     (norm.beta.empty() ? 0.0 : static_cast<double>(norm.beta.data()[i])));
  return result;
}

}  // namespace

TEST_CASE("heads are normalised as the formulas say, out of a wider tensor", "[ops][head_norm]") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  const auto draw = [&](int most) { return std::uniform_int_distribution<Index>(1, most)(generator); };
  const Index batch = draw(3), length = draw(40), heads = draw(4), head_dim = 1 + draw(40), before = draw(5);
  const auto wide = test::random_tensor({batch, length, before + heads * head_dim + 3}, seed + 1, 3.0f);
  const auto kind = GENERATE(HeadNorm::Kind::layer_norm, HeadNorm::Kind::rms_norm, HeadNorm::Kind::l2);
  const bool has_gamma = GENERATE(false, true), has_beta = GENERATE(false, true);
  const HeadNorm norm{
      .kind = kind,
      .gamma = has_gamma ? test::random_tensor({head_dim}, seed + 2) : Tensor<float>(),
      .beta = has_beta ? test::random_tensor({head_dim}, seed + 3) : Tensor<float>(),
      .epsilon = 1e-2f,
  };
  Tensor<float> expected({batch, length, heads * head_dim});
  for (Index token = 0; token < batch * length; ++token)
    for (Index head = 0; head < heads; ++head) {
      const auto row = naive(wide.data() + token * wide.dim(2) + before + head * head_dim, head_dim, norm);
      for (Index i = 0; i < head_dim; ++i)
        expected.data()[(token * heads + head) * head_dim + i] =
            static_cast<float>(row[static_cast<std::size_t>(i)]);
    }
  const auto context = test::context_for("native");
  const auto view = ops::TokenView<float>::columns(wide, before, heads * head_dim);
  CHECK(test::difference(ops::norm_heads(context, view, head_dim, norm), expected).rel_l2 < 1e-6);
  const auto rounded = wide.to<bfloat16>();
  const auto rounded_view = ops::TokenView<bfloat16>::columns(rounded, before, heads * head_dim);
  CHECK(
      test::difference(ops::norm_heads(context, rounded_view, head_dim, norm).to<float>(), expected).rel_l2 <
      1e-2);
}

TEST_CASE("norms of heads refuse parameters of another size", "[ops][head_norm]") {
  const auto context = test::context_for("native");
  const auto x = Tensor<float>::zeros({1, 2, 12});
  const auto run = [&](Index head_dim, const Tensor<float>& gamma, const Tensor<float>& beta) {
    ops::norm_heads(context, ops::TokenView<float>::all(x), head_dim, {.gamma = gamma, .beta = beta});
  };
  test::expect_error<ArgumentError>([&] { run(5, {}, {}); }, {"12 columns", "heads of 5"});
  test::expect_error<ArgumentError>([&] { run(0, {}, {}); }, {"heads of 0"});
  test::expect_error<ArgumentError>([&] { run(4, Tensor<float>::zeros({3}), {}); }, {"gamma [3]"});
  test::expect_error<ArgumentError>([&] { run(4, {}, Tensor<float>::zeros({12})); }, {"beta [12]"});
}
