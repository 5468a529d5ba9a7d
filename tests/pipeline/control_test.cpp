#include "daguerre/pipeline/control.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "daguerre/pipeline/model.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/weights/key_map.hpp"
#include "pipeline/control_picture.hpp"
#include "pipeline/controls/controls.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "weights/control_configs.hpp"

using namespace daguerre;
using namespace daguerre::test;
namespace fs = std::filesystem;

namespace {

fs::path control_folder(const std::string& name = "controlnet") {
  return golden("pipelines/sd1_controlnet") / name;
}

Pipeline controlled_model(const std::string& name = "sd1") {
  return Pipeline::load(golden("pipelines/" + name), {.precision = Precision::float32, .threads = 1});
}

/// A ramp to the right, another one downwards.
Image ramps(Index width, Index height) {
  Image image(width, height, 3);
  for (Index y = 0; y < height; ++y)
    for (Index x = 0; x < width; ++x) {
      auto* pixel = image.pixels().data() + (y * width + x) * 3;
      pixel[0] = static_cast<std::uint8_t>(255 * x / width);
      pixel[1] = static_cast<std::uint8_t>(255 * y / height);
      pixel[2] = 128;
    }
  return image;
}

Request small_request() {
  Request request;
  request.prompt = "a cat on a red carpet";
  request.size = {.width = 24, .height = 16};
  request.sampling.steps = 4;
  request.sampling.sampler = "ddim";  // a call for each step
  request.sampling.seed = 7;
  return request;
}

ControlUse use_of(std::shared_ptr<const Control> control, float scale = 1.0f, double start = 0.0,
                  double end = 1.0) {
  ControlUse use;
  use.control = std::move(control);
  use.image = ramps(24, 16);
  use.scale = scale;
  use.start = start;
  use.end = end;
  return use;
}

Tensor<float> made(const Pipeline& pipeline, Request request, std::vector<ControlUse> controls = {}) {
  request.controls = std::move(controls);
  return pipeline.generate(request).latents;
}

bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

/// What TencentARC's and lllyasviel's files call the tensors of diffusers'.
using Renames = std::vector<std::pair<std::string, std::string>>;
void write_renamed(const fs::path& from, const Renames& renames, const fs::path& to) {
  const auto file = weights::SafetensorsFile::open(from);
  weights::SafetensorsWriter writer;
  for (const auto& info : file.tensors()) {
    auto name = std::string(info.name);
    for (const auto& [ours, theirs] : renames)
      if (const auto at = name.find(ours); at != name.npos) name.replace(at, ours.size(), theirs);
    writer.add(name, file.read<float>(info.name));
  }
  writer.save(to);
}

}  // namespace

TEST_CASE("controls steer, add up, begin and end, and leave nothing behind", "[pipeline][control]") {
  const auto pipeline = controlled_model();
  REQUIRE(pipeline.info().takes_controls);
  const auto control = pipeline.load_control(control_folder());
  const auto other = pipeline.load_control(control_folder("controlnet_1"));
  const auto request = small_request();
  const auto without = made(pipeline, request);
  const auto with = made(pipeline, request, {use_of(control)});
  CHECK(difference(with, without).rel_l2 > 1e-3);
  CHECK(same_bits(with, made(pipeline, request, {use_of(control)})));

  // Twice half is once whole, up to rounding; the order of two does not matter.
  const auto halves = made(pipeline, request, {use_of(control, 0.5f), use_of(control, 0.5f)});
  CHECK(difference(halves, with).rel_l2 < 1e-5);
  const auto both = made(pipeline, request, {use_of(control, 0.7f), use_of(other, 0.6f)});
  CHECK(difference(both, made(pipeline, request, {use_of(other, 0.6f), use_of(control, 0.7f)})).rel_l2 <
        1e-5);
  CHECK(difference(both, with).rel_l2 > 1e-3);

  // Off is off.
  CHECK(same_bits(made(pipeline, request, {use_of(control, 0.0f)}), without));
  CHECK(same_bits(made(pipeline, request, {use_of(control, 1.0f, 0.0, 0.2)}), without));  // no whole step
  const auto early = made(pipeline, request, {use_of(control, 1.0f, 0.0, 0.5)}),
             late = made(pipeline, request, {use_of(control, 1.0f, 0.5, 1.0)});
  CHECK(same_bits(made(pipeline, request, {use_of(control, 1.0f, 0.0, 0.5), use_of(control, 1.0f, 0.5, 1.0)}),
                  with));
  CHECK(difference(early, late).rel_l2 > 1e-4);
  CHECK(same_bits(made(pipeline, request), without));

  // An image of a batch is as it is alone.
  auto batch = request;
  batch.output.count = 2;
  const auto two = made(pipeline, batch, {use_of(control)});
  auto second = request;
  second.sampling.seed = 8;
  CHECK(same_bits(two.slice(0, 1), with));
  CHECK(same_bits(two.slice(1, 2), made(pipeline, second, {use_of(control)})));

  auto guessing = use_of(control);
  guessing.guess_mode = true;
  CHECK(difference(made(pipeline, request, {guessing}), with).rel_l2 > 1e-4);
}

