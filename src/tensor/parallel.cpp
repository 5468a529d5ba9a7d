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
#pragma omp parallel for num_threads(static_cast <int>(workers)) schedule(dynamic, 1)
  for (Index piece = 0; piece < pieces; ++piece) run(piece);
#else
  std::atomic<Index> next{0};
  const auto work = [&] {
    for (Index piece; (piece = next.fetch_add(1)) < pieces;) run(piece);
  };
  std::vector<std::jthread> helpers;
  for (Index i = 1; i < workers; ++i) helpers.emplace_back(work);
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
  omp_set_num_threads(std::max(threads, 1));
}
ThreadLimit::~ThreadLimit() {
  omp_set_num_threads(before_);
}
#else
ThreadLimit::ThreadLimit(int) noexcept : before_(0) {}
ThreadLimit::~ThreadLimit() = default;
#endif

}  // namespace daguerre
