#include "daguerre/core/parallel.hpp"

#include <atomic>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/processors.hpp"
#include "support/catch.hpp"

#if __has_include(<sched.h>) && __has_include(<sys/resource.h>) && __has_include(<signal.h>)
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#define DAGUERRE_TEST_ON_POSIX 1
#endif

using namespace daguerre;

TEST_CASE("pieces cover a range once", "[tensor][parallel]") {
  for (const int count : {1, 2, 3, 8}) {
    const Threads threads(count);
    CHECK(threads.count() == count);
    for (const Index size : {0, 1, 2, 7, 64, 1000, 4097})
      for (const Index grain : {0, 1, 3, 100, 5000}) {
        std::vector<std::atomic<int>> visits(static_cast<std::size_t>(size));
        std::atomic<bool> is_fine{true};
        parallel_for(threads, size, grain, [&](Index begin, Index end) {
          if (begin >= end || (end - begin < grain && !(begin == 0 && end == size))) is_fine = false;
          for (Index i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        INFO(count << " threads, " << size << " elements, grain " << grain);
        CHECK(is_fine);
        CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& n) { return n == 1; }));
      }
  }
}

TEST_CASE("a number of threads below one is one", "[tensor][parallel]") {
  CHECK(Threads(0).count() == 1);
  CHECK(Threads(-3).count() == 1);
  CHECK(Threads().count() == available_threads());
}

TEST_CASE("what a piece throws reaches the caller, and the threads serve on", "[tensor][parallel]") {
  const Threads threads(3);
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> done{0};
    CHECK_THROWS_AS(parallel_for(threads, 24, 1,
                                 [&](Index begin, Index) {
                                   if (begin == 5 || begin == 20) throw std::out_of_range("piece");
                                   ++done;
                                 }),
                    std::out_of_range);
    CHECK(done == 22);  // the other pieces are done all the same
    std::atomic<Index> sum{0};
    parallel_for(threads, 100, 1, [&](Index begin, Index end) { sum += end - begin; });
    CHECK(sum == 100);
  }
}

TEST_CASE("several threads work, when there is something to do", "[tensor][parallel]") {
  const Threads threads(2);
  std::atomic<int> inside{0};
  std::atomic<bool> has_met{false};
  // Each piece waits for another thread to be inside, too; only a second thread can end that.
  parallel_for(threads, 2, 1, [&](Index, Index) {
    ++inside;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (inside < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    if (inside == 2) has_met = true;
  });
  CHECK(has_met);
}

TEST_CASE("one pool serves many callers, and calls from within a piece", "[tensor][parallel]") {
  const Threads threads(3);
  std::atomic<Index> total{0};
  {
    std::vector<std::jthread> callers;
    for (int caller = 0; caller < 6; ++caller)
      callers.emplace_back([copy = threads, &total] {
        for (int round = 0; round < 100; ++round)
          parallel_for(copy, 40, 1, [&](Index begin, Index end) {
            parallel_for(copy, end - begin, 1, [&](Index b, Index e) { total += e - b; });
          });
      });
  }
  CHECK(total == 6 * 100 * 40);
}

TEST_CASE("copies share one pool, which ends with the last", "[tensor][parallel]") {
  auto first = std::make_unique<Threads>(3);
  const Threads second = *first;
  std::atomic<Index> sum{0};
  const auto add = [&](Index begin, Index end) { sum += end - begin; };
  parallel_for(*first, 64, 1, add);
  first.reset();
  parallel_for(second, 64, 1, add);
  CHECK(sum == 128);
}

#ifdef DAGUERRE_TEST_ON_POSIX
TEST_CASE("threads that wait use no processor time", "[tensor][parallel]") {
  const auto used = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
  };
  const Threads threads(4);
  parallel_for(threads, 64, 1, [](Index, Index) {});
  const double before = used();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(used() - before < 0.03);
}

TEST_CASE("the host's signals are not delivered to the pool's threads", "[tensor][parallel]") {
  const Threads threads(2);
  std::atomic<int> inside{0};
  std::atomic<int> blocked{0};
  const auto caller = std::this_thread::get_id();
  parallel_for(threads, 2, 1, [&](Index, Index) {
    ++inside;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (inside < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    if (std::this_thread::get_id() != caller && sigismember(&mask, SIGINT) == 1) ++blocked;
  });
  CHECK(blocked == 1);
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  CHECK(sigismember(&mask, SIGINT) == 0);
}

#if !defined(__SANITIZE_THREAD__)
TEST_CASE("a child of fork, where the threads are not, works alone", "[tensor][parallel]") {
  Threads threads(3);
  const auto sum_of = [&](Index count) {
    std::atomic<Index> sum{0};
    parallel_for(threads, count, 1, [&](Index begin, Index end) { sum += end - begin; });
    return sum.load();
  };
  // Again and again: a thread that holds the pool's lock at that moment holds it in the child for ever.
  for (int i = 0; i < 200; ++i) {
    CHECK(sum_of(50) == 50);
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      bool is_right = sum_of(50) == 50;
      { const Threads last(std::move(threads)); }  // nothing to join
      _exit(is_right ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    REQUIRE(status == 0);
  }
}
#endif
#endif
