#include "daguerre/weights/checkpoint.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "support/build_checkpoint.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/model_copy.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace daguerre;
using test::build_all;
using test::TinyCheckpoint;
using weights::Checkpoint;
using weights::open_checkpoint;

namespace {

nlohmann::json json_of(const Config& config) {
  return nlohmann::json::parse(config.dump());
}

nlohmann::json config_of(const Checkpoint& checkpoint, const std::string& part) {
  REQUIRE(checkpoint.find(part) != nullptr);
  return json_of(checkpoint.find(part)->config);
}

struct Expected {
  std::string pipeline, scheduler, prediction;
  std::vector<std::string> parts;
  std::map<std::string, bool> tokenizers;
};

const std::map<std::string, Expected>& all_families() {
  static const std::vector<std::string> one{"text_encoder", "unet", "vae"},
      second{"text_encoder_2", "unet", "vae"}, two{"text_encoder", "text_encoder_2", "unet", "vae"};
  static const std::map<std::string, bool> clip{{"tokenizer", false}}, open_clip{{"tokenizer", true}},
      both{{"tokenizer", false}, {"tokenizer_2", true}}, big{{"tokenizer_2", true}};
  static const std::map<std::string, Expected> result{
      {"sd1", {"StableDiffusionPipeline", "PNDMScheduler", "epsilon", one, clip}},
      {"sd1-inpaint", {"StableDiffusionInpaintPipeline", "PNDMScheduler", "epsilon", one, clip}},
      {"sd1-pix2pix",
       {"StableDiffusionInstructPix2PixPipeline", "EulerAncestralDiscreteScheduler", "epsilon", one, clip}},
      {"sd2", {"StableDiffusionPipeline", "PNDMScheduler", "epsilon", one, open_clip}},
      {"sd2-inpaint", {"StableDiffusionInpaintPipeline", "PNDMScheduler", "epsilon", one, open_clip}},
      {"sd2-pix2pix",
       {"StableDiffusionInstructPix2PixPipeline", "EulerAncestralDiscreteScheduler", "epsilon", one,
        open_clip}},
      {"sdxl", {"StableDiffusionXLPipeline", "EulerDiscreteScheduler", "epsilon", two, both}},
      {"sdxl-inpaint", {"StableDiffusionXLInpaintPipeline", "EulerDiscreteScheduler", "epsilon", two, both}},
      {"sdxl-pix2pix",
       {"StableDiffusionXLInstructPix2PixPipeline", "EulerDiscreteScheduler", "epsilon", two, both}},
      {"sdxl-refiner",
       {"StableDiffusionXLImg2ImgPipeline", "EulerDiscreteScheduler", "epsilon", second, big}}};
  return result;
}

}  // namespace

TEST_CASE("families are recognised by names and shapes", "[weights][checkpoint]") {
  for (const auto& [family, expected] : all_families()) {
    INFO(family);
    const auto checkpoint = open_checkpoint(TinyCheckpoint(family).whole().weights());
    CHECK(checkpoint.family == family);
    CHECK(checkpoint.pipeline_class == expected.pipeline);
    CHECK(checkpoint.is_whole());
    CHECK(checkpoint.unknown.empty());
    CHECK(json_of(*checkpoint.scheduler)["_class_name"] == expected.scheduler);
    CHECK(json_of(*checkpoint.scheduler)["prediction_type"] == expected.prediction);
    std::vector<std::string> parts;
    for (const auto& part : checkpoint.parts) parts.push_back(part.name);
    CHECK(parts == expected.parts);
    std::map<std::string, bool> tokenizers;
    for (const auto& tokenizer : checkpoint.tokenizers) tokenizers[tokenizer.name] = tokenizer.pads_with_id_0;
    CHECK(tokenizers == expected.tokenizers);
    const auto index = json_of(*checkpoint.model_index);
    CHECK(index["_class_name"] == expected.pipeline);
    for (const auto& part : checkpoint.parts)
      CHECK(index[part.name] == nlohmann::json{part.library, part.class_name});
    build_all(checkpoint);
  }
  auto names = weights::checkpoint_families();
  for (const auto& [family, expected] : all_families())
    CHECK(std::find(names.begin(), names.end(), family) != names.end());
  CHECK(std::find(names.begin(), names.end(), "sd2-v") != names.end());
}

