// A run can be stopped from anywhere, and leaves nothing behind.
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "daguerre/ops/engine.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/guest.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

using Clock = std::chrono::steady_clock;

/// How long `generate` goes on after a stop that another thread asks for, `delay` behind the end of step
/// number `step`.
Clock::duration time_to_stop(const Pipeline& pipe, Request order, Index step, Clock::duration delay) {
  std::stop_source source;
  order.stop = source.get_token();
  std::atomic<bool> reached = false;
  order.on_step = [&](const Step& progress) {
    if (progress.index == step) reached = true;
    return true;
  };
  Clock::time_point asked;
  std::jthread stopper([&](const std::stop_token& test_ended) {
    while (!reached && !test_ended.stop_requested()) std::this_thread::yield();
    std::this_thread::sleep_for(delay);
    asked = Clock::now();
    source.request_stop();
  });
  CHECK_THROWS_AS(pipe.generate(order), Cancelled);
  const auto returned = Clock::now();
  stopper.join();
  return returned - asked;
}

}  // namespace

TEST_CASE("a run can be stopped at every step, and the next one is as the first", "[guest][cancel]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    const auto whole = pipe.generate(small_order());
    for (const Index last : {0, 1, 2}) {
      auto order = small_order();
      order.on_step = [&](const Step& step) { return step.index < last; };
      CHECK_THROWS_AS(pipe.generate(order), Cancelled);
      CHECK(equal(pipe.generate(small_order()), whole));

      // Asked for within the last step, the stop is seen inside the decoder at the latest.
      std::stop_source source;
      order.stop = source.get_token();
      order.on_step = [&](const Step& step) {
        if (step.index == last) source.request_stop();
        return true;
      };
      CHECK_THROWS_AS(pipe.generate(order), Cancelled);
      CHECK(equal(pipe.generate(small_order()), whole));
    }
    std::stop_source before;
    before.request_stop();
    auto order = small_order();
    order.stop = before.get_token();
    CHECK_THROWS_AS(pipe.generate(order), Cancelled);
    CHECK(equal(pipe.generate(small_order()), whole));
  }
}

TEST_CASE("what a callback throws reaches the caller of generate", "[guest][cancel]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    const auto whole = pipe.generate(small_order());
    for (const Index last : {0, 1, 2}) {
      auto order = small_order();
      order.on_step = [&](const Step& step) -> bool {
        if (step.index == last) throw std::out_of_range("the host's own");
        return true;
      };
      CHECK_THROWS_AS(pipe.generate(order), std::out_of_range);
      CHECK(equal(pipe.generate(small_order()), whole));
    }
  }
}

TEST_CASE("a stop from another thread is seen inside a step and inside the decoder", "[guest][cancel]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.sampling.steps = 2;
  order.size.width = order.size.height = 128;  // large enough to be hit
  order.guidance.scale = 1.0f;
  std::vector<Clock::time_point> ends;
  order.on_step = [&](const Step&) {
    ends.push_back(Clock::now());
    return true;
  };
  (void)pipe.generate(order);
  const auto decoding = Clock::now() - ends.at(1), step = ends.at(1) - ends.at(0);

  // Within one group of layers; the decoder's last ones take about a third of it.
  const std::chrono::milliseconds noise(50);
  CHECK(time_to_stop(pipe, order, 1, decoding / 10) < 0.7 * decoding + noise);
  order.sampling.steps = 50;  // so that a late thread finds a step, too
  CHECK(time_to_stop(pipe, order, 0, step / 10) < 0.7 * step + noise);
}

TEST_CASE("loading shows its parts and can be stopped between and inside them", "[hostile][cancel]") {
  std::vector<std::string> parts;
  LoadOptions options;
  options.on_part = [&](std::string_view part, int index, int total) {
    CHECK(index == static_cast<int>(parts.size()));
    CHECK(total == 3);
    parts.emplace_back(part);
  };
  (void)Pipeline::load(test::golden("pipelines/sd1"), options);
  CHECK(parts == std::vector<std::string>{"text_encoder", "vae", "unet"});
  // A stop that comes when the last part has begun ends it inside.
  std::stop_source source;
  options.stop = source.get_token();
  options.on_part = [&](std::string_view part, int, int) {
    if (part == "unet") source.request_stop();
  };
  test::expect_error<Cancelled>([&] { Pipeline::load(test::golden("pipelines/sd1"), options); }, {"stopped"});
  options.stop = {};
  options.on_part = [](std::string_view, int, int) { throw std::runtime_error("the host's own"); };
  CHECK_THROWS_WITH(Pipeline::load(test::golden("pipelines/sd1"), options), "the host's own");
}
