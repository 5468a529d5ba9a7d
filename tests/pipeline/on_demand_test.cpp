#include "pipeline/on_demand.hpp"

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/catch.hpp"

using namespace daguerre;

namespace {

/// Counts how many of it there are.
struct Counted {
  explicit Counted(std::atomic<int>& count) : alive(&count) { ++count; }
  Counted(const Counted&) = delete;
  ~Counted() { --*alive; }
  std::atomic<int>* alive;
};

struct Watched {
  std::atomic<int> loads{0}, alive{0};
  OnDemand<Counted> value{[this](const ops::Context&) {
    ++loads;
    return std::make_shared<const Counted>(alive);
  }};
};

}  // namespace

TEST_CASE("what is loaded on demand goes with its last user", "[pipeline][on_demand]") {
  Watched watched;
  const ops::Context run;
  CHECK(watched.loads == 0);
  auto first = watched.value.use(run);
  auto second = watched.value.use(run);
  CHECK(first == second);
  CHECK(watched.loads == 1);
  first.reset();
  CHECK(watched.alive == 1);
  second.reset();
  CHECK(watched.alive == 0);
  (void)watched.value.use(run);
  CHECK(watched.loads == 2);
  CHECK(watched.alive == 0);
}

TEST_CASE("a lease keeps what is loaded, and loads nothing", "[pipeline][on_demand]") {
  Watched watched;
  const ops::Context run;
  auto outer = watched.value.lease();
  CHECK(watched.loads == 0);
  (void)watched.value.use(run);
  auto inner = watched.value.lease();
  (void)watched.value.use(run);
  CHECK(watched.loads == 1);
  outer.reset();
  CHECK(watched.alive == 1);
  inner.reset();
  CHECK(watched.alive == 0);
}

TEST_CASE("threads share what one of them loads", "[pipeline][on_demand]") {
  std::atomic<int> loads{0}, alive{0}, waiting{0};
  constexpr int count = 8;
  const OnDemand<Counted> value([&](const ops::Context&) {
    ++loads;
    while (waiting < count) std::this_thread::yield();  // all of them ask for it meanwhile
    return std::make_shared<const Counted>(alive);
  });
  std::vector<std::thread> threads;
  std::atomic<int> seen{0};
  for (int i = 0; i < count; ++i)
    threads.emplace_back([&] {
      const auto lease = value.lease();
      ++waiting;
      const auto used = value.use({});
      seen += used->alive->load();
    });
  for (auto& thread : threads) thread.join();
  CHECK(loads == 1);
  CHECK(seen == count);
  CHECK(alive == 0);
}

TEST_CASE("a failed load is the failure of that user alone", "[pipeline][on_demand]") {
  bool broken = true;
  std::atomic<int> alive{0};
  const OnDemand<Counted> value([&](const ops::Context&) {
    if (broken) throw std::runtime_error("broken");
    return std::make_shared<const Counted>(alive);
  });
  const auto lease = value.lease();
  CHECK_THROWS_WITH(value.use({}), "broken");
  broken = false;
  CHECK(value.use({}) != nullptr);
}

TEST_CASE("a user that waits for another's load can be stopped", "[pipeline][on_demand]") {
  std::atomic<bool> loading{false}, release{false};
  std::atomic<int> alive{0};
  const OnDemand<Counted> value([&](const ops::Context&) {
    loading = true;
    while (!release) std::this_thread::yield();
    return std::make_shared<const Counted>(alive);
  });
  std::thread loader([&] { (void)value.use({}); });
  while (!loading) std::this_thread::yield();
  std::stop_source source;
  ops::Context stopped;
  stopped.stop = source.get_token();
  std::atomic<bool> cancelled{false};
  std::thread waiter([&] {
    try {
      (void)value.use(stopped);
    } catch (const Cancelled&) {
      cancelled = true;
    }
  });
  source.request_stop();
  waiter.join();
  CHECK(cancelled);
  release = true;
  loader.join();
}
