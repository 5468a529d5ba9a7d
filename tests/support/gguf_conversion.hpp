#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "daguerre/models/language/causal_lm.hpp"
#include "daguerre/text/language_tokenizer.hpp"
#include "daguerre/weights/gguf.hpp"
#include "daguerre/weights/gguf_writer.hpp"
#include "daguerre/weights/random_tensors.hpp"
#include "support/files.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"
#include "text/sentencepiece_files.hpp"

/// Small language models, and the GGUF files that llama.cpp's convert_hf_to_gguf.py makes of them.
namespace daguerre::test {

using nlohmann::json;
using weights::GgufFile;
using weights::GgufWriter;

/// A model as transformers keeps it: its configuration, and tensors under its names.
struct TransformersModel {
  json config;
  std::map<std::string, Tensor<float>> tensors;

  models::LanguageConfig shape() const {
    return models::LanguageConfig::from(Config::parse(config.dump(), "config.json"));
  }
  std::string type() const { return config["model_type"]; }
  bool is_gemma() const { return type().starts_with("gemma"); }
  weights::SafetensorsWriter file() const {
    weights::SafetensorsWriter writer;
    for (const auto& [name, tensor] : tensors) writer.add(name, tensor);
    return writer;
  }
};

inline json updated(json config, const json& changes) {
  config.update(changes);
  return config;
}

/// Of a recorded case, what reads pictures left out.
inline TransformersModel recorded_model(const std::string& name, const json& changes = json::object()) {
  const auto folder = golden("lm/" + name);
  TransformersModel model{updated(json::parse(read_file(folder / "config.json")), changes), {}};
  const auto state = weights::StateDict::load(folder / "weights.safetensors");
  for (const auto& each : state.names())
    if (!each.starts_with("visual.")) model.tensors[each] = state.tensor(each, state.shape(each));
  return model;
}

/// Of a small shape with what `changes` say, and random weights.
inline TransformersModel random_model(const json& changes) {
  TransformersModel model{updated({{"model_type", "llama"},
                                   {"vocab_size", 96},
                                   {"hidden_size", 64},
                                   {"intermediate_size", 96},
                                   {"num_hidden_layers", 2},
                                   {"num_attention_heads", 4},
                                   {"num_key_value_heads", 2},
                                   {"max_position_embeddings", 64}},
                                  changes),
                          {}};
  const weights::StateDict state({std::make_shared<const weights::RandomTensors>(1, DType::f32)}, "random");
  const auto context = context_for("native");
  const models::CausalLm<float> asks(model.shape(), {weights::Scope(state), context});
  unsigned seed = 0;
  for (const auto& name : state.names()) {
    const auto shape = state.shape(name);
    const bool is_matrix = shape.rank() == 2;
    auto tensor =
        random_tensor(shape, ++seed, is_matrix ? 1.5f / std::sqrt(static_cast<float>(shape[1])) : 0.3f);
    if (!is_matrix && name.ends_with(".weight"))
      for (float& value : tensor.span()) value += 1.0f;
    model.tensors[name.starts_with("lm_head.") ? name : "model." + name] = tensor;
  }
  return model;
}

/// How a tensor of that name in a GGUF file is to be stored, where its rows are whole blocks.
using TypeOf = std::function<DType(std::string_view name)>;

inline DType type_of(const TypeOf& types, std::string_view name, const Shape& shape) {
  // What llama.cpp keeps as it is.
  if (shape.rank() < 2 || name == "position_embd.weight") return DType::f32;
  const auto type = types(name);
  return shape[-1] % block_of(type).elements == 0 ? type : DType::f32;
}

inline DType all_f32(std::string_view /*name*/) {
  return DType::f32;
}
inline DType all_q8_0(std::string_view /*name*/) {
  return DType::q8_0;
}
/// The way files of four bits keep what matters more in other types.
inline DType mixture(std::string_view name) {
  if (name.ends_with("attn_v.weight") || name == "output.weight") return DType::q8_0;
  if (name.ends_with("ffn_down.weight")) return DType::q5_1;
  if (name.ends_with("attn_k.weight")) return DType::f16;
  return name == "token_embd.weight" ? DType::bf16 : DType::q4_0;
}

inline Tensor<float> transposed(const Tensor<float>& matrix) {
  const Index rows = matrix.dim(0), columns = matrix.dim(1);
  Tensor<float> result({columns, rows});
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j)
      result.data()[j * rows + i] = matrix.span()[static_cast<std::size_t>(i * columns + j)];
  return result;
}

