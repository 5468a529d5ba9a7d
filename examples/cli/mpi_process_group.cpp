#include "mpi_process_group.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#if DAGUERRE_HAS_MPI
#include <mpi.h>
#endif
#if __has_include(<sched.h>)
#include <sched.h>
#endif

#include <daguerre/core/error.hpp>
#include <daguerre/core/processors.hpp>

namespace daguerre::cli {
namespace {

constexpr const char* mpi_name = "mpi";

int environment_number(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : std::atoi(text);
}

/// How many processes were started with this one, as far as the one who started them says: Open MPI's mpirun,
/// those of MPICH and Intel, Slurm's srun (whose variables a script of sbatch's does not have).
int announced_processes() {
  int count = 0;
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_NUM_TASKS"})
    count = std::max(count, environment_number(variable));
  return count;
}

#if DAGUERRE_HAS_MPI

/// Whether somebody is there whom MPI can ask for the other processes.
bool started_by_mpi() {
  const auto is_set = [](const char* variable) { return std::getenv(variable) != nullptr; };
  return is_set("OMPI_COMM_WORLD_SIZE") || is_set("PMIX_RANK") || is_set("PMI_RANK") || is_set("PMI_FD");
}

using Processors = std::vector<unsigned char>;  // one for each: 1 where a process may run on it

Processors own_processors() {
  constexpr std::size_t most = 1024;
  Processors result(most, 0);
#if defined(CPU_SETSIZE)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (std::size_t i = 0; i < std::min<std::size_t>(most, CPU_SETSIZE); ++i) result[i] = CPU_ISSET(i, &set);
#endif
  return result;
}

/// MPI's processes. MPI waits spinning, which takes from the others what they compute with, so that waiting
/// is done here: asking now and then, asleep in between. One thread at a time is in MPI.
class MpiProcesses : public evaluation::ProcessGroup {
 public:
  MpiProcesses() {
    int level = MPI_THREAD_SINGLE;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level);
    if (level < MPI_THREAD_SERIALIZED)
      throw Error(mpi_name, "the MPI library does not let threads call it (MPI_THREAD_SERIALIZED)");
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    find_threads();
  }

  ~MpiProcesses() override {
    barrier();  // who comes first waits asleep, not in MPI_Finalize
    MPI_Finalize();
  }
  MpiProcesses(const MpiProcesses&) = delete;
  MpiProcesses& operator=(const MpiProcesses&) = delete;

  int rank() const noexcept override { return rank_; }
  int size() const noexcept override { return size_; }
  int size_here() const noexcept override { return size_here_; }
  int threads() const noexcept override { return threads_; }

  void share_out(Index count, const std::function<void(Index)>& work) override {
    if (rank_ == 0) {
      Counter counter{.count = count};
      // A thread of its own answers the others, so that they do not wait while this one works.
      std::jthread server([&](const std::stop_token& stop) { serve(counter, stop); });
      for (Index i = 0; (i = counter.take()) >= 0;) work(i);  // what it throws stops the server
      server.join();                                          // all have been told that there is no more
    } else {
      for (Index i = 0; (i = ask()) >= 0;) work(i);
    }
    barrier();
  }

  void barrier() override {
    MPI_Request request;
    locked([&] { MPI_Ibarrier(MPI_COMM_WORLD, &request); });
    wait(request);
  }

  std::string broadcast(std::string text) override {
    std::uint64_t size = text.size();
    broadcast(&size, sizeof size);
    text.resize(static_cast<std::size_t>(size));
    constexpr std::size_t most = 1 << 30;  // MPI counts in ints
    for (std::size_t at = 0; at < text.size(); at += most)
      broadcast(text.data() + at, std::min(most, text.size() - at));
    return text;
  }

 private:
  enum Tag { request_tag = 1, answer_tag = 2 };

  /// What is left to be taken; -1: nothing.
  struct Counter {
    Index count = 0, next = 0;
    std::mutex mutex{};
    Index take() {
      const std::lock_guard lock(mutex);
      return next < count ? next++ : -1;
    }
  };

  template <class F>
  void locked(const F& f) {
    const std::lock_guard lock(mutex_);
    f();
  }

