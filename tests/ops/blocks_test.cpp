#include "ops/blocks/blocks.hpp"

#include <cstring>
#include <random>
#include <vector>

#include "daguerre/core/error.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"

using namespace daguerre;
using namespace daguerre::ops;

TEST_CASE("blocks decode to the same bits with every instruction set", "[ops][blocks]") {
  constexpr Index count = 100;
  std::mt19937 generator(3);
  const auto& all = blocks::available_decoders();
  for (const auto dtype :
       {DType::q4_0,   DType::q4_1,    DType::q5_0,  DType::q5_1,    DType::q8_0,  DType::q2_k,
        DType::q3_k,   DType::q4_k,    DType::q5_k,  DType::q6_k,    DType::iq1_s, DType::iq1_m,
        DType::iq2_xs, DType::iq2_xxs, DType::iq2_s, DType::iq3_xxs, DType::iq3_s, DType::iq4_nl,
        DType::iq4_xs, DType::tq1_0,   DType::tq2_0}) {
    const auto block = block_of(dtype);
    std::vector<std::byte> bytes(static_cast<std::size_t>(count * block.bytes));
    // No byte is above 0x7B, so that scales are finite wherever they are.
    for (auto& byte : bytes) byte = static_cast<std::byte>(generator() % 0x7C);
    std::vector<float> plain(static_cast<std::size_t>(count * block.elements));
    all.back().of(dtype)(bytes.data(), count, plain.data());
    for (const auto& decoders : all) {
      INFO(name(dtype) << " " << decoders.instruction_set);
      std::vector<float> values(plain.size());
      decoders.of(dtype)(bytes.data(), count, values.data());
      CHECK(std::memcmp(values.data(), plain.data(), plain.size() * sizeof(float)) == 0);
    }
  }
  test::expect_error<ArgumentError>([] { (void)blocks::decoder_of(DType::f16); }, {"F16"});
}