inline std::shared_ptr<const std::vector<std::byte>> kept(std::vector<std::byte> bytes) {
  return std::make_shared<const std::vector<std::byte>>(std::move(bytes));
}

/// What a type leaves of the numbers.
inline Tensor<float> rounded(const Tensor<float>& tensor, DType type) {
  GgufWriter writer;
  writer.add("x", tensor, type);
  const auto file = GgufFile::from_memory(kept(writer.to_bytes()), "x.gguf");
  return file.floats(*file.find("x"));
}

/// What llama.cpp's convert_hf_to_gguf.py makes of a model.
class Conversion {
 public:
  Conversion(const TransformersModel& model, TypeOf types) : model_(model), types_(std::move(types)) {}

  /// The same model with weights rounded as the file's are.
  TransformersModel rounded_model() const {
    auto result = model_;
    for (auto& [name, tensor] : result.tensors) {
      const bool turned = is_turned(name);
      const auto rows = turned ? transposed(tensor) : tensor;
      const auto type = type_of(types_, gguf_name(name), rows.shape());
      tensor = turned ? transposed(rounded(rows, type)) : rounded(rows, type);
    }
    return result;
  }

  GgufWriter file() const {
    GgufWriter writer;
    describe(writer);
    for (const auto& [name, tensor] : model_.tensors) {
      const auto stored = gguf_tensor(name, tensor);
      writer.add(gguf_name(name), stored, type_of(types_, gguf_name(name), stored.shape()));
    }
    if (const auto scaling = scaling_type(); scaling == "llama3") writer.add("rope_freqs.weight", divisors());
    return writer;
  }

 private:
  std::string architecture() const {
    if (model_.type() == "gemma3_text") return "gemma3";
    return model_.type() == "mistral" ? "llama" : model_.type();
  }
  bool is_llama() const { return architecture() == "llama"; }

  /// GPT-2's matrices have their inputs first.
  bool is_turned(const std::string& name) const {
    return model_.type() == "gpt2" && name.ends_with(".weight") && name.find(".c_") != name.npos;
  }

  std::string gguf_name(std::string name) const {
    struct Names {
      std::string_view transformers, gguf;
    };
    constexpr std::array modules{
        Names{"embed_tokens", "token_embd"},
        Names{"wte", "token_embd"},
        Names{"wpe", "position_embd"},
        Names{"norm", "output_norm"},
        Names{"ln_f", "output_norm"},
        Names{"lm_head", "output"},
        Names{"input_layernorm", "attn_norm"},
        Names{"ln_1", "attn_norm"},
        Names{"self_attn.q_proj", "attn_q"},
        Names{"self_attn.k_proj", "attn_k"},
        Names{"self_attn.v_proj", "attn_v"},
        Names{"attn.c_attn", "attn_qkv"},
        Names{"self_attn.o_proj", "attn_output"},
        Names{"attn.c_proj", "attn_output"},
        Names{"self_attn.q_norm", "attn_q_norm"},
        Names{"self_attn.k_norm", "attn_k_norm"},
        Names{"ln_2", "ffn_norm"},
        Names{"pre_feedforward_layernorm", "ffn_norm"},
        Names{"post_feedforward_layernorm", "post_ffw_norm"},
        Names{"mlp.gate_proj", "ffn_gate"},
        Names{"mlp.up_proj", "ffn_up"},
        Names{"mlp.c_fc", "ffn_up"},
        Names{"mlp.down_proj", "ffn_down"},
        Names{"mlp.c_proj", "ffn_down"},
    };
    std::string before;
    for (const std::string_view prefix : {"model.", "transformer."})
      if (name.starts_with(prefix)) name = name.substr(prefix.size());
    for (const std::string_view prefix : {"layers.", "h."})
      if (name.starts_with(prefix)) {
        const auto end = name.find('.', prefix.size());
        before = "blk." + name.substr(prefix.size(), end + 1 - prefix.size());
        name = name.substr(end + 1);
      }
    const auto kind = name.rfind('.');
    const auto module = name.substr(0, kind);
    if (module == "post_attention_layernorm")
      return before + (model_.shape().norms_after ? "post_attention_norm" : "ffn_norm") + name.substr(kind);
    for (const auto& each : modules)
      if (each.transformers == module) return before + std::string(each.gguf) + name.substr(kind);
    throw std::logic_error("no name for " + name);
  }

