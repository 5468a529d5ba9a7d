// Several models as one: DeepFloyd IF's first two stages, and stages of other kinds behind them.
#include "daguerre/pipeline/cascade.hpp"

#include <algorithm>
#include <atomic>
#include <stop_token>

#include "daguerre/metrics/psnr.hpp"
#include "daguerre/pipeline/component_registry.hpp"
#include "daguerre/pipeline/infotext_request.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

const auto first_model = golden("pipelines/if_stage1");
const auto second_model = golden("pipelines/if_stage2");
const auto small_upscaler = fs::path(DAGUERRE_TEST_DATA) / "upscalers" / "srvgg_x4.safetensors";

CascadeOptions native_cascade(CascadeMemory memory = CascadeMemory::all) {
  CascadeOptions options;
  options.load.engine = "native";
  options.load.precision = Precision::float32;
  options.load.threads = 1;
  options.memory = memory;
  return options;
}

/// IF's stages, the second with the first one's text encoder.
CascadeDescription two_stages() {
  CascadeDescription result{.name = "two", .stages = {{.path = first_model}, {.path = second_model}}};
  result.stages[0].options.steps = 3;
  result.stages[1].options.steps = 2;
  result.stages[1].options.noise_level = 50;
  result.stages[1].parts = {{"text_encoder", first_model / "text_encoder"},
                            {"tokenizer", first_model / "tokenizer"}};
  return result;
}

CascadeRequest cascade_order(std::uint64_t seed = 7, int count = 1) {
  CascadeRequest request;
  request.first.prompt = "a cat";
  request.first.sampling.seed = seed;
  request.first.output.count = count;
  return request;
}

bool same_picture(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() && std::ranges::equal(a.pixels(), b.pixels());
}

/// What load says about a cascade.json.
template <class E>
void expect_refused(const std::string& json, std::initializer_list<std::string_view> parts) {
  const TempFolder folder;
  folder.write("cascade.json", json);
  INFO(json);
  expect_error<E>([&] { (void)Cascade::load(folder.path(), native_cascade()); }, parts);
}

std::string in_json(const fs::path& path) {
  return "\"" + path.generic_string() + "\"";
}

}  // namespace

TEST_CASE("a cascade does what its stages do one behind the other", "[pipeline][cascade]") {
  const auto cascade = Cascade::load(two_stages(), native_cascade());
  CHECK(cascade.stages().size() == 2);
  CHECK(cascade.stages()[1].what == "IFSuperResolutionPipeline");
  std::vector<Image> small;
  auto order = cascade_order();
  order.on_stage = [&](std::size_t stage, const Result& made) {
    CHECK(stage == 0);
    small = made.images;
  };
  const auto made = cascade.generate(order);

  const auto load = native_cascade().load;
  Request by_hand = cascade_order().first;
  by_hand.sampling.steps = 3;
  const auto one = Pipeline::load(first_model, load).generate(by_hand);
  REQUIRE(small.size() == 1);
  CHECK(same_picture(small[0], one.images[0]));
  by_hand.sampling.steps = 2;
  by_hand.input.image = one.images[0];
  by_hand.input.noise_level = 50;
  const auto two = Pipeline::load(second_model, load).generate(by_hand);
  CHECK(made.images[0].width() == 32);
  CHECK(same_picture(made.images[0], two.images[0]));
  CHECK(std::ranges::equal(made.latents.span(), two.latents.span()));

  // The settings hold both stages, and make the picture again.
  auto settings = parse_infotext(made.infotexts.at(0));
  const auto& all = settings.parameters;
  const auto has = [&](const std::string& key, const std::string& value) {
    return std::ranges::find(all, std::pair(key, value)) != all.end();
  };
  CHECK(has("Steps", "3"));
  CHECK(has("Size", "16x16"));
  CHECK(has("Cascade", "two"));
  CHECK(has("Stage 2 Steps", "2"));
  CHECK(has("Stage 2 Size", "32x32"));
  CHECK(has("Stage 2 Noise level", "50"));
  CHECK(has("Stage 2 Model", "if_stage2"));
  CascadeRequest again;
  again.stages = take_stage_options(settings);
  auto read = request_from_infotext(settings);
  CHECK(read.notes == std::vector<std::string>{});
  again.first = read.request;
  const auto repeated = cascade.generate(again);
  CHECK(same_picture(repeated.images[0], made.images[0]));
  CHECK(repeated.infotexts == made.infotexts);

  // Options of a run hold over the cascade's.
  order.on_stage = {};
  order.stages.resize(2);
  order.stages[1].noise_level = 100;
  CHECK_FALSE(same_picture(cascade.generate(order).images[0], made.images[0]));
  order.stages[1] = {.seed_offset = 1};
  CHECK_FALSE(same_picture(cascade.generate(order).images[0], made.images[0]));
  order.stages.resize(3);
  expect_error<ArgumentError>([&] { (void)cascade.generate(order); }, {"stage 3", "has 2"});
}

