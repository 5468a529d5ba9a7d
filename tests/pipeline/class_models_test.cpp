#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "daguerre/daguerre.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/model_copy.hpp"

using namespace daguerre;

namespace {

Pipeline load(const std::string& name) {
  return Pipeline::load(test::golden("pipelines/" + name),
                        {.precision = Precision::float32, .engine = "native", .threads = 1});
}

bool same_pixels(const Image& a, const Image& b) {
  return std::equal(a.pixels().begin(), a.pixels().end(), b.pixels().begin(), b.pixels().end());
}

std::string setting(const Result& made, const std::string& key, std::size_t n = 0) {
  for (const auto& [name, value] : parse_infotext(made.infotexts.at(n)).parameters)
    if (name == key) return value;
  return {};
}

}  // namespace

TEST_CASE("DiT makes pictures of classes by id and by name", "[pipeline][dit]") {
  const auto pipe = load("dit");
  CHECK(pipe.info().width == 16);
  const auto by_id = pipe.generate({.class_labels = {207}, .sampling = {.steps = 3, .seed = 5}});
  const auto by_name = pipe.generate({.class_name = "Golden Retriever", .sampling = {.steps = 3, .seed = 5}});
  REQUIRE(by_id.images.size() == 1);
  CHECK(by_id.images[0].width() == 16);
  CHECK(same_pixels(by_id.images[0], by_name.images[0]));
  CHECK(pipe.class_id("tench") == 0);
  CHECK(setting(by_name, "Class") == "207 golden retriever");
  CHECK(setting(by_name, "CFG scale") == "4");
  CHECK(setting(by_name, "Seed") == "5");
  CHECK(parse_infotext(by_name.infotexts[0]).prompt.empty());
  // One class for each picture; each is as if made alone with its own seed.
  const auto two = pipe.generate({.class_labels = {1, 207}, .sampling = {.steps = 3, .seed = 4}});
  CHECK(test::difference(two.latents.slice(1, 2), by_id.latents).rel_l2 < 1e-6);
  CHECK(setting(two, "Class") == "1 goldfish; 207 golden retriever");
  // Guidance below 1 is one pass; it makes another picture.
  const auto plain = pipe.generate(
      {.class_labels = {207}, .sampling = {.steps = 3, .seed = 5}, .guidance = {.scale = 1.0f}});
  CHECK(test::difference(plain.latents, by_id.latents).rel_l2 > 1e-3);
  // Sizes the model was not trained at, previews, other samplers.
  int previews = 0;
  const auto wide = pipe.generate({.class_labels = {3},
                                   .size = {.width = 24, .height = 8},
                                   .sampling = {.steps = 2, .sampler = "euler"},
                                   .on_step = [&](const Step& step) {
                                     previews += step.preview().width() == 24;
                                     return true;
                                   }});
  CHECK(wide.images[0].height() == 8);
  CHECK(previews == 2);
}

TEST_CASE("options that a model cannot use are refused", "[pipeline][dit]") {
  const auto refuses = [](const Pipeline& pipe, const Request& options, std::string_view part) {
    test::expect_error<ArgumentError>([&] { pipe.generate(options); }, {part});
  };
  const auto dit = load("dit");
  refuses(dit, {.prompt = "a dog", .class_labels = {1}}, "DiT takes no prompt");
  refuses(dit, {.negative_prompt = "a dog", .class_labels = {1}}, "negative prompt");
  refuses(dit, {.class_labels = {1}, .clip_skip = 1}, "clip_skip");
  refuses(dit, {.class_labels = {1}, .input = {.image = Image(16, 16, 3)}}, "picture to start from");
  refuses(dit, {}, "there is no class");
  refuses(dit, {.class_labels = {1000}}, "class 1000 is not one of 0 to 999");
  refuses(dit, {.class_labels = {-1}}, "class -1");
  refuses(dit, {.class_labels = {1, 2}, .output = {.count = 3}}, "2 classes for 3 pictures");
  refuses(dit, {.class_labels = {1}, .class_name = "tench"}, "not both");
  refuses(dit, {.class_name = "unicorn"}, "no class is called \"unicorn\"");
  refuses(dit, {.class_labels = {1}, .size = {.width = 18}}, "width 18 is not a multiple of 4");
  refuses(dit, {.class_labels = {1}, .sampling = {.steps = 0}}, "steps");
  const auto ddpm = load("ddpm");
  refuses(ddpm, {.prompt = "a dog"}, "DDPM takes no prompt");
  refuses(ddpm, {.class_labels = {1}}, "no class");
  refuses(ddpm, {.guidance = {.scale = 2.0f}}, "guidance");
  // What is given counts, whatever it says.
  refuses(ddpm, {.guidance = {.rescale = 0.0f}}, "guidance");
  refuses(ddpm, {.class_name = ""}, "no class");
  refuses(dit, {.prompt_2 = "", .class_labels = {1}}, "DiT takes no prompt");
  refuses(dit, {.class_labels = {1}, .clip_skip = 0}, "clip_skip");
  refuses(dit, {.class_labels = {1}, .guidance = {.image_scale = 1.5f}}, "guidance scale of the picture");
  refuses(dit, {.class_labels = {1}, .input = {.strength = -1.0}}, "strength");
  const auto sd = load("sd1");
  refuses(sd, {.prompt = "a dog", .class_name = "dog"}, "Stable Diffusion takes no class");
  refuses(sd, {.prompt = "a dog", .prompt_2 = "a cat"}, "Stable Diffusion takes no second prompt");
  refuses(sd, {.prompt = "a dog", .negative_prompt_2 = ""}, "second prompt");
  refuses(sd, {.prompt = "a dog", .micro = {.aesthetic_score = 7.0}}, "sizes and scores of pictures");
}

