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

#include "ops/blocks/grids.inc"

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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) { decode_iq4(in + 2, load_half(in), out); }
};

// ---- blocks of 256, whose parts of 16 or 32 have scales of their own

constexpr int large_block = 256;

struct Iq4Xs {
  static constexpr int elements = large_block, bytes = 136;
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
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
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in + 64);
    for (int part = 0; part < 8; ++part)
      for (int j = 0; j < 32; ++j)
        out[32 * part + j] = d * static_cast<float>((in[part / 4 * 32 + j] >> (part % 4 * 2) & 3) - 1);
  }
};

// ---- points of a lattice, by number, with signs

template <int Width, std::size_t Count>
using Points = std::array<std::array<std::int8_t, Width>, Count>;

template <int Width, std::size_t Count, std::size_t Values>
constexpr Points<Width, Count> points_of(const std::uint16_t (&words)[Count],
                                         const std::int8_t (&values)[Values]) {
  constexpr int bits = Width == 8 ? 2 : 3;
  Points<Width, Count> result{};
  for (std::size_t i = 0; i < Count; ++i)
    for (int j = 0; j < Width; ++j)
      result[i][static_cast<std::size_t>(j)] = values[words[i] >> (bits * j) & ((1 << bits) - 1)];
  return result;
}

constexpr std::int8_t iq2_values[]{0x08, 0x19, 0x2B};
constexpr std::int8_t iq3_xxs_values[]{0x04, 0x0C, 0x14, 0x1C, 0x24, 0x2C, 0x34, 0x3E};
constexpr std::int8_t iq3_s_values[]{1, 3, 5, 7, 9, 11, 13, 15};
constexpr std::int8_t iq1_values[]{-1, 0, 1};
constexpr auto iq2_xxs_grid = points_of<8>(iq2_xxs_points, iq2_values);
constexpr auto iq2_xs_grid = points_of<8>(iq2_xs_points, iq2_values);
constexpr auto iq2_s_grid = points_of<8>(iq2_s_points, iq2_values);
constexpr auto iq3_xxs_grid = points_of<4>(iq3_xxs_points, iq3_xxs_values);
constexpr auto iq3_s_grid = points_of<4>(iq3_s_points, iq3_s_values);
constexpr auto iq1_grid = points_of<8>(iq1_points, iq1_values);

// Seven signs; the eighth makes their number even.
unsigned all_signs(unsigned seven) {
  return seven | (static_cast<unsigned>(std::popcount(seven)) & 1u) << 7;
}

template <std::size_t Width>
void decode_point(const std::array<std::int8_t, Width>& point, float scale, unsigned signs, float* out) {
  for (std::size_t j = 0; j < Width; ++j) {
    const float size = scale * static_cast<float>(point[j]);
    out[j] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(size) ^ (signs >> j & 1u) << 31);
  }
}

struct Iq2Xxs {
  static constexpr int elements = large_block, bytes = 66;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte* q = in + 2;
    for (int part = 0; part < 8; ++part, q += 8) {
      const auto rest = load<std::uint32_t>(q + 4);
      const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.25f;
      for (int l = 0; l < 4; ++l, out += 8)
        decode_point(iq2_xxs_grid[q[l]], scale, all_signs(rest >> (7 * l) & 127u), out);
    }
  }
};

struct Iq2Xs {
  static constexpr int elements = large_block, bytes = 74;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte* const scales = in + 66;
    for (int i = 0; i < 32; ++i) {
      const unsigned word = load<std::uint16_t>(in + 2 + 2 * i);
      const float scale = d * (0.5f + static_cast<float>(scales[i / 4] >> (i / 2 % 2 * 4) & 15)) * 0.25f;
      decode_point(iq2_xs_grid[word & 511u], scale, all_signs(word >> 9), out + 8 * i);
    }
  }
};

