// Models that make a small picture large by diffusion, and those that work in pixels: DeepFloyd IF, Stable
// Diffusion's x4 upscaler, and smaller ones of the kind.
#include <algorithm>

#include "daguerre/media/infotext.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "daguerre/pipeline/infotext_request.hpp"
#include "daguerre/pipeline/pipeline.hpp"
#include "daguerre/samplers/registry.hpp"
#include "pipeline/reference_size.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/model_copy.hpp"

using namespace daguerre;
using namespace daguerre::test;

namespace {

Pipeline pixel_model(const std::filesystem::path& path) {
  return Pipeline::load(path, {.engine = "native", .precision = Precision::float32, .threads = 1});
}

/// Grey steps from dark to bright.
Image stripes(Index width, Index height) {
  Image image(width, height, 3);
  for (std::size_t i = 0; i < image.pixels().size(); ++i)
    image.pixels()[i] = static_cast<std::uint8_t>(i * 37 % 251);
  return image;
}

Request small_order(Image picture) {
  Request request;
  request.prompt = "A Cat ";
  request.negative_prompt = "dog";
  request.sampling.steps = 2;
  request.sampling.seed = 7;
  request.input.image = std::move(picture);
  return request;
}

bool same(const Image& a, const Image& b) {
  return a.width() == b.width() && a.height() == b.height() && std::ranges::equal(a.pixels(), b.pixels());
}

}  // namespace

TEST_CASE("a small picture made large says how, and is made again", "[pipeline][enlargement][infotext]") {
  for (const auto* model : {"pipelines/if_stage2", "pipelines/sd_x4_upscaler"}) {
    INFO(model);
    const auto pipe = pixel_model(golden(model));
    CHECK(pipe.info().tasks == std::vector<std::string>{"upscale"});
    CHECK(pipe.info().needs_image);
    CHECK_FALSE(pipe.info().needs_mask);
    auto order = small_order(stripes(12, 8));
    const auto made = pipe.generate(order);
    // 32 high, in proportion; four times as large.
    CHECK(made.images[0].width() == 48);
    CHECK(made.images[0].height() == 32);
    CHECK(made.infotexts[0].find("Noise level: " + std::to_string(pipe.info().noise_level)) !=
          std::string::npos);
    auto read = request_from_infotext(parse_infotext(made.infotexts[0]));
    CHECK(read.notes == std::vector<std::string>{});
    CHECK(read.needs_image);
    read.request.input.image = stripes(12, 8);
    const auto again = pipe.generate(read.request);
    CHECK(same(again.images[0], made.images[0]));
    CHECK(again.infotexts == made.infotexts);
    // The picture, its noise, the prompt and the seed matter.
    const auto differs = [&](const auto& change) {
      auto other = order;
      change(other);
      CHECK_FALSE(same(pipe.generate(other).images[0], made.images[0]));
    };
    differs([](Request& r) { r.input.image = Image(12, 8, 3); });
    differs([](Request& r) { r.input.noise_level = 100; });
    differs([](Request& r) { r.prompt = "a dog"; });
    differs([](Request& r) { r.sampling.seed = 8; });
    // A picture does not depend on the batch that it is in.
    order.output.count = 2;
    order.sampling.seed = 6;
    CHECK(same(pipe.generate(order).images[1], made.images[0]));
  }
}

TEST_CASE("prompts of DeepFloyd IF are lowered and stripped", "[pipeline][enlargement]") {
  const auto pipe = pixel_model(golden("pipelines/if_stage1"));
  auto order = small_order({});
  order.size = {24, 16};
  const auto made = pipe.generate(order);
  order.prompt = "a cat";
  CHECK(same(pipe.generate(order).images[0], made.images[0]));
  // Timesteps of one's own, which the settings name.
  order.sampling.steps.reset();
  order.sampling.timesteps = {900, 500, 0};
  const auto own = pipe.generate(order);
  CHECK(own.infotexts[0].find("Timesteps: 900 500 0") != std::string::npos);
  const auto read = request_from_infotext(parse_infotext(own.infotexts[0]));
  CHECK(read.notes == std::vector<std::string>{});
  CHECK(same(pipe.generate(read.request).images[0], own.images[0]));
  order.sampling.steps = 3;
  expect_error<ArgumentError>([&] { (void)pipe.generate(order); }, {"steps or the timesteps", "not both"});
  order.sampling.steps.reset();
  order.sampling.timesteps = {100, 500};
  expect_error<ArgumentError>([&] { (void)pipe.generate(order); }, {"timesteps"});
  // Samplers that know no variance leave it out.
  order.sampling = {.steps = 2, .sampler = "ddim"};
  CHECK(pipe.generate(order).images[0].width() == 24);
  // From a picture of any size: in proportion, as large as the model was trained at.
  order.input.image = stripes(90, 30);
  order.size = {};
  const auto from = pipe.generate(order).images[0];
  CHECK(from.height() == 16);
  CHECK(from.width() == 48);
}

