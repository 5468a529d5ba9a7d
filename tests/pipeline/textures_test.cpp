#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/ip_adapter.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

constexpr Index stride = 2;           // of the model's U-Net in all
constexpr Index space_ratio = 2;      // of its autoencoder
constexpr int rows = 1, columns = 2;  // axes

Pipeline model(const std::string& name = "sd1") {
  return Pipeline::load(golden("pipelines/" + name), {.precision = Precision::float32, .threads = 1});
}

Request small_request() {
  Request request;
  request.prompt = "a cat on a red carpet";
  request.size = {.width = 24, .height = 16};
  request.sampling.steps = 2;
  request.sampling.sampler = "ddim";
  request.sampling.seed = 7;
  return request;
}

Request from_noise(const Tensor<float>& noise, Tiling tiling) {
  auto request = small_request();
  request.sampling.noise = noise;
  request.tiling = tiling;
  request.output.decoded = true;
  return request;
}

bool same_bits(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.data(), a.data() + a.size(), b.data());
}

/// `x[N, H, W, C]`, what leaves at one end of the axis coming back at the other (torch.roll).
Tensor<float> rolled(const Tensor<float>& x, int axis, Index by) {
  const Index height = x.dim(1), width = x.dim(2), channels = x.dim(3);
  Tensor<float> result(x.shape());
  for (Index n = 0; n < x.dim(0); ++n)
    for (Index row = 0; row < height; ++row)
      for (Index column = 0; column < width; ++column) {
        const Index to_row = axis == rows ? (row + by) % height : row;
        const Index to_column = axis == columns ? (column + by) % width : column;
        const float* from = x.data() + ((n * height + row) * width + column) * channels;
        std::copy(from, from + channels,
                  result.data() + ((n * height + to_row) * width + to_column) * channels);
      }
  return result;
}

/// How far rolling the noise is from rolling what is made of it.
struct Moved {
  double latents, decoded;
};
Moved moved(const Pipeline& pipeline, const Request& request, int axis) {
  const auto made = pipeline.generate(request);
  auto other = request;
  other.sampling.noise = rolled(request.sampling.noise, axis, stride);
  const auto then = pipeline.generate(other);
  return {difference(then.latents, rolled(made.latents, axis, stride)).rel_l2,
          difference(then.decoded, rolled(made.decoded, axis, stride * space_ratio)).rel_l2};
}

std::optional<std::string> setting(const Result& made, const std::string& key) {
  for (const auto& [name, value] : parse_infotext(made.infotexts.front()).parameters)
    if (name == key) return value;
  return std::nullopt;
}

/// Why a request is refused, in one line.
void expect_refusal(const Pipeline& pipeline, const Request& request,
                    std::initializer_list<std::string_view> parts) {
  expect_error<ArgumentError>(
      [&] {
        try {
          (void)pipeline.generate(request);
        } catch (const Error& error) {
          CHECK(std::string(error.what()).find('\n') == std::string::npos);
          throw;
        }
      },
      parts);
}

models::FreeU some_free_u() {
  models::FreeU free_u;
  free_u.b1 = 1.5f;
  free_u.b2 = 1.75f;
  free_u.s1 = 0.5f;
  free_u.s2 = 0.25f;
  return free_u;
}

Image coloured(Index width, Index height, int shift) {
  Image image(width, height, 3);
  int number = shift;
  for (auto& value : image.pixels()) value = static_cast<std::uint8_t>((number += 37) % 256);
  return image;
}

std::shared_ptr<const ImageEncoder> encoder_of(const Pipeline& pipeline, const std::string& family) {
  return pipeline.load_image_encoder(golden("adapters/ip_adapter_" + family) / "image_encoder");
}

std::shared_ptr<const IpAdapter> adapter_of(const Pipeline& pipeline, const std::string& family,
                                            const std::string& file) {
  return pipeline.load_ip_adapter(golden("adapters/ip_adapter_" + family) / file,
                                  encoder_of(pipeline, family));
}

ImagePrompt prompt_of(std::shared_ptr<const IpAdapter> adapter, float scale, std::vector<Image> images) {
  ImagePrompt prompt;
  prompt.adapter = std::move(adapter);
  prompt.images = std::move(images);
  prompt.scale = scale;
  return prompt;
}

Tensor<float> made(const Pipeline& pipeline, std::vector<ImagePrompt> prompts) {
  auto request = small_request();
  request.image_prompts = std::move(prompts);
  return pipeline.generate(request).latents;
}

}  // namespace

