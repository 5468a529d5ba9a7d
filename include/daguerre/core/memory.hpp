#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace daguerre {

/// Uninitialised memory, aligned to 64 bytes, freed when the last owner goes. Throws std::bad_alloc.
std::shared_ptr<std::byte> allocate_bytes(std::size_t bytes);

/// Bytes that this process may still take before the system has to give up what others need: what Linux calls
/// available, or less where control groups leave less. nullopt where the system does not tell.
std::optional<std::uint64_t> available_memory() noexcept;

/// Recycles the buffers of intermediate tensors: what a last tensor releases is handed to later requests,
/// split and joined as they need, instead of going back to the system, whose fresh pages cost more than the
/// arithmetic of a small layer. Thread-safe. Copies share one pool; its memory lives as long as any tensor in
/// it.
class MemoryPool {
 public:
  MemoryPool();

  /// At least `bytes` of uninitialised memory, aligned to 64 bytes. Throws std::bad_alloc.
  std::shared_ptr<std::byte> allocate(std::size_t bytes) const;

  /// Gives memory that no tensor uses back to the system.
  void trim() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace daguerre
