#include "text/gzip.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "text/vocabulary_files.hpp"

namespace daguerre::text {
namespace {

constexpr int longest_code = 15;
constexpr std::size_t header_size = 10, trailer_size = 8;

/// Reads bits, those of low value first.
class BitReader {
 public:
  BitReader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::uint32_t bits(int count) {
    while (filled_ < count) {
      if (place_ == bytes_.size()) malformed(source_, "the compressed data end early");
      buffer_ |= static_cast<std::uint32_t>(bytes_[place_++]) << filled_;
      filled_ += 8;
    }
    const std::uint32_t result = buffer_ & ((1u << count) - 1u);
    buffer_ >>= count;
    filled_ -= count;
    return result;
  }
  /// Leaves what is left of a byte.
  void align() {
    buffer_ = 0;
    filled_ = 0;
  }
  /// Bytes taken, the one that bits are left of included.
  std::size_t place() const noexcept { return place_; }
  const std::string& source() const noexcept { return source_; }

 private:
  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t place_ = 0;
  std::uint32_t buffer_ = 0;
  int filled_ = 0;
};

/// A prefix code, canonical: codes of one length follow one another, in the order of their symbols.
class PrefixCode {
 public:
  explicit PrefixCode(std::span<const std::uint8_t> lengths) {
    for (const auto length : lengths) ++counts_[length];
    counts_[0] = 0;
    std::array<std::size_t, longest_code + 2> first{};
    for (std::size_t i = 1; i <= longest_code; ++i) first[i + 1] = first[i] + counts_[i];
    symbols_.resize(lengths.size());
    for (std::size_t symbol = 0; symbol < lengths.size(); ++symbol)
      if (lengths[symbol] != 0) symbols_[first[lengths[symbol]]++] = static_cast<std::uint16_t>(symbol);
  }

  std::uint16_t read(BitReader& reader) const {
    int code = 0, first = 0, index = 0;
    for (std::size_t length = 1; length <= longest_code; ++length) {
      code |= static_cast<int>(reader.bits(1));
      const int count = counts_[length];
      if (code - first < count) return symbols_[static_cast<std::size_t>(index + code - first)];
      index += count;
      first = (first + count) << 1;
      code <<= 1;
    }
    malformed(reader.source(), "the compressed data have a code that means nothing");
  }

 private:
  std::array<int, longest_code + 1> counts_{};
  std::vector<std::uint16_t> symbols_;
};

struct Inflater {
  BitReader& reader;
  std::string& out;
  std::size_t limit;

  [[noreturn]] void fail(const std::string& problem) const { malformed(reader.source(), problem); }

  void put(char byte) const {
    if (out.size() == limit) fail("the text has more than " + std::to_string(limit) + " bytes");
    out.push_back(byte);
  }

  void stored() const {
    reader.align();
    const std::uint32_t length = reader.bits(16);
    if (reader.bits(16) != (length ^ 0xFFFFu)) fail("a stored block has a wrong length");
    for (std::uint32_t i = 0; i < length; ++i) put(static_cast<char>(reader.bits(8)));
  }