TEST_CASE("a picture's settings name its controls", "[pipeline][control]") {
  const auto pipeline = controlled_model();
  auto request = small_request();
  request.controls = {use_of(pipeline.load_control(control_folder()), 0.5f, 0.25, 0.75)};
  const auto text = parse_infotext(pipeline.generate(request).infotexts.front());
  const auto found = std::find_if(text.parameters.begin(), text.parameters.end(),
                                  [](const auto& entry) { return entry.first == "ControlNet 0"; });
  REQUIRE(found != text.parameters.end());
  CHECK(found->second ==
        "Module: none, Model: controlnet, Weight: 0.5, Resize Mode: Just Resize, "
        "Guidance Start: 0.25, Guidance End: 0.75");
}

TEST_CASE("a control's picture is brought to the size", "[pipeline][control]") {
  const ControlInfo info;
  const auto wide = ramps(40, 10);
  const auto stretched = resized_as(wide, 20, 20, ControlResize::stretch);
  CHECK(stretched.pixels()[0] < 10);
  CHECK(stretched.pixels()[19 * 3] > 240);
  const auto cropped = resized_as(wide, 20, 20, ControlResize::crop);  // the middle quarter
  CHECK(cropped.pixels()[0] > 90);
  CHECK(cropped.pixels()[19 * 3] < 165);
  const auto fitted = resized_as(wide, 20, 20, ControlResize::fit);  // rows 8 to 12
  for (const Index row : {0, 7}) CHECK(fitted.pixels()[row * 60 + 30] == fitted.pixels()[8 * 60 + 30]);
  CHECK(fitted.pixels()[19 * 60 + 1] > fitted.pixels()[1]);
  CHECK(resized_as(wide, 7, 31, ControlResize::fit).height() == 31);

  const auto mask = Tensor<float>::full({1, 20, 20, 1}, 1.0f);
  const auto hidden = control_input(info, wide, 20, 20, ControlResize::stretch, mask);
  CHECK(std::all_of(hidden.span().begin(), hidden.span().end(), [](float v) { return v == -1.0f; }));
  ControlInfo grey;
  grey.picture_channels = 1;
  CHECK(control_input(grey, wide, 20, 20, ControlResize::stretch, {}).shape() == Shape{1, 20, 20, 1});

  const auto pipeline = controlled_model();
  const auto control = pipeline.load_control(control_folder());
  auto large = use_of(control);
  large.image = ramps(48, 32);
  auto exact = use_of(control);
  exact.image = large.image.resized(24, 16);
  CHECK(same_bits(made(pipeline, small_request(), {large}), made(pipeline, small_request(), {exact})));
}

