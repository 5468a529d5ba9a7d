// Checkpoints whose denoiser is a transformer: Stable Diffusion 3, FLUX.1, PixArt.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/checkpoint.hpp"
#include "daguerre/weights/key_map.hpp"
#include "support/build_checkpoint.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/tiny_checkpoint.hpp"

using namespace daguerre;
using nlohmann::json;
using test::TinyCheckpoint;
using weights::Checkpoint;
using weights::join_checkpoints;
using weights::open_checkpoint;

namespace {

json json_of(const Config& config) {
  return json::parse(config.dump());
}

json config_of(const Checkpoint& checkpoint, const std::string& part) {
  REQUIRE(checkpoint.find(part) != nullptr);
  return json_of(checkpoint.find(part)->config);
}

struct Expected {
  std::string pipeline, scheduler;
  std::vector<std::string> parts;
};

const std::map<std::string, Expected>& transformer_families() {
  const std::string flow = "FlowMatchEulerDiscreteScheduler", solver = "DPMSolverMultistepScheduler";
  static const std::vector<std::string> sd3{"text_encoder", "text_encoder_2", "text_encoder_3", "transformer",
                                            "vae"},
      flux{"text_encoder", "text_encoder_2", "transformer", "vae"},
      pixart{"text_encoder", "transformer", "vae"};
  static const std::map<std::string, Expected> all{{"sd3", {"StableDiffusion3Pipeline", flow, sd3}},
                                                   {"sd35-medium", {"StableDiffusion3Pipeline", flow, sd3}},
                                                   {"sd35-large", {"StableDiffusion3Pipeline", flow, sd3}},
                                                   {"flux-dev", {"FluxPipeline", flow, flux}},
                                                   {"flux-schnell", {"FluxPipeline", flow, flux}},
                                                   {"flux-fill", {"FluxFillPipeline", flow, flux}},
                                                   {"flux-control", {"FluxControlPipeline", flow, flux}},
                                                   {"pixart-alpha", {"PixArtAlphaPipeline", solver, pixart}},
                                                   {"pixart-sigma", {"PixArtSigmaPipeline", solver, pixart}}};
  return all;
}

Checkpoint lone(TinyCheckpoint tiny, const std::string& name) {
  return open_checkpoint(tiny.weights(name));
}

}  // namespace

TEST_CASE("whole transformer checkpoints are recognised and complete", "[weights][checkpoint]") {
  for (const auto& [family, expected] : transformer_families()) {
    INFO(family);
    const auto checkpoint = open_checkpoint(TinyCheckpoint(family).whole().weights());
    CHECK(checkpoint.family == family);
    CHECK(checkpoint.pipeline_class == expected.pipeline);
    CHECK(checkpoint.is_whole());
    CHECK(checkpoint.unknown.empty());
    CHECK(json_of(*checkpoint.scheduler)["_class_name"] == expected.scheduler);
    std::vector<std::string> parts;
    for (const auto& part : checkpoint.parts) parts.push_back(part.name);
    CHECK(parts == expected.parts);
    const auto index = json_of(*checkpoint.model_index);
    CHECK(index["_class_name"] == expected.pipeline);
    for (const auto& part : checkpoint.parts) CHECK(index[part.name] == json{part.library, part.class_name});
    for (const auto& tokenizer : checkpoint.tokenizers)
      CHECK(index[tokenizer.name] == json{"transformers", tokenizer.class_name});
    test::build_all(checkpoint);
  }
}

TEST_CASE("a transformer alone is its family's, whatever its names begin with", "[weights][checkpoint]") {
  for (const auto& [family, expected] : transformer_families())
    for (const auto* prefix : {"", "model.diffusion_model.", "diffusion_model."}) {
      INFO(family << " below \"" << prefix << "\"");
      const auto checkpoint = lone(TinyCheckpoint(family).transformer(prefix), "x");
      CHECK(checkpoint.family == family);
      CHECK(checkpoint.parts.size() == 1);
      // SD3's T5 need not be there.
      CHECK(checkpoint.missing.size() == expected.parts.size() - (family.starts_with("sd3") ? 2 : 1));
      // Under diffusers' names.
      const auto& own = checkpoint.find("transformer")->weights;
      CHECK(open_checkpoint(own).family == family);
      std::vector<weights::RenamedTensor> below;
      for (const auto& name : own.names()) below.push_back({"model.diffusion_model." + name, name});
      CHECK(open_checkpoint(own.renamed(below)).family == family);
    }
}

