#include <array>
#include <functional>
#include <string>
#include <vector>

#include "conformance/case.hpp"
#include "daguerre/models/denoisers/unet_2d.hpp"
#include "daguerre/models/denoisers/unet_2d_condition.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using Attention = models::UNetBlockShape::Attention;
using Kind = models::UNetBlockShape::Kind;

namespace {

Config config_of(const std::string& name, const std::string& overrides = "{}") {
  return Config::load(test::golden("unet/" + name) / "config.json").with(overrides);
}

models::UNet2DConfig pixels(const std::string& overrides) {
  return models::UNet2DConfig::from(config_of("ddpm_uncond", overrides));
}

models::UNet2DConditionConfig conditional(const std::string& overrides) {
  return models::UNet2DConditionConfig::from(config_of("sd1", overrides));
}

template <class Read>
void refuses(const Read& read, const char* overrides, std::string_view part) {
  INFO(overrides);
  test::expect_error<ConfigError>([&] { read(overrides); }, {"config.json", part});
}

models::UNet2DCondition<float> load(const std::string& name, const ops::Context& context,
                                    const std::string& overrides = "{}") {
  return {models::UNet2DConditionConfig::from(config_of(name, overrides)),
          conformance::loader_for(test::golden("unet/" + name) / "weights.safetensors", context)};
}

}  // namespace

TEST_CASE("a null in a U-Net's configuration is None", "[models][unet]") {
  CHECK(pixels("{}").shape.mid->attention == Attention::pixels);
  CHECK(pixels(R"({"add_attention": null})").shape.mid->attention == Attention::none);
  CHECK_FALSE(pixels(R"({"mid_block_type": null})").shape.mid.has_value());
  CHECK_FALSE(conditional(R"({"mid_block_type": null})").shape.mid.has_value());
  CHECK(conditional("{}").shape.mid->attention == Attention::transformer);

  // Null is one head, an absent key heads of 8.
  const auto one_head = pixels(R"({"attention_head_dim": null})").shape.levels[1].down;
  CHECK(one_head.heads == 1);
  CHECK(pixels(R"({"attention_head_dim": 4})").shape.levels[1].down.heads == 2);

  refuses(pixels, R"({"norm_num_groups": null})", "norm_num_groups is null");
  refuses(pixels, R"({"layers_per_block": null})", "layers_per_block");
  refuses(pixels, R"({"act_fn": null})", "act_fn");
  refuses(conditional, R"({"norm_num_groups": null})", "norm_num_groups is null");
  refuses(conditional, R"({"attention_head_dim": null})", "attention_head_dim");
  refuses(conditional, R"({"cross_attention_dim": null})", "cross_attention_dim");
  CHECK_FALSE(conditional(R"({"center_input_sample": null, "use_linear_projection": null})")
                  .shape.center_input_sample);
}

TEST_CASE("sizes are one number or a pair of height and width", "[models][unet]") {
  const auto size = [](const auto& config) { return std::pair(config.sample_height, config.sample_width); };
  CHECK(size(pixels(R"({"sample_size": [24, 8]})")) == std::pair<Index, Index>(24, 8));
  CHECK(size(conditional(R"({"sample_size": [24, 8]})")) == std::pair<Index, Index>(24, 8));
  CHECK(size(conditional(R"({"sample_size": 40})")) == std::pair<Index, Index>(40, 40));
  CHECK(size(conditional(R"({"sample_size": null})")) == std::pair<Index, Index>(64, 64));
  refuses(conditional, R"({"sample_size": [8]})", "sample_size");
  refuses(conditional, R"({"sample_size": [8, 0]})", "sample_size");
  refuses(pixels, R"({"sample_size": [8, 8, 8]})", "sample_size");
}

TEST_CASE("what training code leaves in a U-Net's configuration has no effect", "[models][unet]") {
  const auto* const ema = R"({"decay": 0.9999, "inv_gamma": 1.0, "min_decay": 0.0, "optimization_step": 15000,
      "power": 0.6666666666666666, "update_after_step": 0, "use_ema_warmup": true})";
  CHECK(pixels(ema).shape.levels.size() == pixels("{}").shape.levels.size());
  CHECK(conditional(ema).shape.levels.size() == 3);
}