TEST_CASE("seamless pictures move with their noise, across the edges", "[pipeline][tiling]") {
  const auto pipeline = model();
  const auto noise = random_tensor({1, 8, 12, 4}, 11);
  REQUIRE(pipeline.generate(from_noise(noise, {})).decoded.shape() == Shape{1, 16, 24, 3});
  for (const bool x : {false, true})
    for (const bool y : {false, true}) {
      INFO((x ? "x " : "") << (y ? "y" : ""));
      const auto request = from_noise(noise, {.x = x, .y = y});
      for (const auto& [axis, wraps] : {std::pair{columns, x}, std::pair{rows, y}}) {
        INFO("along axis " << axis);
        const auto far = moved(pipeline, request, axis);
        if (wraps) {
          CHECK(far.latents < 1e-4);
          CHECK(far.decoded < 1e-4);
        } else {
          CHECK(far.latents > 1e-3);
          CHECK(far.decoded > 2e-4);
        }
      }
    }
  // What FreeU does is the same everywhere in a picture.
  auto both = from_noise(noise, {.x = true, .y = false});
  both.free_u = some_free_u();
  CHECK(moved(pipeline, both, columns).latents < 1e-4);
}

TEST_CASE("seamless pictures and FreeU leave nothing behind", "[pipeline][tiling][free_u]") {
  const auto pipeline = model();
  const auto request = small_request();
  const auto before = pipeline.generate(request);
  CHECK_FALSE(setting(before, "Tiling").has_value());
  CHECK_FALSE(setting(before, "freeu_b1").has_value());

  auto seamless = request;
  seamless.tiling = {.x = true, .y = false};
  const auto tile = pipeline.generate(seamless);
  CHECK(difference(tile.latents, before.latents).rel_l2 > 1e-3);
  CHECK(setting(tile, "Tiling") == "x");
  seamless.tiling.y = true;
  CHECK(setting(pipeline.generate(seamless), "Tiling") == "True");

  auto freed = request;
  freed.free_u = some_free_u();
  const auto free = pipeline.generate(freed);
  CHECK(difference(free.latents, before.latents).rel_l2 > 1e-3);
  CHECK_FALSE(std::ranges::equal(free.images.front().pixels(), before.images.front().pixels()));
  CHECK(setting(free, "freeu_b1") == "1.5");
  CHECK(setting(free, "freeu_s2") == "0.25");
  // Each of the four numbers counts.
  for (const auto member : {&models::FreeU::b1, &models::FreeU::b2, &models::FreeU::s1, &models::FreeU::s2}) {
    auto without = freed;
    (*without.free_u).*member = 1.0f;
    CHECK(difference(pipeline.generate(without).latents, free.latents).rel_l2 > 1e-4);
  }

  freed.free_u = models::FreeU{};  // ones
  CHECK(same_bits(pipeline.generate(freed).latents, before.latents));
  const auto after = pipeline.generate(request);
  CHECK(same_bits(after.latents, before.latents));
  CHECK(std::ranges::equal(after.images.front().pixels(), before.images.front().pixels()));

  // A picture of a batch is as it is alone.
  auto batch = request;
  batch.tiling = {.x = true, .y = true};
  batch.free_u = some_free_u();
  batch.output.count = 2;
  const auto two = pipeline.generate(batch).latents;
  batch.output.count = 1;
  CHECK(same_bits(two.slice(0, 1), pipeline.generate(batch).latents));
  batch.sampling.seed = 8;
  CHECK(same_bits(two.slice(1, 2), pipeline.generate(batch).latents));
}

TEST_CASE("models that are no U-Nets make no seamless pictures and take no FreeU or pictures as prompts",
          "[pipeline][tiling][free_u]") {
  const auto adapter = adapter_of(model(), "sd1", "ip-adapter_sd15.safetensors");
  Request class_request, prompt_request;
  class_request.class_labels = {1};
  prompt_request.prompt = "a cat";
  for (const auto& [name, title, plain] : {std::tuple{"dit", std::string("DiT"), class_request},
                                           {"flux_schnell", std::string("FLUX.1"), prompt_request}}) {
    INFO(title);
    const auto pipeline = model(name);
    auto request = plain;
    request.tiling.x = true;
    expect_refusal(pipeline, request, {title + " makes no seamless pictures"});
    request = plain;
    request.free_u = some_free_u();
    expect_refusal(pipeline, request, {title + " takes no FreeU"});
    request = plain;
    request.image_prompts = {prompt_of(adapter, 1.0f, {coloured(20, 20, 1)})};
    expect_refusal(pipeline, request, {title + " takes no pictures as prompts"});
  }
  // A U-Net without a prompt.
  Request request;
  request.free_u = some_free_u();
  expect_refusal(model("ddpm"), request, {"DDPM takes no FreeU"});
  request = small_request();
  request.free_u = some_free_u();
  request.free_u->s1 = std::numeric_limits<float>::quiet_NaN();
  expect_refusal(model(), request, {"a factor of FreeU is", "finite number"});
}

