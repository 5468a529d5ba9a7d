#include "daguerre/core/dtype.hpp"

#include <array>
#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/core/shape.hpp"

namespace daguerre {
namespace {

struct BlockFormat {
  std::string_view name;
  BlockSize size;
};
// In the order of the enumeration, from q4_0 on.
constexpr std::array<BlockFormat, 21> block_formats{{
    {"Q4_0", {32, 18}},     {"Q4_1", {32, 20}},    {"Q5_0", {32, 22}},     {"Q5_1", {32, 24}},
    {"Q8_0", {32, 34}},     {"Q2_K", {256, 84}},   {"Q3_K", {256, 110}},   {"Q4_K", {256, 144}},
    {"Q5_K", {256, 176}},   {"Q6_K", {256, 210}},  {"IQ1_S", {256, 50}},   {"IQ1_M", {256, 56}},
    {"IQ2_XXS", {256, 66}}, {"IQ2_XS", {256, 74}}, {"IQ2_S", {256, 82}},   {"IQ3_XXS", {256, 98}},
    {"IQ3_S", {256, 110}},  {"IQ4_NL", {32, 18}},  {"IQ4_XS", {256, 136}}, {"TQ1_0", {256, 54}},
    {"TQ2_0", {256, 66}},
}};

const BlockFormat& block_format(DType dtype) {
  const auto index = static_cast<std::size_t>(dtype) - static_cast<std::size_t>(DType::q4_0);
  if (!is_block(dtype) || index >= block_formats.size()) throw ArgumentError("dtype", "no such DType");
  return block_formats[index];
}

}  // namespace

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return "BOOL";
    case DType::u8:
      return "U8";
    case DType::i8:
      return "I8";
    case DType::f8_e5m2:
      return "F8_E5M2";
    case DType::f8_e4m3:
      return "F8_E4M3";
    case DType::i16:
      return "I16";
    case DType::u16:
      return "U16";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::i32:
      return "I32";
    case DType::u32:
      return "U32";
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::i64:
      return "I64";
    case DType::u64:
      return "U64";
    default:
      return block_format(dtype).name;
  }
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::u8:
    case DType::i8:
    case DType::f8_e5m2:
    case DType::f8_e4m3:
      return 1;
    case DType::i16:
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i32:
    case DType::u32:
    case DType::f32:
      return 4;
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return 8;
    default:
      throw ArgumentError("dtype",
                          "elements of type " + std::string(name(dtype)) + " have no size of their own");
  }
}

BlockSize block_of(DType dtype) {
  if (is_block(dtype)) return block_format(dtype).size;
  return {1, static_cast<std::int64_t>(size_of(dtype))};
}

std::int64_t bytes_of(DType dtype, std::int64_t elements) {
  const auto block = block_of(dtype);
  if (elements < 0 || elements % block.elements != 0)
    throw ArgumentError("dtype", std::to_string(elements) + " elements make no whole blocks of type " +
                                     std::string(name(dtype)) + ", which have " +
                                     std::to_string(block.elements));
  return checked_multiply(elements / block.elements, block.bytes);
}

}  // namespace daguerre