TEST_CASE("configurations are those of the family, with the tensors' sizes", "[weights][checkpoint]") {
  const auto sd1 = open_checkpoint(TinyCheckpoint("sd1").whole().weights());
  auto unet = config_of(sd1, "unet");
  CHECK(unet["attention_head_dim"] == 8);
  CHECK(unet["block_out_channels"] == nlohmann::json{32, 32, 32, 32});
  CHECK(unet["cross_attention_dim"] == 32);
  CHECK(unet["use_linear_projection"] == false);
  CHECK(unet["down_block_types"][3] == "DownBlock2D");
  CHECK(unet["up_block_types"][0] == "UpBlock2D");
  CHECK(unet["sample_size"] == 64);
  CHECK(config_of(sd1, "vae")["scaling_factor"] == 0.18215);
  CHECK(config_of(sd1, "text_encoder")["hidden_act"] == "quick_gelu");
  CHECK(config_of(sd1, "text_encoder")["vocab_size"] == 704);

  const auto sd2 = open_checkpoint(TinyCheckpoint("sd2").whole().weights());
  CHECK(config_of(sd2, "unet")["use_linear_projection"] == true);
  CHECK(config_of(sd2, "text_encoder")["num_hidden_layers"] == 23);  // of 24 in the file
  CHECK(config_of(sd2, "text_encoder")["hidden_act"] == "gelu");

  const auto sdxl = open_checkpoint(TinyCheckpoint("sdxl").whole().weights());
  unet = config_of(sdxl, "unet");
  CHECK(unet["transformer_layers_per_block"] == nlohmann::json{1, 2, 10});
  CHECK(unet["addition_embed_type"] == "text_time");
  CHECK(unet["addition_time_embed_dim"] == 16);
  CHECK(unet["projection_class_embeddings_input_dim"] == 128);
  CHECK(config_of(sdxl, "vae")["scaling_factor"] == 0.13025);
  CHECK(config_of(sdxl, "text_encoder_2")["projection_dim"] == 32);
  CHECK(json_of(*sdxl.model_index)["force_zeros_for_empty_prompt"] == true);

  const auto refiner = open_checkpoint(TinyCheckpoint("sdxl-refiner").whole().weights());
  CHECK(config_of(refiner, "unet")["transformer_layers_per_block"] == nlohmann::json{1, 4, 4, 4});
  CHECK(config_of(refiner, "unet")["addition_time_embed_dim"] == 16);
  CHECK(json_of(*refiner.model_index)["requires_aesthetics_score"] == true);
  CHECK(json_of(*refiner.model_index)["text_encoder"][0].is_null());

  const test::TempFolder folder;
  folder.write("unet/config.json", R"({"_class_name": "UNet2DConditionModel", "norm_num_groups": 4})");
  folder.write("scheduler/scheduler_config.json", R"({"_class_name": "DDIMScheduler"})");
  const auto given = open_checkpoint(TinyCheckpoint("sd1").whole().weights(), {.configs = folder.path()});
  CHECK(config_of(given, "unet").size() == 2);
  CHECK(json_of(*given.scheduler)["_class_name"] == "DDIMScheduler");
  CHECK(json_of(*given.model_index)["scheduler"][1] == "DDIMScheduler");
}

TEST_CASE("what Stable Diffusion 2 and XL predict is told by the file", "[weights][checkpoint]") {
  const auto steps = [](float count) {
    weights::SafetensorsWriter writer;
    writer.add("global_step", Tensor<float>::full({}, count));
    const auto bytes = writer.to_bytes();
    return weights::SafetensorsFile::from_memory(std::make_shared<const std::vector<std::byte>>(bytes),
                                                 "steps");
  };
  const auto tiny =
      weights::SafetensorsFile::from_memory(test::as_buffer(TinyCheckpoint("sd2").whole().bytes()), "tiny");
  CHECK(open_checkpoint(weights::StateDict({tiny, steps(875000)})).family == "sd2");
  const auto v = open_checkpoint(weights::StateDict({tiny, steps(140000)}));
  CHECK(v.family == "sd2-v");
  CHECK(json_of(*v.scheduler)["prediction_type"] == "v_prediction");
  CHECK(config_of(v, "unet")["sample_size"] == 96);
  CHECK(v.unknown.empty());
  CHECK(open_checkpoint(weights::StateDict({tiny}), {.family = "sd2-v"}).family == "sd2-v");
  CHECK(json_of(*open_checkpoint(weights::StateDict({tiny}), {.prediction_type = "sample"})
                     .scheduler)["prediction_type"] == "sample");

  const auto xl =
      open_checkpoint(TinyCheckpoint("sdxl").whole().add("v_pred", {0}).add("ztsnr", {0}).weights());
  CHECK(json_of(*xl.scheduler)["prediction_type"] == "v_prediction");
  CHECK(json_of(*xl.scheduler)["rescale_betas_zero_snr"] == true);
  CHECK(xl.unknown.empty());
}

