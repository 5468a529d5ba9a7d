#pragma once

#include <cstddef>
#include <memory>

namespace daguerre {

/// Uninitialised memory, aligned to 64 bytes, freed when the last owner goes. Throws std::bad_alloc.
std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes);

/// Recycles the buffers of intermediate tensors: a block that its last tensor releases is handed to the next
/// request of about that size instead of going back to the system, whose fresh pages cost more than the
/// arithmetic of a small layer. Thread-safe. Copies share one pool; blocks outlive it safely.
class MemoryPool {
 public:
  MemoryPool();

  /// At least `bytes` of uninitialised memory, aligned to 64 bytes. Throws std::bad_alloc.
  std::shared_ptr<std::byte> allocate(std::size_t bytes) const;

  /// Gives every idle block back to the system.
  void trim() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace daguerre
