#include "support/tiny_checkpoint.hpp"

/// Checkpoints of the families whose denoiser is a transformer.
namespace daguerre::test {
namespace {

constexpr Index text_width = 32, t5_width = 64, t5_head = 16, t5_heads = 2, time_width = 256, blocks = 2;

}  // namespace

void TinyCheckpoint::sd3_half(const std::string& name, Index modulations, bool projects) {
  constexpr Index w = transformer_width;
  const bool normed = is("sd35"), second = is("medium") && name.ends_with("x_block");
  affine(name + ".adaLN_modulation.1", {modulations * w, w});
  for (const auto* attention : {".attn", ".attn2"}) {
    if (attention[5] == '2' && !second) continue;
    affine(name + attention + ".qkv", {3 * w, w});
    if (projects) affine(name + attention + ".proj", {w, w});
    if (!normed) continue;
    add(name + attention + ".ln_q.weight", {w / 2});
    add(name + attention + ".ln_k.weight", {w / 2});
  }
  if (!projects) return;
  affine(name + ".mlp.fc1", {4 * w, w});
  affine(name + ".mlp.fc2", {w, 4 * w});
}

void TinyCheckpoint::sd3(const std::string& prefix) {
  constexpr Index w = transformer_width;
  affine(prefix + "x_embedder.proj", {w, latents(), 2, 2});
  add(prefix + "pos_embed", {1, 64, w});
  affine(prefix + "context_embedder", {w, t5_width});
  affine(prefix + "t_embedder.mlp.0", {w, time_width});
  affine(prefix + "t_embedder.mlp.2", {w, w});
  affine(prefix + "y_embedder.mlp.0", {w, 2 * text_width});
  affine(prefix + "y_embedder.mlp.2", {w, w});
  for (Index i = 0; i < blocks; ++i) {
    const std::string block = prefix + "joint_blocks." + std::to_string(i);
    const bool last = i + 1 == blocks;
    sd3_half(block + ".x_block", is("medium") ? 9 : 6, true);
    sd3_half(block + ".context_block", last ? 2 : 6, !last);
  }
  affine(prefix + "final_layer.adaLN_modulation.1", {2 * w, w});
  affine(prefix + "final_layer.linear", {4 * latents(), w});
}

void TinyCheckpoint::flux(const std::string& prefix) {
  constexpr Index w = transformer_width, head = w / 2;
  const Index tokens = 4 * latents(), in = is("fill") ? 6 * tokens : is("control") ? 2 * tokens : tokens;
  affine(prefix + "img_in", {w, in});
  affine(prefix + "txt_in", {w, t5_width});
  for (const auto* input : {"time_in", "vector_in", "guidance_in"}) {
    if (input[0] == 'g' && is("schnell")) continue;
    affine(prefix + input + ".in_layer", {w, input[0] == 'v' ? text_width : time_width});
    affine(prefix + input + ".out_layer", {w, w});
  }
  for (Index i = 0; i < blocks; ++i)
    for (const auto* half : {"img_", "txt_"}) {
      const std::string name = prefix + "double_blocks." + std::to_string(i) + "." + half;
      affine(name + "mod.lin", {6 * w, w});
      affine(name + "attn.qkv", {3 * w, w});
      add(name + "attn.norm.query_norm.scale", {head});
      add(name + "attn.norm.key_norm.scale", {head});
      affine(name + "attn.proj", {w, w});
      affine(name + "mlp.0", {4 * w, w});
      affine(name + "mlp.2", {w, 4 * w});
    }
  for (Index i = 0; i < blocks; ++i) {
    const std::string name = prefix + "single_blocks." + std::to_string(i);
    affine(name + ".modulation.lin", {3 * w, w});
    affine(name + ".linear1", {7 * w, w});
    add(name + ".norm.query_norm.scale", {head});
    add(name + ".norm.key_norm.scale", {head});
    affine(name + ".linear2", {w, 5 * w});
  }
  affine(prefix + "final_layer.adaLN_modulation.1", {2 * w, w});
  affine(prefix + "final_layer.linear", {tokens, w});
}

void TinyCheckpoint::pixart(const std::string& prefix) {
  constexpr Index w = 48;  // sixteen heads, and a third of it for each number of the picture's size
  affine(prefix + "x_embedder.proj", {w, latents(), 2, 2});
  add(prefix + "pos_embed", {1, 64, w});
  affine(prefix + "t_embedder.mlp.0", {w, time_width});
  affine(prefix + "t_embedder.mlp.2", {w, w});
  if (family_ == "pixart-alpha")
    for (const auto* number : {"csize", "ar"}) {
      affine(prefix + number + "_embedder.mlp.0", {w / 3, time_width});
      affine(prefix + number + "_embedder.mlp.2", {w / 3, w / 3});
    }
  affine(prefix + "t_block.1", {6 * w, w});
  affine(prefix + "y_embedder.y_proj.fc1", {w, t5_width});
  affine(prefix + "y_embedder.y_proj.fc2", {w, w});
  add(prefix + "y_embedder.y_embedding", {12, t5_width});
  for (Index i = 0; i < blocks; ++i) {
    const std::string name = prefix + "blocks." + std::to_string(i);
    add(name + ".scale_shift_table", {6, w});
    affine(name + ".attn.qkv", {3 * w, w});
    affine(name + ".attn.proj", {w, w});
    affine(name + ".cross_attn.q_linear", {w, w});
    affine(name + ".cross_attn.kv_linear", {2 * w, w});
    affine(name + ".cross_attn.proj", {w, w});
    affine(name + ".mlp.fc1", {4 * w, w});
    affine(name + ".mlp.fc2", {w, 4 * w});
  }
  add(prefix + "final_layer.scale_shift_table", {2, w});
  affine(prefix + "final_layer.linear", {8 * latents(), w});
}

TinyCheckpoint& TinyCheckpoint::t5(const std::string& prefix) {
  constexpr Index inner = t5_heads * t5_head, middle = 2 * t5_width, vocabulary = 48;
  add(prefix + "shared.weight", {vocabulary, t5_width});
  for (Index i = 0; i < blocks; ++i) {
    const std::string layer = prefix + "encoder.block." + std::to_string(i) + ".layer.";
    for (const auto* part : {"q", "k", "v"})
      add(layer + "0.SelfAttention." + part + ".weight", {inner, t5_width});
    add(layer + "0.SelfAttention.o.weight", {t5_width, inner});
    if (i == 0) add(layer + "0.SelfAttention.relative_attention_bias.weight", {32, t5_heads});
    add(layer + "0.layer_norm.weight", {t5_width});
    add(layer + "1.DenseReluDense.wi_0.weight", {middle, t5_width});
    add(layer + "1.DenseReluDense.wi_1.weight", {middle, t5_width});
    add(layer + "1.DenseReluDense.wo.weight", {t5_width, middle});
    add(layer + "1.layer_norm.weight", {t5_width});
  }
  add(prefix + "encoder.final_layer_norm.weight", {t5_width});
  return *this;
}

TinyCheckpoint& TinyCheckpoint::transformer(const std::string& prefix) {
  if (is("sd3")) sd3(prefix);
  if (is("flux")) flux(prefix);
  if (is("pixart")) pixart(prefix);
  return *this;
}

TinyCheckpoint& TinyCheckpoint::transformer_texts() {
  if (!is("pixart")) clip("text_encoders.clip_l.transformer.");
  if (is("sd3")) {
    clip("text_encoders.clip_g.transformer.");
    for (const std::string encoder : {"clip_l", "clip_g"})
      add("text_encoders." + encoder + ".transformer.text_projection.weight", {text_width, text_width});
  }
  return t5("text_encoders.t5xxl.transformer.");
}

}  // namespace daguerre::test
