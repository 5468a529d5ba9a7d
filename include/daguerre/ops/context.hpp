#pragma once

#include <memory>
#include <stop_token>

#include "daguerre/core/parallel.hpp"
#include "daguerre/core/tensor.hpp"

namespace daguerre::ops {

class Engine;
class NormStatistics;
class Profile;

/// Where an engine keeps what it multiplies with. Packed: converted and laid out once, the fastest. Mapped:
/// as the sources have it, in a file's pages as a rule, and converted at each product, which takes the least
/// memory. Results are equal bit for bit. A file that is cut short while layers are mapped from it ends the
/// process (see weights::SafetensorsFile).
enum class WeightPlacement { packed, mapped };

/// Along which axes pictures are tiles that repeat: beyond its last column a picture goes on with its first.
struct Wrap {
  bool x = false;
  bool y = false;

  bool any() const noexcept { return x || y; }
};

/// What a computation runs with: the engine, the threads, the pool that intermediate tensors come from, the
/// caller's wish to stop, and what collects times. One per run; networks are `const` and take it as their
/// first argument. Layers are packed with one, too.
struct Context {
  std::shared_ptr<const Engine> engine;
  Threads threads;
  MemoryPool pool;
  std::stop_token stop;
  std::shared_ptr<Profile> profile;                     ///< nullptr: nothing is timed
  WeightPlacement placement = WeightPlacement::packed;  ///< of layers that are packed with this context
  /// Layers that are packed with this context may compute convolutions by minimal filtering, which rounds
  /// otherwise than sums of products do, by no more than 1e-6 of a layer's result. Off: to compare the two.
  bool minimal_filtering = true;
  /// What group norms take in the place of their own statistics, see ops/norm_statistics.hpp; nullptr:
  /// nothing.
  std::shared_ptr<NormStatistics> norm_statistics{};
  Wrap wrap{};  ///< what convolutions see beyond a picture's edges, in the place of zeros

  /// An uninitialised tensor from the pool.
  template <class T>
  Tensor<T> empty(const Shape& shape) const {
    return Tensor<T>(shape, pool);
  }
  /// Throws Cancelled when a stop was requested. Networks call it between blocks.
  void check_stop() const {
    if (stop.stop_requested()) throw Cancelled("daguerre", "stopped on request");
  }
};

}  // namespace daguerre::ops
