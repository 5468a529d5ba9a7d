// The same order gives the same picture, whatever runs beside it.
#include <thread>

#include "daguerre/metrics/psnr.hpp"
#include "daguerre/ops/engine.hpp"
#include "support/catch.hpp"
#include "support/guest.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

struct Machine {
  std::string engine;
  Precision precision;
};

/// The engines in every precision they can do.
std::vector<Machine> machines() {
  std::vector<Machine> result;
  for (const auto& engine : ops::engine_names()) {
    result.push_back({engine, Precision::float32});
    result.push_back({engine, Precision::bfloat16});
    if (engine == "onednn") result.push_back({engine, Precision::int8});
  }
  return result;
}

std::string described(const Machine& machine) {
  return machine.engine + ", " + std::string(short_name(machine.precision));
}

Image shaded(Index channels) {
  Image image(16, 16, channels);
  std::uint8_t value = 0;
  for (auto& pixel : image.pixels()) pixel = value++;
  return image;
}

/// A model and an order for four pictures.
struct BatchCase {
  std::string model;
  Request order;
};

std::vector<BatchCase> batch_cases() {
  std::vector<BatchCase> cases;
  const auto add = [&](const char* model, auto&& fill) {
    Request order;
    order.sampling.steps = 2;
    order.sampling.seed = 7;
    order.output = {.count = 4, .decoded = true};
    fill(order);
    cases.push_back({model, std::move(order)});
  };
  const auto prompted = [](Request& order) {
    order.prompt = "a cat on a red carpet";
    order.negative_prompt = "a dog";
    order.size.width = order.size.height = 16;
  };
  add("sd1", prompted);
  add("sd1", [&](Request& order) {
    prompted(order);
    order.guidance.rescale = 0.7f;
    order.sampling.sampler = "euler-a";
  });
  add("sd1", [&](Request& order) {
    prompted(order);
    order.guidance.scale = 1.0f;
    order.sampling.sampler = "dpm++2m-karras";
  });
  add("sd1", [&](Request& order) {
    prompted(order);
    order.input.image = shaded(3);
    order.input.mask = shaded(1);
    order.sampling.sampler = "ddim";
  });
  add("sd1_inpaint9", [&](Request& order) {
    prompted(order);
    order.input.image = shaded(3);
    order.input.mask = shaded(1);
  });
  add("dit", [](Request& order) { order.class_labels = {1, 9, 4, 1}; });
  add("dit", [](Request& order) {
    order.class_labels = {3};
    order.guidance.scale = 1.0f;
  });
  add("ddpm", [](Request&) {});
  return cases;
}

}  // namespace

TEST_CASE("eight threads on one pipeline make what one makes after another", "[guest][threads]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    const auto pipe = load_tiny(engine);
    constexpr std::size_t count = 8;
    const auto order = [](std::size_t i) {
      auto options = small_order();
      options.sampling.seed = 100 + i;
      options.prompt = "picture number " + std::to_string(i);
      options.sampling.sampler = i % 2 == 0 ? "ddim" : "euler-a";
      options.sampling.steps = 2 + static_cast<int>(i % 3);
      return options;
    };
    std::vector<Result> serial(count), parallel(count);
    for (std::size_t i = 0; i < count; ++i) serial[i] = pipe.generate(order(i));
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < count; ++i)
        threads.emplace_back([&, i] { parallel[i] = pipe.generate(order(i)); });
    }
    for (std::size_t i = 0; i < count; ++i) CHECK(equal(serial[i], parallel[i]));
  }
}

TEST_CASE("neither the run nor the number of threads changes the picture", "[guest][threads]") {
  for (const auto& machine : machines()) {
    INFO(described(machine));
    auto order = small_order();
    order.size.width = order.size.height = 32;
    order.sampling.steps = 1;
    const auto expected = load_tiny(machine.engine, 1, machine.precision).generate(order);
    for (const int threads : {1, 2, 3}) {
      INFO(threads << " threads");
      CHECK(equal(load_tiny(machine.engine, threads, machine.precision).generate(order), expected));
    }
  }
}

TEST_CASE("the engines' pictures agree to 60 dB", "[guest]") {
  std::vector<Tensor<float>> pictures;
  for (const auto& engine : ops::engine_names()) {
    auto order = small_order();
    order.size.width = order.size.height = 64;
    pictures.push_back(denormalise(load_tiny(engine).generate(order).decoded));
  }
  for (const auto& picture : pictures) CHECK(metrics::psnr(picture, pictures.front()).front() >= 60.0);
}

TEST_CASE("a batch of four is four single pictures", "[guest]") {
  for (const auto& machine : machines())
    for (const auto& [model, batch_order] : batch_cases()) {
      INFO(described(machine) << ", " << model << ", sampler "
                              << batch_order.sampling.sampler.value_or("of the model"));
      const auto pipe =
          Pipeline::load(golden("pipelines/" + model),
                         {.precision = machine.precision, .engine = machine.engine, .threads = 1});
      const auto batch = pipe.generate(batch_order);
      REQUIRE(batch.images.size() == 4);
      auto order = batch_order;
      order.output.count = 1;
      for (Index n = 0; n < 4; ++n) {
        if (batch_order.class_labels.size() == 4)
          order.class_labels = {batch_order.class_labels[static_cast<std::size_t>(n)]};
        CHECK(batch.seeds[static_cast<std::size_t>(n)] == order.sampling.seed);
        const auto single = pipe.generate(order);
        CHECK(equal(batch.latents.slice(n, n + 1), single.latents));
        CHECK(equal(batch.decoded.slice(n, n + 1), single.decoded));
        ++*order.sampling.seed;
      }
      CHECK_FALSE(equal(batch.decoded.slice(0, 1), batch.decoded.slice(1, 2)));
    }
}
