// Included once for each instruction set, with its name in DAGUERRE_BLOCKS. Layouts: ggml's
// src/ggml-common.h; what they mean, and the order of the arithmetic: gguf-py's quants.py, which ggml's own
// code agrees with.

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "ops/blocks/blocks.hpp"

namespace daguerre::ops::blocks::DAGUERRE_BLOCKS {
namespace {

using Byte = std::uint8_t;

template <class T>
T load(const Byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
// As half's own conversion, which is an inline function that files of other instruction sets share.
float widened(unsigned bits) {
  const float scaled = std::bit_cast<float>((bits & 0x7FFFu) << 13) * 0x1p112f;
  const std::uint32_t word = std::bit_cast<std::uint32_t>(scaled) | (scaled >= 65536.0f ? 0x7F800000u : 0u);
  return std::bit_cast<float>(word | (bits & 0x8000u) << 16);
}
float load_half(const Byte* at) {
  return widened(load<std::uint16_t>(at));
}

// ---- blocks of 32: a scale, perhaps a minimum, and a number each

constexpr int small_block = 32;

struct Q4_0 {
  static constexpr int elements = small_block, bytes = 18;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in);
    const Byte* const q = in + 2;
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<float>((q[j] & 15) - 8);
      out[j + 16] = d * static_cast<float>((q[j] >> 4) - 8);
    }
  }
};

struct Q4_1 {
  static constexpr int elements = small_block, bytes = 20;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in), m = load_half(in + 2);
    const Byte* const q = in + 4;
    for (int j = 0; j < 16; ++j) {
      out[j] = d * static_cast<float>(q[j] & 15) + m;
      out[j + 16] = d * static_cast<float>(q[j] >> 4) + m;
    }
  }
};

struct Q5_0 {
  static constexpr int elements = small_block, bytes = 22;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in);
    const auto high = load<std::uint32_t>(in + 2);
    const Byte* const q = in + 6;
    for (int j = 0; j < 16; ++j) {
      const int upper = static_cast<int>(high >> j & 1u) << 4, lower = static_cast<int>(high >> (j + 16) & 1u)
                                                                       << 4;
      out[j] = d * static_cast<float>(((q[j] & 15) | upper) - 16);
      out[j + 16] = d * static_cast<float>(((q[j] >> 4) | lower) - 16);
    }
  }
};

struct Q5_1 {
  static constexpr int elements = small_block, bytes = 24;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in), m = load_half(in + 2);
    const auto high = load<std::uint32_t>(in + 4);
    const Byte* const q = in + 8;
    for (int j = 0; j < 16; ++j) {
      const int upper = static_cast<int>(high >> j & 1u) << 4, lower = static_cast<int>(high >> (j + 16) & 1u)
                                                                       << 4;
      out[j] = d * static_cast<float>((q[j] & 15) | upper) + m;
      out[j + 16] = d * static_cast<float>((q[j] >> 4) | lower) + m;
    }
  }
};

struct Q8_0 {
  static constexpr int elements = small_block, bytes = 34;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in);
    for (int j = 0; j < elements; ++j) out[j] = d * static_cast<float>(static_cast<std::int8_t>(in[2 + j]));
  }
};

// Numbers on no line: those that weights are likely to have.
constexpr std::array<float, 16> iq4_values{-127, -104, -83, -65, -49, -35, -22, -10,
                                           1,    13,   25,  38,  53,  69,  89,  113};

void decode_iq4(const Byte* q, float d, float* out) {
  for (int j = 0; j < 16; ++j) {
    out[j] = d * iq4_values[q[j] & 15];
    out[j + 16] = d * iq4_values[q[j] >> 4];
  }
}

struct Iq4Nl {
  static constexpr int elements = small_block, bytes = 18;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    decode_iq4(in + 2, load_half(in), out);
  }
};

// ---- blocks of 256, whose parts of 16 or 32 have scales of their own

constexpr int large_block = 256;

