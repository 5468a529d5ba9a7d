#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "ops/blocks/blocks.hpp"
#include "ops/engines/native/few_rows_kernels.hpp"
#include "support/catch.hpp"

using namespace daguerre;
using namespace daguerre::ops;

namespace {

struct StoredRows {
  std::vector<std::byte> bytes;
  Index row_bytes = 0;
  std::vector<double> values;  ///< what they are once they are rounded
};

StoredRows stored_rows(DType dtype, bool is_rounded, Index count, Index k) {
  std::mt19937 generator(5);
  StoredRows result;
  std::vector<float> values(static_cast<std::size_t>(count * k));
  if (is_block(dtype)) {
    const auto block = block_of(dtype);
    result.row_bytes = k / block.elements * block.bytes;
    result.bytes.resize(static_cast<std::size_t>(count * result.row_bytes));
    // No byte is above 0x3B, so that scales are finite and small wherever they are.
    for (auto& byte : result.bytes) byte = static_cast<std::byte>(generator() % 0x3C);
    blocks::decoder_of(dtype)(result.bytes.data(), count * k / block.elements, values.data());
  } else {
    result.row_bytes = k * static_cast<Index>(size_of(dtype));
    result.bytes.resize(static_cast<std::size_t>(count * result.row_bytes));
    const auto width = size_of(dtype);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(generator()) / 2147483648.0f - 1.0f;
      const half h(values[i]);
      const bfloat16 b(values[i]);
      if (dtype == DType::f16) values[i] = static_cast<float>(h);
      if (dtype == DType::bf16) values[i] = static_cast<float>(b);
      const void* const from = dtype == DType::f16    ? static_cast<const void*>(&h)
                               : dtype == DType::bf16 ? static_cast<const void*>(&b)
                                                      : static_cast<const void*>(&values[i]);
      std::memcpy(result.bytes.data() + i * width, from, width);
    }
  }
  for (const float value : values)
    result.values.push_back(is_rounded ? static_cast<float>(bfloat16(value)) : value);
  return result;
}

}  // namespace

TEST_CASE("products of few rows read weights as they are stored", "[ops][few_rows]") {
  constexpr Index count = 7;
  std::mt19937 generator(1);
  for (const auto dtype : {DType::f32, DType::f16, DType::bf16, DType::q8_0, DType::q4_0, DType::q4_1,
                           DType::q5_0, DType::q5_1, DType::q4_k, DType::q5_k, DType::q6_k})
    for (const bool is_rounded : {false, true})
      for (const Index k : {Index{768}, is_block(dtype) ? Index{256} : Index{83}}) {
        const auto rows = stored_rows(dtype, is_rounded, count, k);
        const Index stride = (k + 15) / 16 * 16;
        std::vector<float> x(static_cast<std::size_t>(kernels::few_rows * stride));
        for (Index i = 0; i < kernels::few_rows; ++i)
          for (Index j = 0; j < k; ++j)
            x[static_cast<std::size_t>(i * stride + j)] =
                static_cast<float>(generator()) / 2147483648.0f - 1.0f;
        for (const auto* const set : kernels::available_dots()) {
          INFO(set->instruction_set << " " << name(dtype) << " rounded " << is_rounded << " k " << k);
          const auto dot = set->of({dtype, is_rounded});
          REQUIRE(dot != nullptr);
          const auto product = [&](Index first, Index m) {
            std::vector<float> sums(static_cast<std::size_t>(m * count));
            dot(rows.bytes.data(), rows.row_bytes, count, k, x.data() + first * stride, stride, m,
                sums.data(), count);
            return sums;
          };
          const auto all = product(0, kernels::few_rows);
          double error = 0.0, size = 0.0;
          for (Index i = 0; i < kernels::few_rows; ++i)
            for (Index j = 0; j < count; ++j) {
              double expected = 0.0;
              for (Index d = 0; d < k; ++d)
                expected += static_cast<double>(x[static_cast<std::size_t>(i * stride + d)]) *
                            rows.values[static_cast<std::size_t>(j * k + d)];
              const double difference = expected - all[static_cast<std::size_t>(i * count + j)];
              error += difference * difference;
              size += expected * expected;
            }
          CHECK(std::sqrt(error / size) < 1e-6);
          // A row's bits are the same whatever comes with it.
          for (Index i = 0; i < kernels::few_rows; ++i)
            for (const Index m : {Index{1}, Index{3}}) {
              if (i + m > kernels::few_rows) continue;
              const auto some = product(i, m);
              CHECK(std::memcmp(some.data(), all.data() + i * count, some.size() * sizeof(float)) == 0);
            }
        }
      }
  CHECK(kernels::active_dots().of({DType::iq4_nl, false}) == nullptr);
}
