#include "core/file_bytes.hpp"

#include <cerrno>
#include <cstdint>
#include <string>
#include <system_error>

#include "daguerre/core/error.hpp"

#if __has_include(<sys/mman.h>)
#define DAGUERRE_HAS_MMAP 1
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#define DAGUERRE_HAS_MMAP 0
#include <fstream>
#include <vector>
#endif

namespace daguerre {
namespace {

#if DAGUERRE_HAS_MMAP

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const noexcept { return value_; }

 private:
  int value_;
};

#endif

}  // namespace

void release_pages([[maybe_unused]] std::span<const std::byte> bytes) noexcept {
#if DAGUERRE_HAS_MMAP
  // Whole pages only: the ends are shared with the neighbours.
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto first = (reinterpret_cast<std::uintptr_t>(bytes.data()) + page - 1) / page * page;
  const auto last = reinterpret_cast<std::uintptr_t>(bytes.data() + bytes.size()) / page * page;
  if (first < last) ::madvise(reinterpret_cast<void*>(first), last - first, MADV_DONTNEED);
#endif
}

FileBytes map_file(const std::filesystem::path& path, std::string_view who) {
  const auto fail = [&](const std::string& what) -> FileError {
    return FileError(who, path.string() + ": " + what, path);
  };
  std::error_code error;
  // Asked before opening: opening a pipe would wait for its writer.
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw fail(error ? error.message() : "no such file");
  if (!std::filesystem::is_regular_file(status)) throw fail("not a regular file");

#if DAGUERRE_HAS_MMAP
  const auto system_error = [&] { return fail(std::generic_category().message(errno)); };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) throw system_error();
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw system_error();
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size == 0) return {};
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) throw system_error();
  std::shared_ptr<const void> owner(address, [size](void* mapped) { ::munmap(mapped, size); });
  return {std::move(owner), {static_cast<const std::byte*>(address), size}, true};
#else
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  if (!stream) throw fail("cannot be opened");
  const auto buffer = std::make_shared<std::vector<std::byte>>(static_cast<std::size_t>(stream.tellg()));
  stream.seekg(0);
  stream.read(reinterpret_cast<char*>(buffer->data()), static_cast<std::streamsize>(buffer->size()));
  if (!stream) throw fail("cannot be read");
  return {buffer, *buffer};
#endif
}

}  // namespace daguerre
