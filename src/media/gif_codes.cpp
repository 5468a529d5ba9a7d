#include "media/gif_codes.hpp"

#include <algorithm>
#include <array>

namespace daguerre {
namespace {

constexpr int gif_code_bits = 12;

/// Takes codes out of blocks of bytes and expands them to `room` (LZW with codes that grow).
class GifDecoder {
 public:
  GifDecoder(const PictureFile& file, std::string_view data) : file_(file), data_(data) {}

  void expand(std::span<std::uint8_t> room) {
    const unsigned start_bits = byte();
    if (start_bits < 1 || start_bits > 8)
      throw file_.error("cannot be decoded: a GIF picture of " + std::to_string(start_bits) + " bits");
    const unsigned clear = 1u << start_bits, end = clear + 1;
    unsigned bits = start_bits + 1, next = end + 1;
    unsigned before = table_size;  // no code
    std::uint8_t first = 0;        // of what the code before stands for
    for (std::size_t done = 0; done < room.size();) {
      const unsigned code = take(bits);
      if (code == end) return;
      if (code == clear) {
        bits = start_bits + 1;
        next = end + 1;
        before = table_size;
        continue;
      }
      if (before != table_size ? code > next || (code == next && next >= table_size) : code >= clear)
        throw file_.error("cannot be decoded: a GIF code that stands for nothing");
      // What a code stands for is found from its end.
      std::size_t length = 0;
      if (code == next) stack_[length++] = first;
      for (unsigned at = code == next ? before : code;; at = prefix_[at]) {
        stack_[length++] = at < clear ? static_cast<std::uint8_t>(at) : suffix_[at];
        if (at < clear) break;
      }
      first = stack_[length - 1];
      while (length > 0 && done < room.size()) room[done++] = stack_[--length];
      if (before != table_size && next < table_size) {
        prefix_[next] = static_cast<std::uint16_t>(before);
        suffix_[next++] = first;
        if (next == 1u << bits && bits < gif_code_bits) ++bits;
      }
      before = code;
    }
  }

 private:
  static constexpr unsigned table_size = 1u << gif_code_bits;

  unsigned byte() {
    if (data_.empty()) throw file_.error("cannot be decoded: the GIF picture is cut short");
    const auto value = static_cast<unsigned char>(data_.front());
    data_.remove_prefix(1);
    return value;
  }

  unsigned take(unsigned bits) {
    while (bits_left_ < bits) {
      while (in_block_ == 0) {
        in_block_ = byte();
        if (in_block_ == 0) throw file_.error("cannot be decoded: the GIF picture is cut short");
      }
      --in_block_;
      buffer_ |= byte() << bits_left_;
      bits_left_ += 8;
    }
    const unsigned code = buffer_ & ((1u << bits) - 1);
    buffer_ >>= bits;
    bits_left_ -= bits;
    return code;
  }

  const PictureFile& file_;
  std::string_view data_;
  unsigned in_block_ = 0, buffer_ = 0, bits_left_ = 0;
  std::array<std::uint16_t, table_size> prefix_{};
  std::array<std::uint8_t, table_size> suffix_{};
  std::array<std::uint8_t, table_size + 1> stack_{};
};

/// Puts codes into blocks of bytes.
class GifBlocks {
 public:
  explicit GifBlocks(std::string& out) : out_(out) {}

  void put(unsigned code, int bits) {
    buffer_ |= code << count_;
    for (count_ += bits; count_ >= 8; count_ -= 8, buffer_ >>= 8) put_byte(buffer_ & 0xFF);
  }
  void finish() {
    if (count_ > 0) put_byte(buffer_ & 0xFF);
    end_block();
    out_ += '\0';
  }

 private:
  void put_byte(unsigned byte) {
    block_ += static_cast<char>(byte);
    if (block_.size() == 255) end_block();
  }
  void end_block() {
    if (block_.empty()) return;
    out_ += static_cast<char>(block_.size());
    out_ += block_;
    block_.clear();
  }

  std::string& out_;
  std::string block_;
  std::uint32_t buffer_ = 0;
  int count_ = 0;
};

/// The codes of strings of pixels, found by the code of all but the last pixel and that pixel.
class GifStrings {
 public:
  void clear() { keys_.fill(0); }
  /// Where the string's code is, 0 where it has none yet.
  std::uint16_t& code_of(unsigned prefix, unsigned pixel) {
    const std::uint32_t key = (prefix << 8 | pixel) + 1;
    std::size_t at = (key * 2654435761u) >> 19;  // 13 bits
    while (keys_[at] != 0 && keys_[at] != key) at = (at + 1) % keys_.size();
    if (keys_[at] == 0) codes_[at] = 0;
    keys_[at] = key;
    return codes_[at];
  }

 private:
  std::array<std::uint32_t, 8192> keys_{};
  std::array<std::uint16_t, 8192> codes_{};
};

}  // namespace

void expand_gif_codes(const PictureFile& file, std::string_view data, std::span<std::uint8_t> room) {
  GifDecoder(file, data).expand(room);
}

std::string gif_codes(std::span<const std::uint8_t> pixels, int bits) {
  constexpr unsigned all = 1u << gif_code_bits;
  const unsigned clear = 1u << bits, end = clear + 1;
  std::string out(1, static_cast<char>(bits));
  GifBlocks blocks(out);
  GifStrings strings;
  int width = bits + 1;
  unsigned next = end + 1;
  blocks.put(clear, width);
  unsigned prefix = pixels.front();
  for (const std::uint8_t pixel : pixels.subspan(1)) {
    auto& code = strings.code_of(prefix, pixel);
    if (code != 0) {
      prefix = code;
      continue;
    }
    blocks.put(prefix, width);
    code = static_cast<std::uint16_t>(next);
    // The reader enters a string one code later.
    if (next == 1u << width && width < gif_code_bits) ++width;
    if (++next == all) {
      blocks.put(clear, width);
      strings.clear();
      width = bits + 1;
      next = end + 1;
    }
    prefix = pixel;
  }
  blocks.put(prefix, width);
  if (next == 1u << width && width < gif_code_bits) ++width;
  blocks.put(end, width);
  blocks.finish();
  return out;
}

std::vector<Index> gif_rows(Index height, bool is_interlaced) {
  std::vector<Index> rows;
  constexpr std::array<std::array<Index, 2>, 4> passes{{{0, 8}, {4, 8}, {2, 4}, {1, 2}}};
  for (const auto& pass : passes) {
    if (!is_interlaced) break;
    for (Index row = pass[0]; row < height; row += pass[1]) rows.push_back(row);
  }
  for (Index row = 0; !is_interlaced && row < height; ++row) rows.push_back(row);
  return rows;
}

}  // namespace daguerre