TEST_CASE("a cascade's stages share a text encoder, or come one at a time", "[pipeline][cascade]") {
  const auto loads = std::make_shared<std::atomic<int>>(0);
  auto registry = ComponentRegistry::standard();
  registry.add_text_encoder(
      "T5EncoderModel",
      [loads](const ComponentSource& network, const ComponentSource& tokenizer, const LoadContext& context) {
        auto opened = ComponentRegistry::standard().open_text_encoder(network, tokenizer, context);
        opened.load = [loads, load = opened.load](const LoadContext& own) {
          ++*loads;
          return load(own);
        };
        return opened;
      });
  auto options = native_cascade();
  options.load.components = std::make_shared<const ComponentRegistry>(registry);
  const auto all = Cascade::load(two_stages(), options);
  CHECK(*loads == 1);
  REQUIRE(all.first() != nullptr);
  *loads = 0;
  options.memory = CascadeMemory::one_at_a_time;
  const auto in_turn = Cascade::load(two_stages(), options);
  CHECK(*loads == 0);
  CHECK(in_turn.first() == nullptr);

  const auto together = all.generate(cascade_order(6, 2));
  const auto apart = in_turn.generate(cascade_order(6, 2));
  CHECK(*loads == 2);
  CHECK(apart.infotexts == together.infotexts);
  CHECK(apart.seeds == std::vector<std::uint64_t>{6, 7});
  REQUIRE(apart.images.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) CHECK(same_picture(apart.images[i], together.images[i]));
  CHECK(std::ranges::equal(apart.latents.span(), together.latents.span()));
  // A picture of a batch is the one that it is alone.
  CHECK(same_picture(all.generate(cascade_order(7)).images[0], together.images[1]));
}

TEST_CASE("a cascade counts the steps of all stages", "[pipeline][cascade]") {
  auto description = two_stages();
  description.stages.push_back({.path = small_upscaler});
  for (const auto memory : {CascadeMemory::all, CascadeMemory::one_at_a_time}) {
    const auto cascade = Cascade::load(description, native_cascade(memory));
    auto order = cascade_order(3, 2);
    int next = 0, total = 0;
    double progress = 0.0;
    std::size_t stage = 0;
    order.on_step = [&](const CascadeStep& step) {
      CHECK(step.index == next++);
      CHECK(step.progress > progress);
      CHECK(step.stages == 3);
      CHECK(step.stage >= stage);
      if (memory == CascadeMemory::all && total > 0) CHECK(step.total == total);
      total = step.total;
      progress = step.progress;
      stage = step.stage;
      if (step.stage < 2) CHECK(step.step.preview().width() == (step.stage == 0 ? 16 : 32));
      return true;
    };
    const auto made = cascade.generate(order);
    CHECK(made.images.at(1).width() == 128);
    CHECK(made.infotexts.at(1).find("Stage 3 Size: 128x128") != std::string::npos);
    CHECK(next == total);
    CHECK(total == 3 + 2 * 2 + 2);
    CHECK(progress == 1.0);
    CHECK(stage == 2);
  }
}

TEST_CASE("a cascade is cancelled in any stage", "[pipeline][cascade]") {
  const auto cascade = Cascade::load(two_stages(), native_cascade());
  for (const std::size_t stage : {0, 1}) {
    auto order = cascade_order();
    order.on_step = [&](const CascadeStep& step) { return step.stage != stage; };
    CHECK_THROWS_AS(cascade.generate(order), Cancelled);
    std::stop_source stop;
    order.first.stop = stop.get_token();
    order.on_step = [&](const CascadeStep& step) {
      if (step.stage == stage) stop.request_stop();
      return true;
    };
    CHECK_THROWS_AS(cascade.generate(order), Cancelled);
    CHECK(cascade.try_generate(order).error().kind == ErrorKind::cancelled);
  }
}