TEST_CASE("what shapes do not tell apart, the option says", "[weights][checkpoint]") {
  const auto flux = TinyCheckpoint("flux-dev").transformer("").weights();
  const auto kontext = open_checkpoint(flux, {.family = "flux-kontext"});
  CHECK(kontext.family == "flux-kontext");
  CHECK(kontext.pipeline_class == "FluxKontextPipeline");
  const auto small = open_checkpoint(TinyCheckpoint("pixart-sigma").transformer("").weights(),
                                     {.family = "pixart-alpha-512"});
  CHECK(config_of(small, "transformer")["sample_size"] == 64);
  CHECK(config_of(small, "transformer")["interpolation_scale"] == 1);
  test::expect_error<ArgumentError>([&] { open_checkpoint(flux, {.family = "sd3"}); },
                                    {"family sd3 needs a SD3Transformer2DModel", "FluxTransformer2DModel"});
}

TEST_CASE("a transformer, an autoencoder and encoders in files of their own make a model",
          "[weights][checkpoint]") {
  const auto clip = lone(TinyCheckpoint("").clip(""), "clip_l");
  const auto t5 = lone(TinyCheckpoint("").t5(""), "t5xxl");
  const auto vae = lone(TinyCheckpoint("flux").autoencoder(""), "ae");
  CHECK(t5.family == "t5");
  CHECK(t5.find("text_encoder")->class_name == "T5EncoderModel");
  CHECK(vae.family == "vae");
  const auto dev = lone(TinyCheckpoint("flux-dev").transformer(""), "flux");
  const auto flux = join_checkpoints(std::vector{dev, vae, clip, t5});
  CHECK(flux.family == "flux-dev");
  CHECK(flux.is_whole());
  CHECK(config_of(flux, "vae")["shift_factor"] == 0.1159);
  CHECK(flux.find("text_encoder_2")->class_name == "T5EncoderModel");
  test::build_all(flux);

  const auto whole = lone(TinyCheckpoint("sd3")
                              .transformer()
                              .autoencoder()
                              .clip("text_encoders.clip_l.transformer.")
                              .clip("text_encoders.clip_g.transformer.")
                              .add("text_encoders.clip_g.transformer.text_projection.weight", {32, 32}),
                          "sd3");
  CHECK(whole.is_whole());
  CHECK(json_of(*whole.model_index)["text_encoder_3"][0].is_null());
  CHECK(json_of(*whole.model_index)["tokenizer_3"][0].is_null());
  CHECK(whole.tokenizers.size() == 2);
  const auto with_t5 = join_checkpoints(std::vector{whole, t5});
  CHECK(json_of(*with_t5.model_index)["text_encoder_3"] == json{"transformers", "T5EncoderModel"});
  CHECK(json_of(*with_t5.model_index)["tokenizer_3"] == json{"transformers", "T5TokenizerFast"});
  CHECK(with_t5.tokenizers.size() == 3);
  test::build_all(with_t5);
  // OpenAI's CLIP comes without a projection: its vector stays as it is.
  const auto& text = *whole.find("text_encoder");
  CHECK(text.class_name == "CLIPTextModelWithProjection");
  const auto unit = text.weights.tensor("text_projection.weight", {32, 32});
  for (Index i = 0; i < unit.size(); ++i) CHECK(unit.data()[i] == (i % 33 == 0 ? 1.0f : 0.0f));
}

