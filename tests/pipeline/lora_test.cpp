#include "daguerre/pipeline/lora.hpp"

#include <functional>
#include <thread>

#include "daguerre/media/infotext.hpp"
#include "daguerre/ops/engine.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/adapter_file.hpp"
#include "daguerre/weights/safetensors.hpp"
#include "pipeline/adapted_models.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

using Path = std::filesystem::path;

/// kohya's name of a module.
std::string kohya_name(const std::string& prefix, std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return prefix + name;
}

/// A LoRA of `rank` on all linear layers and convolutions of the tiny model's U-Net and text encoder that
/// `takes` says yes to.
void add_lora(weights::SafetensorsWriter& writer, const char* part, const std::string& prefix, Index rank,
              unsigned seed, const std::function<bool(const std::string&)>& takes = {}) {
  const auto state = weights::StateDict::load(golden("pipelines/sd1") / part);
  constexpr std::string_view ending = ".weight";
  for (const auto& name : state.names()) {
    const auto shape = state.shape(name);
    if (!name.ends_with(ending) || shape.rank() % 2 != 0 || name.find("embedding.weight") != name.npos)
      continue;
    const auto module = name.substr(0, name.size() - ending.size());
    if (takes && !takes(module)) continue;
    const auto key = kohya_name(prefix, module);
    const auto down = shape.rank() == 4 ? Shape{rank, shape[1], shape[2], shape[3]} : Shape{rank, shape[1]};
    const auto up = shape.rank() == 4 ? Shape{shape[0], rank, 1, 1} : Shape{shape[0], rank};
    writer.add(key + ".lora_down.weight", random_tensor(down, ++seed, 0.2f));
    writer.add(key + ".lora_up.weight", random_tensor(up, ++seed, 0.2f));
  }
}

std::shared_ptr<const Lora> as_lora(const weights::SafetensorsWriter& writer, const char* name,
                                    bool partial = false) {
  const auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
  const weights::StateDict tensors({weights::SafetensorsFile::from_memory(bytes, name)});
  return std::make_shared<const Lora>(name, weights::AdapterFile(tensors, {.partial = partial}), partial);
}

/// On both networks.
std::shared_ptr<const Lora> whole_lora(const char* name, unsigned seed) {
  weights::SafetensorsWriter writer;
  add_lora(writer, "unet", "lora_unet_", 1, seed);
  add_lora(writer, "text_encoder", "lora_te_", 1, seed + 1000);
  return as_lora(writer, name);
}

/// Whole differences of a norm, a bias and a convolution: no products.
std::shared_ptr<const Lora> differences() {
  weights::SafetensorsWriter writer;
  const auto state = weights::StateDict::load(golden("pipelines/sd1") / "unet");
  writer.add("lora_unet_conv_in.diff", random_tensor(state.shape("conv_in.weight"), 5, 0.1f));
  writer.add("lora_unet_conv_in.diff_b", random_tensor(state.shape("conv_in.bias"), 6, 0.1f));
  writer.add("lora_unet_conv_norm_out.diff", random_tensor(state.shape("conv_norm_out.weight"), 7, 0.1f));
  return as_lora(writer, "differences");
}

Pipeline load_with(LoadOptions options = {}) {
  if (options.precision == Precision::automatic) options.precision = Precision::float32;
  options.threads = 1;
  return Pipeline::load(golden("pipelines/sd1"), options);
}

Request order_with(std::vector<LoraUse> loras = {}) {
  Request request{.prompt = "a cat on a red carpet",
                  .loras = std::move(loras),
                  .size = {.width = 24, .height = 16},
                  .sampling = {.steps = 2, .seed = 7}};
  return request;
}

Tensor<float> latents_of(const Pipeline& pipeline, const std::vector<LoraUse>& loras = {}) {
  return pipeline.generate(order_with(loras)).latents;
}

bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

}  // namespace

