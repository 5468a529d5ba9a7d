#include "stb.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "daguerre/core/error.hpp"

namespace {

// No single buffer of a permitted picture comes near this.
constexpr std::size_t largest_allocation = std::size_t{1} << 30;
// A compressed file may hold far more than its picture needs, so the limit follows the picture's size. stb's
// allocator takes no argument that could carry it; the thread that decodes sets it and sets it back.
thread_local std::size_t allocation_limit = largest_allocation;

class AllocationLimit {
 public:
  explicit AllocationLimit(std::size_t bytes) { allocation_limit = std::min(bytes, largest_allocation); }
  AllocationLimit(const AllocationLimit&) = delete;
  AllocationLimit& operator=(const AllocationLimit&) = delete;
  ~AllocationLimit() { allocation_limit = largest_allocation; }
};

// Zeroed: a malformed file must not show what was in memory before.
void* stb_allocate(std::size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::calloc(bytes != 0 ? bytes : 1, 1);
}

void* stb_reallocate(void* memory, std::size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::realloc(memory, bytes);
}

// stb's own checks must not end the host program.
void stb_check(bool holds) {
  if (!holds) throw daguerre::FormatError("image", "the decoder's own check failed");
}

void stb_write_check(bool holds) {
  if (!holds) throw std::bad_alloc();
}

// stb copies nothing to nowhere when a chunk is empty, which memcpy does not permit.
void* stb_copy(void* to, const void* from, std::size_t bytes) {
  return bytes == 0 ? to : std::memcpy(to, from, bytes);
}

}  // namespace

#define memcpy(to, from, bytes) stb_copy(to, from, bytes)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_ONLY_PNG
#define STBI_MALLOC(size) stb_allocate(size)
#define STBI_REALLOC(memory, size) stb_reallocate(memory, size)
#define STBI_FREE(memory) std::free(memory)
#define STBI_ASSERT(condition) stb_check(condition)
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STBI_WRITE_NO_STDIO
#define STBIW_ASSERT(condition) stb_write_check(condition)
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#endif
#include <stb_image.h>
#include <stb_image_write.h>
#undef memcpy
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

namespace daguerre::stb {
namespace {

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Buffer = std::unique_ptr<T, Free>;

const stbi_uc* as_uc(std::span<const std::byte> bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}

std::string failure() {
  const std::string reason = stbi_failure_reason();
  // It begins with the four bytes that name the chunk, whatever they are.
  if (reason.empty() || reason.ends_with("PNG chunk not known")) return "a PNG chunk that is not known";
  return reason;
}

}  // namespace

std::string decode_png(std::span<const std::byte> file, Index width, Index height, int channels, Depth depth,
                       const std::function<std::span<std::uint8_t>()>& pixels) {
  // Four channels of 16 bits, twice as much where a buffer grows by doubling, and as much again. What is
  // fixed in size is below 64 KiB.
  const AllocationLimit limit((std::size_t{64} << 10) + std::size_t{32} *
                                                            static_cast<std::size_t>(width + 64) *
                                                            static_cast<std::size_t>(height + 64));
  int found_width = 0, found_height = 0, file_channels = 0;
  const auto decoded_by = [&](auto load) {
    return load(as_uc(file), static_cast<int>(file.size()), &found_width, &found_height, &file_channels,
                channels);
  };
  Buffer<stbi_uc> narrow;
  Buffer<stbi_us> wide;
  if (depth == Depth::upper_8)
    narrow.reset(decoded_by(stbi_load_from_memory));
  else
    wide.reset(decoded_by(stbi_load_16_from_memory));
  if (!narrow && !wide) return failure();
  const Index size = checked_multiply(checked_multiply(found_width, found_height), channels);
  const auto room = pixels();
  if (size != static_cast<Index>(room.size())) return "the size in the header is not that of the picture";
  if (narrow) {
    std::memcpy(room.data(), narrow.get(), room.size());
    return {};
  }
  for (std::size_t i = 0; i < room.size(); ++i) {
    const bool is_alpha = channels == 4 && i % 4 == 3;
    const unsigned value = wide.get()[i];
    room[i] = static_cast<std::uint8_t>(is_alpha ? value >> 8 : std::min(value, 255u));
  }
  return {};
}

std::vector<std::byte> encode_png(std::span<const std::uint8_t> pixels, Index width, Index height,
                                  Index channels) {
  int size = 0;
  const Buffer<unsigned char> png(stbi_write_png_to_mem(pixels.data(), static_cast<int>(width * channels),
                                                        static_cast<int>(width), static_cast<int>(height),
                                                        static_cast<int>(channels), &size));
  if (!png) throw std::bad_alloc();
  const auto* bytes = reinterpret_cast<const std::byte*>(png.get());
  return {bytes, bytes + size};
}

std::optional<std::size_t> inflate(std::span<const std::byte> zlib, std::span<char> out) {
  const int size =
      stbi_zlib_decode_buffer(out.data(), static_cast<int>(out.size()),
                              reinterpret_cast<const char*>(zlib.data()), static_cast<int>(zlib.size()));
  return size < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(size));
}

std::optional<std::size_t> inflate_raw(std::span<const std::byte> deflated, std::span<char> out) {
  // stb looks ahead by more bits than the last symbol has, and a raw stream may end with it.
  constexpr std::size_t ahead = 4;
  std::vector<char> padded(deflated.size() + ahead);
  std::memcpy(padded.data(), deflated.data(), deflated.size());
  const int size = stbi_zlib_decode_noheader_buffer(out.data(), static_cast<int>(out.size()), padded.data(),
                                                    static_cast<int>(padded.size()));
  return size < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(size));
}

}  // namespace daguerre::stb