TEST_CASE("parts that are missing and names that nobody knows are told", "[weights][checkpoint]") {
  const auto lacking = open_checkpoint(TinyCheckpoint("sdxl").unet().texts(true, false).weights());
  CHECK(lacking.family == "sdxl");
  CHECK_FALSE(lacking.is_whole());
  CHECK(lacking.missing == std::vector<std::string>{"text_encoder_2", "vae"});
  const auto more = open_checkpoint(TinyCheckpoint("sd1")
                                        .whole()
                                        .add("betas", {3})
                                        .add("model_ema.decay", {})
                                        .add("odd.one", {2})
                                        .weights());
  CHECK(more.unknown == std::vector<std::string>{"odd.one"});
  // The layout of Stability's later code, as SD Turbo has it.
  const auto turbo = open_checkpoint(
      TinyCheckpoint("sd2").unet().autoencoder().open_clip("conditioner.embedders.0.model.", 24).weights());
  CHECK(turbo.is_whole());
}

TEST_CASE("a U-Net alone is its family's, with and without a prefix", "[weights][checkpoint]") {
  for (const auto& [family, expected] : all_families())
    for (const auto* prefix : {"", "model.diffusion_model.", "diffusion_model."}) {
      INFO(family << " below \"" << prefix << "\"");
      const auto checkpoint = open_checkpoint(TinyCheckpoint(family).unet(prefix).weights());
      CHECK(checkpoint.family == family);
      CHECK(checkpoint.missing.size() == expected.parts.size() - 1);
      CHECK(checkpoint.parts.size() == 1);
      // Under diffusers' names.
      CHECK(open_checkpoint(checkpoint.find("unet")->weights).family == family);
    }
}

TEST_CASE("files that are no model are told apart", "[weights][checkpoint]") {
  const auto family = [](TinyCheckpoint checkpoint) { return open_checkpoint(checkpoint.weights()).family; };
  CHECK(family(TinyCheckpoint("").autoencoder("")) == "vae");
  CHECK(family(TinyCheckpoint("").autoencoder("first_stage_model.")) == "vae");
  CHECK(family(TinyCheckpoint("").clip("")) == "clip-l");
  CHECK(family(TinyCheckpoint("").open_clip("")) == "clip-g");
  CHECK(family(TinyCheckpoint("")
                   .add("text_model.embeddings.token_embedding.weight", {9, 1024})
                   .add("text_model.embeddings.position_embedding.weight", {9, 1024})
                   .add("text_model.encoder.layers.0.mlp.fc1.weight", {9, 1024})) == "clip-h");
  CHECK(family(TinyCheckpoint("").t5("")) == "t5");
  CHECK(family(TinyCheckpoint("").add("lora_unet_x.lora_down.weight", {4, 4})) == "lora");
  CHECK(family(TinyCheckpoint("").add("lora_unet_x.hada_w1_a", {4, 4})) == "lora");
  CHECK(family(TinyCheckpoint("").add("control_model.input_hint_block.0.weight", {4, 4})) == "controlnet");
  CHECK(family(TinyCheckpoint("").add("controlnet_cond_embedding.conv_in.weight", {4, 4})) == "controlnet");
  CHECK(family(TinyCheckpoint("").add("controlnet_blocks.0.weight", {4, 4})) == "controlnet");
  CHECK(family(TinyCheckpoint("").add("lora_unet_conv_in.diff", {4, 4})) == "lora");
  CHECK(family(TinyCheckpoint("").add("body.0.block1.weight", {8, 8, 3, 3})) == "t2i-adapter");
  CHECK(family(TinyCheckpoint("").add("<cat-toy>", {16})) == "textual-inversion");
  CHECK(family(TinyCheckpoint("").add("emb_params", {3, 16})) == "textual-inversion");
  CHECK(family(TinyCheckpoint("").add("word", {2, 768})) == "textual-inversion");
  CHECK(family(TinyCheckpoint("").add("clip_l", {2, 768}).add("clip_g", {2, 1280})) == "textual-inversion");
  const auto vae = open_checkpoint(TinyCheckpoint("").autoencoder("").weights());
  CHECK_FALSE(vae.is_whole());
  build_all(vae);
  build_all(open_checkpoint(TinyCheckpoint("").clip("").weights()));
}

