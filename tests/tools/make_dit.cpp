// Writes a model folder of DiT-XL/2's real size with random weights (F16), to measure with:
//
//     make_dit TARGET [256|512]
//
// The transformer is in diffusers' layout, in shards; Stable Diffusion's autoencoder and a DDIM scheduler lie
// beside it. About 1.7 GB.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <daguerre/core/tensor.hpp>
#include <daguerre/weights/safetensors.hpp>

namespace {

namespace fs = std::filesystem;
using namespace daguerre;

constexpr Index width = 1152, heads = 16, layers = 28, classes = 1000, layers_per_shard = 7;

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error(path.string() + " cannot be written");
}

/// Collects random tensors for one file and lists them in an index of shards.
class Weights {
 public:
  explicit Weights(std::string file) : file_(std::move(file)) {}

  /// Uniform with the standard deviation that keeps a product's variance.
  void random(const std::string& name, const Shape& shape, Index fan_in) {
    Tensor<half> tensor(shape);
    const float range = std::sqrt(3.0f / static_cast<float>(fan_in));
    for (half& value : tensor.span()) value = half(range * next());
    add(name, tensor);
  }
  void constant(const std::string& name, Index size, float value) {
    add(name, Tensor<half>::full({size}, half(value)));
  }
  void linear(const std::string& name, Index in, Index out) {
    random(name + ".weight", {out, in}, in);
    constant(name + ".bias", out, 0.0f);
  }
  void conv(const std::string& name, Index in, Index out, Index kernel) {
    random(name + ".weight", {out, in, kernel, kernel}, in * kernel * kernel);
    constant(name + ".bias", out, 0.0f);
  }
  void norm(const std::string& name, Index channels) {
    constant(name + ".weight", channels, 1.0f);
    constant(name + ".bias", channels, 0.0f);
  }

  void save(const fs::path& folder) const { writer_.save(folder / file_); }
  const std::string& index_entries() const { return index_; }

 private:
  void add(const std::string& name, const Tensor<half>& tensor) {
    writer_.add(name, tensor);
    index_ += (index_.empty() ? "\"" : ",\n\"") + name + "\": \"" + file_ + "\"";
  }
  /// From -1 to 1 (Knuth's MMIX generator).
  float next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<float>(static_cast<std::int32_t>(state_ >> 32)) * 0x1p-31f;
  }

  std::string file_, index_;
  weights::SafetensorsWriter writer_;
  std::uint64_t state_ = 42;
};

void write_transformer(const fs::path& folder, int sample_size) {
  fs::create_directories(folder);
  write_text(folder / "config.json",
             R"({"_class_name": "DiTTransformer2DModel", "num_attention_heads": )" + std::to_string(heads) +
                 R"(, "attention_head_dim": )" + std::to_string(width / heads) +
                 R"(, "in_channels": 4, "out_channels": 8, "num_layers": )" + std::to_string(layers) +
                 R"(, "sample_size": )" + std::to_string(sample_size) +
                 R"(, "patch_size": 2, "attention_bias": true, "activation_fn": "gelu-approximate",)"
                 R"( "num_embeds_ada_norm": 1000, "norm_type": "ada_norm_zero",)"
                 R"( "norm_elementwise_affine": false, "norm_eps": 1e-05})");
  std::string index;
  for (Index first = 0; first < layers; first += layers_per_shard) {
    Weights weights("diffusion_pytorch_model-" + std::to_string(first / layers_per_shard) + ".safetensors");
    if (first == 0) {
      weights.conv("pos_embed.proj", 4, width, 2);
      weights.linear("proj_out_1", width, 2 * width);
      weights.linear("proj_out_2", width, 32);
    }
    for (Index i = first; i < first + layers_per_shard; ++i) {
      const std::string block = "transformer_blocks." + std::to_string(i) + ".";
      weights.linear(block + "norm1.emb.timestep_embedder.linear_1", 256, width);
      weights.linear(block + "norm1.emb.timestep_embedder.linear_2", width, width);
      weights.random(block + "norm1.emb.class_embedder.embedding_table.weight", {classes + 1, width}, width);
      weights.linear(block + "norm1.linear", width, 6 * width);
      for (const auto* name : {"to_q", "to_k", "to_v", "to_out.0"})
        weights.linear(block + "attn1." + name, width, width);
      weights.linear(block + "ff.net.0.proj", width, 4 * width);
      weights.linear(block + "ff.net.2", 4 * width, width);
    }
    weights.save(folder);
    index += (index.empty() ? "" : ",\n") + weights.index_entries();
  }
  write_text(folder / "diffusion_pytorch_model.safetensors.index.json",
             "{\"weight_map\": {\n" + index + "}}");
}