TEST_CASE("controls see the part of a picture that is worked on, and no tiles", "[pipeline][control]") {
  const auto pipeline = controlled_model();
  auto request = small_request();
  request.input.image = ramps(24, 16);
  request.input.mask = Image(24, 16, 1);
  for (Index y = 4; y < 12; ++y)
    for (Index x = 10; x < 18; ++x) request.input.mask.pixels()[static_cast<std::size_t>(y * 24 + x)] = 255;
  auto use = use_of(pipeline.load_control(control_folder())), other = use;
  for (Index y = 0; y < 16; ++y)
    other.image.pixels()[static_cast<std::size_t>(y * 24 * 3)] = 255;  // far from it
  CHECK_FALSE(same_bits(made(pipeline, request, {use}), made(pipeline, request, {other})));
  request.input.inpainting.only_masked = 0;
  CHECK(same_bits(made(pipeline, request, {use}), made(pipeline, request, {other})));

  auto tiled = small_request();
  tiled.tiles = Tiles{.size = 16, .overlap = 8};
  expect_error<ArgumentError>([&] { made(pipeline, tiled, {use}); },
                              {"controls see whole pictures", "16 x 16"});
  tiled.tiles = Tiles{.size = 32, .overlap = 8};  // all of it in one
  CHECK(same_bits(made(pipeline, tiled, {use}), made(pipeline, small_request(), {use})));
}

TEST_CASE("controls that are not possible are refused in a line", "[pipeline][control]") {
  const auto pipeline = controlled_model();
  const auto control = pipeline.load_control(control_folder());
  const auto refuse = [&](const ControlUse& use, std::initializer_list<std::string_view> parts) {
    expect_error<ArgumentError>([&] { made(pipeline, small_request(), {use}); }, parts);
  };
  auto use = use_of(control);
  use.image = {};
  refuse(use, {"control 0", "no image"});
  refuse(use_of(nullptr), {"control 0 is not there"});
  refuse(use_of(control, std::numeric_limits<float>::quiet_NaN()), {"control 0 (controlnet)", "scale"});
  refuse(use_of(control, 1.0f, 0.8, 0.2), {"start", "end", "nothing is between"});
  refuse(use_of(control, 1.0f, -0.5), {"start", "expected 0 to 1"});
  use = use_of(control);
  use.mode = 1;
  refuse(use, {"mode is 1", "it has none"});
  use = use_of(control);
  use.hides_masked = true;
  refuse(use, {"needs a mask"});

  // Another family's, at load and in a request; both files are named.
  const auto sd2 = controlled_model("sd2_v");
  const auto sd2_unet = (golden("pipelines/sd2_v") / "unet" / "config.json").string();
  expect_error<ConfigError>([&] { (void)sd2.load_control(control_folder()); },
                            {(control_folder() / "config.json").string(), sd2_unet, "does not fit"});
  expect_error<ConfigError>([&] { made(sd2, small_request(), {use_of(control)}); },
                            {sd2_unet, "does not fit"});
  const auto flux = controlled_model("flux_dev");
  expect_error<ConfigError>([&] { (void)flux.load_control(control_folder()); },
                            {"it is for U-Nets", "one of the transformers"});
  // A denoiser of a host that knows nothing of them.
  expect_error<ConfigError>(
      [&] { check_control_fit(control->info(), {.in_channels = 4}, pipeline.model().format()); },
      {"takes no controls"});
  expect_error<ConfigError>([&] { (void)pipeline.load_control(golden("pipelines/sd1") / "unet"); },
                            {"UNet2DConditionModel", "no control", "ControlNetModel"});
  expect_error<FileError>([&] { (void)pipeline.load_control(golden("pipelines/sd1")); }, {"config.json"});
  const TempFolder folder;
  write_renamed(golden("pipelines/sd1") / "vae" / "diffusion_pytorch_model.safetensors", {},
                folder / "vae.safetensors");
  expect_error<ConfigError>([&] { (void)pipeline.load_control(folder / "vae.safetensors"); },
                            {"vae.safetensors", "not recognised"});
  const auto missing = pipeline.try_load_control(folder / "nothing.safetensors");
  CHECK_FALSE(missing.has_value());
  // The pipeline is as good as before.
  CHECK(made(pipeline, small_request(), {use_of(control)}).dim(0) == 1);
}