TEST_CASE("pictures as prompts steer, add up and leave nothing behind", "[pipeline][image_prompts]") {
  const auto pipeline = model();
  const auto adapter = adapter_of(pipeline, "sd1", "ip-adapter_sd15.safetensors");
  CHECK(adapter->info().attention_widths == std::vector<Index>{8, 8, 8, 12});
  const auto picture = coloured(40, 32, 9), other = coloured(17, 50, 100);
  const auto without = made(pipeline, {});
  const auto with = made(pipeline, {prompt_of(adapter, 1.0f, {picture})});
  CHECK(difference(with, without).rel_l2 > 1e-3);
  CHECK(same_bits(with, made(pipeline, {prompt_of(adapter, 1.0f, {picture})})));
  CHECK(same_bits(made(pipeline, {prompt_of(adapter, 0.0f, {picture})}), without));
  CHECK(difference(made(pipeline, {prompt_of(adapter, 1.0f, {other})}), with).rel_l2 > 1e-5);

  // Twice half is once whole. The same picture beside itself has the same
  // softmax, another one does not.
  const auto half = prompt_of(adapter, 0.5f, {picture});
  CHECK(difference(made(pipeline, {half, half}), with).rel_l2 < 1e-5);
  CHECK(difference(made(pipeline, {half}), with).rel_l2 > 1e-3);
  CHECK(difference(made(pipeline, {prompt_of(adapter, 1.0f, {picture, picture})}), with).rel_l2 < 1e-5);
  CHECK(difference(made(pipeline, {prompt_of(adapter, 1.0f, {picture, other})}), with).rel_l2 > 1e-5);

  // Scales by name take the place of the one for all.
  auto named = prompt_of(adapter, 0.0f, {picture});
  named.block_scales = {{"down_blocks.0", 1.0f}, {"mid_block", 1.0f}, {"up_blocks.1", 1.0f}};
  CHECK(same_bits(made(pipeline, {named}), with));
  named.block_scales = {{"up_blocks.1", 0.0f}};
  CHECK(same_bits(made(pipeline, {named}), without));
  named.block_scales = {{"up_blocks.1", 1.0f}, {"up_blocks.1.attentions.0", 0.0f}};
  const auto partly = made(pipeline, {named});
  CHECK(difference(partly, with).rel_l2 > 1e-4);
  CHECK(difference(partly, without).rel_l2 > 1e-4);
  CHECK(same_bits(made(pipeline, {}), without));
}

TEST_CASE("pictures of a batch see their prompt's picture as they do alone", "[pipeline][image_prompts]") {
  const auto pipeline = model();
  auto request = small_request();
  request.image_prompts = {
      prompt_of(adapter_of(pipeline, "sd1", "ip-adapter_sd15.safetensors"), 0.7f, {coloured(40, 32, 9)})};
  for (const float guidance : {7.5f, 1.0f}) {
    INFO("guidance " << guidance);
    request.guidance.scale = guidance;
    request.sampling.seed = 7;
    request.output.count = 2;
    const auto two = pipeline.generate(request).latents;
    request.output.count = 1;
    CHECK(same_bits(two.slice(0, 1), pipeline.generate(request).latents));
    request.sampling.seed = 8;
    CHECK(same_bits(two.slice(1, 2), pipeline.generate(request).latents));
  }
}

TEST_CASE("pictures as prompts that do not fit are refused", "[pipeline][image_prompts]") {
  const auto pipeline = model();
  const auto adapter = adapter_of(pipeline, "sd1", "ip-adapter_sd15.safetensors");
  const auto picture = coloured(40, 32, 9);
  const auto refuses = [&](const ImagePrompt& prompt, std::initializer_list<std::string_view> parts) {
    auto request = small_request();
    request.image_prompts = {prompt};
    expect_refusal(pipeline, request, parts);
  };
  refuses(prompt_of(adapter_of(pipeline, "sdxl", "ip-adapter_sdxl_vit-h.safetensors"), 1.0f, {picture}),
          {"ip-adapter_sdxl_vit-h.safetensors", "8 attentions", "width 12", "4 (8)"});
  refuses(prompt_of(nullptr, 1.0f, {picture}), {"has no adapter"});
  refuses(prompt_of(adapter, 1.0f, {}), {"has no picture"});
  refuses(prompt_of(adapter, 1.0f, {Image()}), {"picture is empty"});
  refuses(prompt_of(adapter, std::numeric_limits<float>::infinity(), {picture}), {"scale is", "finite"});
  auto named = prompt_of(adapter, 1.0f, {picture});
  named.block_scales = {{"down_blocks.1", 1.0f}};
  refuses(named, {"\"down_blocks.1\"", "down_blocks.0"});

  const auto file = golden("adapters/ip_adapter_sdxl") / "ip-adapter_sdxl_vit-h.safetensors";
  expect_error<WeightError>([&] { (void)pipeline.load_ip_adapter(file, encoder_of(pipeline, "sd1")); },
                            {"ip-adapter_sdxl_vit-h.safetensors", "projection_dim", "24", "20"});
  expect_error<ArgumentError>([&] { (void)pipeline.load_ip_adapter(file, nullptr); }, {"image encoder"});
}
