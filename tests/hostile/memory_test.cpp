// Memory is given back, and too little of it is an error.
#include <cstdio>
#include <new>
#include <optional>

#include "daguerre/ops/engine.hpp"
#include "support/catch.hpp"
#include "support/guest.hpp"
#include "support/process.hpp"

#if DAGUERRE_TEST_HAS_FORK
#include <sys/resource.h>
#include <unistd.h>
#endif

using namespace daguerre;
using namespace daguerre::test;

namespace {

/// In MB. AddressSanitizer keeps 256 MB of freed memory; what leaks it tells at the end.
constexpr double most_growth = is_instrumented ? 400.0 : 4.0;

}  // namespace

TEST_CASE("a result outlives its pipeline and the buffers of its order", "[guest][memory]") {
  const auto make = [](bool careless) {
    auto pipe = std::make_optional(load_tiny());
    auto order = small_order();
    order.sampling.noise = Tensor<float>::full({1, 8, 12, 4}, 0.5f);
    order.input.image = Image(24, 16, 3);
    order.input.mask = Image(24, 16, 1);
    order.input.mask.pixels()[5] = 255;
    auto made = pipe->generate(order);
    if (careless) {
      order.sampling.noise.span()[0] = 9.0f;
      order.input.image.pixels()[0] = 255;
      pipe.reset();
    }
    return made;
  };
  CHECK(equal(make(true), make(false)));
}

TEST_CASE("fifty pictures take no more memory than ten", "[guest][memory]") {
  const auto pipe = load_tiny();
  double after_ten = 0;
  for (int i = 0; i < 60; ++i) {
    if (i == 10) after_ten = resident_megabytes();
    auto order = small_order();
    order.sampling.seed = static_cast<std::uint64_t>(i);
    order.prompt = "picture number " + std::to_string(i);
    (void)pipe.generate(order);
  }
  CHECK(resident_megabytes() < after_ten + most_growth);
}

TEST_CASE("fifty stopped runs take no more memory than ten", "[guest][memory][cancel]") {
  const auto pipe = load_tiny();
  double after_ten = 0;
  for (int i = 0; i < 60; ++i) {
    if (i == 10) after_ten = resident_megabytes();
    std::stop_source source;
    auto order = small_order();
    order.stop = source.get_token();
    order.on_step = [&](const Step& step) {
      if (step.index == i % 3) source.request_stop();  // seen in the next step, or in the decoder
      return true;
    };
    CHECK_THROWS_AS(pipe.generate(order), Cancelled);
  }
  CHECK(resident_megabytes() < after_ten + most_growth);
}

// Sanitizers reserve more address space than any limit leaves.
#if DAGUERRE_TEST_HAS_FORK
namespace {

/// The size of this process's address space, in bytes.
rlim_t address_space() {
  long pages = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return static_cast<rlim_t>(pages) * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

TEST_CASE("too little memory is an error", "[guest][memory]") {
  if (is_instrumented) return;
  enum Outcome { done = 10, no_memory, error, other };  // no library exits with these
  const auto outcome = [](const std::string& engine, int threads) {
    try {
      auto order = small_order();
      order.size.width = order.size.height = 128;
      (void)load_tiny(engine, threads).generate(order);
      return done;
    } catch (const std::bad_alloc&) {
      return no_memory;
    } catch (const Error&) {
      return error;
    } catch (...) {
      return other;
    }
  };
  for (const auto& engine : ops::engine_names())
    for (const int threads : {1, 3}) {
      int refused = 0;
      for (const rlim_t megabytes : {0, 1, 4, 16, 20, 24, 32, 64, 128, 256, 320, 4096}) {
        const int status = in_child([&] {
          const rlim_t limit = address_space() + (megabytes << 20);
          const rlimit limits{limit, limit};
          ::setrlimit(RLIMIT_AS, &limits);
          return static_cast<int>(outcome(engine, threads));
        });
        INFO(engine << ", " << threads << " threads, " << megabytes << " MB more");
        CHECK((status == done || status == no_memory || status == error));
        if (megabytes == 4096) CHECK(status == done);
        refused += status != done ? 1 : 0;
      }
      CHECK(refused >= 3);
    }
}
#endif