  void coded(const PrefixCode& letters, const PrefixCode& distances) const {
    static constexpr std::array<std::uint16_t, 29> length_base{3,  4,  5,  6,   7,   8,   9,   10,  11, 13,
                                                               15, 17, 19, 23,  27,  31,  35,  43,  51, 59,
                                                               67, 83, 99, 115, 131, 163, 195, 227, 258};
    static constexpr std::array<std::uint8_t, 29> length_bits{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                              2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    static constexpr std::array<std::uint16_t, 30> distance_base{
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    constexpr std::uint16_t end_of_block = 256;
    for (;;) {
      const std::uint16_t symbol = letters.read(reader);
      if (symbol < end_of_block) {
        put(static_cast<char>(symbol));
        continue;
      }
      if (symbol == end_of_block) return;
      const std::size_t which = symbol - 257u;
      if (which >= length_base.size()) fail("the compressed data have a length that there is not");
      std::size_t length = length_base[which] + reader.bits(length_bits[which]);
      const std::uint16_t far = distances.read(reader);
      if (far >= distance_base.size()) fail("the compressed data have a distance that there is not");
      const std::size_t distance = distance_base[far] + reader.bits(far < 4 ? 0 : far / 2 - 1);
      if (distance > out.size()) fail("the compressed data point before their beginning");
      for (; length > 0; --length) put(out[out.size() - distance]);
    }
  }

  void fixed() const {
    std::array<std::uint8_t, 288> letters{};
    std::fill(letters.begin(), letters.begin() + 144, std::uint8_t{8});
    std::fill(letters.begin() + 144, letters.begin() + 256, std::uint8_t{9});
    std::fill(letters.begin() + 256, letters.begin() + 280, std::uint8_t{7});
    std::fill(letters.begin() + 280, letters.end(), std::uint8_t{8});
    std::array<std::uint8_t, 30> distances{};
    distances.fill(5);
    coded(PrefixCode(letters), PrefixCode(distances));
  }

  void dynamic() const {
    static constexpr std::array<std::uint8_t, 19> order{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                        11, 4,  12, 3, 13, 2, 14, 1, 15};
    const std::size_t letters = reader.bits(5) + 257, distances = reader.bits(5) + 1;
    const std::size_t lengths = reader.bits(4) + 4;
    std::array<std::uint8_t, 19> code_lengths{};
    for (std::size_t i = 0; i < lengths; ++i)
      code_lengths[order[i]] = static_cast<std::uint8_t>(reader.bits(3));
    const PrefixCode code(code_lengths);
    std::vector<std::uint8_t> all;
    while (all.size() < letters + distances) {
      const std::uint16_t symbol = code.read(reader);
      if (symbol < 16) {
        all.push_back(static_cast<std::uint8_t>(symbol));
        continue;
      }
      if (symbol == 16 && all.empty()) fail("the compressed data repeat what is not there");
      const std::uint8_t repeated = symbol == 16 ? all.back() : std::uint8_t{0};
      const std::size_t count = symbol == 16   ? 3 + reader.bits(2)
                                : symbol == 17 ? 3 + reader.bits(3)
                                               : 11 + reader.bits(7);
      if (all.size() + count > letters + distances) fail("the compressed data have too many code lengths");
      all.insert(all.end(), count, repeated);
    }
    coded(PrefixCode(std::span(all).first(letters)), PrefixCode(std::span(all).subspan(letters)));
  }

  void run() const {
    for (bool last = false; !last;) {
      last = reader.bits(1) != 0;
      const std::uint32_t kind = reader.bits(2);
      if (kind == 0)
        stored();
      else if (kind == 1)
        fixed();
      else if (kind == 2)
        dynamic();
      else
        fail("the compressed data have a block of no kind that there is");
    }
  }
};

std::uint32_t checksum(const std::string& text) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1u ? 0xEDB88320u : 0u);
  }
  return ~crc;
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t result = 0;
  for (std::size_t i = 0; i < 4; ++i) result |= static_cast<std::uint32_t>(bytes[i]) << (8 * i);
  return result;
}

/// What follows the header: some fields of it are there or not.
std::span<const std::byte> behind_header(std::span<const std::byte> bytes, const std::string& source) {
  constexpr unsigned header_crc = 2, extra = 4, name = 8, comment = 16;
  if (bytes.size() < header_size + trailer_size || bytes[2] != std::byte{8})
    malformed(source, "this is no gzip file, or it ends early");
  const auto flags = std::to_integer<unsigned>(bytes[3]);
  std::size_t begin = header_size;
  const auto need = [&](std::size_t count) {
    if (bytes.size() - begin < count) malformed(source, "the gzip header ends early");
  };
  if (flags & extra) {
    need(2);
    begin += 2 + std::to_integer<std::size_t>(bytes[begin]) +
             (std::to_integer<std::size_t>(bytes[begin + 1]) << 8);
    if (begin > bytes.size()) malformed(source, "the gzip header ends early");
  }
  for (const unsigned text : {name, comment}) {
    if (!(flags & text)) continue;
    const auto end = std::find(bytes.begin() + static_cast<std::ptrdiff_t>(begin), bytes.end(), std::byte{});
    if (end == bytes.end()) malformed(source, "the gzip header ends early");
    begin = static_cast<std::size_t>(end - bytes.begin()) + 1;
  }
  if (flags & header_crc) {
    need(2);
    begin += 2;
  }
  return bytes.subspan(begin);
}

}  // namespace

bool is_gzip(std::span<const std::byte> bytes) noexcept {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

std::string gunzip(std::span<const std::byte> bytes, std::size_t limit, const std::string& source) {
  const auto data = behind_header(bytes, source);
  BitReader reader(data, source);
  std::string text;
  Inflater{reader, text, limit}.run();
  if (data.size() - reader.place() < trailer_size) malformed(source, "the compressed data end early");
  const auto trailer = data.subspan(reader.place());
  if (little_endian(trailer) != checksum(text) ||
      little_endian(trailer.subspan(4)) != static_cast<std::uint32_t>(text.size()))
    malformed(source, "the text's checksum or length is not the one that the file says");
  return text;
}

}  // namespace daguerre::text
