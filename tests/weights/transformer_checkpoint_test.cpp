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

/// What a file's header says and nothing behind it: published shapes, which would take gigabytes.
class ShapesAlone final : public weights::TensorFile {
 public:
  ShapesAlone& add(const std::string& name, const Shape& shape) {
    infos_.push_back({name, DType::bf16, shape, 0, 0, 0});
    return *this;
  }
  const std::string& name() const noexcept override { return name_; }
  std::span<const weights::TensorInfo> tensors() const noexcept override { return infos_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }
  ops::WeightSource weight(const weights::TensorInfo& info) const override {
    throw WeightError("shapes", info.name + " has no numbers");
  }

 private:
  std::string name_ = "shapes";
  std::vector<weights::TensorInfo> infos_;
  std::map<std::string, std::string> metadata_;
};

Checkpoint open_shapes(const ShapesAlone& shapes) {
  return open_checkpoint(weights::StateDict({std::make_shared<const ShapesAlone>(shapes)}, "shapes"));
}

ShapesAlone flux_shapes(Index in, bool guided) {
  ShapesAlone shapes;
  shapes.add("img_in.weight", {3072, in}).add("txt_in.weight", {3072, 4096});
  shapes.add("vector_in.in_layer.weight", {3072, 768});
  if (guided) shapes.add("guidance_in.in_layer.weight", {3072, 256});
  for (int i = 0; i < 19; ++i) {
    const std::string block = "double_blocks." + std::to_string(i) + ".";
    shapes.add(block + "img_attn.qkv.weight", {9216, 3072}).add(block + "txt_attn.qkv.weight", {9216, 3072});
    shapes.add(block + "img_attn.norm.query_norm.scale", {128});
  }
  for (int i = 0; i < 38; ++i) {
    const std::string block = "single_blocks." + std::to_string(i) + ".";
    shapes.add(block + "linear1.weight", {21504, 3072}).add(block + "linear2.weight", {3072, 15360});
  }
  return shapes.add("final_layer.linear.weight", {64, 3072});
}

