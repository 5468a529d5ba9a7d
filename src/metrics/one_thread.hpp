#pragma once

#ifdef _OPENMP
#include <omp.h>
#endif

namespace daguerre::metrics {

/// While it lives, Eigen's products of the calling thread start no threads of their own: pieces of a
/// `parallel_for` have theirs, and sums must not depend on how a product is shared out.
class OneThread {
 public:
#ifdef _OPENMP
  OneThread() noexcept : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~OneThread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }
#else
  OneThread() noexcept {}
#endif
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

#ifdef _OPENMP
 private:
  int before_;
#endif
};

}  // namespace daguerre::metrics
