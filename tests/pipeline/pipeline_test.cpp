#include "daguerre/pipeline/pipeline.hpp"

#include <atomic>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <thread>

#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/samplers/registry.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

fs::path tiny_model() {
  return golden("pipelines/sd1");
}

Pipeline load_tiny(LoadOptions options = {}) {
  if (options.precision == Precision::automatic) options.precision = Precision::float32;
  if (options.threads == 0) options.threads = 1;
  return Pipeline::load(tiny_model(), options);
}

Request small_order() {
  Request options;
  options.prompt = "a cat on a red carpet";
  options.size.width = 24;
  options.size.height = 16;
  options.sampling.steps = 3;
  options.sampling.seed = 7;
  options.output.decoded = true;
  return options;
}

bool equal(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

Image grey(Index width, Index height, std::uint8_t value) {
  Image image(width, height, 3);
  std::fill(image.pixels().begin(), image.pixels().end(), value);
  return image;
}

}  // namespace

TEST_CASE("the same order gives the same picture, another seed another", "[pipeline]") {
  const auto pipe = load_tiny();
  const auto first = pipe.generate(small_order());
  CHECK(first.images.size() == 1);
  CHECK(first.images[0].width() == 24);
  CHECK(first.images[0].height() == 16);
  CHECK(first.latents.shape() == Shape{1, 8, 12, 4});
  CHECK(first.decoded.shape() == Shape{1, 16, 24, 3});
  CHECK(first.warnings.empty());
  CHECK(equal(first.decoded, pipe.generate(small_order()).decoded));
  auto other = small_order();
  other.sampling.seed = 8;
  CHECK_FALSE(equal(first.decoded, pipe.generate(other).decoded));
}

TEST_CASE("the step callback sees every step, previews, and stops the run", "[pipeline]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.sampling.sampler = "ddim";
  std::vector<Index> seen;
  order.on_step = [&](const Step& step) {
    seen.push_back(step.index);
    CHECK(step.total == 3);
    CHECK(step.latents.shape() == Shape{1, 8, 12, 4});
    CHECK(step.preview().width() == 24);
    return true;
  };
  const auto whole = pipe.generate(order);
  CHECK(seen == std::vector<Index>{0, 1, 2});

  order.on_step = [](const Step& step) { return step.index < 1; };
  expect_error<Cancelled>([&] { pipe.generate(order); }, {"stopped"});
  order.on_step = [](const Step&) -> bool { throw std::runtime_error("from the host"); };
  CHECK_THROWS_AS(pipe.generate(order), std::runtime_error);
  order.on_step = {};
  CHECK(equal(pipe.generate(order).decoded, whole.decoded));  // as if nothing had happened
}

TEST_CASE("a stop token ends a run from another thread", "[pipeline]") {
  const auto pipe = load_tiny();
  std::stop_source source;
  auto order = small_order();
  order.sampling.steps = 500;
  order.sampling.sampler = "ddim";
  order.stop = source.get_token();
  std::atomic<int> steps = 0;
  order.on_step = [&](const Step&) {
    ++steps;
    return true;
  };
  const std::jthread stopper([&](const std::stop_token& test_ended) {
    while (steps < 2 && !test_ended.stop_requested()) std::this_thread::yield();
    source.request_stop();
  });
  CHECK_THROWS_AS(pipe.generate(order), Cancelled);
  CHECK(steps < 500);
}

TEST_CASE("image to image keeps more of the picture at lower strength", "[pipeline]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.sampling.steps = 10;
  order.sampling.sampler = "ddim";
  order.input.image = grey(24, 16, 200);
  std::vector<double> distances;
  order.input.strength = 0.0;
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"strength", "no step"});
  // The autoencoder's weights are random, so what strength 0 would give is the picture encoded and decoded.
  order.input.strength = 0.1;
  const auto near = pipe.generate(order);
  order.input.strength = 0.5;
  const auto middle = pipe.generate(order);
  order.input.strength = 1.0;
  const auto far = pipe.generate(order);
  CHECK(difference(middle.latents, near.latents).rel_l2 < difference(far.latents, near.latents).rel_l2);
  order.input.image = grey(48, 32, 200);  // scaled to the size asked for
  order.input.strength = 0.1;
  CHECK(pipe.generate(order).images[0].width() == 24);
}