ShapesAlone sd3_shapes(Index width, int layers, Index positions, int dual, bool normed) {
  ShapesAlone shapes;
  shapes.add("x_embedder.proj.weight", {width, 16, 2, 2}).add("pos_embed", {1, positions, width});
  shapes.add("context_embedder.weight", {width, 4096}).add("y_embedder.mlp.0.weight", {width, 2048});
  for (int i = 0; i < layers; ++i) {
    const std::string block = "joint_blocks." + std::to_string(i) + ".";
    shapes.add(block + "context_block.attn.qkv.weight", {3 * width, width});
    shapes.add(block + "x_block.attn.qkv.weight", {3 * width, width});
    if (i < dual) shapes.add(block + "x_block.attn2.qkv.weight", {3 * width, width});
    if (normed) shapes.add(block + "x_block.attn.ln_q.weight", {64});
  }
  return shapes.add("final_layer.linear.weight", {64, width});
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

TEST_CASE("settings are the published ones", "[weights][checkpoint]") {
  const auto sd3 = open_checkpoint(TinyCheckpoint("sd3").whole().weights());
  CHECK(json_of(*sd3.scheduler)["shift"] == 3.0);
  CHECK_FALSE(json_of(*sd3.scheduler).contains("use_dynamic_shifting"));
  CHECK(config_of(sd3, "vae")["scaling_factor"] == 1.5305);
  CHECK(config_of(sd3, "vae")["shift_factor"] == 0.0609);
  CHECK(config_of(sd3, "vae")["latent_channels"] == 16);
  CHECK(config_of(sd3, "vae")["use_quant_conv"] == false);
  CHECK(config_of(sd3, "text_encoder")["hidden_act"] == "quick_gelu");
  CHECK(config_of(sd3, "text_encoder_2")["hidden_act"] == "gelu");
  CHECK(sd3.tokenizers.at(1).pads_with_id_0);
  CHECK(sd3.tokenizers.at(2).class_name == "T5TokenizerFast");

  const auto dev = open_checkpoint(TinyCheckpoint("flux-dev").whole().weights());
  const auto shift = json_of(*dev.scheduler);
  CHECK(shift["use_dynamic_shifting"] == true);
  CHECK(shift["base_shift"] == 0.5);
  CHECK(shift["max_shift"] == 1.15);
  CHECK(config_of(dev, "vae")["scaling_factor"] == 0.3611);
  CHECK(config_of(dev, "vae")["shift_factor"] == 0.1159);
  CHECK(dev.find("text_encoder")->class_name == "CLIPTextModel");
  CHECK(config_of(dev, "text_encoder_2")["feed_forward_proj"] == "gated-gelu");
  CHECK(config_of(dev, "text_encoder_2")["d_kv"] == 16);
  CHECK(config_of(dev, "text_encoder_2")["num_heads"] == 2);
  const auto schnell = open_checkpoint(TinyCheckpoint("flux-schnell").whole().weights());
  CHECK(json_of(*schnell.scheduler)["use_dynamic_shifting"] == false);
  CHECK(json_of(*schnell.scheduler)["shift"] == 1.0);
  CHECK(config_of(schnell, "transformer")["guidance_embeds"] == false);

  const auto alpha = open_checkpoint(TinyCheckpoint("pixart-alpha").whole().weights());
  CHECK(config_of(alpha, "transformer")["use_additional_conditions"] == true);
  CHECK(config_of(alpha, "transformer")["interpolation_scale"] == 2);
  CHECK(config_of(alpha, "vae")["scaling_factor"] == 0.18215);
}

TEST_CASE("published shapes give published configurations", "[weights][checkpoint]") {
  const std::map<std::string, ShapesAlone> fluxes{{"flux-dev", flux_shapes(64, true)},
                                                  {"flux-schnell", flux_shapes(64, false)},
                                                  {"flux-fill", flux_shapes(384, true)},
                                                  {"flux-control", flux_shapes(128, true)}};
  for (const auto& [family, shapes] : fluxes) {
    INFO(family);
    const auto checkpoint = open_shapes(shapes);
    CHECK(checkpoint.family == family);
    const auto config = config_of(checkpoint, "transformer");
    CHECK(config["num_layers"] == 19);
    CHECK(config["num_single_layers"] == 38);
    CHECK(config["attention_head_dim"] == 128);
    CHECK(config["num_attention_heads"] == 24);
    CHECK(config["joint_attention_dim"] == 4096);
    CHECK(config["pooled_projection_dim"] == 768);
    CHECK(config["axes_dims_rope"] == json{16, 56, 56});
    CHECK(config["out_channels"] == 64);
  }
  const auto check_sd3 = [](const ShapesAlone& shapes, const std::string& family, int heads, int positions) {
    INFO(family);
    const auto checkpoint = open_shapes(shapes);
    CHECK(checkpoint.family == family);
    auto config = config_of(checkpoint, "transformer");
    CHECK(config["num_attention_heads"] == heads);
    CHECK(config["attention_head_dim"] == 64);
    CHECK(config["num_layers"] == heads);
    CHECK(config["pos_embed_max_size"] == positions);
    CHECK(config["caption_projection_dim"] == 64 * heads);
    CHECK(config["joint_attention_dim"] == 4096);
    CHECK(config["pooled_projection_dim"] == 2048);
    CHECK(config["out_channels"] == 16);
    CHECK(config["sample_size"] == 128);
    return config;
  };
  CHECK(check_sd3(sd3_shapes(1536, 24, 36864, 0, false), "sd3", 24, 192)["qk_norm"].is_null());
  const auto medium = check_sd3(sd3_shapes(1536, 24, 147456, 13, true), "sd35-medium", 24, 384);
  CHECK(medium["qk_norm"] == "rms_norm");
  CHECK(medium["dual_attention_layers"] == json{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  const auto large = check_sd3(sd3_shapes(2432, 38, 36864, 0, true), "sd35-large", 38, 192);
  CHECK(large["dual_attention_layers"] == json::array());
}

TEST_CASE("recorded transformers have the configurations of their shapes", "[weights][checkpoint][golden]") {
  for (const auto* name : {"flux_dev", "flux_schnell_original", "sd35_large_original", "sd35_medium_dual"}) {
    INFO(name);
    const auto folder = test::golden("dit/") / name;
    const auto found = config_of(open_checkpoint(folder / "weights.safetensors"), "transformer");
    const auto recorded = json::parse(test::read_file(folder / "config.json"));
    for (const auto& [key, value] : recorded.items()) {
      if (key == "_diffusers_version" || key == "sample_size" || key == "axes_dims_rope") continue;
      INFO(key);
      CHECK(found.value(key, json()) == value);
    }
  }
  CHECK(open_checkpoint(test::golden("dit/pixart_alpha_size_cond")).family == "pixart-alpha");
  CHECK(open_checkpoint(test::golden("dit/pixart_sigma")).family == "pixart-sigma");
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

TEST_CASE("relatives of FLUX and Stable Diffusion 3 are not taken for them", "[weights][checkpoint]") {
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(TinyCheckpoint("flux-dev")
                            .transformer("")
                            .add("distilled_guidance_layer.in_proj.bias", {2})
                            .weights());
      },
      {"this is Chroma", "nearest are flux-dev"});
  // Tokens that are neither the latents' nor what joins them in a published model.
  const auto odd = flux_shapes(196, true);
  test::expect_error<ConfigError>([&] { open_shapes(odd); },
                                  {"its transformer is of no family",
                                   "img_in.weight [3072, 196] beside final_layer.linear.weight [64, 3072]"});
  test::expect_error<ConfigError>(
      [] {
        open_checkpoint(TinyCheckpoint("").add("redux_up.weight", {2, 2}).weights());
      },
      {"FLUX.1 Redux"});
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
