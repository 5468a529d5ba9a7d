// Blocks of points of a lattice, by number, with signs. No ordinary header: a part of blocks_impl.hpp, which
// includes it inside its namespace.

#include "ops/blocks/grids.inc"

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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
  static void decode(const Byte* __restrict in, float* __restrict out) {
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
