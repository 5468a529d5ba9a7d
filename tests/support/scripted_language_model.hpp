#pragma once

#include <array>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre::test {

/// GPT-2's characters for the 256 bytes as vocab.json, byte b having id b, and an end token, 256.
inline std::string byte_vocabulary() {
  const auto utf8 = [](unsigned code) {
    if (code < 0x80) return std::string{static_cast<char>(code)};
    return std::string{static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
  };
  std::string result = "{";
  unsigned next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool is_itself = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const auto character = utf8(is_itself ? byte : next++);
    const bool is_escaped = character == "\"" || character == "\\";
    result += std::string(byte == 0 ? "" : ", ") + "\"" + (is_escaped ? "\\" : "") + character +
              "\": " + std::to_string(byte);
  }
  return result + ", \"<|endoftext|>\": 256}";
}

/// Roles and contents line by line.
constexpr const char* plain_chat_template =
    R"({% for message in messages %}{{ message.role + ': ' + message.content + '\n' }}{% endfor %})"
    R"({% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %})";

/// What a language model is to say.
struct LanguageScript {
  std::string answer;                               ///< to everything; no character of it comes twice
  bool ends = true;                                 ///< or it begins again, forever
  std::string chat_template = plain_chat_template;  ///< must end in a line break; empty: there is none
};

/// A model in transformers' layout, of one layer that adds nothing: the last byte alone says which one is
/// next.
inline void write_language_model(const std::filesystem::path& folder, const LanguageScript& script) {
  constexpr Index vocabulary = 264, width = 264, inner = 8;
  constexpr Index end = 256;
  std::filesystem::create_directories(folder);
  auto embedding = Tensor<float>::zeros({vocabulary, width}),
       head = Tensor<float>::zeros({vocabulary, width});
  for (Index id = 0; id < vocabulary; ++id) embedding.data()[id * width + id] = 1.0f;
  std::array<bool, vocabulary> has_next{};
  const auto follow = [&](Index id, Index next) {
    if (has_next.at(static_cast<std::size_t>(id))) throw std::invalid_argument("a character comes twice");
    has_next[static_cast<std::size_t>(id)] = true;
    head.data()[next * width + id] = 1.0f;
  };
  Index last = '\n';
  for (const char c : script.answer) {
    follow(last, static_cast<unsigned char>(c));
    last = static_cast<unsigned char>(c);
  }
  follow(last, script.ends ? end : static_cast<unsigned char>(script.answer.at(0)));

  weights::SafetensorsWriter writer;
  writer.add("model.embed_tokens.weight", embedding);
  writer.add("lm_head.weight", head);
  const std::string layer = "model.layers.0.";
  for (const auto& name : {std::string("model.norm.weight"), layer + "input_layernorm.weight",
                           layer + "post_attention_layernorm.weight"})
    writer.add(name, Tensor<float>::full({width}, 1.0f));
  for (const auto* name :
       {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"})
    writer.add(layer + name + ".weight", Tensor<float>::full({inner, width}, 0.5f));
  for (const auto* name : {"self_attn.o_proj", "mlp.down_proj"})
    writer.add(layer + name + ".weight", Tensor<float>::zeros({width, inner}));
  writer.save(folder / "model.safetensors");

  const auto write = [&](const char* name, std::string_view text) {
    std::ofstream(folder / name, std::ios::binary) << text;
  };
  write("config.json", R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"],
    "vocab_size": 264, "hidden_size": 264, "intermediate_size": 8, "num_hidden_layers": 1,
    "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 8, "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": false,
    "eos_token_id": 256})");
  write("vocab.json", byte_vocabulary());
  write("merges.txt", "#version: 0.2\n");
  write("tokenizer_config.json", R"({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>",
    "bos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"})");
  if (!script.chat_template.empty()) write("chat_template.jinja", script.chat_template);
}

}  // namespace daguerre::test