struct Iq4Xs {
  static constexpr int elements = large_block, bytes = 136;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in);
    const auto high = load<std::uint16_t>(in + 2);
    const Byte *const low = in + 4, *const q = in + 8;
    for (int part = 0; part < 8; ++part) {
      const int scale = (low[part / 2] >> (4 * (part % 2)) & 15) | (high >> (2 * part) & 3) << 4;
      decode_iq4(q + 16 * part, d * static_cast<float>(scale - 32), out + 32 * part);
    }
  }
};

struct Q2K {
  static constexpr int elements = large_block, bytes = 84;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const Byte *const scales = in, *const q = in + 16;
    const float d = load_half(in + 80), dmin = load_half(in + 82);
    for (int part = 0; part < 16; ++part) {
      const float scale = d * static_cast<float>(scales[part] & 15);
      const float minimum = dmin * static_cast<float>(scales[part] >> 4);
      const Byte* const from = q + part / 8 * 32 + part % 2 * 16;
      const int shift = part / 2 % 4 * 2;
      for (int j = 0; j < 16; ++j)
        out[16 * part + j] = scale * static_cast<float>(from[j] >> shift & 3) - minimum;
    }
  }
};

struct Q3K {
  static constexpr int elements = large_block, bytes = 110;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const Byte *const high = in, *const q = in + 32, *const scales = in + 96;
    const float d = load_half(in + 108);
    for (int part = 0; part < 16; ++part) {
      const int low = scales[part % 8] >> (part / 8 * 4) & 15,
                top = scales[8 + part % 4] >> (part / 4 * 2) & 3;
      const float scale = d * static_cast<float>((low | top << 4) - 32);
      const Byte *const from = q + part / 8 * 32 + part % 2 * 16, *const bits = high + part % 2 * 16;
      const int shift = part / 2 % 4 * 2, bit = part / 2;
      for (int j = 0; j < 16; ++j)
        out[16 * part + j] =
            scale * static_cast<float>((from[j] >> shift & 3) - ((bits[j] >> bit & 1) ^ 1) * 4);
    }
  }
};

// Eight scales and eight minima of six bits in twelve bytes.
struct ScalesAndMinima {
  std::array<float, 8> scales, minima;
  ScalesAndMinima(const Byte* b, float d, float dmin) {
    for (int i = 0; i < 4; ++i) {
      scales[i] = d * static_cast<float>(b[i] & 63);
      minima[i] = dmin * static_cast<float>(b[i + 4] & 63);
      scales[i + 4] = d * static_cast<float>((b[i + 8] & 15) | (b[i] >> 2 & 0x30));
      minima[i + 4] = dmin * static_cast<float>((b[i + 8] >> 4) | (b[i + 4] >> 2 & 0x30));
    }
  }
};

struct Q4K {
  static constexpr int elements = large_block, bytes = 144;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const ScalesAndMinima of(in + 4, load_half(in), load_half(in + 2));
    const Byte* const q = in + 16;
    for (int part = 0; part < 8; ++part) {
      const float scale = of.scales[part], minimum = of.minima[part];
      const Byte* const from = q + part / 2 * 32;
      const int shift = part % 2 * 4;
      for (int j = 0; j < 32; ++j)
        out[32 * part + j] = scale * static_cast<float>(from[j] >> shift & 15) - minimum;
    }
  }
};

struct Q5K {
  static constexpr int elements = large_block, bytes = 176;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const ScalesAndMinima of(in + 4, load_half(in), load_half(in + 2));
    const Byte *const high = in + 16, *const q = in + 48;
    for (int part = 0; part < 8; ++part) {
      const float scale = of.scales[part], minimum = of.minima[part];
      const Byte* const from = q + part / 2 * 32;
      const int shift = part % 2 * 4;
      for (int j = 0; j < 32; ++j)
        out[32 * part + j] =
            scale * static_cast<float>((from[j] >> shift & 15) | (high[j] >> part & 1) << 4) - minimum;
    }
  }
};

