#include "ops/headroom.hpp"

#include <new>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#define DAGUERRE_HAS_MMAP 1
#else
#define DAGUERRE_HAS_MMAP 0
#endif

namespace daguerre::ops {

void require_headroom([[maybe_unused]] std::size_t bytes) {
#if DAGUERRE_HAS_MMAP
  void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  ::munmap(mapped, bytes);
#endif
}

}  // namespace daguerre::ops