TEST_CASE("names of blocks say what they are made of", "[models][unet]") {
  const auto shape =
      pixels(
          R"({"down_block_types": ["UNetResDownBlock2D", "ResnetDownsampleBlock2D", "UNetResAttnDownBlock2D"],
                 "up_block_types": ["AttnUpBlock2D", "ResnetUpsampleBlock2D", "UpBlock2D"],
                 "downsample_type": "resnet", "attention_head_dim": 4})")
          .shape;
  CHECK(shape.levels[0].down.attention == Attention::none);
  CHECK_FALSE(shape.levels[0].down.resnet_resize);
  CHECK(shape.levels[1].down.resnet_resize);
  CHECK(shape.levels[2].down.attention == Attention::pixels);
  CHECK(shape.levels[2].down.resnet_resize);
  CHECK_FALSE(shape.levels[2].up.resnet_resize);  // upsample_type is "conv"
  CHECK(shape.levels[1].up.resnet_resize);
  CHECK(shape.levels[0].up.layers == shape.levels[0].down.layers + 1);

  refuses(pixels, R"({"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]})",
          "a prompt");
  refuses(pixels, R"({"down_block_types": ["DownBlock2D", "KDownBlock2D", "DownBlock2D"]})", "with K");
  refuses(pixels, R"({"up_block_types": ["UpBlock2D", "AttnUpBlock3D", "UpBlock2D"]})", "AttnUpBlock3D");
  refuses(conditional, R"({"down_block_types": ["SkipDownBlock2D", "DownBlock2D", "DownBlock2D"]})",
          "with Skip");
  refuses(pixels, R"({"time_embedding_type": "learned"})", "num_train_timesteps");
  refuses(pixels, R"({"time_embedding_type": "random"})", "time_embedding_type");
  refuses(pixels, R"({"class_embed_type": "projection"})", "class_embed_type");
  refuses(pixels, R"({"downsample_type": "fir"})", "downsample_type");
}

TEST_CASE("lists in a U-Net's configuration go to the levels that the reference gives them to",
          "[models][unet]") {
  const auto lists = conditional(R"({"layers_per_block": [1, 2, 3], "attention_head_dim": [2, 4, 8],
      "cross_attention_dim": [24, 25, 26], "only_cross_attention": [true, false, false],
      "transformer_layers_per_block": [1, [2, 3], 4],
      "reverse_transformer_layers_per_block": [5, [6, 7, 8], [9, 10]]})");
  const auto& levels = lists.shape.levels;
  CHECK(levels[1].up.layers == 3);
  CHECK(levels[1].up.heads == 4);
  CHECK(levels[1].down.transformer_layers == std::vector<int>{2, 3});
  CHECK(levels[1].up.transformer_layers == std::vector<int>{6, 7, 8});
  CHECK(levels[0].up.transformer_layers == std::vector<int>{9, 10});
  CHECK(levels[0].down.only_cross_attention);
  CHECK(levels[1].up.cross_attention_dim == 25);
  CHECK(lists.shape.mid->heads == 8);
  CHECK(lists.shape.mid->cross_attention_dim == 26);
  CHECK(lists.shape.mid->transformer_layers == std::vector<int>{4});
  refuses(conditional, R"({"transformer_layers_per_block": [1, [2, 3], 4]})",
          "reverse_transformer_layers_per_block");
  refuses(conditional, R"({"transformer_layers_per_block": [1, 0, 4]})", "positive");
  refuses(conditional, R"({"only_cross_attention": [true]})", "a list of 3");

  // Two options are those blocks' alone whose size a residual layer changes.
  const auto* const scaled = R"({"resnet_out_scale_factor": 2.0, "resnet_skip_time_act": true})";
  CHECK(conditional(scaled).shape.levels[0].down.output_scale_factor == 1.0f);
  const auto simple = models::UNet2DConditionConfig::from(config_of("if_stage1", scaled));
  CHECK(simple.shape.levels[1].up.output_scale_factor == 2.0f);
  CHECK(simple.shape.levels[1].up.skip_time_act);
  // A single only_cross_attention is the middle's, too, a list is not.
  const auto mid_only_cross = [](const char* overrides) {
    return models::UNet2DConditionConfig::from(config_of("if_stage1", overrides))
        .shape.mid->only_cross_attention;
  };
  CHECK(mid_only_cross(R"({"only_cross_attention": true})"));
  CHECK_FALSE(mid_only_cross(R"({"only_cross_attention": [true, true]})"));
  CHECK(mid_only_cross(R"({"mid_block_only_cross_attention": true})"));
  CHECK_FALSE(mid_only_cross(R"({"only_cross_attention": true, "mid_block_only_cross_attention": false})"));
}