TEST_CASE("what is wrong with a cascade is said with its stage", "[pipeline][cascade]") {
  expect_refused<FormatError>("{", {"cascade.json"});
  expect_refused<ConfigError>(R"({"stages": []})", {"version"});
  expect_refused<ConfigError>(R"({"version": 2, "stages": []})", {"version", "2", "1"});
  expect_refused<ConfigError>(R"({"version": 1})", {"stages"});
  expect_refused<ConfigError>(R"({"version": 1, "stages": []})", {"stages", "1 to 16"});
  expect_refused<ConfigError>(R"({"version": 1, "stages": [3]})", {"stage 1", "no object"});
  expect_refused<ConfigError>(R"({"version": 1, "stages": [{}]})", {"stage 1", "path"});
  expect_refused<ConfigError>(R"({"version": 1, "stages": [{"path": "x"}], "stage": 2})", {"stage"});
  const auto one = R"({"version": 1, "stages": [{"path": )" + in_json(first_model);
  expect_refused<ConfigError>(one + R"(, "step": 3}]})", {"stage 1", "step"});
  expect_refused<ConfigError>(one + R"(, "steps": 0}]})", {"stage 1", "steps", "1 to"});
  expect_refused<ConfigError>(one + R"(, "steps": "3"}]})", {"stage 1", "steps"});
  expect_refused<ConfigError>(one + R"(, "precision": "f64"}]})", {"stage 1", "precision", "f64"});
  expect_refused<ConfigError>(one + R"(, "parts": []}]})", {"stage 1", "parts"});
  expect_refused<FileError>(one + R"(, "parts": {"tokenizer": "none"}}]})", {"stage 1", "tokenizer", "none"});
  expect_refused<ConfigError>(
      R"({"version": 1, "stages": [{"scale": 2, "path": )" + in_json(golden("pipelines/dit")) + "}]}",
      {"stage 1 of 1 (dit)", "scale"});
  expect_refused<FileError>(one + R"(}, {"path": "missing"}]})", {"stage 2 of 2 (missing)"});
  const auto second = [&](const fs::path& path, const std::string& more) {
    return one + R"(, "width": 16, "height": 16}, {"path": )" + in_json(path) + more + "}]}";
  };
  expect_refused<ConfigError>(second(golden("pipelines/dit"), ""), {"stage 2 of 2 (dit)", "no picture"});
  for (const std::string size : {R"(, "width": 8, "height": 8)", R"(, "scale": 0.5)",
                                 R"(, "width": 64, "height": 16)", R"(, "scale": 1.03)"})
    expect_refused<ArgumentError>(second(second_model, size),
                                  {"stage 2 of 2 (if_stage2)", "do not follow each other"});
  const TempFolder empty;
  expect_error<FileError>([&] { (void)CascadeDescription::read(empty.path()); }, {"cascade.json"});
  CHECK(Cascade::try_load(empty.path()).error().kind == ErrorKind::file);
  expect_error<ArgumentError>([] { StageOptions().set("speed", "1"); }, {"speed", "steps", "noise_level"});
  expect_error<ArgumentError>([] { StageOptions().set("strength", "2"); }, {"strength", "0 to 1"});

  // Of a run: before anything is made.
  const auto cascade = Cascade::load(two_stages(), native_cascade());
  auto order = cascade_order();
  bool began = false;
  order.on_step = [&](const CascadeStep&) { return began = true; };
  const auto expect_before = [&](std::initializer_list<std::string_view> parts) {
    expect_error<ArgumentError>([&] { (void)cascade.generate(order); }, parts);
    CHECK_FALSE(began);
  };
  order.first.size = {.width = 64, .height = 64};
  order.stages = {{}, {.width = 32, .height = 32}};
  expect_before({"stage 2 of 2", "64x64", "32x32"});
  order.first.size = {};
  order.stages = {{}, {.noise_level = 5000}};
  expect_before({"stage 2 of 2", "noise_level", "5000"});
  order.stages = {{.scale = 2.0}};
  expect_before({"stage 1 of 2", "scale"});
  order.stages = {{}, {.sampler = "none"}};
  expect_error<ConfigError>([&] { (void)cascade.generate(order); }, {"stage 2 of 2", "sampler", "none"});
  order.stages.clear();
  order.first.on_step = [](const Step&) { return true; };
  expect_before({"callbacks"});
}

TEST_CASE("stages of a cascade are of many kinds", "[pipeline][cascade]") {
  const auto sd = golden("pipelines/sd1");
  CascadeDescription description{.name = "kinds",
                                 .stages = {{.path = sd},
                                            {.path = sd},
                                            {.path = golden("pipelines/sd_x4_upscaler")},
                                            {.path = small_upscaler}}};
  description.stages[0].options = {.steps = 3, .width = 32, .height = 24};
  description.stages[1].options = {.steps = 4, .strength = 0.5, .seed_offset = 1};
  description.stages[2].options = {.steps = 2};
  description.stages[3].options = {.scale = 2.0};
  const auto cascade = Cascade::load(description, native_cascade());
  auto order = cascade_order();
  int total = 0, steps = 0;
  order.on_step = [&](const CascadeStep& step) {
    if (total > 0) CHECK(step.total == total);
    total = step.total;
    ++steps;
    return true;
  };
  const auto made = cascade.generate(order);
  CHECK(steps == total);
  CHECK(made.images.at(0).width() == 256);
  CHECK(made.images.at(0).height() == 192);
  auto settings = parse_infotext(made.infotexts.at(0));
  order.stages = take_stage_options(settings);
  REQUIRE(order.stages.size() == 4);
  CHECK(order.stages[1].strength == 0.5);
  CHECK(order.stages[1].seed_offset == 1);
  CHECK(order.stages[3].width == 256);
  auto wild = parse_infotext("a\nSteps: 2, Stage 2 Steps: -5, Stage 2 Denoising strength: 1e300, Version: x");
  const auto dropped = take_stage_options(wild);
  REQUIRE(dropped.size() == 2);
  CHECK_FALSE(dropped[1].steps);
  CHECK_FALSE(dropped[1].strength);
  CHECK(same_picture(cascade.generate(order).images[0], made.images[0]));
  // What needs a mask can be no stage.
  const auto masked = Cascade::load(
      {.name = {}, .stages = {{.path = sd}, {.path = golden("pipelines/sd1_inpaint9")}}}, native_cascade());
  expect_error<ArgumentError>([&] { (void)masked.generate(cascade_order()); },
                              {"stage 2 of 2 (sd1_inpaint9)", "mask"});
}
