#include "pipeline/gguf_language.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "daguerre/core/error.hpp"

namespace daguerre {
namespace {

constexpr const char* gguf_language_who = "language_model";
constexpr std::string_view language_architectures = "llama, qwen2, qwen3, gemma, gemma2, gemma3, gpt2";

/// The metadata below an architecture's name.
class LanguageMetadata {
 public:
  explicit LanguageMetadata(const weights::GgufFile& file) : file_(file) {
    const auto found = file.values().find("general.architecture");
    const auto text = found == file.values().end() ? std::nullopt : found->second.text();
    if (!text) throw wrong_value("general.architecture", "a text");
    architecture_ = *text;
  }
  const std::string& architecture() const noexcept { return architecture_; }

  const weights::GgufValue* find(std::string_view key) const {
    const auto found = file_.values().find(architecture_ + "." + std::string(key));
    return found == file_.values().end() ? nullptr : &found->second;
  }
  std::optional<double> number(std::string_view key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto number = value->number();
    if (!number) throw wrong(key, "a number");
    return number;
  }
  std::optional<Index> size(std::string_view key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto natural = value->natural();
    if (!natural || *natural > 0x7FFFFFFF) throw wrong(key, "a natural number");
    return static_cast<Index>(*natural);
  }
  Index required(std::string_view key) const {
    const auto value = size(key);
    if (!value) throw wrong(key, "a natural number");
    return *value;
  }
  std::optional<std::string> text(std::string_view key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    const auto text = value->text();
    if (!text) throw wrong(key, "a text");
    return std::string(*text);
  }
  std::optional<std::int32_t> token(const std::string& key) const {
    const auto found = file_.values().find("tokenizer.ggml." + key);
    if (found == file_.values().end()) return std::nullopt;
    const auto id = found->second.natural();
    if (!id || *id > 0x7FFFFFFF) throw wrong_value("tokenizer.ggml." + key, "a token's number");
    return static_cast<std::int32_t>(*id);
  }
  /// That what stands below the architecture's name is another thing than expected.
  FormatError wrong(std::string_view key, const std::string& expected) const {
    return wrong_value(architecture_ + "." + std::string(key), expected);
  }