  Tensor<float> gguf_tensor(const std::string& name, const Tensor<float>& tensor) const {
    if (is_turned(name)) return transposed(tensor);
    const bool is_query = name.find(".q_proj.") != name.npos, is_key = name.find(".k_proj.") != name.npos;
    if (is_llama() && (is_query || is_key)) return interleaved(tensor);
    auto result = tensor;
    if (model_.is_gemma() && name.ends_with("norm.weight"))
      for (float& value : result.span()) value += 1.0f;
    return result;
  }

  /// Rows of each head as pairs that are turned together stand side by side.
  Tensor<float> interleaved(const Tensor<float>& tensor) const {
    const Index head = model_.shape().head_dim, width = tensor.rank() == 2 ? tensor.dim(1) : 1;
    Tensor<float> result(tensor.shape());
    for (Index row = 0; row < tensor.dim(0); ++row) {
      const Index inside = row % head, half = head / 2;
      const Index to = row - inside + 2 * (inside % half) + inside / half;
      std::copy_n(tensor.span().data() + row * width, width, result.data() + to * width);
    }
    return result;
  }

  json scaling() const {
    return model_.config.contains("rope_scaling") ? model_.config["rope_scaling"] : json();
  }
  std::string scaling_type() const {
    const auto all = scaling();
    return all.is_object() ? all.value("rope_type", all.value("type", "")) : "";
  }

  /// Llama 3's scaling, as numbers that frequencies are divided by.
  Tensor<float> divisors() const {
    const auto all = scaling();
    const auto shape = model_.shape();
    const double factor = all["factor"], low = all["low_freq_factor"], high = all["high_freq_factor"],
                 original = all["original_max_position_embeddings"];
    Tensor<float> result({shape.head_dim / 2});
    for (Index i = 0; i < result.size(); ++i) {
      const double wave =
          2.0 * std::acos(-1.0) *
          std::pow(shape.rotary.theta, 2.0 * static_cast<double>(i) / static_cast<double>(shape.head_dim));
      const double smooth = (original / wave - low) / (high - low);
      result.data()[i] =
          static_cast<float>(wave < original / high  ? 1.0
                             : wave > original / low ? factor
                                                     : 1.0 / ((1.0 - smooth) / factor + smooth));
    }
    return result;
  }