TEST_CASE("LoRAs of a request do what those merged at load do", "[pipeline][lora]") {
  const std::vector<LoraUse> uses{{whole_lora("one", 1), 0.7f, 0.4f}, {differences(), -1.0f, {}}};
  struct Way {
    std::string engine;
    Precision precision;
    WeightStorage weights;
    Residency residency;
  };
  std::vector<Way> ways;
  for (const auto& engine : ops::engine_names()) {
    ways.push_back({engine, Precision::float32, WeightStorage::packed, Residency::kept});
    ways.push_back({engine, Precision::float32, WeightStorage::mapped, Residency::when_needed});
  }
  ways.push_back({"auto", Precision::bfloat16, WeightStorage::mapped, Residency::kept});
  if (ops::engine_names().front() == "onednn")
    ways.push_back({"onednn", Precision::int8, WeightStorage::packed, Residency::kept});
  Tensor<float> exact, exact_before;
  for (const auto& way : ways) {
    INFO(way.engine << ", " << short_name(way.precision) << ", " << short_name(way.weights));
    LoadOptions options{
        .precision = way.precision, .engine = way.engine, .weights = way.weights, .residency = way.residency};
    const auto plain = load_with(options);
    const auto before = latents_of(plain);
    const auto with = latents_of(plain, uses);
    CHECK(same_bits(latents_of(plain), before));
    CHECK(same_bits(latents_of(plain, uses), with));
    options.loras = uses;
    const auto merged = load_with(options);
    const auto expected = latents_of(merged);
    if (exact.empty()) {
      exact = expected;
      exact_before = before;
      CHECK(difference(exact_before, exact).rel_l2 > 0.1);
    }
    if (way.precision != Precision::float32) {
      // What the precision leaves of the merged weights is what can be had.
      CHECK(difference(with, exact).rel_l2 <= 1.5 * difference(expected, exact).rel_l2);
      continue;
    }
    CHECK(difference(with, exact).rel_l2 <= 1e-5);
    CHECK(difference(expected, exact).rel_l2 <= 1e-5);
    // On top of what was merged, and taken away again.
    const std::vector<LoraUse> taken{{uses[0].lora, -0.7f, -0.4f}, {uses[1].lora, 1.0f, {}}};
    CHECK(difference(latents_of(merged, taken), exact_before).rel_l2 <= 1e-5);
  }
}

