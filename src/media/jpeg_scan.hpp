#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "media/jpeg_huffman.hpp"

namespace daguerre {

/// Natural positions in zigzag order (T.81, figure A.6).
inline constexpr std::array<std::uint8_t, 64> jpeg_natural_order = [] {
  std::array<std::uint8_t, 64> order{};
  int x = 0, y = 0;
  for (auto& position : order) {
    position = static_cast<std::uint8_t>(8 * y + x);
    const bool up = (x + y) % 2 == 0;
    if (up && x == 7)
      ++y;
    else if (!up && y == 7)
      ++x;
    else if (up)
      ++x, y = (y > 0 ? y - 1 : 0);
    else
      ++y, x = (x > 0 ? x - 1 : 0);
  }
  return order;
}();

/// One colour of a JPEG picture.
struct JpegComponent {
  unsigned id = 0;
  Index h = 1, v = 1;                            ///< sampling factors
  unsigned table = 0;                            ///< number of its quantisation table
  Index width = 0, height = 0;                   ///< in samples
  Index columns = 0, rows = 0;                   ///< in blocks of 8 x 8, whole units of interleaved scans
  bool has_quantisation = false;                 ///< since its first scan
  std::array<std::uint16_t, 64> quantisation{};  ///< in natural order
  std::vector<std::int16_t> coefficients{};  ///< of all blocks, in natural order; of progressive frames only
  std::vector<std::uint8_t> samples{};       ///< rows of 8 * columns

  /// The inverse transform of a block, written to where it belongs.
  void transform(Index column, Index row, const std::int16_t* block);
};

/// The frame of a JPEG picture, and the tables that are in force.
struct JpegFrame {
  bool is_progressive = false;
  Index width = 0, height = 0;
  Index h = 1, v = 1;  ///< largest sampling factors
  std::vector<JpegComponent> components{};
  std::array<std::array<std::uint16_t, 64>, 4> quantisation{};
  std::array<bool, 4> has_quantisation{};
  std::array<JpegHuffman, 4> dc{}, ac{};
  unsigned restart_interval = 0;
};

/// What the header of a scan says.
struct JpegScan {
  struct Part {
    JpegComponent* component = nullptr;
    const JpegHuffman* dc = nullptr;
    const JpegHuffman* ac = nullptr;
  };
  std::vector<Part> parts{};
  int first = 0, last = 63;  ///< coefficients, in zigzag order
  int high = 0, low = 0;     ///< bits of successive approximation
};

/// Decodes the entropy-coded data of a scan, by Huffman codes, sequential or progressive (T.81, F.2.2 and
/// G.2), to samples or coefficients. Blocks that the data end before stay as they are. Returns what is wrong,
/// or nullptr.
const char* decode_scan(const JpegFrame& frame, const JpegScan& scan, JpegBits& bits);

}  // namespace daguerre