TEST_CASE("a conditional U-Net refuses options that it does not have or that miss their other half",
          "[models][unet]") {
  refuses(conditional, R"({"encoder_hid_dim_type": "text_proj"})", "encoder_hid_dim");
  refuses(conditional, R"({"encoder_hid_dim_type": "ip_image_proj", "encoder_hid_dim": 4})", "ip_image_proj");
  refuses(conditional, R"({"addition_embed_type": "text_time", "addition_time_embed_dim": 8})",
          "projection_class_embeddings_input_dim");
  refuses(conditional, R"({"addition_embed_type": "audio"})", "audio");
  refuses(conditional, R"({"class_embed_type": "projection"})", "projection_class_embeddings_input_dim");
  refuses(conditional, R"({"class_embeddings_concat": true})", "class_embeddings_concat");
  refuses(conditional, R"({"time_embedding_type": "fourier", "time_embedding_dim": 31})", "even");
  refuses(conditional, R"({"conv_in_kernel": 2})", "odd");
  refuses(conditional, R"({"resnet_time_scale_shift": "ada_group"})", "resnet_time_scale_shift");
  refuses(conditional, R"({"mid_block_type": "UNetMidBlock3D"})", "UNetMidBlock3D");
  refuses(conditional, R"({"cross_attention_norm": "batch_norm"})", "batch_norm");
  refuses(conditional, R"({"downsample_padding": 2})", "downsample_padding");
}

TEST_CASE("a U-Net is told what it reads and nothing else", "[models][unet]") {
  const auto context = test::context_for("native");
  const auto unet = load("sd1", context);
  const auto sample = test::random_tensor({1, 8, 8, 4}, 3);
  const std::array<float, 1> time{300.0f};
  models::UNet2DConditionInputs plain;
  plain.encoder_hidden_states = test::random_tensor({1, 7, 24}, 4);
  const auto call = [&](const models::UNet2DConditionInputs& inputs) {
    return unet(context, sample, time, inputs);
  };
  const auto result = call(plain);
  const auto refused = [&](const std::function<void(models::UNet2DConditionInputs&)>& change,
                           std::string_view part) {
    auto inputs = plain;
    change(inputs);
    test::expect_error<ArgumentError>([&] { call(inputs); }, {part});
  };
  const auto some = test::random_tensor({1, 4}, 1);
  refused([&](auto& in) { in.class_labels = some; }, "class_labels");
  refused([&](auto& in) { in.timestep_cond = some; }, "timestep_cond");
  refused([&](auto& in) { in.text_embeds = some; }, "text_embeds");
  refused([&](auto& in) { in.time_ids = some; }, "time_ids");
  refused([&](auto& in) { in.image_embeds = some; }, "image_embeds");
  refused([&](auto& in) { in.hint = some; }, "hint");
  refused([&](auto& in) { in.encoder_hidden_states = {}; }, "encoder_hidden_states");
  refused([&](auto& in) { in.encoder_attention_mask = some; }, "encoder_attention_mask [1, 4]");
  refused([&](auto& in) { in.features.mid_residual = test::random_tensor({1, 2, 2, 16}, 1); }, "residuals");
  refused([&](auto& in) { in.features.down_residuals.assign(2, sample); }, "2 residuals");

  SECTION("features that are zero change nothing") {
    auto inputs = plain;
    inputs.features.down_features = {Tensor<float>::zeros({1, 8, 8, 8}), Tensor<float>::zeros({1, 4, 4, 16})};
    CHECK(test::difference(call(inputs), result).rel_l2 == 0.0);
  }
  SECTION("a middle that the configuration leaves out is left out") {
    const auto without = load("sd1", context, R"({"mid_block_type": null})");
    CHECK(test::difference(without(context, sample, time, plain), result).rel_l2 > 1e-2);
  }
}