TEST_CASE("threads with other LoRAs do not disturb each other", "[pipeline][lora]") {
  const auto pipeline = load_with();
  std::vector<std::vector<LoraUse>> sets{{}};
  for (unsigned i = 0; i < 5; ++i)
    sets.push_back({{whole_lora("some", 10 * i), 0.5f, {}}});  // more than are kept
  std::vector<Tensor<float>> expected(sets.size());
  for (std::size_t i = 0; i < sets.size(); ++i) expected[i] = latents_of(pipeline, sets[i]);
  std::vector<int> right(sets.size());
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < sets.size(); ++i)
    threads.emplace_back(
        [&, i] { right[i] += same_bits(latents_of(pipeline, sets[i]), expected[i]) ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  CHECK(right == std::vector<int>(sets.size(), 1));
  for (std::size_t i = 1; i < sets.size(); ++i) CHECK_FALSE(same_bits(expected[i], expected[i - 1]));
}

TEST_CASE("a picture with LoRAs does not depend on its batch", "[pipeline][lora]") {
  const auto pipeline = load_with();
  const std::vector<LoraUse> uses{{whole_lora("one", 1), 0.7f, {}}};
  auto two = order_with(uses);
  two.output.count = 2;
  CHECK(same_bits(pipeline.generate(two).latents.slice(0, 1), latents_of(pipeline, uses)));
}

TEST_CASE("what LoRAs change is told", "[pipeline][lora]") {
  const auto lora = whole_lora("big, bold", 1);
  const auto merged = load_with({.loras = {{differences(), 0.25f, {}}}});
  REQUIRE(merged.info().loras.size() == 1);
  CHECK(merged.info().loras[0].modules == std::map<std::string, std::size_t>{{"unet", 2}});
  const auto prepared = merged.prepare({{lora, 0.5f, 0.0f}});
  REQUIRE(prepared.size() == 1);
  CHECK(prepared[0].modules.size() == 2);
  CHECK(prepared[0].modules.at("text_encoder") > 5);
  CHECK_FALSE(prepared[0].at_load);
  const auto made = merged.generate(order_with({{lora, 0.5f, 0.0f}}));
  const auto text = parse_infotext(made.infotexts[0]);
  std::string value;
  for (const auto& [key, said] : text.parameters)
    if (key == "Loras") value = said;
  CHECK(parse_lora_mentions(value) ==
        std::vector<LoraMention>{{"differences", 0.25f, {}}, {"big, bold", 0.5f, 0.0f}});
  for (const char* bad : {"", "name", ":1", "a:b", "a:1:2:3", "a:1,"})
    expect_error<FormatError>([&] { parse_lora_mentions(bad); }, {"[lora]"});
  // One of weight 0 is none.
  CHECK(same_bits(latents_of(merged, {{lora, 0.0f, {}}}), latents_of(merged)));
}

TEST_CASE("a LoRA that does not fit is refused, and the pipeline goes on", "[pipeline][lora]") {
  const auto pipeline = load_with();
  const auto before = latents_of(pipeline);
  weights::SafetensorsWriter other;
  add_lora(other, "unet", "lora_unet_", 1, 1, [](const auto& name) { return name == "conv_in"; });
  other.add("lora_unet_double_blocks_0_img_attn_proj.lora_down.weight", random_tensor({1, 8}, 1));
  other.add("lora_unet_double_blocks_0_img_attn_proj.lora_up.weight", random_tensor({8, 1}, 2));
  expect_error<WeightError>(
      [&] {
        latents_of(pipeline, {{as_lora(other, "other"), 1.0f, {}}});
      },
      {"other", "double_blocks_0_img_attn_proj"});
  const auto partly = as_lora(other, "other", true);
  CHECK(pipeline.prepare({{partly, 1.0f, {}}})[0].unmatched == 2);

  weights::SafetensorsWriter second;
  add_lora(second, "text_encoder", "lora_te2_", 1, 1);
  expect_error<WeightError>(
      [&] {
        latents_of(pipeline, {{as_lora(second, "second"), 1.0f, {}}});
      },
      {"second", "text_encoder_2", "Stable Diffusion"});
  expect_error<WeightError>(
      [&] {
        latents_of(pipeline, {{as_lora(second, "second", true), 1.0f, {}}});
      },
      {"second", "nothing of it fits"});
  expect_error<WeightError>(
      [&] {
        load_with({.loras = {{as_lora(second, "second"), 1.0f, {}}}});
      },
      {"text_encoder_2"});
  expect_error<ArgumentError>([&] { latents_of(pipeline, {LoraUse{}}); }, {"without a file"});
  expect_error<ArgumentError>([&] { latents_of(pipeline, {{partly, std::nanf(""), {}}}); }, {"finite"});
  std::stop_source stopped;
  stopped.request_stop();
  auto order = order_with({{whole_lora("late", 3), 1.0f, {}}});
  order.stop = stopped.get_token();
  expect_error<Cancelled>([&] { pipeline.generate(order); }, {});
  CHECK(same_bits(latents_of(pipeline), before));

  const Model by_hand(pipeline.model().family(), pipeline.model().components());
  const std::vector<LoraUse> uses{{partly, 1.0f, {}}};
  expect_error<ArgumentError>([&] { by_hand.with_loras({}, uses); }, {"[lora]"});
}

TEST_CASE("prepared LoRAs stay until others take their place", "[pipeline][lora]") {
  const auto pipeline = load_with();
  const ops::Context context{.engine = nullptr, .threads = {}, .pool = {}, .stop = {}, .profile = {}};
  const std::vector<LoraUse> first{{whole_lora("first", 3), 1.0f, {}}}, second{{differences(), 1.0f, {}}},
      broken{{nullptr, 1.0f, {}}};
  const AdaptedModels one(pipeline.model(), true), several(pipeline.model(), false);
  for (const auto* models : {&one, &several}) {
    const auto made = models->with(first, context);
    expect_error<ArgumentError>([&] { (void)models->with(broken, context); }, {"without a file"});
    const auto denoiser = [&] { return models->with(first, context).components().denoiser; };
    CHECK(denoiser() == made.components().denoiser);
    (void)models->with(second, context);
    CHECK((denoiser() == made.components().denoiser) == (models == &several));
  }
}

TEST_CASE("LoRAs are found by name", "[pipeline][lora]") {
  const TempFolder folder;
  weights::SafetensorsWriter writer;
  add_lora(writer, "unet", "lora_unet_", 1, 1);
  std::filesystem::create_directories(folder / "styles");
  writer.save(folder / "styles/pixel art.safetensors");
  writer.save(folder / "ink.v2.safetensors");
  folder.write("notes.txt", "none");
  const auto pipeline = load_with({.lora_dir = folder.path()});
  const auto lora = pipeline.lora("pixel art");
  CHECK(lora->name() == "pixel art");
  CHECK(pipeline.lora("pixel art") == lora);
  CHECK(pipeline.lora("ink.v2")->name() == "ink.v2");
  expect_error<ArgumentError>([&] { pipeline.lora("Pixel"); }, {"\"Pixel\"", "\"pixel art\""});
  expect_error<ArgumentError>([&] { pipeline.lora("../ink"); }, {"../ink"});
  expect_error<ArgumentError>([&] { load_with().lora("ink"); }, {"\"ink\"", "no folder"});
  writer.save(folder / "styles/ink.v2.safetensors");
  expect_error<ArgumentError>([&] { LoraFolder(folder.path())("ink.v2"); }, {"several", "ink.v2"});
  expect_error<FileError>([&] { LoraFolder(folder / "nowhere").names(); }, {"nowhere"});
}