TEST_CASE("the encoders of transformers are told by their tensors", "[weights][checkpoint]") {
  const auto wide = [](Index width) {
    TinyCheckpoint tiny("");
    tiny.add("text_model.embeddings.token_embedding.weight", {9, width})
        .add("text_model.embeddings.position_embedding.weight", {9, width})
        .add("text_model.encoder.layers.0.mlp.fc1.weight", {9, width});
    return lone(tiny, "clip").family;
  };
  CHECK(wide(768) == "clip-l");
  CHECK(wide(1280) == "clip-g");
  // The table may be called as in transformers' encoder, or both ways.
  const auto t5 = TinyCheckpoint("").t5("").weights();
  for (const bool both : {false, true}) {
    std::vector<weights::RenamedTensor> renamed;
    for (const auto& name : t5.names())
      if (name != "shared.weight" || both) renamed.push_back({name, name});
    renamed.push_back({"encoder.embed_tokens.weight", "shared.weight"});
    const auto found = open_checkpoint(t5.renamed(renamed));
    CHECK(found.family == "t5");
    CHECK(config_of(found, "text_encoder")["vocab_size"] == 48);
    test::build_all(found);
  }
  // What a decoder leaves in a file is not read, and umT5 is another model's.
  auto more =
      TinyCheckpoint("").t5("").add("decoder.final_layer_norm.weight", {64}).add("lm_head.weight", {48, 64});
  const auto encoder = lone(more, "t5");
  CHECK(encoder.family == "t5");
  CHECK_FALSE(encoder.parts.front().weights.contains("lm_head.weight"));
  const auto umt5 = lone(TinyCheckpoint("").t5("").add(
                             "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight", {32, 2}),
                         "umt5_xxl");
  CHECK(umt5.family == "umt5");
  test::expect_error<ArgumentError>(
      [&] {
        join_checkpoints(std::vector{lone(TinyCheckpoint("flux-dev").transformer(""), "flux"), umt5});
      },
      {"umt5_xxl", "umT5", "no place", "T5 text encoder (as t5xxl_fp16.safetensors)"});
}

TEST_CASE("transformers and parts that do not belong together are refused", "[weights][checkpoint]") {
  const auto flux = lone(TinyCheckpoint("flux-dev").transformer(""), "flux");
  const auto sd3 = lone(TinyCheckpoint("sd3").transformer(""), "sd3");
  const auto clip = lone(TinyCheckpoint("").clip(""), "clip_l");
  const auto big = lone(TinyCheckpoint("").open_clip(""), "clip_g");
  const auto t5 = lone(TinyCheckpoint("").t5(""), "t5xxl");
  test::expect_error<ArgumentError>(
      [&] {
        join_checkpoints(std::vector{flux, big, t5});
      },
      {"clip_g", "bigG", "flux-dev", "no place", "it takes text_encoder, a CLIP text encoder"});
  test::expect_error<ArgumentError>(
      [&] {
        join_checkpoints(std::vector{sd3, clip, clip});
      },
      {"another file is the text_encoder already"});
  test::expect_error<ArgumentError>(
      [&] {
        join_checkpoints(std::vector{flux, sd3});
      },
      {"flux and sd3 both hold a denoiser"});
  test::expect_error<ArgumentError>([&] { join_checkpoints(std::vector{clip, t5}); }, {"none of the files"});
  test::expect_error<WeightError>(
      [&] {
        join_checkpoints(std::vector{flux, lone(TinyCheckpoint("sd1").autoencoder(""), "sd1_vae")});
      },
      {"do not fit together", "the latents' channels", "of the transformer",
       "[32, 4, 3, 3] of the autoencoder"});
  // CLIP-G where CLIP-L belongs, in a whole file.
  TinyCheckpoint swapped("flux-dev");
  swapped.transformer().add("text_encoders.clip_l.transformer.text_model.embeddings.token_embedding.weight",
                            {9, 1280});
  swapped.add("text_encoders.clip_l.transformer.text_model.embeddings.position_embedding.weight", {9, 1280});
  swapped.add("text_encoders.clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight", {9, 1280});
  test::expect_error<WeightError>([&] { open_checkpoint(swapped.weights()); },
                                  {"the width of the text in one vector", "[9, 1280]"});
  // A T5 of another size.
  auto narrow = TinyCheckpoint("");
  narrow.add("shared.weight", {8, 16})
      .add("encoder.block.0.layer.0.SelfAttention.q.weight", {16, 16})
      .add("encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", {32, 2})
      .add("encoder.block.0.layer.1.DenseReluDense.wo.weight", {16, 32});
  test::expect_error<WeightError>(
      [&] {
        join_checkpoints(std::vector{flux, lone(narrow, "t5_small")});
      },
      {"the text's width", "\"txt_in.weight\" [64, 64]", "\"shared.weight\" [8, 16]"});
  // Encoders that are another family's.
  auto both = TinyCheckpoint("flux-dev");
  both.whole().clip("text_encoders.clip_g.transformer.");
  test::expect_error<WeightError>([&] { open_checkpoint(both.weights()); },
                                  {"its transformer is of family flux-dev", "clip_g", "sd3"});
}