struct Q6K {
  static constexpr int elements = large_block, bytes = 210;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const Byte *const low = in, *const high = in + 128, *const scales = in + 192;
    const float d = load_half(in + 208);
    for (int part = 0; part < 16; ++part) {
      const float scale = d * static_cast<float>(static_cast<std::int8_t>(scales[part]));
      const int group = part / 8, quarter = part / 2 % 4, side = part % 2 * 16;
      const Byte *const from = low + 64 * group + quarter % 2 * 32 + side, *const top =
                                                                               high + 32 * group + side;
      const int shift = quarter / 2 * 4, top_shift = quarter * 2;
      for (int j = 0; j < 16; ++j)
        out[16 * part + j] =
            scale * static_cast<float>(((from[j] >> shift & 15) | (top[j] >> top_shift & 3) << 4) - 32);
    }
  }
};

// ---- numbers -1, 0 and 1

struct Tq1_0 {
  static constexpr int elements = large_block, bytes = 54;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    constexpr std::array<int, 5> powers{1, 3, 9, 27, 81};
    const float d = load_half(in + 52);
    // Five digits of base 3 are a byte, read as a fraction of 256: a digit is carried out by multiplying.
    const auto digits = [&](const Byte* from, int width, int count) {
      for (int n = 0; n < count; ++n, out += width)
        for (int j = 0; j < width; ++j)
          out[j] =
              d * static_cast<float>(((from[j] * powers[static_cast<std::size_t>(n)] & 255) * 3 >> 8) - 1);
    };
    digits(in, 32, 5);
    digits(in + 32, 16, 5);
    digits(in + 48, 4, 4);
  }
};

struct Tq2_0 {
  static constexpr int elements = large_block, bytes = 66;
  static void decode(const Byte* __restrict in, float* __restrict out) {
    const float d = load_half(in + 64);
    for (int part = 0; part < 8; ++part)
      for (int j = 0; j < 32; ++j)
        out[32 * part + j] = d * static_cast<float>((in[part / 4 * 32 + j] >> (part % 4 * 2) & 3) - 1);
  }
};

#include "ops/blocks/lattice_blocks.hpp"

template <class Format>
void decode_all(const std::byte* blocks, Index count, float* out) {
  const auto* in = reinterpret_cast<const Byte*>(blocks);
  for (Index i = 0; i < count; ++i) Format::decode(in + i * Format::bytes, out + i * Format::elements);
}

}  // namespace

Decode decoder_of(DType dtype) {
  switch (dtype) {
    case DType::q4_0:
      return decode_all<Q4_0>;
    case DType::q4_1:
      return decode_all<Q4_1>;
    case DType::q5_0:
      return decode_all<Q5_0>;
    case DType::q5_1:
      return decode_all<Q5_1>;
    case DType::q8_0:
      return decode_all<Q8_0>;
    case DType::q2_k:
      return decode_all<Q2K>;
    case DType::q3_k:
      return decode_all<Q3K>;
    case DType::q4_k:
      return decode_all<Q4K>;
    case DType::q5_k:
      return decode_all<Q5K>;
    case DType::q6_k:
      return decode_all<Q6K>;
    case DType::iq1_s:
      return decode_all<Iq1S>;
    case DType::iq1_m:
      return decode_all<Iq1M>;
    case DType::iq2_xxs:
      return decode_all<Iq2Xxs>;
    case DType::iq2_xs:
      return decode_all<Iq2Xs>;
    case DType::iq2_s:
      return decode_all<Iq2S>;
    case DType::iq3_xxs:
      return decode_all<Iq3Xxs>;
    case DType::iq3_s:
      return decode_all<Iq3S>;
    case DType::iq4_nl:
      return decode_all<Iq4Nl>;
    case DType::iq4_xs:
      return decode_all<Iq4Xs>;
    case DType::tq1_0:
      return decode_all<Tq1_0>;
    case DType::tq2_0:
      return decode_all<Tq2_0>;
    default:
      return nullptr;
  }
}

}  // namespace daguerre::ops::blocks::DAGUERRE_BLOCKS