  void wait(MPI_Request& request) {
    using std::chrono::microseconds;
    auto pause = microseconds(20);
    while (true) {
      int done = 0;
      locked([&] { MPI_Test(&request, &done, MPI_STATUS_IGNORE); });
      if (done != 0) return;
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, microseconds(2000));
    }
  }

  void broadcast(void* bytes, std::size_t size) {
    MPI_Request request;
    locked([&] { MPI_Ibcast(bytes, static_cast<int>(size), MPI_BYTE, 0, MPI_COMM_WORLD, &request); });
    wait(request);
  }

  /// Hands out numbers to the other processes until each of them knows that there are no more, or, where this
  /// one failed, until it is stopped.
  void serve(Counter& counter, const std::stop_token& stop) {
    for (int left = size_ - 1; left > 0;) {
      if (stop.stop_requested()) return;
      int found = 0;
      locked([&] {
        MPI_Status status;
        MPI_Iprobe(MPI_ANY_SOURCE, request_tag, MPI_COMM_WORLD, &found, &status);
        if (found == 0) return;
        MPI_Recv(nullptr, 0, MPI_BYTE, status.MPI_SOURCE, request_tag, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        const std::int64_t answer = counter.take();
        if (answer < 0) --left;
        MPI_Send(&answer, 1, MPI_INT64_T, status.MPI_SOURCE, answer_tag,
                 MPI_COMM_WORLD);  // small: kept by MPI
      });
      if (found == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  Index ask() {
    std::int64_t answer = -1;
    MPI_Request request;
    locked([&] {
      MPI_Irecv(&answer, 1, MPI_INT64_T, 0, answer_tag, MPI_COMM_WORLD, &request);
      MPI_Send(nullptr, 0, MPI_BYTE, 0, request_tag, MPI_COMM_WORLD);
    });
    wait(request);
    return answer;
  }

  /// mpirun may have given each process processors of its own, or all of them the same: what several may use
  /// is divided.
  void find_threads() {
    MPI_Comm here = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &here);
    MPI_Comm_size(here, &size_here_);
    const auto own = own_processors();
    std::vector<unsigned char> all(own.size() * static_cast<std::size_t>(size_here_));
    const int bytes = static_cast<int>(own.size());
    MPI_Allgather(own.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, here);
    MPI_Comm_free(&here);
    int processors = 0, sharing = 0;
    for (const auto mine : own) processors += mine;
    for (std::size_t process = 0; process < static_cast<std::size_t>(size_here_); ++process) {
      bool shares = processors == 0;
      for (std::size_t i = 0; i < own.size(); ++i) shares |= (own[i] & all[process * own.size() + i]) != 0;
      sharing += shares;
    }
    threads_ = available_threads();
    if (std::getenv("OMP_NUM_THREADS") != nullptr) return;  // said for each process
    const bool has_quota = threads_ < processors;           // which all processes of a machine share
    threads_ = std::max(1, threads_ / std::max(1, has_quota ? size_here_ : sharing));
  }

  int rank_ = 0, size_ = 1, size_here_ = 1, threads_ = 1;
  std::mutex mutex_;
};

#endif

}  // namespace

std::unique_ptr<evaluation::ProcessGroup> started_processes() {
  const int announced = announced_processes();
#if DAGUERRE_HAS_MPI
  if (started_by_mpi()) {
    auto group = std::make_unique<MpiProcesses>();
    if (group->size() < announced)
      throw Error(mpi_name, std::to_string(announced) + " processes were started, of which MPI finds " +
                                std::to_string(group->size()) +
                                ": take the mpirun of the MPI that this program was built with");
    return group;
  }
  if (announced > 1)
    throw Error(mpi_name,
                std::to_string(announced) +
                    " processes were started that know nothing of each other; srun needs --mpi=pmix");
#else
  if (announced > 1)
    throw Error(mpi_name, std::to_string(announced) +
                              " processes were started, but this program was built without MPI "
                              "(DAGUERRE_WITH_MPI)");
#endif
  return evaluation::alone();
}

void end_all([[maybe_unused]] evaluation::ProcessGroup& group, [[maybe_unused]] int status) {
#if DAGUERRE_HAS_MPI
  if (group.size() > 1) MPI_Abort(MPI_COMM_WORLD, status);
#endif
}

}  // namespace daguerre::cli