TEST_CASE("what is missing is told with the file to give", "[weights][checkpoint]") {
  const auto flux =
      lone(TinyCheckpoint("flux-dev").transformer().clip("text_encoders.clip_l.transformer.").autoencoder(),
           "flux");
  CHECK(flux.missing == std::vector<std::string>{"text_encoder_2"});
  CHECK(weights::missing_in_words(flux) ==
        std::vector<std::string>{"text_encoder_2, a T5 text encoder (as t5xxl_fp16.safetensors)"});
}

TEST_CASE("the recorded GGUF transformers are opened", "[weights][checkpoint][gguf]") {
  const auto flux = test::golden("gguf/flux_comfyui"), sd3 = test::golden("gguf/sd3_comfyui");
  const auto flux_file = open_checkpoint(flux / "model.gguf", {.configs = flux});
  CHECK(flux_file.family == "flux-dev");
  CHECK(flux_file.missing == std::vector<std::string>{"text_encoder", "text_encoder_2", "vae"});
  test::build_all(flux_file);
  const auto sd3_file = open_checkpoint(sd3 / "model.gguf", {.configs = sd3});
  CHECK(sd3_file.family == "sd3");
  test::build_all(sd3_file);
  const auto t5 = test::golden("gguf/t5_encoder");
  const auto encoder = open_checkpoint(t5 / "model.gguf");
  CHECK(encoder.family == "t5");
  auto found = config_of(encoder, "text_encoder");
  const auto recorded = json::parse(test::read_file(t5 / "text_encoder/config.json"));
  for (const auto* key : {"d_model", "d_kv", "d_ff", "num_heads", "num_layers", "vocab_size",
                          "feed_forward_proj", "relative_attention_num_buckets"})
    CHECK(found[key] == recorded[key]);
  test::build_all(encoder);
}

TEST_CASE("weights of 8 bits are multiplied by the scales beside them", "[weights][checkpoint]") {
  const std::string query = "encoder.block.1.layer.0.SelfAttention.q";
  auto tiny = TinyCheckpoint("").t5("").add(query + ".scale_weight", {}).add("scaled_fp8", {0});
  tiny.add(query + ".scale_input", {1});
  const auto stored = tiny.weights("t5_scaled");
  const auto check = [](const Tensor<float>& found, const Tensor<float>& stored, Index first, float scale) {
    REQUIRE(found.size() > 0);
    for (Index i = 0; i < found.size(); ++i) CHECK(found.data()[i] == stored.data()[first + i] * scale);
  };
  const auto t5 = open_checkpoint(stored);
  CHECK(t5.family == "t5");
  CHECK(t5.unknown.empty());
  const auto& own = t5.parts.front().weights;
  CHECK(own.source() == "t5_scaled");
  const float scale = stored.tensor(query + ".scale_weight", {}).data()[0];
  CHECK(scale != 1.0f);
  check(own.tensor(query + ".weight", {32, 64}), stored.tensor(query + ".weight", {32, 64}), 0, scale);
  const std::string key = "encoder.block.1.layer.0.SelfAttention.k.weight";
  check(own.tensor(key, {32, 64}), stored.tensor(key, {32, 64}), 0, 1.0f);
  std::vector<std::byte> scratch;
  CHECK(own.bytes(query + ".weight", scratch).size() == 32 * 64 * sizeof(float));
  test::build_all(t5);

  // Keys are rows of a product that is scaled as a whole; others are rows of one that is not.
  auto flux =
      TinyCheckpoint("flux-dev").transformer("").add("double_blocks.0.img_attn.qkv.weight_scale", {1});
  const auto file = flux.weights("flux");
  const auto transformer = open_checkpoint(file).find("transformer")->weights;
  const float factor = file.tensor("double_blocks.0.img_attn.qkv.weight_scale", {1}).data()[0];
  check(transformer.tensor("transformer_blocks.0.attn.to_k.weight", {64, 64}),
        file.tensor("double_blocks.0.img_attn.qkv.weight", {192, 64}), 64 * 64, factor);
  check(transformer.tensor("transformer_blocks.1.attn.to_v.weight", {64, 64}),
        file.tensor("double_blocks.1.img_attn.qkv.weight", {192, 64}), 2 * 64 * 64, 1.0f);
  auto wrong = TinyCheckpoint("").t5("").add(query + ".scale_weight", {2});
  test::expect_error<WeightError>([&] { open_checkpoint(wrong.weights()); },
                                  {"scale_weight", "[2]", "expected one number"});
}
