#pragma once

namespace daguerre {

/// The number of threads that work when nobody says how many, at least 1: what OMP_NUM_THREADS asks for (its
/// first number, held to OMP_THREAD_LIMIT), else the processors that this process may run on (its affinity),
/// but no more than its control groups' quotas of processor time (cgroup v1 and v2) pay for.
int available_threads() noexcept;

}  // namespace daguerre