TEST_CASE("a folder may hold the original DiT as its transformer", "[pipeline][dit]") {
  namespace fs = std::filesystem;
  const test::TempFolder folder;
  const auto original = test::golden("dit/dit_original");
  fs::copy(test::golden("pipelines/dit"), folder.path(), fs::copy_options::recursive);
  fs::remove_all(folder / "transformer");
  fs::create_directory(folder / "transformer");
  fs::copy(original / "config.json", folder / "transformer/config.json");
  fs::copy(original / "weights.safetensors", folder / "transformer/weights.safetensors");
  std::vector<std::string> warnings;
  const auto pipe = Pipeline::load(folder.path(), {.precision = Precision::float32,
                                                   .engine = "native",
                                                   .threads = 1,
                                                   .log = [&](LogLevel level, std::string_view text) {
                                                     if (level == LogLevel::warning)
                                                       warnings.emplace_back(text);
                                                   }});
  CHECK(warnings.empty());
  // One DDIM step from noise is linear in the prediction: the fourth channel must not know of guidance.
  const auto run = [&](float scale) {
    return pipe
        .generate({.class_labels = {9}, .sampling = {.steps = 1, .seed = 2}, .guidance = {.scale = scale}})
        .latents;
  };
  const auto plain = run(1.0f), guided = run(5.0f);
  double steered = 0.0, left_alone = 0.0;
  for (Index i = 0; i < plain.size(); ++i) {
    const auto difference = static_cast<double>(std::abs(plain.data()[i] - guided.data()[i]));
    auto& largest = i % 4 < 3 ? steered : left_alone;
    largest = std::max(largest, difference);
  }
  CHECK(steered > 1e-2);
  CHECK(left_alone < 1e-4);
  test::expect_error<ArgumentError>([&] { pipe.generate({.class_labels = {10}, .sampling = {.steps = 1}}); },
                                    {"0 to 9"});
}

TEST_CASE("DDPM makes pictures without an autoencoder", "[pipeline][ddpm]") {
  const auto pipe = load("ddpm");
  CHECK(pipe.info().width == 16);
  const auto made = pipe.generate({.sampling = {.steps = 4, .seed = 3}, .output = {.count = 2}});
  REQUIRE(made.images.size() == 2);
  CHECK(made.latents.shape() == Shape{2, 16, 16, 3});
  CHECK_FALSE(same_pixels(made.images[0], made.images[1]));
  CHECK(setting(made, "CFG scale").empty());
  CHECK(setting(made, "Class").empty());
  CHECK(setting(made, "Sampler") == "DDPMScheduler");
  const auto ddim =
      pipe.generate({.size = {.width = 24}, .sampling = {.steps = 4, .seed = 3, .sampler = "ddim"}});
  CHECK(ddim.images[0].width() == 24);
}

TEST_CASE("a transformer that does not fit the autoencoder is refused", "[pipeline][dit]") {
  const test::ModelCopy model("dit");
  model.set("transformer/config.json", {{"out_channels", 5}});
  test::expect_error<ConfigError>([&] { Pipeline::load(model.path()); },
                                  {"do not fit each other", "out_channels in", "is 5", "expected 4, or 8"});
}
