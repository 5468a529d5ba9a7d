#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "daguerre/core/processors.hpp"
#include "daguerre/core/shape.hpp"

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

class ThreadPool;

/// How many threads work on a computation, and the threads themselves: a handle whose copies share one pool.
/// The pool's threads are started by the first work that is worth dividing, and end with the last copy. They
/// wait for work spinning for some microseconds at most, then asleep, so that a program beside others takes
/// its share of the processors and no more.
class Threads {
 public:
  /// As many as `available_threads()`.
  Threads() : Threads(available_threads()) {}
  /// `count` threads, the caller among them; below 1 counts as 1.
  Threads(int count);  // NOLINT(google-explicit-constructor): a number of threads is what people write
  int count() const noexcept { return count_; }

 private:
  friend void parallel_for(const Threads& threads, Index count, Index grain, RangeFunction body);
  int count_;
  std::shared_ptr<ThreadPool> pool_;  ///< nullptr: the caller works alone
};

/// Calls `body(begin, end)` on pieces that together cover [0, count), on up to `threads.count()` threads, and
/// waits for all. The caller works, too, and waits for no thread that has not begun: when other programs hold
/// the processors it does all the work itself. A piece has at least `grain` elements; which thread works on
/// which is left open. The first exception thrown by a piece reaches the caller. Where the system refuses
/// threads, fewer do the work. May be called from many threads at once, and from within a piece.
void parallel_for(const Threads& threads, Index count, Index grain, RangeFunction body);

}  // namespace daguerre