  void describe(GgufWriter& writer) const {
    const auto shape = model_.shape();
    const auto set = [&](const std::string& key, weights::GgufMetadata value) {
      writer.set(architecture() + "." + key, std::move(value));
    };
    const auto size = [&](const std::string& key, Index value) {
      set(key, static_cast<std::uint32_t>(value));
    };
    const bool is_gpt2 = model_.type() == "gpt2";
    writer.set("general.architecture", architecture());
    writer.set("general.quantization_version", std::uint32_t{2});
    size("block_count", shape.num_hidden_layers);
    size("context_length", shape.max_position_embeddings);
    size("embedding_length", shape.hidden_size);
    size("feed_forward_length", shape.intermediate_size);
    size("attention.head_count", shape.num_attention_heads);
    set(is_gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", shape.norm_epsilon);
    if (is_gpt2) return;
    size("attention.head_count_kv", shape.num_key_value_heads);
    if (model_.config.contains("head_dim")) {
      size("attention.key_length", shape.head_dim);
      size("attention.value_length", shape.head_dim);
    }
    if (is_llama()) {
      size("vocab_size", shape.vocab_size);
      size("rope.dimension_count", shape.head_dim);
    }
    // The first two of Gemma's files do not say what they all have.
    if (!model_.is_gemma() || architecture() == "gemma3")
      set("rope.freq_base", static_cast<float>(shape.rotary.theta));
    if (architecture() == "gemma2") {
      set("attn_logit_softcapping", shape.attention_soft_cap);
      set("final_logit_softcapping", shape.logit_soft_cap);
    }
    if (architecture() == "gemma2" || architecture() == "gemma3")
      size("attention.sliding_window", model_.config["sliding_window"].get<Index>());
    if (scaling_type() == "linear" || scaling_type() == "yarn") {
      set("rope.scaling.type", scaling_type());
      set("rope.scaling.factor", scaling()["factor"].get<float>());
    }
    if (scaling_type() == "yarn")
      size("rope.scaling.original_context_length",
           scaling()["original_max_position_embeddings"].get<Index>());
  }

  const TransformersModel& model_;
  TypeOf types_;
};

/// `tokenizer.ggml.*` as llama.cpp's converter writes it of a folder with a vocabulary.
inline void describe_tokenizer(GgufWriter& writer, const std::filesystem::path& folder,
                               const std::string& split) {
  const auto tokenizer = text::load_language_tokenizer(folder);
  const auto set = [&](const std::string& key, weights::GgufMetadata value) {
    writer.set("tokenizer." + key, std::move(value));
  };
  std::vector<std::string> tokens;
  std::vector<std::int32_t> kinds;
  if (split.empty()) {
    const auto file =
        text::read_sentencepiece_model(folder / "tokenizer.model", text::SentencePieceModel::bpe);
    std::vector<float> scores;
    for (const auto& piece : file.pieces) {
      tokens.push_back(piece.text);
      scores.push_back(piece.score);
      kinds.push_back(static_cast<std::int32_t>(piece.kind) + 1);
    }
    set("ggml.model", std::string("llama"));
    set("ggml.scores", scores);
    set("ggml.add_space_prefix", file.normalizer.add_prefix);
    set("ggml.add_bos_token", true);
    set("ggml.add_eos_token", false);
  } else {
    for (std::int32_t id = 0; id < tokenizer->vocabulary_size(); ++id) {
      tokens.push_back(tokenizer->token_of(id).value());
      kinds.push_back(1);
    }
    const auto files = json::parse(read_file(folder / "tokenizer.json"));
    for (const auto& token : files["added_tokens"])
      kinds[token["id"].get<std::size_t>()] = token["special"].get<bool>() ? 3 : 4;
    std::vector<std::string> merges;
    for (const auto& merge : files["model"]["merges"])
      merges.push_back(merge.is_string() ? merge.get<std::string>()
                                         : merge[0].get<std::string>() + ' ' + merge[1].get<std::string>());
    set("ggml.model", std::string("gpt2"));
    set("ggml.pre", split);
    set("ggml.merges", merges);
  }
  set("ggml.tokens", tokens);
  set("ggml.token_type", kinds);
  const auto& special = tokenizer->special_tokens();
  const auto token = [&](const std::string& key, std::optional<std::int32_t> id) {
    if (id) set("ggml." + key + "_token_id", static_cast<std::uint32_t>(*id));
  };
  token("bos", special.bos);
  token("eos", special.eos);
  token("padding", special.pad);
  token("unknown", special.unknown);
  if (const auto chat = tokenizer->chat_template()) set("chat_template", *chat);
}

}  // namespace daguerre::test
