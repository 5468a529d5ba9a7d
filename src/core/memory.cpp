#include "daguerre/core/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <mutex>
#include <new>
#include <set>
#include <utility>

#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
#define DAGUERRE_HAS_MMAP 1
#else
#define DAGUERRE_HAS_MMAP 0
#endif

namespace daguerre {
namespace {

constexpr std::align_val_t alignment{64};
constexpr std::size_t huge_page = std::size_t{2} << 20;

// Large blocks are mapped: the allocator behind operator new keeps some of them for itself, and what a model
// no longer needs is to go back to the system.
#if DAGUERRE_HAS_MMAP
constexpr std::size_t smallest_mapped = std::size_t{1} << 20;
#else
constexpr std::size_t smallest_mapped = std::numeric_limits<std::size_t>::max();
#endif

struct FreeBlock {
  std::size_t size = 0;
  void operator()(std::byte* block) const noexcept {
#if DAGUERRE_HAS_MMAP
    if (size >= smallest_mapped) {
      ::munmap(block, size);
      return;
    }
#endif
    ::operator delete(block, alignment);
  }
};
using Block = std::unique_ptr<std::byte, FreeBlock>;

Block new_block(std::size_t size) {
#if DAGUERRE_HAS_MMAP
  if (size >= smallest_mapped) {
    void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    return Block(static_cast<std::byte*>(mapped), FreeBlock{size});
  }
#endif
  return Block(static_cast<std::byte*>(::operator new(size, alignment)), FreeBlock{size});
}

/// A block for a pool, on huge pages where the system has them: pieces that are used again and again spread
/// over fewer entries of the page table, and lie in one piece in the caches. What is written once, as weights
/// are, gains nothing and is slower to come by.
Block new_slab(std::size_t size) {
#if DAGUERRE_HAS_MMAP && defined(MADV_HUGEPAGE)
  // The size decides how a block is freed, so a small one must not become part of a mapping.
  if (size < smallest_mapped) return new_block(size);
  // Aligned as huge pages are: more than enough is mapped, and the ends given back.
  auto block = new_block(size + huge_page);
  std::byte* const mapped = block.release();
  const auto misaligned = reinterpret_cast<std::uintptr_t>(mapped) % huge_page;
  const std::size_t before = misaligned == 0 ? 0 : huge_page - misaligned;
  if (before > 0) ::munmap(mapped, before);
  if (before < huge_page) ::munmap(mapped + before + size, huge_page - before);
  ::madvise(mapped + before, size, MADV_HUGEPAGE);  // a refusal changes nothing
  return Block(mapped + before, FreeBlock{size});
#else
  return new_block(size);
#endif
}

}  // namespace

std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes) {
  return new_block(bytes == 0 ? 1 : bytes);
}

/// Memory is taken from the system in slabs and handed out in pieces. Idle pieces that touch are one piece
/// again, so that the next large request finds room where many small ones were.
struct MemoryPool::State {
  struct Slab {
    Block block;
    std::size_t size;
  };
  std::mutex mutex;
  std::map<std::byte*, Slab> slabs;
  std::map<std::byte*, std::size_t> idle;                   // by address
  std::set<std::pair<std::size_t, std::byte*>> idle_sizes;  // the same, best fit first

  void add_idle(std::byte* begin, std::size_t size) {
    const auto next = idle.lower_bound(begin);
    if (next != idle.end() && begin + size == next->first && !slabs.contains(next->first)) {
      size += next->second;
      idle_sizes.erase({next->second, next->first});
      idle.erase(next);
    }
    const auto after = idle.lower_bound(begin);
    if (after != idle.begin() && !slabs.contains(begin)) {
      const auto previous = std::prev(after);
      if (previous->first + previous->second == begin) {
        idle_sizes.erase({previous->second, previous->first});
        begin = previous->first;
        size += previous->second;
        idle.erase(previous);
      }
    }
    idle.emplace(begin, size);
    idle_sizes.emplace(size, begin);
  }

  /// nullptr when no idle piece is large enough.
  std::byte* take_idle(std::size_t size) {
    const auto found = idle_sizes.lower_bound({size, nullptr});
    if (found == idle_sizes.end()) return nullptr;
    const auto [found_size, begin] = *found;
    idle_sizes.erase(found);
    idle.erase(begin);
    if (found_size > size) {
      idle.emplace(begin + size, found_size - size);
      idle_sizes.emplace(found_size - size, begin + size);
    }
    return begin;
  }

  void add_slab(std::size_t size) {
    auto block = new_slab(size);
    std::byte* const begin = block.get();
    slabs.emplace(begin, Slab{std::move(block), size});
    idle.emplace(begin, size);
    idle_sizes.emplace(size, begin);
  }

  void trim() {
    for (auto slab = slabs.begin(); slab != slabs.end();) {
      const auto piece = idle.find(slab->first);
      if (piece != idle.end() && piece->second == slab->second.size) {
        idle_sizes.erase({piece->second, piece->first});
        idle.erase(piece);
        slab = slabs.erase(slab);
      } else {
        ++slab;
      }
    }
  }
};

MemoryPool::MemoryPool() : state_(std::make_shared<State>()) {}

std::shared_ptr<std::byte> MemoryPool::allocate(std::size_t bytes) const {
  constexpr std::size_t granule = 4096, slab_size = 8 * huge_page;
  const std::size_t size = (bytes / granule + 1) * granule;
  std::byte* begin = nullptr;
  {
    const std::lock_guard lock(state_->mutex);
    begin = state_->take_idle(size);
    if (begin == nullptr) {
      // What lies idle in smaller slabs will find room in a large one.
      if (size > slab_size) state_->trim();
      try {
        state_->add_slab((std::max(size, slab_size) + huge_page - 1) / huge_page * huge_page);
      } catch (const std::bad_alloc&) {
        state_->trim();
        state_->add_slab(size);
      }
      begin = state_->take_idle(size);
    }
  }
  return std::shared_ptr<std::byte>(begin, [state = state_, size](std::byte* piece) {
    try {
      const std::lock_guard lock(state->mutex);
      state->add_idle(piece, size);
    } catch (...) {  // no room to remember it: it comes back with the pool's end
    }
  });
}

void MemoryPool::trim() const {
  const std::lock_guard lock(state_->mutex);
  state_->trim();
}

}  // namespace daguerre