TEST_CASE("blending inpaints inside the mask only", "[pipeline]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.sampling.sampler = "ddim";
  order.input.image = grey(24, 16, 200);
  order.input.mask = grey(24, 16, 0);
  for (Index y = 0; y < 16; ++y)
    for (Index x = 12; x < 24; ++x)
      for (Index c = 0; c < 3; ++c)
        order.input.mask.pixels()[static_cast<std::size_t>((y * 24 + x) * 3 + c)] = 255;
  const auto one = pipe.generate(order);
  order.prompt = "something else entirely";
  const auto two = pipe.generate(order);
  double kept = 0.0, painted = 0.0;
  for (Index i = 0; i < one.latents.size(); ++i) {
    const double d = std::abs(static_cast<double>(one.latents.data()[i] - two.latents.data()[i]));
    (i / 4 % 12 < 6 ? kept : painted) += d;
  }
  CHECK(kept == 0.0);
  CHECK(painted > 0.0);
  order.input.image = {};
  expect_error<ArgumentError>([&] { pipe.generate(order); }, {"mask"});
}

TEST_CASE("latents handed in replace the drawn noise", "[pipeline]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.sampling.sampler = "ddim";
  const auto drawn = pipe.generate(order);
  SeededNoise noise("torch-cpu", {7});
  order.sampling.noise = noise.draw(NoiseStreams::Use::initial, {1, 8, 12, 4});
  order.sampling.seed = 99;
  CHECK(equal(pipe.generate(order).decoded, drawn.decoded));
}

TEST_CASE("options that are not possible are refused", "[pipeline]") {
  const auto pipe = load_tiny();
  const auto refused = [&](auto change, std::initializer_list<std::string_view> parts) {
    auto order = small_order();
    change(order);
    expect_error<ArgumentError>([&] { pipe.generate(order); }, parts);
  };
  refused([](auto& o) { o.size.width = 25; }, {"width 25", "multiple of 2"});
  refused([](auto& o) { o.size.height = -2; }, {"height -2"});
  refused([](auto& o) { o.size.width = 1 << 20; }, {"width 1048576"});
  refused([](auto& o) { o.sampling.steps = 0; }, {"steps"});
  refused([](auto& o) { o.output.count = 0; }, {"count"});
  refused([](auto& o) { o.clip_skip = 99; }, {"clip_skip leaves out 99 layers"});
  refused([](auto& o) { o.guidance.scale = std::numeric_limits<float>::quiet_NaN(); }, {"guidance"});
  refused([](auto& o) { o.sampling.generator = "mersenne"; }, {"mersenne", "torch-cpu"});
  refused([](auto& o) { o.sampling.noise = Tensor<float>::zeros({1, 2, 2, 4}); }, {"latents"});
  auto order = small_order();
  order.sampling.sampler = "euler-b";
  expect_error<Error>([&] { pipe.generate(order); }, {"euler-b", "euler-a"});
}

TEST_CASE("a prompt that is too long is cut and the words lost are named", "[pipeline]") {
  const auto pipe = load_tiny();
  auto order = small_order();
  order.prompt.clear();
  for (int i = 0; i < 3000; ++i) order.prompt += "cat ";
  order.prompt += "zebra";
  const auto made = pipe.generate(order);
  REQUIRE(made.warnings.size() == 1);
  CHECK(made.warnings[0].find("zebra") != std::string::npos);
}

