#include "daguerre/tensor/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace daguerre {
namespace {

/// Keeps the first exception of a parallel region, which must not leave it by itself.
class FirstException {
 public:
  template <class F>
  void guard(F&& action) noexcept {
    try {
      action();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!first_) first_ = std::current_exception();
    }
  }
  void rethrow() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

/// Starts up to `count` threads that do `work`, fewer where the system refuses more, and returns how many
/// there are.
template <class Work>
std::size_t start_threads(std::vector<std::jthread>& threads, std::size_t count, const Work& work) noexcept {
  try {
    threads.reserve(count);
    while (threads.size() < count) threads.emplace_back(work);
  } catch (...) {  // no memory, or a limit on threads: those there are must do
  }
  return threads.size();
}

#ifdef _OPENMP
/// How many threads, of `wanted`, an OpenMP region of the calling thread can have. OpenMP's library ends the
/// process when it cannot start one, so as many are started here before a team grows; the system keeps their
/// stacks for the next ones.
int possible_threads(int wanted) noexcept {
  static thread_local int proven = 1;
  if (wanted <= proven) return wanted;
  std::atomic<bool> done = false;
  std::vector<std::jthread> threads;
  const auto started =
      start_threads(threads, static_cast<std::size_t>(wanted - 1), [&] { done.wait(false); });
  done = true;
  done.notify_all();
  return proven = static_cast<int>(started) + 1;
}
#endif

}  // namespace

void parallel_for(int threads, Index count, Index grain, RangeFunction body) {
  if (count <= 0) return;
  const Index possible = std::max<Index>(count / std::max<Index>(grain, 1), 1);
  const Index workers = std::clamp<Index>(possible, 1, std::max(threads, 1));
  if (workers == 1) return body(0, count);
  // More pieces than workers: one that is held up by other programs leaves the rest to the others.
  const Index pieces = std::min(possible, 8 * workers);
  FirstException exception;
  const auto run = [&](Index piece) {
    exception.guard([&] { body(count * piece / pieces, count * (piece + 1) / pieces); });
  };
#ifdef _OPENMP
  // Always all of them: teams of changing size would end threads and start new ones.
  const int team = possible_threads(threads);
#pragma omp parallel for num_threads(team) schedule(dynamic, 1)
  for (Index piece = 0; piece < pieces; ++piece) run(piece);
#else
  std::atomic<Index> next{0};
  const auto work = [&] {
    for (Index piece; (piece = next.fetch_add(1)) < pieces;) run(piece);
  };
  std::vector<std::jthread> helpers;
  start_threads(helpers, static_cast<std::size_t>(workers - 1), work);
  work();
  helpers.clear();
#endif
  exception.rethrow();
}

int available_threads() noexcept {
#ifdef _OPENMP
  return std::max(1, omp_get_num_procs());
#else
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
#endif
}

int current_thread_limit() noexcept {
#ifdef _OPENMP
  return std::max(1, omp_get_max_threads());
#else
  return available_threads();
#endif
}

#ifdef _OPENMP
ThreadLimit::ThreadLimit(int threads) noexcept : before_(omp_get_max_threads()) {
  omp_set_num_threads(possible_threads(std::max(threads, 1)));
}
ThreadLimit::~ThreadLimit() {
  omp_set_num_threads(before_);
}
#else
ThreadLimit::ThreadLimit(int) noexcept : before_(0) {}
ThreadLimit::~ThreadLimit() = default;
#endif

}  // namespace daguerre
