#include "media/jpeg_scan.hpp"

#include <algorithm>

namespace daguerre {
namespace {

class ScanDecoder {
 public:
  ScanDecoder(const JpegFrame& frame, const JpegScan& scan, JpegBits& bits)
      : frame_(frame), scan_(scan), bits_(bits), predictions_(scan.parts.size()) {}

  const char* run() {
    const bool interleaved = scan_.parts.size() > 1;
    const JpegComponent& only = *scan_.parts.front().component;
    const auto blocks = [](Index samples) { return (samples + 7) / 8; };
    const Index columns = interleaved ? only.columns / only.h : blocks(only.width);
    const Index rows = interleaved ? only.rows / only.v : blocks(only.height);
    unsigned until_restart = frame_.restart_interval;
    for (Index row = 0; row < rows; ++row)
      for (Index column = 0; column < columns; ++column) {
        if (frame_.restart_interval > 0 && until_restart-- == 0) {
          if (!bits_.restart()) return problem_;
          std::ranges::fill(predictions_, 0);
          zero_blocks_ = 0;
          until_restart = frame_.restart_interval - 1;
        }
        if (interleaved)
          decode_unit(column, row);
        else
          decode_block(0, column, row);
        if (problem_ != nullptr) return problem_;
        if (bits_.is_exhausted() && frame_.restart_interval == 0) return nullptr;
      }
    return nullptr;
  }

 private:
  void decode_unit(Index column, Index row) {
    for (std::size_t part = 0; part < scan_.parts.size(); ++part) {
      const JpegComponent& component = *scan_.parts[part].component;
      for (Index y = 0; y < component.v; ++y)
        for (Index x = 0; x < component.h; ++x)
          decode_block(part, column * component.h + x, row * component.v + y);
    }
  }

  void decode_block(std::size_t part, Index column, Index row) {
    JpegComponent& component = *scan_.parts[part].component;
    if (!frame_.is_progressive) {
      std::array<std::int16_t, 64> block{};
      sequential(part, block.data());
      component.transform(column, row, block.data());
      return;
    }
    std::int16_t* block = component.coefficients.data() + (row * component.columns + column) * 64;
    if (scan_.first == 0)
      first_coefficient(part, block);
    else if (scan_.high == 0)
      other_coefficients(*scan_.parts[part].ac, block);
    else
      refined_coefficients(*scan_.parts[part].ac, block);
  }

  int symbol(const JpegHuffman& table) {
    const int found = table.decode(bits_);
    if (found >= 0) return found;
    problem_ = "bits that are no Huffman code";
    return 0;
  }

  /// The difference to the last block's first coefficient.
  int next_prediction(std::size_t part) {
    const int size = symbol(*scan_.parts[part].dc);
    if (size > 15) problem_ = "a first coefficient of more than 15 bits";
    const int value = predictions_[part] + bits_.take_signed(static_cast<unsigned>(std::min(size, 15)));
    return predictions_[part] = static_cast<std::int16_t>(value);
  }

  void sequential(std::size_t part, std::int16_t* block) {
    block[0] = static_cast<std::int16_t>(next_prediction(part));
    for (int k = 1; k < 64; ++k) {
      const int code = symbol(*scan_.parts[part].ac), size = code & 15;
      if (size == 0 && code != 0xF0) return;
      k += code >> 4;
      if (size > 0 && !put(block, k, bits_.take_signed(static_cast<unsigned>(size)))) return;
    }
  }

  void first_coefficient(std::size_t part, std::int16_t* block) {
    if (scan_.high == 0)
      block[0] = static_cast<std::int16_t>(next_prediction(part) * (1 << scan_.low));
    else if (bits_.take(1) != 0)
      block[0] = static_cast<std::int16_t>(block[0] | 1 << scan_.low);
  }

  void other_coefficients(const JpegHuffman& table, std::int16_t* block) {
    if (zero_blocks_ > 0) {
      --zero_blocks_;
      return;
    }
    for (int k = scan_.first; k <= scan_.last; ++k) {
      const int code = symbol(table), run = code >> 4, size = code & 15;
      if (size == 0 && run < 15) {
        zero_blocks_ = run_of_blocks(run) - 1;
        return;
      }
      k += run;
      if (size > 0 && !put(block, k, bits_.take_signed(static_cast<unsigned>(size)) * (1 << scan_.low)))
        return;
    }
  }