TEST_CASE("a ControlNet under its authors' names is the same", "[pipeline][control]") {
  const auto pipeline = controlled_model();
  const TempFolder folder;
  const Renames ldm{{"controlnet_cond_embedding.conv_in.", "input_hint_block.0."},
                    {"controlnet_cond_embedding.blocks.0.", "input_hint_block.2."},
                    {"controlnet_cond_embedding.blocks.1.", "input_hint_block.4."},
                    {"controlnet_cond_embedding.conv_out.", "input_hint_block.6."},
                    {"controlnet_down_blocks.0.", "zero_convs.0.0."},
                    {"controlnet_down_blocks.1.", "zero_convs.1.0."},
                    {"controlnet_down_blocks.2.", "zero_convs.2.0."},
                    {"controlnet_down_blocks.3.", "zero_convs.3.0."},
                    {"controlnet_mid_block.", "middle_block_out.0."},
                    {"time_embedding.linear_1.", "time_embed.0."},
                    {"time_embedding.linear_2.", "time_embed.2."},
                    {"mid_block.resnets.0.", "middle_block.0."},
                    {"mid_block.attentions.0.", "middle_block.1."},
                    {"mid_block.resnets.1.", "middle_block.2."},
                    {"down_blocks.0.downsamplers.0.conv.", "input_blocks.2.0.op."},
                    {"down_blocks.0.resnets.0.", "input_blocks.1.0."},
                    {"down_blocks.0.attentions.0.", "input_blocks.1.1."},
                    {"down_blocks.1.resnets.0.", "input_blocks.3.0."},
                    {".0.norm1.", ".0.in_layers.0."},
                    {".0.conv1.", ".0.in_layers.2."},
                    {".0.norm2.", ".0.out_layers.0."},
                    {".0.conv2.", ".0.out_layers.3."},
                    {".0.time_emb_proj.", ".0.emb_layers.1."},
                    {".0.conv_shortcut.", ".0.skip_connection."},
                    {"middle_block.2.norm1.", "middle_block.2.in_layers.0."},
                    {"middle_block.2.conv1.", "middle_block.2.in_layers.2."},
                    {"middle_block.2.norm2.", "middle_block.2.out_layers.0."},
                    {"middle_block.2.conv2.", "middle_block.2.out_layers.3."},
                    {"middle_block.2.time_emb_proj.", "middle_block.2.emb_layers.1."},
                    {"transformer_blocks.0.in_layers.0.", "transformer_blocks.0.norm1."},
                    {"transformer_blocks.0.out_layers.0.", "transformer_blocks.0.norm2."}};
  auto below = ldm;
  for (auto& [ours, theirs] : below)
    if (theirs.front() != '.' && !theirs.starts_with("transformer_blocks") &&
        !ours.starts_with("middle_block"))
      theirs = "control_model." + theirs;
  below.insert(below.end(), {{"conv_in.", "control_model.input_blocks.0.0."}});
  const auto weights = control_folder() / "diffusion_pytorch_model.safetensors";
  folder.write("config.json", read_file(control_folder() / "config.json"));
  write_renamed(weights, below, folder / "control.safetensors");
  const auto names = weights::with_diffusers_names(weights::StateDict::load(folder / "control.safetensors"));
  CHECK(names.names() == weights::StateDict::load(weights).names());
  const auto control = pipeline.load_control(folder / "control.safetensors");
  CHECK(control->info().name == "control");
  CHECK(same_bits(made(pipeline, small_request(), {use_of(control)}),
                  made(pipeline, small_request(), {use_of(pipeline.load_control(control_folder()))})));
}

