#include "daguerre/core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#if __has_include(<unistd.h>)
#include <unistd.h>
#endif
#if __has_include(<pthread.h>) && __has_include(<signal.h>)
#include <pthread.h>
#include <signal.h>
#define DAGUERRE_HAS_SIGNAL_MASKS 1
#else
#define DAGUERRE_HAS_SIGNAL_MASKS 0
#endif

namespace daguerre {
namespace {

using Clock = std::chrono::steady_clock;

/// How long a thread looks for work, or for the end of it, before it sleeps: about what waking it would cost.
constexpr std::chrono::microseconds longest_spin{50};
/// A thread that spun in vain spins less the next time; one that found work does it in full again.
constexpr std::chrono::microseconds shortest_spin{3};

inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// Waits for `condition` for at most `time`, without sleeping; false when it did not come true.
template <class Condition>
bool spin_for(std::chrono::nanoseconds time, const Condition& condition) {
  const auto end = Clock::now() + time;
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (Clock::now() < end);
  return false;
}

/// While it lives, threads that this one starts take no signals: the host's handlers run in the host's
/// threads.
class SignalsBlocked {
 public:
#if DAGUERRE_HAS_SIGNAL_MASKS
  SignalsBlocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t before_;

 public:
#else
  SignalsBlocked() noexcept {}
#endif
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
};

/// Tells a process from its child: after a fork the child has none of the threads, and locks that one of them
/// held stay locked there for ever.
long this_process() noexcept {
#if __has_include(<unistd.h>)
  return static_cast<long>(::getpid());
#else
  return 0;
#endif
}

/// One call of parallel_for: lives on its caller's stack until no thread is inside.
struct Region {
  const RangeFunction& body;
  const Index count;
  const Index pieces;
  const int most_helpers;
  std::atomic<Index> next{0};    ///< piece not yet taken
  std::atomic<int> helpers{0};   ///< threads inside, changed under the pool's mutex
  std::exception_ptr exception;  ///< the first; under the pool's mutex
  Region* following = nullptr;   ///< in the pool's list

  Region(const RangeFunction& body, Index count, Index pieces, int most_helpers)
      : body(body), count(count), pieces(pieces), most_helpers(most_helpers) {}
  bool has_pieces() const noexcept { return next.load(std::memory_order_relaxed) < pieces; }
  bool wants_help() const noexcept {
    return has_pieces() && helpers.load(std::memory_order_relaxed) < most_helpers;
  }
};

}  // namespace

/// The threads behind a `Threads`, and the regions that want them.
class ThreadPool {
 public:
  explicit ThreadPool(int helpers) : wanted_(helpers) {}
  ~ThreadPool() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
      changes_.fetch_add(1, std::memory_order_relaxed);
    }
    work_.notify_all();
  }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  /// False in a child of the process that it was made in, where it may not be touched.
  bool is_usable() const noexcept { return process_ == this_process(); }

  void run(Region& region) {
    publish(region);
    work_on(region);
    std::unique_lock lock(mutex_);
    remove(region);  // from here on nobody begins
    if (region.helpers != 0) {
      lock.unlock();
      spin_for(longest_spin, [&] { return region.helpers.load(std::memory_order_acquire) == 0; });
      lock.lock();
      while (region.helpers != 0) done_.wait(lock);
    }
    if (region.exception) std::rethrow_exception(region.exception);
  }

 private:
  void publish(Region& region) {
    bool is_needed = false;
    {
      const std::lock_guard lock(mutex_);
      if (!is_started_) start();
      region.following = regions_;
      regions_ = &region;
      changes_.fetch_add(1, std::memory_order_release);
      is_needed = sleeping_ > 0;
    }
    if (!is_needed) return;
    if (region.most_helpers == 1)
      work_.notify_one();
    else
      work_.notify_all();
  }

  void remove(const Region& region) {
    Region** link = &regions_;
    while (*link != &region) link = &(*link)->following;
    *link = region.following;
  }

  /// Takes pieces until there are none left.
  void work_on(Region& region) noexcept {
    for (Index piece; (piece = region.next.fetch_add(1, std::memory_order_relaxed)) < region.pieces;) {
      try {
        region.body(region.count * piece / region.pieces, region.count * (piece + 1) / region.pieces);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!region.exception) region.exception = std::current_exception();
      }
    }
  }

  /// Under the mutex. Fewer threads where the system refuses more.
  void start() noexcept {
    is_started_ = true;
    const SignalsBlocked blocked;
    try {
      threads_.reserve(static_cast<std::size_t>(wanted_));
      while (threads_.size() < static_cast<std::size_t>(wanted_)) threads_.emplace_back([this] { help(); });
    } catch (...) {  // no memory, or a limit on threads: those there are must do
    }
  }

  Region* region_to_help() const noexcept {
    for (Region* region = regions_; region != nullptr; region = region->following)
      if (region->wants_help()) return region;
    return nullptr;
  }

  /// What a thread of the pool does all its life.
  void help() noexcept {
    auto spin = longest_spin;
    std::unique_lock lock(mutex_);
    while (!is_ending_) {
      if (Region* const region = region_to_help()) {
        region->helpers.fetch_add(1, std::memory_order_relaxed);
        lock.unlock();
        work_on(*region);
        lock.lock();
        if (region->helpers.fetch_sub(1, std::memory_order_release) == 1) done_.notify_all();
        continue;
      }
      const auto seen = changes_.load(std::memory_order_relaxed);
      lock.unlock();
      const bool has_changed =
          spin_for(spin, [&] { return changes_.load(std::memory_order_acquire) != seen; });
      lock.lock();
      if (has_changed) {
        spin = longest_spin;
        continue;
      }
      spin = std::max(spin / 2, shortest_spin);
      ++sleeping_;
      while (!is_ending_ && region_to_help() == nullptr) work_.wait(lock);
      --sleeping_;
    }
  }

  const int wanted_;
  const long process_ = this_process();
  std::mutex mutex_;
  std::condition_variable work_;  ///< there is a region, or the end
  std::condition_variable done_;  ///< a region's last helper has left
  std::atomic<unsigned> changes_{0};
  Region* regions_ = nullptr;  ///< newest first
  int sleeping_ = 0;
  bool is_started_ = false;
  bool is_ending_ = false;
  std::vector<std::jthread> threads_;
};

Threads::Threads(int count) : count_(std::max(count, 1)) {
  if (count_ == 1) return;
  // A child of fork leaves its copy alone: threads that are not there cannot be joined.
  pool_ = {std::make_unique<ThreadPool>(count_ - 1).release(), [](ThreadPool* pool) {
             if (pool->is_usable()) delete pool;
           }};
}

void parallel_for(const Threads& threads, Index count, Index grain, RangeFunction body) {
  if (count <= 0) return;
  const Index possible = std::max<Index>(count / std::max<Index>(grain, 1), 1);
  const auto workers = static_cast<int>(std::min<Index>(possible, threads.count()));
  if (workers == 1 || !threads.pool_->is_usable()) return body(0, count);
  // More pieces than workers: one that is held up by other programs leaves the rest to the others.
  Region region(body, count, std::min<Index>(possible, 8 * workers), workers - 1);
  threads.pool_->run(region);
}

}  // namespace daguerre