void add_resnet(Weights& weights, const std::string& name, Index in, Index out) {
  weights.norm(name + ".norm1", in);
  weights.conv(name + ".conv1", in, out, 3);
  weights.norm(name + ".norm2", out);
  weights.conv(name + ".conv2", out, out, 3);
  if (in != out) weights.conv(name + ".conv_shortcut", in, out, 1);
}

void add_middle(Weights& weights, const std::string& name, Index channels) {
  for (const auto* resnet : {".resnets.0", ".resnets.1"})
    add_resnet(weights, name + resnet, channels, channels);
  weights.norm(name + ".attentions.0.group_norm", channels);
  for (const auto* projection : {"to_q", "to_k", "to_v", "to_out.0"})
    weights.linear(name + ".attentions.0." + projection, channels, channels);
}

void write_autoencoder(const fs::path& folder) {
  fs::create_directories(folder);
  write_text(folder / "config.json",
             R"({"_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3,
"down_block_types": ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
"up_block_types": ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
"block_out_channels": [128, 256, 512, 512], "layers_per_block": 2, "act_fn": "silu", "latent_channels": 4,
"norm_num_groups": 32, "sample_size": 256, "scaling_factor": 0.18215})");
  constexpr Index channels[] = {128, 256, 512, 512};
  Weights weights("diffusion_pytorch_model.safetensors");
  weights.conv("encoder.conv_in", 3, 128, 3);
  weights.conv("decoder.conv_in", 4, 512, 3);
  Index down = 128, up = 512;
  for (int i = 0; i < 4; ++i) {
    const std::string encoder = "encoder.down_blocks." + std::to_string(i),
                      decoder = "decoder.up_blocks." + std::to_string(i);
    for (int j = 0; j < 3; ++j) {
      const std::string resnet = ".resnets." + std::to_string(j);
      if (j < 2) add_resnet(weights, encoder + resnet, down, channels[i]);
      add_resnet(weights, decoder + resnet, up, channels[3 - i]);
      down = channels[i];
      up = channels[3 - i];
    }
    if (i == 3) break;
    weights.conv(encoder + ".downsamplers.0.conv", down, down, 3);
    weights.conv(decoder + ".upsamplers.0.conv", up, up, 3);
  }
  add_middle(weights, "encoder.mid_block", 512);
  add_middle(weights, "decoder.mid_block", 512);
  weights.norm("encoder.conv_norm_out", 512);
  weights.conv("encoder.conv_out", 512, 8, 3);
  weights.norm("decoder.conv_norm_out", 128);
  weights.conv("decoder.conv_out", 128, 3, 3);
  weights.conv("quant_conv", 8, 8, 1);
  weights.conv("post_quant_conv", 4, 4, 1);
  weights.save(folder);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string side = argc == 3 ? argv[2] : "256";
  if (argc < 2 || argc > 3 || (side != "256" && side != "512")) {
    std::fputs("usage: make_dit TARGET [256|512]\n", stderr);
    return 2;
  }
  try {
    const fs::path target = argv[1];
    write_transformer(target / "transformer", side == "256" ? 32 : 64);
    write_autoencoder(target / "vae");
    fs::create_directories(target / "scheduler");
    write_text(target / "scheduler" / "scheduler_config.json",
               R"({"_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_start": 0.0001,)"
               R"( "beta_end": 0.02, "beta_schedule": "linear", "clip_sample": false})");
    write_text(target / "model_index.json",
               R"({"_class_name": "DiTPipeline", "scheduler": ["diffusers", "DDIMScheduler"],
"transformer": ["diffusers", "DiTTransformer2DModel"], "vae": ["diffusers", "AutoencoderKL"],
"id2label": {"88": "macaw", "207": "golden retriever"}})");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_dit: %s\n", error.what());
    return 1;
  }
  return 0;
}
