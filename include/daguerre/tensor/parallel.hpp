#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "daguerre/tensor/shape.hpp"

namespace daguerre {

/// A borrowed callable `void(Index begin, Index end)`; what it refers to must outlive the call.
class RangeFunction {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFunction>)
      RangeFunction(F&& function)  // NOLINT(google-explicit-constructor): made from lambdas at call sites
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(function)))),
        call_([](void* object, Index begin, Index end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}
  void operator()(Index begin, Index end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, Index, Index);
};

/// Calls `body(begin, end)` on pieces that together cover [0, count), on up to `threads` threads, and waits
/// for all. A piece has at least `grain` elements; which thread works on which is left open. The first
/// exception thrown by a piece reaches the caller. Where the system refuses threads, fewer do the work.
void parallel_for(int threads, Index count, Index grain, RangeFunction body);

/// The number of processors this process may run on; at least 1.
int available_threads() noexcept;

/// The number of threads that an OpenMP region opened by this thread would use: what ThreadLimit sets, or the
/// host's own setting. Without OpenMP, available_threads().
int current_thread_limit() noexcept;

/// While it lives, OpenMP regions that this thread opens (oneDNN's among them) use `threads` threads;
/// afterwards the thread's setting is as it was found. Other threads are not touched.
class ThreadLimit {
 public:
  /// Fewer where the system refuses threads.
  explicit ThreadLimit(int threads) noexcept;
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  int before_;
};

}  // namespace daguerre
