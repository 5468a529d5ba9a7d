// What the configurations of transformers are made of: shapes, and what their families are published with.
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
using weights::open_checkpoint;

namespace {

json json_of(const Config& config) {
  return json::parse(config.dump());
}

json config_of(const Checkpoint& checkpoint, const std::string& part) {
  REQUIRE(checkpoint.find(part) != nullptr);
  return json_of(checkpoint.find(part)->config);
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

TEST_CASE("published shapes of text encoders give their configurations", "[weights][checkpoint]") {
  ShapesAlone t5;
  t5.add("shared.weight", {32128, 4096});
  for (int i = 0; i < 24; ++i) {
    const std::string layer = "encoder.block." + std::to_string(i) + ".layer.";
    t5.add(layer + "0.SelfAttention.q.weight", {4096, 4096});
    if (i == 0) t5.add(layer + "0.SelfAttention.relative_attention_bias.weight", {32, 64});
    t5.add(layer + "1.DenseReluDense.wi_0.weight", {10240, 4096});
    t5.add(layer + "1.DenseReluDense.wo.weight", {4096, 10240});
  }
  const auto xxl = open_shapes(t5);
  CHECK(xxl.family == "t5");
  auto config = config_of(xxl, "text_encoder");
  CHECK(config["d_model"] == 4096);
  CHECK(config["d_kv"] == 64);
  CHECK(config["d_ff"] == 10240);
  CHECK(config["num_heads"] == 64);
  CHECK(config["num_layers"] == 24);
  CHECK(config["vocab_size"] == 32128);
  CHECK(config["feed_forward_proj"] == "gated-gelu");

  ShapesAlone clip;
  clip.add("text_model.embeddings.token_embedding.weight", {49408, 1280});
  clip.add("text_model.embeddings.position_embedding.weight", {77, 1280});
  clip.add("text_projection.weight", {1280, 1280});
  for (int i = 0; i < 32; ++i)
    clip.add("text_model.encoder.layers." + std::to_string(i) + ".mlp.fc1.weight", {5120, 1280});
  const auto big = open_shapes(clip);
  CHECK(big.family == "clip-g");
  config = config_of(big, "text_encoder");
  CHECK(config["num_attention_heads"] == 20);
  CHECK(config["num_hidden_layers"] == 32);
  CHECK(config["hidden_act"] == "gelu");
  CHECK(config["projection_dim"] == 1280);
}