struct Iq2S {
  static constexpr int elements = large_block, bytes = 82;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte *const q = in + 2, *const signs = in + 34, *const high = in + 66, *const scales = in + 74;
    for (int i = 0; i < 32; ++i) {
      const unsigned point = q[i] | (high[i / 4] >> (i % 4 * 2) & 3u) << 8;
      const float scale = d * (0.5f + static_cast<float>(scales[i / 4] >> (i / 2 % 2 * 4) & 15)) * 0.25f;
      decode_point(iq2_s_grid[point], scale, signs[i], out + 8 * i);
    }
  }
};

struct Iq3Xxs {
  static constexpr int elements = large_block, bytes = 98;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte *q = in + 2, *rest_of = in + 66;
    for (int part = 0; part < 8; ++part, q += 8, rest_of += 4) {
      const auto rest = load<std::uint32_t>(rest_of);
      const float scale = d * (0.5f + static_cast<float>(rest >> 28)) * 0.5f;
      for (int l = 0; l < 4; ++l, out += 8) {
        const unsigned signs = all_signs(rest >> (7 * l) & 127u);
        decode_point(iq3_xxs_grid[q[2 * l]], scale, signs, out);
        decode_point(iq3_xxs_grid[q[2 * l + 1]], scale, signs >> 4, out + 4);
      }
    }
  }
};

struct Iq3S {
  static constexpr int elements = large_block, bytes = 110;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte *const q = in + 2, *const high = in + 66, *const signs = in + 74, *const scales = in + 106;
    for (int i = 0; i < 64; ++i) {
      const unsigned point = q[i] | (high[i / 8] >> (i % 8) & 1u) << 8;
      const float scale = d * static_cast<float>(1 + 2 * (scales[i / 16] >> (i / 8 % 2 * 4) & 15));
      decode_point(iq3_s_grid[point], scale, static_cast<unsigned>(signs[i / 2]) >> (i % 2 * 4), out + 4 * i);
    }
  }
};

constexpr float iq1_delta = 0.125f;

void decode_iq1_point(unsigned point, float scale, bool below, float* out) {
  const float delta = below ? -iq1_delta : iq1_delta;
  for (std::size_t j = 0; j < 8; ++j) out[j] = scale * (static_cast<float>(iq1_grid[point][j]) + delta);
}

struct Iq1S {
  static constexpr int elements = large_block, bytes = 50;
  static void decode(const Byte* in, float* out) {
    const float d = load_half(in);
    const Byte *q = in + 2, *const high = in + 34;
    for (int part = 0; part < 8; ++part, q += 4) {
      const unsigned rest = load<std::uint16_t>(high + 2 * part);
      const float scale = d * static_cast<float>(2 * (rest >> 12 & 7u) + 1);
      for (int l = 0; l < 4; ++l, out += 8)
        decode_iq1_point(q[l] | (rest >> (3 * l) & 7u) << 8, scale, (rest & 0x8000u) != 0, out);
    }
  }
};

struct Iq1M {
  static constexpr int elements = large_block, bytes = 56;
  static void decode(const Byte* in, float* out) {
    const Byte *const q = in, *const high = in + 32;
    std::array<unsigned, 4> words{};
    unsigned whole = 0;
    // The block's scale is in the words' upper four bits, those of its parts below.
    for (unsigned i = 0; i < 4; ++i) {
      words[i] = load<std::uint16_t>(in + 48 + 2 * i);
      whole |= words[i] >> 12 << (4 * i);
    }
    const float d = widened(whole);
    for (unsigned i = 0; i < 32; ++i) {
      const unsigned half_part = i / 2;
      const unsigned factor = words[half_part / 4] >> (3 * (half_part % 4)) & 7u;
      const unsigned rest = static_cast<unsigned>(high[i / 2]) >> (i % 2 * 4);
      decode_iq1_point(q[i] | (rest & 7u) << 8, d * static_cast<float>(2 * factor + 1), (rest & 8u) != 0,
                       out + 8 * i);
    }
  }
};

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
