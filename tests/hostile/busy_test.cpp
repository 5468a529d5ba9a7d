// A guest shares the processors with others.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "daguerre/ops/engine.hpp"
#include "support/catch.hpp"
#include "support/guest.hpp"
#include "support/process.hpp"

using namespace daguerre;
using namespace daguerre::test;

TEST_CASE("a picture beside busy programs takes its share of the time", "[guest][threads]") {
  if (is_instrumented) return;
  const int processors = std::max(2, available_threads());
  for (const auto& engine : ops::engine_names()) {
    const auto pipe = load_tiny(engine, processors);
    auto order = small_order();
    order.size.width = order.size.height = 64;
    const auto least_seconds = [&] {
      double least = 1e9;
      for (int run = 0; run < 4; ++run) {
        const auto before = std::chrono::steady_clock::now();
        (void)pipe.generate(order);
        least =
            std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - before).count());
      }
      return least;
    };
    const double idle = least_seconds();
    std::atomic<bool> is_over{false};
    std::vector<std::jthread> others;
    for (int i = 0; i < 2 * processors; ++i)
      others.emplace_back([&] {
        while (!is_over) {
        }
      });
    const double busy = least_seconds();
    is_over = true;
    // A third of the processors is left: three times as long. Threads that spin for each other took 40 times.
    INFO(engine << ": " << idle << " s alone, " << busy << " s beside others");
    CHECK(busy < 12 * idle + 0.05);
  }
}