  void refined_coefficients(const JpegHuffman& table, std::int16_t* block) {
    int k = scan_.first;
    for (; zero_blocks_ == 0 && k <= scan_.last; ++k) {
      const int code = symbol(table), size = code & 15;
      int run = code >> 4;
      if (problem_ != nullptr) return;
      if (size == 0 && run < 15) {
        zero_blocks_ = run_of_blocks(run);
        break;
      }
      const int value = size == 0 ? 0 : bits_.take(1) != 0 ? 1 << scan_.low : -(1 << scan_.low);
      for (; k <= scan_.last; ++k) {
        if (block[jpeg_natural_order[static_cast<std::size_t>(k)]] != 0)
          refine(block[jpeg_natural_order[static_cast<std::size_t>(k)]]);
        else if (run-- == 0)
          break;
      }
      if (value != 0 && !put(block, k, value)) return;
    }
    if (zero_blocks_ == 0) return;
    for (; k <= scan_.last; ++k) refine(block[jpeg_natural_order[static_cast<std::size_t>(k)]]);
    --zero_blocks_;
  }

  /// One bit more of a coefficient that is not zero.
  void refine(std::int16_t& value) {
    if (value == 0 || bits_.take(1) == 0) return;
    const int bit = 1 << scan_.low;
    if ((value & bit) == 0) value = static_cast<std::int16_t>(value > 0 ? value + bit : value - bit);
  }

  unsigned run_of_blocks(int size) { return (1u << size) + bits_.take(static_cast<unsigned>(size)); }

  bool put(std::int16_t* block, int k, int value) {
    if (k > 63) {
      problem_ = "more than 64 coefficients";
      return false;
    }
    block[jpeg_natural_order[static_cast<std::size_t>(k)]] = static_cast<std::int16_t>(value);
    return true;
  }

  const JpegFrame& frame_;
  const JpegScan& scan_;
  JpegBits& bits_;
  std::vector<int> predictions_;
  unsigned zero_blocks_ = 0;  ///< how many blocks to come get no further coefficients
  const char* problem_ = nullptr;
};

}  // namespace

const char* decode_scan(const JpegFrame& frame, const JpegScan& scan, JpegBits& bits) {
  return ScanDecoder(frame, scan, bits).run();
}

// The transform of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) in integers of 13 bits, columns first and
// two bits kept in between, is what the reference's decoder computes. Nothing is rounded within a pass, so
// each pass is the product with the matrix that its constants add up to.
void JpegComponent::transform(Index column, Index row, const std::int16_t* block) {
  constexpr int fraction = 13, kept = 2;
  using Eight = std::array<std::int64_t, 8>;
  const auto pass = [](const Eight& in, int shift) {
    const std::int64_t sum = (in[0] + in[4]) << fraction, difference = (in[0] - in[4]) << fraction;
    const std::int64_t outer = 10703 * in[2] + 4433 * in[6], inner = 4433 * in[2] - 10704 * in[6];
    const Eight even{sum + outer, difference + inner, difference - inner, sum - outer, 0, 0, 0, 0};
    const Eight odd{11363 * in[1] + 9633 * in[3] + 6437 * in[5] + 2260 * in[7],
                    9633 * in[1] - 2259 * in[3] - 11362 * in[5] - 6436 * in[7],
                    6437 * in[1] - 11362 * in[3] + 2261 * in[5] + 9633 * in[7],
                    2260 * in[1] - 6436 * in[3] + 9633 * in[5] - 11363 * in[7],
                    0,
                    0,
                    0,
                    0};
    const std::int64_t half = std::int64_t{1} << (shift - 1);
    Eight out;
    for (std::size_t i = 0; i < 4; ++i) {
      out[i] = (even[i] + odd[i] + half) >> shift;
      out[7 - i] = (even[i] - odd[i] + half) >> shift;
    }
    return out;
  };
  std::array<Eight, 8> values;  // [row][column]
  for (std::size_t x = 0; x < 8; ++x) {
    Eight in;
    for (std::size_t y = 0; y < 8; ++y) in[y] = std::int64_t{block[8 * y + x]} * quantisation[8 * y + x];
    const Eight out = pass(in, fraction - kept);
    for (std::size_t y = 0; y < 8; ++y) values[y][x] = out[y];
  }
  const Index stride = 8 * columns;
  std::uint8_t* to = samples.data() + 8 * row * stride + 8 * column;
  for (const Eight& line : values) {
    const Eight out = pass(line, fraction + kept + 3);
    for (std::size_t x = 0; x < 8; ++x)
      to[x] = static_cast<std::uint8_t>(std::clamp<std::int64_t>(out[x] + 128, 0, 255));
    to += stride;
  }
}

}  // namespace daguerre
