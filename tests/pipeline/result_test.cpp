// What comes out of a run, what is known of a pipeline, and what is shown of a step.
#include "daguerre/pipeline/result.hpp"

#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine_registry.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/native_engine.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

Request small_request() {
  return {.prompt = "a cat",
          .size = {.width = 16, .height = 16},
          .sampling = {.steps = 2, .seed = 7, .sampler = "ddim"}};
}

Pipeline load(const char* model, LoadOptions options = {}) {
  options.precision = Precision::float32;
  options.threads = 1;
  return Pipeline::load(golden(std::string("pipelines/") + model), options);
}

}  // namespace

TEST_CASE("a result holds films as it holds pictures", "[pipeline][result]") {
  Result films;
  for (Index i = 1; i <= 6; ++i) films.images.emplace_back(i, 1, 3);
  films.infotexts = {"first", "second"};
  films.frames = 3;
  films.frame_rate = 8.0;
  CHECK(films.count() == 2);
  CHECK(films.film(0).size() == 3);
  CHECK(films.film(1).front().width() == 4);
  expect_error<ArgumentError>([&] { (void)films.film(2); }, {"no film 2 among 2"});
  const TempFolder folder;
  films.save_png(folder.path() / "frame.png", 4);
  CHECK(read_png_text(folder.path() / "frame.png").at(0).second == "second");
  expect_error<ArgumentError>([&] { films.save_png(folder.path() / "frame.png", 6); },
                              {"no image 6 among 6"});

  Result pictures;
  pictures.images = {Image(2, 1, 3), Image(5, 1, 3)};
  CHECK(pictures.count() == 2);
  CHECK(pictures.film(1).size() == 1);
  CHECK(pictures.film(1).front().width() == 5);
  pictures.save_png(folder.path() / "bare.png", 1);  // without settings
  CHECK(read_png_text(folder.path() / "bare.png").empty());
  expect_error<ArgumentError>([&] { (void)pictures.film(2); }, {"no image 2 among 2"});
  CHECK(Result().count() == 0);
  Result none;
  none.frames = 0;
  none.images.emplace_back(1, 1, 3);
  CHECK(none.count() == 0);
  expect_error<ArgumentError>([&] { (void)none.film(); }, {"no image 0 among 0"});
}

TEST_CASE("floats are kept where they are asked for", "[pipeline][result]") {
  const auto pipe = load("sd1");
  auto request = small_request();
  const auto usual = pipe.generate(request);
  CHECK(usual.decoded.empty());
  CHECK(usual.latents.shape() == Shape{1, 8, 8, 4});
  request.output = {.latents = false, .decoded = true};
  const auto other = pipe.generate(request);
  CHECK(other.latents.empty());
  REQUIRE(other.decoded.shape() == Shape{1, 16, 16, 3});
  const auto image = to_image(other.decoded);
  CHECK(std::ranges::equal(image.pixels(), usual.images[0].pixels()));
}

TEST_CASE("as many pictures are made as there are classes or latents", "[pipeline]") {
  const auto dit = load("dit");
  CHECK(dit.generate({.class_labels = {1, 2, 3}, .sampling = {.steps = 1}}).images.size() == 3);
  CHECK(dit.generate({.class_labels = {1}, .sampling = {.steps = 1}}).images.size() == 1);
  const auto pipe = load("sd1");
  auto request = small_request();
  request.output.count = 2;
  const auto two = pipe.generate(request);
  request.output.count.reset();
  request.input.latents = two.latents;
  CHECK(pipe.generate(request).images.size() == 2);
  request.input.latents = {};
  request.sampling.noise = two.latents;
  CHECK(pipe.generate(request).seeds == std::vector<std::uint64_t>{7, 8});
  // What is not given is as the default.
  auto plain = small_request(), said = small_request();
  plain.sampling.seed.reset();
  said.sampling.seed = 0;
  said.sampling.generator = "torch-cpu";
  said.sampling.eta = 0.0;
  said.guidance = {.scale = 7.5f, .rescale = 0.0f};
  said.clip_skip = 0;
  said.output.count = 1;
  CHECK(pipe.generate(plain).infotexts == pipe.generate(said).infotexts);
}

TEST_CASE("a pipeline says what it does and what it is made of", "[pipeline][info]") {
  using Names = std::vector<std::string>;
  const auto pipe = load("sd1");
  const auto& info = pipe.info();
  CHECK(info.tasks == Names{"txt2img", "img2img", "inpaint"});
  CHECK(load("sd1_inpaint9").info().tasks == Names{"inpaint"});
  CHECK(load("dit").info().tasks == Names{"class2img"});
  CHECK(load("ddpm").info().tasks == Names{"unconditional"});
  CHECK(info.engine == ops::make_engine()->name());
  CHECK(info.threads == 1);
  CHECK(info.precision == Precision::float32);
  CHECK(std::ranges::count(info.samplers, "euler-a") == 1);
  REQUIRE(info.parts.size() == 3);
  CHECK(info.parts[0].name == "text_encoder");
  CHECK(info.parts[0].class_name == "CLIPTextModel");
  CHECK(info.parts[1].name == "vae");
  CHECK(info.parts[2].name == "unet");
  CHECK(info.parts[2].source.find("unet") != std::string::npos);
  std::uint64_t sum = 0;
  for (const auto& part : info.parts) {
    // float32 files of the same element type: nothing but headers and unused tensors is between them.
    std::uint64_t stored = 0;
    for (const auto& entry : std::filesystem::directory_iterator(golden("pipelines/sd1") / part.name))
      if (entry.path().extension() == ".safetensors") stored += entry.file_size();
    CHECK(part.weight_bytes > stored / 2);
    CHECK(part.weight_bytes < stored);
    sum += part.weight_bytes;
  }
  CHECK(sum == info.weight_bytes);
  const auto narrow =
      Pipeline::load(golden("pipelines/sd1"), {.precision = Precision::bfloat16, .threads = 1});
  CHECK(narrow.info().weight_bytes * 2 == info.weight_bytes);
}

TEST_CASE("a host's engine is chosen by name", "[pipeline][engine]") {
  auto engines = std::make_shared<ops::EngineRegistry>(ops::EngineRegistry::standard());
  engines->add("host's", [] { return std::make_shared<HostEngine>(); });
  const auto pipe = load("sd1", {.engine = "host's", .engines = engines});
  CHECK(pipe.info().engine == "host's");
  const auto own = pipe.generate(small_request());
  const auto native = load("sd1", {.engine = "native"}).generate(small_request());
  CHECK(std::ranges::equal(own.latents.span(), native.latents.span()));
  expect_error<ArgumentError>([] { load("sd1", {.engine = "host's"}); }, {"host's", "native"});
}

TEST_CASE("a host can make a step to test its callback with", "[pipeline]") {
  const std::function<bool(const Step&)> callback = [](const Step& step) {
    return step.index + 1 < step.total && step.preview(1).width() == 8 && step.latents.dim(0) == 2;
  };
  CHECK(
      callback({.index = 1, .total = 3, .latents = Tensor<float>::zeros({2, 4, 4, 4}), .decode = [](Index n) {
                  return Image(8 * n, 8, 3);
                }}));
  CHECK_FALSE(callback({.index = 2, .total = 3}));
  expect_error<ArgumentError>([] { (void)Step().preview(); }, {"[step]", "no preview"});
}