TEST_CASE("a size in proportion to a picture's", "[pipeline][enlargement]") {
  CHECK(size_as_trained({64, 64}, {256, 256}, 1) == Extent{256, 256});
  CHECK(size_as_trained({64, 96}, {256, 256}, 1) == Extent{256, 384});
  CHECK(size_as_trained({3000, 2000}, {64, 64}, 1) == Extent{96, 64});
  CHECK(size_as_trained({100, 101}, {64, 64}, 1) == Extent{64, 64});
  CHECK(size_as_trained({100, 150}, {64, 64}, 16) == Extent{64, 96});
}

TEST_CASE("what cannot be made large is refused in one line", "[pipeline][enlargement]") {
  const auto second = pixel_model(golden("pipelines/if_stage2"));
  const auto fourfold = pixel_model(golden("pipelines/sd_x4_upscaler"));
  const auto refused = [](const Pipeline& pipe, const auto& change,
                          std::initializer_list<std::string_view> parts) {
    auto request = small_order(stripes(12, 8));
    change(request);
    expect_error<ArgumentError>([&] { (void)pipe.generate(request); }, parts);
  };
  for (const auto* pipe : {&second, &fourfold}) {
    refused(*pipe, [](Request& r) { r.input.image = {}; }, {"makes a small picture large", "needs one"});
    refused(*pipe, [](Request& r) { r.input.noise_level = -1; }, {"noise_level is -1", "0 to"});
    refused(*pipe, [](Request& r) { r.input.mask = Image(8, 8, 1); }, {"takes no mask"});
    refused(*pipe, [](Request& r) { r.hires.emplace(); }, {"second pass"});
    refused(*pipe, [](Request& r) { r.input.strength = 0.5; }, {"strength", "large picture"});
  }
  refused(second, [](Request& r) { r.input.noise_level = 1000; }, {"noise_level is 1000", "0 to 999"});
  refused(fourfold, [](Request& r) { r.input.noise_level = 351; }, {"noise_level is 351", "0 to 350"});
  refused(fourfold, [](Request& r) { r.input.original = Image(48, 32, 3); }, {"takes no", "large picture"});
  const auto plain = pixel_model(golden("pipelines/sd1"));
  refused(plain, [](Request& r) { r.input.noise_level = 20; }, {"takes no noise level"});
  refused(plain, [](Request& r) { r.input.original = Image(8, 8, 3); }, {"takes no", "large picture"});
  // In tensors.
  const auto& model = second.model();
  Task task;
  task.prompts = {{}};
  task.height = task.width = 32;
  task.sampler = samplers::SamplerRegistry::standard().make("ddim", Config::parse("{}", "test"));
  task.low_resolution = Tensor<float>::zeros({1, 8, 8, 4});
  expect_error<ArgumentError>([&] { (void)model.condition({}, task, *model.guider(task)); },
                              {"the small picture is [1, 8, 8, 4]", "height, width, 3"});
  // Parts of another stage.
  const ModelCopy copy("if_stage2");
  copy.set("model_index.json", {{"_class_name", "IFPipeline"}});
  expect_error<ConfigError>([&] { (void)pixel_model(copy.path()); },
                            {"takes 6 channels and gives 6", "pictures have 1, 3 or 4"});
  copy.set("model_index.json", {{"_class_name", "IFSuperResolutionPipeline"},
                                {"image_noising_scheduler", {"diffusers", "EulerDiscreteScheduler"}}});
  expect_error<ConfigError>([&] { (void)pixel_model(copy.path()); },
                            {"EulerDiscreteScheduler", "image_noising_scheduler", "DDPMScheduler"});
  copy.set("model_index.json", {{"image_noising_scheduler", {nullptr, nullptr}}});
  expect_error<ConfigError>([&] { (void)pixel_model(copy.path()); },
                            {"there is no \"image_noising_scheduler\""});
}