TEST_CASE("adapters under their authors' names are recognised", "[pipeline][control]") {
  const auto adapter = [](const std::string& kind) {
    return golden("unet/t2i_" + kind + "_adapter") / "weights.safetensors";
  };
  const TempFolder folder;
  write_renamed(adapter("full"),
                {{"adapter.conv_in", "conv_in"},
                 {"adapter.body.0.resnets.0.", "body.0."},
                 {"adapter.body.1.resnets.0.", "body.1."},
                 {"adapter.body.2.resnets.0.", "body.2."},
                 {"adapter.body.1.in_conv", "body.1.in_conv"},
                 {"adapter.body.2.in_conv", "body.2.in_conv"}},
                folder / "full.safetensors");
  const auto full = weights::with_diffusers_names(weights::StateDict::load(folder / "full.safetensors"));
  CHECK(full.names() == weights::StateDict::load(adapter("full")).names());
  const auto config = weights::control_config(full, 8, "full").value();
  CHECK(config.class_name() == "T2IAdapter");
  CHECK(config.get("adapter_type", "") == "full_adapter");
  CHECK(config.require_ints("channels") == std::vector{8, 12, 8});
  CHECK(config.require_int("downscale_factor") == 8);
  CHECK(weights::control_config(full, 4, "full")->get("adapter_type", "") == "full_adapter_xl");

  Renames light{{"adapter.", ""}};
  for (const char* block : {"body.0.", "body.1.", "body.2.", "body.3."})
    light.push_back({std::string(block) + "resnets.", std::string(block) + "body."});
  write_renamed(adapter("light"), light, folder / "light.safetensors");
  const auto names = weights::with_diffusers_names(weights::StateDict::load(folder / "light.safetensors"));
  CHECK(names.names() == weights::StateDict::load(adapter("light")).names());
  CHECK(weights::control_config(names, 8, "light")->get("adapter_type", "") == "light_adapter");
  CHECK(weights::control_config(names, 8, "light")->require_ints("channels") == std::vector{8, 12, 8});
}

TEST_CASE("residuals of transformers are shared among blocks as their authors do", "[models][control]") {
  using Sharing = models::TransformerFeatures::Sharing;
  const auto shared = [](std::size_t count, std::size_t blocks, Sharing sharing) {
    models::TransformerFeatures features;
    features.sharing = sharing;
    features.residuals.resize(count);
    std::vector<std::size_t> result;
    for (std::size_t i = 0; i < blocks; ++i)
      result.push_back(static_cast<std::size_t>(features.residual(i, blocks) - features.residuals.data()));
    return result;
  };
  using Numbers = std::vector<std::size_t>;
  CHECK(shared(2, 5, Sharing::rounded_up) == Numbers{0, 0, 0, 1, 1});
  CHECK(shared(2, 5, Sharing::repeated) == Numbers{0, 1, 0, 1, 0});
  CHECK(shared(2, 4, Sharing::rounded_down) == Numbers{0, 0, 1, 1});
  CHECK(shared(4, 6, Sharing::rounded_down) == Numbers{0, 0, 1, 2, 2, 3});  // one each leaves two without

  // Those of two networks with other numbers of them add up block by block.
  const auto residuals = [](std::vector<float> values, Sharing sharing) {
    Features result;
    for (const float value : values)
      result.transformer.residuals.push_back(Tensor<float>::full({1, 1, 1}, value));
    result.transformer.sharing = sharing;
    return result;
  };
  const auto sum =
      sum_of({}, residuals({1, 2}, Sharing::rounded_up), residuals({10, 20, 30}, Sharing::repeated),
             {.kind = FeatureSizes::Kind::transformer, .layers = 4})
          .transformer.residuals;
  REQUIRE(sum.size() == 4);
  const std::array<float, 4> expected{11, 21, 32, 12};
  for (std::size_t i = 0; i < 4; ++i) CHECK(sum[i].data()[0] == expected[i]);
}
