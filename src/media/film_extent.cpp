#include <algorithm>
#include <optional>

#include "media/film_file.hpp"

// Containers say how long they are: a file that ends before that was cut short. Read here, because
// libavformat takes what is left for a shorter film.

namespace daguerre {
namespace {

/// A file's bytes from its beginning on.
class ExtentReader {
 public:
  explicit ExtentReader(std::FILE* file) : file_(file) {
    std::fseek(file_, 0, SEEK_END);
    size_ = static_cast<std::uint64_t>(std::max(0L, std::ftell(file_)));
  }
  ExtentReader(const ExtentReader&) = delete;
  ExtentReader& operator=(const ExtentReader&) = delete;
  ~ExtentReader() { std::rewind(file_); }

  std::uint64_t size() const noexcept { return size_; }
  bool go_to(std::uint64_t position) {
    at_ = position;
    return position < size_ && std::fseek(file_, static_cast<long>(position), SEEK_SET) == 0;
  }
  std::uint64_t position() const noexcept { return at_; }
  /// Nothing behind the file's end.
  std::optional<unsigned> byte() {
    const int c = std::fgetc(file_);
    if (c == EOF) return std::nullopt;
    ++at_;
    return static_cast<unsigned>(c);
  }
  std::optional<std::uint64_t> number(int bytes, bool big_end_first) {
    std::uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) {
      const auto next = byte();
      if (!next) return std::nullopt;
      value = big_end_first ? value << 8 | *next : value | static_cast<std::uint64_t>(*next) << (8 * i);
    }
    return value;
  }

 private:
  std::FILE* file_;
  std::uint64_t size_ = 0, at_ = 0;
};

/// A part that stands behind others at a file's top level.
struct ContainerPart {
  std::uint64_t end = 0;
  bool is_known = true;  ///< false: as far as the file reaches, by its own word
};

/// An element's number of one to eight bytes, whose first bit that is set tells how many (RFC 8794, sec. 4).
struct EbmlNumber {
  std::uint64_t value = 0;
  bool is_unknown = false;  ///< all bits are set
};
std::optional<EbmlNumber> ebml_number(ExtentReader& file) {
  const auto first = file.byte();
  if (!first || *first == 0) return std::nullopt;
  int more = 0;
  while ((*first << more & 0x80) == 0) ++more;
  const unsigned mask = 0x7Fu >> more;
  EbmlNumber number{*first & mask, (*first & mask) == mask};
  for (int i = 0; i < more; ++i) {
    const auto next = file.byte();
    if (!next) return std::nullopt;
    number.value = number.value << 8 | *next;
    number.is_unknown = number.is_unknown && *next == 0xFF;
  }
  return number;
}

std::optional<ContainerPart> matroska_element(ExtentReader& file) {
  if (!ebml_number(file)) return std::nullopt;  // which one it is
  const auto size = ebml_number(file);
  if (!size) return std::nullopt;
  return ContainerPart{file.position() + size->value, !size->is_unknown};
}

/// A list "RIFF" of AVI's; those behind the first one go on with it.
std::optional<ContainerPart> avi_list(ExtentReader& file) {
  constexpr std::uint64_t riff = 0x46464952, unknown = 0xFFFFFFFF;
  const auto id = file.number(4, false), size = file.number(4, false);
  if (!id || !size || *id != riff) return std::nullopt;
  return ContainerPart{file.position() + *size, *size != 0 && *size != unknown};
}

/// A box of MP4's and QuickTime's (ISO/IEC 14496-12, sec. 4.2).
std::optional<ContainerPart> mov_box(ExtentReader& file) {
  const std::uint64_t begin = file.position();
  auto size = file.number(4, true);
  if (!size || !file.number(4, true)) return std::nullopt;
  if (*size == 0) return ContainerPart{0, false};
  if (*size == 1) size = file.number(8, true);
  if (!size || *size < 8) return std::nullopt;
  return ContainerPart{begin + *size, true};
}

}  // namespace

bool is_container_whole(std::FILE* opened, std::string_view demuxer) {
  using Next = std::optional<ContainerPart> (*)(ExtentReader&);
  const Next next = demuxer == "matroska" ? matroska_element
                    : demuxer == "avi"    ? avi_list
                    : demuxer == "mov"    ? mov_box
                                          : nullptr;
  ExtentReader file(opened);
  for (std::uint64_t at = 0; next != nullptr && file.go_to(at);) {
    // What stands behind the last part is none of its own; a part that grows with the file cannot tell.
    const auto part = next(file);
    if (!part || !part->is_known || part->end <= at) return true;
    if (part->end > file.size()) return false;
    at = part->end;
  }
  return true;
}

}  // namespace daguerre