TEST_CASE("tiles enlarge pictures of any size", "[pipeline][enlargement]") {
  const auto pipe = pixel_model(golden("pipelines/sd_x4_upscaler"));
  auto order = small_order(stripes(37, 21));
  order.guidance.scale = 1.0f;
  CHECK(pipe.generate(order).images[0].width() == 148);
  order.tiles = Tiles{.size = 64, .overlap = 16};
  const auto made = pipe.generate(order).images[0];
  CHECK(made.width() == 148);
  CHECK(made.height() == 84);
}

TEST_CASE("the configurations of published models of DeepFloyd IF are read", "[models][unet]") {
  // The two stages as published, with what differs between the sizes of each.
  const auto first = [](int channels, int layers) {
    return Config::parse(R"({"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.15.0.dev0",
      "act_fn": "gelu", "addition_embed_type": "text", "addition_embed_type_num_heads": 64,
      "attention_head_dim": 64, "block_out_channels": [)" +
                             std::to_string(channels) + ", " + std::to_string(2 * channels) + ", " +
                             std::to_string(3 * channels) + ", " + std::to_string(4 * channels) +
                             R"(], "center_input_sample": false, "class_embed_type": null,
      "class_embeddings_concat": false, "conv_in_kernel": 3, "conv_out_kernel": 3, "cross_attention_dim": )" +
                             std::to_string(4 * channels) +
                             R"(, "cross_attention_norm": "group_norm", "down_block_types":
      ["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D",
       "SimpleCrossAttnDownBlock2D"], "downsample_padding": 1, "dual_cross_attention": false,
      "encoder_hid_dim": 4096, "flip_sin_to_cos": true, "freq_shift": 0, "in_channels": 3,
      "layers_per_block": )" +
                             std::to_string(layers) +
                             R"(, "mid_block_only_cross_attention": null, "mid_block_scale_factor": 1,
      "mid_block_type": "UNetMidBlock2DSimpleCrossAttn", "norm_eps": 1e-05, "norm_num_groups": 32,
      "num_class_embeds": null, "only_cross_attention": false, "out_channels": 6,
      "projection_class_embeddings_input_dim": null, "resnet_out_scale_factor": 1.0,
      "resnet_skip_time_act": false, "resnet_time_scale_shift": "scale_shift", "sample_size": 64,
      "time_cond_proj_dim": null, "time_embedding_act_fn": null, "time_embedding_dim": null,
      "time_embedding_type": "positional", "timestep_post_act": null, "up_block_types":
      ["SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D",
       "ResnetUpsampleBlock2D"], "upcast_attention": false, "use_linear_projection": false})",
                         "unet/config.json");
  };
  for (const int channels : {192, 320, 704}) {
    const auto config = models::UNet2DConditionConfig::from(first(channels, 3));
    CHECK(config.cross_attention_dim() == 4096);
    CHECK(config.shape.out_channels == 6);
  }
  const auto second = models::UNet2DConditionConfig::from(first(160, 3).with(R"({
      "in_channels": 6, "class_embed_type": "timestep", "only_cross_attention": true, "sample_size": 256,
      "layers_per_block": [2, 3, 4, 4], "mid_block_scale_factor": 1.4142135623730951,
      "resnet_out_scale_factor": 1.4142135623730951, "resnet_skip_time_act": true,
      "time_embedding_act_fn": "gelu", "time_embedding_dim": 768})"));
  CHECK(second.shape.in_channels == 6);
  CHECK(second.classes.kind == models::ClassEmbeddingOptions::Kind::timestep);
  CHECK(second.shape.levels[3].down.layers == 4);
}