 private:
  FormatError wrong_value(const std::string& key, const std::string& expected) const {
    const auto found = file_.values().find(key);
    return FormatError(gguf_language_who,
                       file_.name() + ": " + key + " is " +
                           (found == file_.values().end() ? "missing" : found->second.to_json()) +
                           ", expected " + expected);
  }
  const weights::GgufFile& file_;
  std::string architecture_;
};

bool has_tensor(const weights::GgufFile& file, std::string_view name) {
  return file.find(name) != nullptr;
}

models::RotaryConfig gguf_rotary(const weights::GgufFile& file, const LanguageMetadata& metadata,
                                 const models::LanguageConfig& config) {
  using Scaling = models::RotaryConfig::Scaling;
  models::RotaryConfig result;
  if (metadata.architecture() == "llama") result.pairs = ops::RotaryPairs::neighbours;
  result.theta = metadata.number("rope.freq_base").value_or(10000.0);
  if (const auto width = metadata.size("rope.dimension_count"); width && *width != config.head_dim)
    throw ConfigError(gguf_language_who, file.name() + ": " + std::to_string(*width) + " of " +
                                             std::to_string(config.head_dim) +
                                             " channels of a head are turned, expected all");
  const auto kind = metadata.text("rope.scaling.type").value_or("none");
  double factor =
      metadata.number("rope.scaling.factor").value_or(metadata.number("rope.scale_linear").value_or(1.0));
  if (factor == 0.0) factor = 1.0;  // none is said
  if (kind == "linear" ||
      (kind == "none" && factor != 1.0 && metadata.find("rope.scaling.type") == nullptr)) {
    result.scaling = factor == 1.0 ? Scaling::none : Scaling::linear;
    result.factor = factor;
  } else if (kind == "yarn") {
    result.scaling = Scaling::yarn;
    result.factor = factor;
    result.original_max_position_embeddings =
        metadata.number("rope.scaling.original_context_length")
            .value_or(static_cast<double>(config.max_position_embeddings) / factor);
    // What llama.cpp multiplies by a factor of the file's, which is 1 where it says none.
    result.attention_factor = (factor <= 1.0 ? 1.0 : 0.1 * std::log(factor) + 1.0) *
                              metadata.number("rope.scaling.attn_factor").value_or(1.0);
    result.beta_fast = metadata.number("rope.scaling.yarn_beta_fast").value_or(result.beta_fast);
    result.beta_slow = metadata.number("rope.scaling.yarn_beta_slow").value_or(result.beta_slow);
  } else if (kind != "none") {
    throw ConfigError(gguf_language_who,
                      file.name() + ": rope.scaling.type is \"" + kind + "\"; known are none, linear, yarn");
  }
  if (const auto* info = file.find("rope_freqs.weight")) {
    if (info->shape.size() != config.head_dim / 2)
      throw WeightError(gguf_language_who, file.name() + ": rope_freqs.weight " + to_string(info->shape) +
                                               ", expected [" + std::to_string(config.head_dim / 2) + "]");
    const auto divisors = file.floats(*info);
    result.frequency_divisors.assign(divisors.span().begin(), divisors.span().end());
  }
  return result;
}

/// Scales of Gemma's attention that its files do not hold: those of the largest models are of another width.
float gemma_attention_scale(const models::LanguageConfig& config, int layers_of_largest) {
  const bool is_largest = config.num_hidden_layers == layers_of_largest;
  const auto width = static_cast<double>(
      is_largest ? config.hidden_size / std::max(config.num_attention_heads, 1) : config.head_dim);
  return static_cast<float>(1.0 / std::sqrt(width));
}

/// Which layers have a window: in Gemma 2 all but every second one, in Gemma 3 all but every sixth one,
/// unless the file says another number or names them.
std::vector<bool> gguf_window_layers(const LanguageMetadata& metadata, int layers) {
  constexpr std::string_view pattern = "attention.sliding_window_pattern";
  std::vector<bool> result;
  const auto* value = metadata.find(pattern);
  if (value != nullptr && value->type() == weights::GgufType::array) {
    for (const auto& item : value->items()) {
      const auto is_windowed = item.boolean();
      if (!is_windowed) throw metadata.wrong(pattern, "a truth for each layer");
      result.push_back(*is_windowed);
    }
    if (static_cast<int>(result.size()) != layers) throw metadata.wrong(pattern, "a truth for each layer");
    return result;
  }
  const auto& architecture = metadata.architecture();
  const Index usual = architecture == "gemma2" ? 2 : architecture == "gemma3" ? 6 : 0;
  const Index period = metadata.size(pattern).value_or(usual);
  for (int i = 0; i < layers; ++i) result.push_back(period == 0 || (i + 1) % period != 0);
  return result;
}

void read_gguf_windows(const LanguageMetadata& metadata, models::LanguageConfig& config) {
  const auto window = metadata.size("attention.sliding_window");
  // So many layers are refused later.
  if (!window || *window == 0 || config.num_hidden_layers > models::LanguageConfig::most_layers) return;
  for (const bool is_windowed : gguf_window_layers(metadata, config.num_hidden_layers))
    config.windows.push_back(is_windowed ? *window : 0);
}

void read_gguf_gemma(const LanguageMetadata& metadata, models::LanguageConfig& config) {
  const auto& architecture = metadata.architecture();
  config.embedding_scale = std::sqrt(static_cast<float>(config.hidden_size));
  config.activation = ops::Activation::gelu_tanh;
  if (architecture == "gemma") return;
  config.norms_after = true;
  if (architecture == "gemma2") {
    config.attention_scale = gemma_attention_scale(config, 46);
    config.attention_soft_cap = static_cast<float>(metadata.number("attn_logit_softcapping").value_or(50.0));
    config.logit_soft_cap = static_cast<float>(metadata.number("final_logit_softcapping").value_or(30.0));
    return;
  }
  config.attention_scale = gemma_attention_scale(config, 62);
  config.logit_soft_cap = static_cast<float>(metadata.number("final_logit_softcapping").value_or(0.0));
  config.query_key_norm = true;
  config.window_rotary = models::RotaryConfig{};
  config.window_rotary->theta = metadata.number("rope.freq_base_swa").value_or(10000.0);
}

struct LanguageModule {
  std::string_view gguf, ours;
};
constexpr std::array language_modules{
    LanguageModule{"attn_norm", "input_layernorm"},
    LanguageModule{"attn_q", "self_attn.q_proj"},
    LanguageModule{"attn_k", "self_attn.k_proj"},
    LanguageModule{"attn_v", "self_attn.v_proj"},
    LanguageModule{"attn_qkv", "self_attn.qkv_proj"},
    LanguageModule{"attn_output", "self_attn.o_proj"},
    LanguageModule{"attn_q_norm", "self_attn.q_norm"},
    LanguageModule{"attn_k_norm", "self_attn.k_norm"},
    LanguageModule{"post_attention_norm", "post_attention_layernorm"},
    LanguageModule{"post_ffw_norm", "post_feedforward_layernorm"},
    LanguageModule{"ffn_gate", "mlp.gate_proj"},
    LanguageModule{"ffn_up", "mlp.up_proj"},
    LanguageModule{"ffn_down", "mlp.down_proj"},
};

/// Empty for what is no tensor of a language model.
std::string language_tensor_name(std::string_view name, bool norms_after) {
  const auto kind = name.rfind('.');
  if (kind == std::string_view::npos) return {};
  const auto module = name.substr(0, kind);
  const std::string end(name.substr(kind));
  if (module == "token_embd") return "embed_tokens" + end;
  if (module == "position_embd") return "embed_positions" + end;
  if (module == "output_norm") return "norm" + end;
  if (module == "output") return "lm_head" + end;
  if (!module.starts_with("blk.")) return {};
  const auto number = module.find('.', 4);
  if (number == std::string_view::npos) return {};
  const auto inside = module.substr(number + 1);
  const auto layer = "layers" + std::string(module.substr(3, number - 2));
  if (inside == "ffn_norm")
    return layer + (norms_after ? "pre_feedforward_layernorm" : "post_attention_layernorm") + end;
  const auto found = std::find_if(language_modules.begin(), language_modules.end(),
                                  [&](const LanguageModule& each) { return each.gguf == inside; });
  return found == language_modules.end() ? std::string() : layer + std::string(found->ours) + end;
}

}  // namespace

models::LanguageConfig gguf_language_config(const weights::GgufFile& file) {
  using Norm = models::LanguageConfig::Norm;
  const LanguageMetadata metadata(file);
  const auto& architecture = metadata.architecture();
  constexpr std::array known{"llama", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gpt2"};
  if (std::find(known.begin(), known.end(), architecture) == known.end())
    throw ConfigError(gguf_language_who, file.name() + ": its architecture is \"" + architecture +
                                             "\"; known are " + std::string(language_architectures));
  models::LanguageConfig config;
  config.model_type = architecture;
  const auto* table = file.find("token_embd.weight");
  if (table == nullptr || table->shape.rank() != 2)
    throw WeightError(gguf_language_who, file.name() + ": there is no table token_embd.weight");
  config.vocab_size = table->shape[0];
  config.hidden_size = metadata.required("embedding_length");
  config.intermediate_size = metadata.required("feed_forward_length");
  config.num_hidden_layers = static_cast<int>(metadata.required("block_count"));
  config.num_attention_heads = static_cast<int>(metadata.required("attention.head_count"));
  config.num_key_value_heads =
      static_cast<int>(metadata.size("attention.head_count_kv").value_or(config.num_attention_heads));
  config.head_dim = metadata.size("attention.key_length")
                        .value_or(config.hidden_size / std::max(config.num_attention_heads, 1));
  if (metadata.size("attention.value_length").value_or(config.head_dim) != config.head_dim)
    throw ConfigError(gguf_language_who,
                      file.name() + ": heads of values have another width than those of keys");
  config.max_position_embeddings = metadata.required("context_length");
  const bool is_gpt2 = architecture == "gpt2";
  config.norm = is_gpt2 ? Norm::layer : Norm::rms;
  config.norm_epsilon = static_cast<float>(
      metadata.number(is_gpt2 ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon")
          .value_or(is_gpt2 ? 1e-5 : 1e-6));
  config.attention_scale =
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(std::max<Index>(config.head_dim, 1))));
  config.query_key_value_bias =
      has_tensor(file, "blk.0.attn_q.bias") || has_tensor(file, "blk.0.attn_qkv.bias");
  config.attention_output_bias = has_tensor(file, "blk.0.attn_output.bias");
  config.feed_forward_bias = has_tensor(file, "blk.0.ffn_up.bias");
  config.query_key_norm = has_tensor(file, "blk.0.attn_q_norm.weight");
  config.tie_word_embeddings = !has_tensor(file, "output.weight");
  if (is_gpt2) {
    config.gated = false;
    config.activation = ops::Activation::gelu_tanh;
    config.learned_positions = true;
  } else {
    config.rotary = gguf_rotary(file, metadata, config);
  }
  if (architecture.starts_with("gemma")) read_gguf_gemma(metadata, config);
  if (const auto scale = metadata.number("attention.scale"); scale && *scale != 0.0)
    config.attention_scale = static_cast<float>(*scale);
  read_gguf_windows(metadata, config);
  config.bos_token_id = metadata.token("bos_token_id");
  for (const char* key : {"eos_token_id", "eot_token_id"})
    if (const auto id = metadata.token(key)) config.eos_token_ids.push_back(*id);
  config.pad_token_id = metadata.token("padding_token_id");
  config.check(file.name());
  return config;
}

weights::StateDict gguf_language_weights(const weights::GgufFile& file) {
  const bool norms_after = has_tensor(file, "blk.0.post_attention_norm.weight");
  std::vector<weights::RenamedTensor> tensors;
  for (const auto& info : file.tensors()) {
    if (info.name == "rope_freqs.weight") continue;  // a part of the configuration
    auto name = language_tensor_name(info.name, norms_after);
    if (name.empty())
      throw WeightError(gguf_language_who, file.name() + ": tensor \"" + info.name +
                                               "\" is none of a language model that is known");
    tensors.push_back({.name = std::move(name), .source = info.name});
  }
  return weights::StateDict({std::make_shared<const weights::GgufFile>(file)}, file.name()).renamed(tensors);
}

}  // namespace daguerre