TEST_CASE("what is not recognised is told with what is nearest", "[weights][checkpoint]") {
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(TinyCheckpoint("").add("a.weight", {2, 2}).weights("x"));
      },
      {"x: not recognised", "\"a.weight\""});
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(TinyCheckpoint("")
                            .add("model.diffusion_model.distilled_guidance_layer.in_proj.bias", {2})
                            .weights());
      },
      {"Chroma", "not supported as a file"});
  // Descendants of the families: other kernels, a codebook, another kind of noise.
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(TinyCheckpoint("sdxl").whole().add("edm_mean", {1, 4}).weights());
      },
      {"Playground v2.5", "nearest are sdxl"});
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(
            TinyCheckpoint("").autoencoder("").add("quantize.embedding.weight", {4, 4}).weights());
      },
      {"not recognised"});
  // One that has its conditions where others have theirs, and attends in its first level: unCLIP.
  TinyCheckpoint unclip("sd2");
  unclip.unet().add("model.diffusion_model.label_emb.0.0.weight", {128, 8});
  test::expect_error<ConfigError>(
      [&] { open_checkpoint(unclip.weights()); },
      {"of no family that is known",
       "nearest are sdxl-refiner (for it: model.diffusion_model.input_blocks.0.0.weight [32, 4, 3, 3]",
       "against it: model.diffusion_model.label_emb.0.0.weight [128, 8]", "the option family overrides"});
  test::expect_error<ArgumentError>(
      [] { open_checkpoint(TinyCheckpoint("sd1").whole().weights(), {.family = "sd9"}); },
      {"\"sd9\"", "sdxl-refiner"});
}

TEST_CASE("parts that do not fit together are refused", "[weights][checkpoint]") {
  test::expect_error<WeightError>(
      [] {
        open_checkpoint(
            TinyCheckpoint("sd1").unet().autoencoder().open_clip("cond_stage_model.model.").weights());
      },
      {"family sd1", "\"cond_stage_model.model.\"", "sd2"});
  // A U-Net of one family with texts of another, under the right names.
  TinyCheckpoint mixed("sdxl");
  mixed.unet();
  const auto sdxl = open_checkpoint(mixed.weights());
  const auto clip = open_checkpoint(TinyCheckpoint("").clip("").weights("clip"));
  TinyCheckpoint wide("");
  wide.add("token_embedding.weight", {704, 48})
      .add("positional_embedding", {77, 48})
      .add("text_projection", {48, 32});
  wide.add("transformer.resblocks.0.mlp.c_fc.weight", {96, 48});
  const auto other = open_checkpoint(wide.weights("wide"));
  test::expect_error<WeightError>(
      [&] {
        weights::join_checkpoints(std::vector{sdxl, clip, other});
      },
      {"do not fit together", "the text's width", "attn2.to_k.weight\" [32, 64]", "[704, 32]", "[704, 48]"});
}

TEST_CASE("separate files make one model", "[weights][checkpoint]") {
  const auto unet = open_checkpoint(TinyCheckpoint("sdxl").unet("").weights("unet"));
  const auto vae = open_checkpoint(TinyCheckpoint("").autoencoder("").weights("vae"));
  const auto clip = open_checkpoint(TinyCheckpoint("").clip("").weights("clip_l"));
  const auto big = open_checkpoint(TinyCheckpoint("").open_clip("").weights("clip_g"));
  const auto whole = weights::join_checkpoints(std::vector{clip, unet, big, vae});
  CHECK(whole.family == "sdxl");
  CHECK(whole.is_whole());
  CHECK(config_of(whole, "vae")["scaling_factor"] == 0.13025);  // the family's, not a lone autoencoder's
  CHECK(whole.find("text_encoder")->class_name == "CLIPTextModel");
  CHECK(whole.find("text_encoder_2")->class_name == "CLIPTextModelWithProjection");
  build_all(whole);

  const auto sd1 = open_checkpoint(TinyCheckpoint("sd1").whole().weights("sd1"));
  const auto replaced = weights::join_checkpoints(std::vector{sd1, vae});
  CHECK(replaced.is_whole());
  CHECK(config_of(replaced, "vae")["scaling_factor"] == 0.18215);
  CHECK(replaced.find("vae")->weights.source() == "vae");

  using weights::join_checkpoints;
  test::expect_error<ArgumentError>([&] { join_checkpoints(std::vector{vae, clip}); }, {"U-Net", "vae"});
  test::expect_error<ArgumentError>([&] { join_checkpoints(std::vector{unet, sd1}); }, {"unet and sd1 both"});
  test::expect_error<ArgumentError>(
      [&] {
        join_checkpoints(std::vector{sd1, big});
      },
      {"clip_g", "bigG", "sd1", "no place"});
  test::expect_error<ArgumentError>([&] { join_checkpoints(std::vector{unet, vae, vae}); }, {"already"});
}

