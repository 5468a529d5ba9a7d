#include "support/tiny_checkpoint.hpp"

#include <utility>

#include "support/files.hpp"

namespace daguerre::test {
namespace {

constexpr Index width = 32, time_width = 4 * width, vocabulary = 704, positions = 77;

}  // namespace

TinyCheckpoint::TinyCheckpoint(std::string family) : family_(std::move(family)) {}

TinyCheckpoint& TinyCheckpoint::add(const std::string& name, const Shape& shape) {
  Tensor<half> tensor(shape);
  for (auto& value : tensor.span()) {
    seed_ = seed_ * 1664525u + 1013904223u;
    value = half((static_cast<float>(seed_ >> 8) * 0x1p-24f - 0.5f) * 0.2f);
  }
  writer_.add(name, tensor);
  return *this;
}

void TinyCheckpoint::affine(const std::string& name, const Shape& weight) {
  add(name + ".weight", weight);
  add(name + ".bias", {weight[0]});
}

void TinyCheckpoint::norm(const std::string& name, Index channels) {
  affine(name, {channels});
}

void TinyCheckpoint::unet_resnet(const std::string& name, Index in) {
  norm(name + ".in_layers.0", in);
  affine(name + ".in_layers.2", {width, in, 3, 3});
  affine(name + ".emb_layers.1", {width, time_width});
  norm(name + ".out_layers.0", width);
  affine(name + ".out_layers.3", {width, width, 3, 3});
  if (in != width) affine(name + ".skip_connection", {width, in, 1, 1});
}

void TinyCheckpoint::unet_attention(const std::string& name, int depth) {
  const Index context = is("sdxl") && !is("refiner") ? 2 * width : width;
  const Shape projection = is("sd1") ? Shape{width, width, 1, 1} : Shape{width, width};
  norm(name + ".norm", width);
  affine(name + ".proj_in", projection);
  affine(name + ".proj_out", projection);
  for (int i = 0; i < depth; ++i) {
    const std::string block = name + ".transformer_blocks." + std::to_string(i);
    for (const auto* attention : {".attn1", ".attn2"}) {
      const Index keys = attention[5] == '1' ? width : context;
      add(block + attention + ".to_q.weight", {width, width});
      add(block + attention + ".to_k.weight", {width, keys});
      add(block + attention + ".to_v.weight", {width, keys});
      affine(block + attention + ".to_out.0", {width, width});
    }
    for (const auto* part : {".norm1", ".norm2", ".norm3"}) norm(block + part, width);
    affine(block + ".ff.net.0.proj", {8 * width, width});
    affine(block + ".ff.net.2", {width, 4 * width});
  }
}

TinyCheckpoint& TinyCheckpoint::unet(const std::string& prefix) {
  const std::vector<int> depths = is("refiner") ? std::vector<int>{0, 4, 4, 0}
                                  : is("sdxl")  ? std::vector<int>{0, 2, 10}
                                                : std::vector<int>{1, 1, 1, 0};
  const int levels = static_cast<int>(depths.size()), middle = is("refiner") ? 4 : depths[2];
  const Index in = is("inpaint") ? 9 : is("pix2pix") ? 8 : latents();
  affine(prefix + "time_embed.0", {time_width, width});
  affine(prefix + "time_embed.2", {time_width, time_width});
  if (is("sdxl")) {
    affine(prefix + "label_emb.0.0", {time_width, width + (is("refiner") ? 5 : 6) * 16});
    affine(prefix + "label_emb.0.2", {time_width, time_width});
  }
  affine(prefix + "input_blocks.0.0", {width, in, 3, 3});
  int down = 1, up = 0;
  const auto at = [&](const std::string& list, int block, int slot) {
    return prefix + list + std::to_string(block) + "." + std::to_string(slot);
  };
  for (int level = 0; level < levels; ++level) {
    const int depth = depths[static_cast<std::size_t>(level)];
    for (int layer = 0; layer < 2; ++layer, ++down) {
      unet_resnet(at("input_blocks.", down, 0), width);
      if (depth > 0) unet_attention(at("input_blocks.", down, 1), depth);
    }
    if (level + 1 < levels) affine(at("input_blocks.", down++, 0) + ".op", {width, width, 3, 3});
  }
  unet_resnet(prefix + "middle_block.0", width);
  unet_attention(prefix + "middle_block.1", middle);
  unet_resnet(prefix + "middle_block.2", width);
  for (int level = levels - 1; level >= 0; --level) {
    const int depth = depths[static_cast<std::size_t>(level)];
    for (int layer = 0; layer < 3; ++layer, ++up) {
      unet_resnet(at("output_blocks.", up, 0), 2 * width);
      if (depth > 0) unet_attention(at("output_blocks.", up, 1), depth);
      if (layer == 2 && level > 0)
        affine(at("output_blocks.", up, depth > 0 ? 2 : 1) + ".conv", {width, width, 3, 3});
    }
  }
  norm(prefix + "out.0", width);
  affine(prefix + "out.2", {latents(), width, 3, 3});
  return *this;
}

void TinyCheckpoint::autoencoder_resnet(const std::string& name) {
  for (const auto* number : {"1", "2"}) {
    norm(name + ".norm" + number, width);
    affine(name + ".conv" + number, {width, width, 3, 3});
  }
}

void TinyCheckpoint::autoencoder_half(const std::string& name, bool decodes) {
  affine(name + ".conv_in", {width, decodes ? latents() : 3, 3, 3});
  affine(name + ".conv_out", {decodes ? 3 : 2 * latents(), width, 3, 3});
  norm(name + ".norm_out", width);
  autoencoder_resnet(name + ".mid.block_1");
  autoencoder_resnet(name + ".mid.block_2");
  norm(name + ".mid.attn_1.norm", width);
  for (const auto* part : {"q", "k", "v", "proj_out"})
    affine(name + ".mid.attn_1." + part, {width, width, 1, 1});
  for (int level = 0; level < 4; ++level) {
    const std::string block = name + (decodes ? ".up." : ".down.") + std::to_string(level);
    for (int layer = 0; layer < (decodes ? 3 : 2); ++layer)
      autoencoder_resnet(block + ".block." + std::to_string(layer));
    if (decodes && level > 0) affine(block + ".upsample.conv", {width, width, 3, 3});
    if (!decodes && level < 3) affine(block + ".downsample.conv", {width, width, 3, 3});
  }
}

TinyCheckpoint& TinyCheckpoint::autoencoder(const std::string& prefix) {
  autoencoder_half(prefix + "encoder", false);
  autoencoder_half(prefix + "decoder", true);
  if (latents() > 4) return *this;  // those have no layers between
  affine(prefix + "quant_conv", {2 * latents(), 2 * latents(), 1, 1});
  affine(prefix + "post_quant_conv", {latents(), latents(), 1, 1});
  return *this;
}

TinyCheckpoint& TinyCheckpoint::texts(bool with_clip, bool with_open_clip) {
  if (is("sd1")) return with_clip ? clip("cond_stage_model.transformer.") : *this;
  if (is("sd2")) return with_open_clip ? open_clip("cond_stage_model.model.", 24) : *this;
  if (is("refiner")) return with_open_clip ? open_clip("conditioner.embedders.0.model.") : *this;
  if (with_clip) clip("conditioner.embedders.0.transformer.");
  if (with_open_clip) open_clip("conditioner.embedders.1.model.");
  return *this;
}

TinyCheckpoint& TinyCheckpoint::clip(const std::string& prefix) {
  const std::string model = prefix + "text_model.";
  add(model + "embeddings.token_embedding.weight", {vocabulary, width});
  add(model + "embeddings.position_embedding.weight", {positions, width});
  add(model + "embeddings.position_ids", {1, positions});
  norm(model + "final_layer_norm", width);
  for (int i = 0; i < 2; ++i) {
    const std::string layer = model + "encoder.layers." + std::to_string(i);
    norm(layer + ".layer_norm1", width);
    norm(layer + ".layer_norm2", width);
    for (const auto* part : {"q_proj", "k_proj", "v_proj", "out_proj"})
      affine(layer + ".self_attn." + part, {width, width});
    affine(layer + ".mlp.fc1", {4 * width, width});
    affine(layer + ".mlp.fc2", {width, 4 * width});
  }
  return *this;
}

TinyCheckpoint& TinyCheckpoint::open_clip(const std::string& prefix, int layers) {
  add(prefix + "token_embedding.weight", {vocabulary, width});
  add(prefix + "positional_embedding", {positions, width});
  add(prefix + "text_projection", {width, width});
  add(prefix + "logit_scale", {});
  norm(prefix + "ln_final", width);
  for (int i = 0; i < layers; ++i) {
    const std::string block = prefix + "transformer.resblocks." + std::to_string(i);
    norm(block + ".ln_1", width);
    norm(block + ".ln_2", width);
    add(block + ".attn.in_proj_weight", {3 * width, width});
    add(block + ".attn.in_proj_bias", {3 * width});
    affine(block + ".attn.out_proj", {width, width});
    affine(block + ".mlp.c_fc", {4 * width, width});
    affine(block + ".mlp.c_proj", {width, 4 * width});
  }
  return *this;
}

std::string TinyCheckpoint::bytes() const {
  const auto bytes = writer_.to_bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

weights::StateDict TinyCheckpoint::weights(const std::string& name) const {
  return weights::StateDict({weights::SafetensorsFile::from_memory(as_buffer(bytes()), name)});
}

}  // namespace daguerre::test
