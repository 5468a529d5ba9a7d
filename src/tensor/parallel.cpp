#include "daguerre/tensor/parallel.hpp"

#include <algorithm>
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
  const Index pieces = std::clamp<Index>(count / std::max<Index>(grain, 1), 1, std::max(threads, 1));
  if (pieces == 1) return body(0, count);
  FirstException exception;
  const auto run = [&](Index piece) {
    exception.guard([&] { body(count * piece / pieces, count * (piece + 1) / pieces); });
  };
#ifdef _OPENMP
#pragma omp parallel for num_threads(static_cast <int>(pieces)) schedule(static, 1)
  for (Index piece = 0; piece < pieces; ++piece) run(piece);
#else
  std::vector<std::jthread> workers;
  for (Index piece = 1; piece < pieces; ++piece) workers.emplace_back([&run, piece] { run(piece); });
  run(0);
  workers.clear();
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