TEST_CASE("the PNG tells how it was made", "[pipeline]") {
  const TempFolder folder;
  const auto pipe = load_tiny();
  auto order = small_order();
  order.negative_prompt = "blurry, dark";
  order.sampling.sampler = "dpm++2m-karras";
  const auto file = folder.path() / "picture.png";
  pipe.generate(order).save_png(file);
  const auto text = read_png_text(file);
  REQUIRE(text.size() == 1);
  CHECK(text[0].first == "parameters");
  const auto info = parse_infotext(text[0].second);
  CHECK(info.prompt == order.prompt);
  CHECK(info.negative_prompt == order.negative_prompt);
  const auto has = [&](const std::string& key, const std::string& value) {
    return std::find(info.parameters.begin(), info.parameters.end(), std::pair(key, value)) !=
           info.parameters.end();
  };
  CHECK(has("Steps", "3"));
  CHECK(has("Sampler", "dpm++2m-karras"));
  CHECK(has("Seed", "7"));
  CHECK(has("Size", "24x16"));
  CHECK(has("CFG scale", "7.5"));
}

TEST_CASE("models that are not complete are refused", "[pipeline]") {
  const TempFolder folder;
  expect_error<FileError>([&] { Pipeline::load(folder.path() / "nowhere"); }, {"nowhere", "not a folder"});
  expect_error<FileError>([&] { Pipeline::load(folder.path()); }, {"model_index.json"});
  std::ofstream(folder.path() / "model_index.json") << R"({"_class_name": "KandinskyPipeline"})";
  expect_error<ConfigError>([&] { Pipeline::load(folder.path()); },
                            {"KandinskyPipeline", "StableDiffusionPipeline"});
}

TEST_CASE("a host may bring a sampler of its own", "[pipeline]") {
  auto registry = std::make_shared<samplers::SamplerRegistry>(samplers::SamplerRegistry::standard());
  registry->add_name("mine", "DDIMScheduler", R"({"timestep_spacing": "trailing"})");
  const auto pipe = load_tiny({.samplers = registry});
  auto order = small_order();
  order.sampling.sampler = "mine";
  std::vector<float> timesteps;
  order.on_step = [&](const Step& step) {
    timesteps.push_back(step.timestep);
    return true;
  };
  pipe.generate(order);
  CHECK(timesteps.front() == 999.0f);
}

TEST_CASE("bfloat16 stays near float32", "[pipeline]") {
  for (const auto& engine : ops::engine_names()) {
    INFO(engine);
    auto order = small_order();
    order.sampling.sampler = "ddim";
    order.guidance.scale = 1.0f;
    const auto wide = load_tiny({.engine = engine}).generate(order);
    const auto narrow = load_tiny({.precision = Precision::bfloat16, .engine = engine}).generate(order);
    // Each network may be off by 2e-2; three steps and a decoder add up to less than their sum.
    CHECK(difference(narrow.decoded, wide.decoded).rel_l2 < 4e-2);
    CHECK(difference(narrow.decoded, wide.decoded).rel_l2 > 1e-5);
  }
}

TEST_CASE("8 bits stay near float32", "[pipeline][int8]") {
  expect_error<ArgumentError>([] { load_tiny({.precision = Precision::int8, .engine = "native"}); },
                              {"8-bit", "onednn", "native"});
  if (ops::engine_names().front() != "onednn") return;
  auto order = small_order();
  order.sampling.sampler = "ddim";
  order.guidance.scale = 1.0f;
  const auto wide = load_tiny({.engine = "onednn"}).generate(order);
  const auto pipe = load_tiny({.precision = Precision::int8, .engine = "onednn"});
  CHECK(pipe.info().precision == Precision::int8);
  const auto narrow = pipe.generate(order);
  // As with bfloat16: each step may be off by the bound of recorded networks, which they are far below.
  CHECK(difference(narrow.decoded, wide.decoded).rel_l2 < 1e-1);
  CHECK(difference(narrow.decoded, wide.decoded).rel_l2 > 1e-4);
  const auto threads = load_tiny({.precision = Precision::int8, .engine = "onednn", .threads = 2});
  CHECK(equal(threads.generate(order).latents, narrow.latents));
}

TEST_CASE("precisions have short names", "[pipeline]") {
  for (const auto precision :
       {Precision::automatic, Precision::float32, Precision::bfloat16, Precision::int8})
    CHECK(precision_called(short_name(precision)) == precision);
  expect_error<ArgumentError>([] { precision_called("f8"); }, {"\"f8\"", "auto, f32, bf16, int8"});
}
