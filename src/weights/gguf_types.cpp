#include "weights/gguf_types.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "daguerre/core/error.hpp"

namespace daguerre::weights {
namespace {

constexpr std::array<std::pair<std::uint32_t, DType>, 29> ggml_types{
    {{0, DType::f32},    {1, DType::f16},     {2, DType::q4_0},     {3, DType::q4_1},    {6, DType::q5_0},
     {7, DType::q5_1},   {8, DType::q8_0},    {10, DType::q2_k},    {11, DType::q3_k},   {12, DType::q4_k},
     {13, DType::q5_k},  {14, DType::q6_k},   {16, DType::iq2_xxs}, {17, DType::iq2_xs}, {18, DType::iq3_xxs},
     {19, DType::iq1_s}, {20, DType::iq4_nl}, {21, DType::iq3_s},   {22, DType::iq2_s},  {23, DType::iq4_xs},
     {24, DType::i8},    {25, DType::i16},    {26, DType::i32},     {27, DType::i64},    {28, DType::f64},
     {29, DType::iq1_m}, {30, DType::bf16},   {34, DType::tq1_0},   {35, DType::tq2_0}}};

// Those of processed products, of layouts that ggml gave up, and newer ones.
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 12> unread_types{{{4, "Q4_2"},
                                                                                   {5, "Q4_3"},
                                                                                   {9, "Q8_1"},
                                                                                   {15, "Q8_K"},
                                                                                   {31, "Q4_0_4_4"},
                                                                                   {32, "Q4_0_4_8"},
                                                                                   {33, "Q4_0_8_8"},
                                                                                   {36, "IQ4_NL_4_4"},
                                                                                   {37, "IQ4_NL_4_8"},
                                                                                   {38, "IQ4_NL_8_8"},
                                                                                   {39, "MXFP4"},
                                                                                   {40, "NVFP4"}}};

}  // namespace

std::optional<DType> dtype_of_ggml(std::uint32_t type) {
  for (const auto& [number, dtype] : ggml_types)
    if (number == type) return dtype;
  return std::nullopt;
}

std::optional<std::uint32_t> ggml_of_dtype(DType wanted) {
  for (const auto& [number, dtype] : ggml_types)
    if (dtype == wanted) return number;
  return std::nullopt;
}

std::string_view unread_ggml_type(std::uint32_t type) {
  for (const auto& [number, text] : unread_types)
    if (number == type) return text;
  return {};
}

std::string_view name(GgufType type) {
  constexpr std::array<std::string_view, 13> names{"U8",   "I8",     "U16",   "I16", "U32", "I32", "F32",
                                                   "BOOL", "STRING", "ARRAY", "U64", "I64", "F64"};
  const auto index = static_cast<std::size_t>(type);
  if (index >= names.size()) throw ArgumentError(gguf_name, "no such GgufType");
  return names[index];
}

std::size_t gguf_size(GgufType type) {
  constexpr std::array<std::uint8_t, 13> sizes{1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return sizes[static_cast<std::size_t>(type)];
}

}  // namespace daguerre::weights