TEST_CASE("averaged weights are read where they are asked for", "[weights][checkpoint]") {
  TinyCheckpoint tiny("sd1");
  tiny.whole().add("model_ema.diffusion_modelout2bias", {4}).add("model_ema.decay", {});
  const auto dict = tiny.weights();
  const auto bias = [&](bool ema) {
    const auto unet = open_checkpoint(dict, {.ema = ema}).find("unet")->weights;
    return unet.tensor("conv_out.bias", {4});
  };
  const auto usual = dict.tensor("model.diffusion_model.out.2.bias", {4});
  const auto average = dict.tensor("model_ema.diffusion_modelout2bias", {4});
  CHECK(std::equal(usual.span().begin(), usual.span().end(), bias(false).span().begin()));
  CHECK(std::equal(average.span().begin(), average.span().end(), bias(true).span().begin()));
}

TEST_CASE("a folder is opened as the file would be", "[weights][checkpoint][golden]") {
  const test::ModelCopy copy("sd1");
  const auto model = open_checkpoint(copy.path());
  CHECK(model.family == "sd1");
  CHECK(model.pipeline_class == "StableDiffusionPipeline");
  CHECK(model.is_whole());
  CHECK(model.folder == copy.path());
  CHECK_FALSE(model.file.has_value());
  build_all(model);
  CHECK(open_checkpoint(copy / "unet").family == "sd1");
  CHECK(config_of(open_checkpoint(copy / "vae"), "vae")["block_out_channels"].size() == 2);

  // A variant of some parts; the others are taken as they are.
  test::expect_error<FileError>([&] { open_checkpoint(copy.path(), {.variant = "fp16"}); }, {"fp16"});
  copy.move("unet/diffusion_pytorch_model.safetensors", "unet/diffusion_pytorch_model.fp16.safetensors");
  copy.write("unet/diffusion_pytorch_model.safetensors", "not this one");
  const auto variant = open_checkpoint(copy.path(), {.variant = "fp16"});
  CHECK(variant.find("unet")->weights.source() == model.find("unet")->weights.source());
  CHECK(variant.find("vae") != nullptr);
  test::expect_error<FormatError>([&] { open_checkpoint(copy.path()); },
                                  {"diffusion_pytorch_model.safetensors"});

  copy.set("model_index.json", {{"../x", {"diffusers", "AutoencoderKL"}}});
  test::expect_error<FormatError>([&] { open_checkpoint(copy.path()); }, {"\"../x\""});
}

TEST_CASE("files with bytes behind their last tensor are opened on demand", "[weights][checkpoint]") {
  const test::TempFolder folder;
  const auto path =
      folder.write("x.safetensors", TinyCheckpoint("sd1").unet("").bytes() + std::string(4, '\0'));
  test::expect_error<FormatError>([&] { open_checkpoint(path); }, {"4 bytes follow the last tensor"});
  CHECK(open_checkpoint(path, {.file = {.allow_trailing_bytes = true}}).family == "sd1");
}

TEST_CASE("impossible networks are refused before anything is made of them", "[weights][checkpoint]") {
  TinyCheckpoint deep("");
  deep.autoencoder("").add("encoder.down.400.block.0.conv1.weight", {2, 2});
  test::expect_error<WeightError>([&] { open_checkpoint(deep.weights()); },
                                  {"encoder.down_blocks.400", "16 levels"});
  TinyCheckpoint flat("");
  flat.add("text_model.embeddings.token_embedding.weight", {7});
  test::expect_error<WeightError>([&] { open_checkpoint(flat.weights()); }, {"[7]", "more axes"});
}
