#include "daguerre/tensor/memory.hpp"

#include <map>
#include <mutex>
#include <new>

namespace daguerre {
namespace {

constexpr std::align_val_t alignment{64};

struct AlignedDelete {
  void operator()(std::byte* block) const noexcept { ::operator delete(block, alignment); }
};
using Block = std::unique_ptr<std::byte, AlignedDelete>;

Block new_block(std::size_t bytes) {
  return Block(static_cast<std::byte*>(::operator new(bytes, alignment)));
}

}  // namespace

std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes) {
  return new_block(bytes == 0 ? 1 : bytes);
}

struct MemoryPool::State {
  std::mutex mutex;
  std::multimap<std::size_t, Block> idle;  // by capacity
};

MemoryPool::MemoryPool() : state_(std::make_shared<State>()) {}

std::shared_ptr<std::byte> MemoryPool::allocate(std::size_t bytes) const {
  constexpr std::size_t granule = 4096;
  std::size_t capacity = (bytes / granule + 1) * granule;
  Block block;
  {
    const std::lock_guard lock(state_->mutex);
    // A block up to a quarter larger is reused; beyond that, small tensors would pin large blocks.
    const auto found = state_->idle.lower_bound(capacity);
    if (found != state_->idle.end() && found->first - capacity <= capacity / 4) {
      capacity = found->first;
      block = std::move(found->second);
      state_->idle.erase(found);
    }
  }
  if (!block) block = new_block(capacity);
  auto give_back = [state = state_, capacity](std::byte* raw) {
    Block returned(raw);
    try {
      const std::lock_guard lock(state->mutex);
      state->idle.emplace(capacity, std::move(returned));
    } catch (...) {  // no room to remember it: freed instead
    }
  };
  std::byte* raw = block.release();
  return std::shared_ptr<std::byte>(raw, std::move(give_back));
}

void MemoryPool::trim() const {
  const std::lock_guard lock(state_->mutex);
  state_->idle.clear();
}

}  // namespace daguerre
