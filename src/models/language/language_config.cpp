#include "daguerre/models/language/language_config.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/text_encoders/transformers_keys.hpp"

namespace daguerre::models {
namespace {

constexpr const char* language_config_who = "language_config";

/// What the constructors of transformers' configurations put where a file says nothing.
struct LanguageDefaults {
  std::string_view model_type;
  std::string_view class_prefix;  ///< of the classes that have such a configuration
  int vocab_size, hidden_size, intermediate_size, num_hidden_layers, num_attention_heads;
  int num_key_value_heads;  ///< 0: as many as heads
  int head_dim;             ///< 0: hidden_size / heads
  int max_position_embeddings;
  double rms_norm_eps, rope_theta;
  bool tie_word_embeddings;
};

constexpr std::array language_defaults{
    LanguageDefaults{"llama", "Llama", 32000, 4096, 11008, 32, 32, 0, 0, 2048, 1e-6, 1e4, false},
    LanguageDefaults{"mistral", "Mistral", 32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-6, 1e4, false},
    LanguageDefaults{"qwen2", "Qwen2", 151936, 4096, 22016, 32, 32, 32, 0, 32768, 1e-6, 1e4, false},
    LanguageDefaults{"qwen2_5_vl", "Qwen2_5_VL", 152064, 8192, 29568, 80, 64, 8, 0, 32768, 1e-5, 1e6, false},
    LanguageDefaults{"qwen3", "Qwen3", 151936, 4096, 22016, 32, 32, 32, 128, 32768, 1e-6, 1e4, false},
    LanguageDefaults{"gemma", "Gemma", 256000, 3072, 24576, 28, 16, 16, 256, 8192, 1e-6, 1e4, true},
    LanguageDefaults{"gemma2", "Gemma2", 256000, 2304, 9216, 26, 8, 4, 256, 8192, 1e-6, 1e4, true},
    LanguageDefaults{"gemma3_text", "Gemma3", 262208, 2304, 9216, 26, 8, 4, 256, 131072, 1e-6, 1e6, true},
    LanguageDefaults{"gpt2", "GPT2", 50257, 768, 3072, 12, 12, 0, 0, 1024, 1e-5, 1e4, true},
};

/// What transformers calls the text part of a model of several kinds of input.
std::string_view text_model_type(std::string_view model_type) {
  if (model_type == "qwen2_5_vl_text") return "qwen2_5_vl";
  return model_type == "gemma3" ? "gemma3_text" : model_type;
}

const LanguageDefaults* find_language_defaults(std::string_view model_type) {
  const auto found = std::find_if(language_defaults.begin(), language_defaults.end(),
                                  [&](const auto& row) { return row.model_type == model_type; });
  return found == language_defaults.end() ? nullptr : &*found;
}

/// By model_type or, in its absence, by the class.
const LanguageDefaults& language_defaults_of(const Config& config) {
  const std::string class_name = config.class_name();
  std::string name(text_model_type(config.get("model_type", "")));
  if (name.empty())
    for (const auto& row : language_defaults) {
      // The longest name that the class begins with: Gemma2ForCausalLM is no Gemma.
      const auto* best = find_language_defaults(name);
      if (class_name.starts_with(row.class_prefix) &&
          (best == nullptr || row.class_prefix.size() > best->class_prefix.size()))
        name = row.model_type;
    }
  if (const auto* found = find_language_defaults(name)) return *found;
  std::string known;
  for (const auto& row : language_defaults)
    known += (known.empty() ? "" : ", ") + std::string(row.model_type);
  throw ConfigError(language_config_who, config.source() + ": model_type \"" + name + "\" (class \"" +
                                             class_name + "\") is none of " + known);
}

std::int32_t language_token(const Config& config, const char* key, double value) {
  if (!(value >= 0.0 && value <= 2147483647.0) || value != std::trunc(value))
    throw ConfigError(language_config_who, config.source() + ": " + key + " is no token");
  return static_cast<std::int32_t>(value);
}

void read_special_tokens(const Config& config, LanguageConfig& result) {
  const auto one = [&](const char* key) -> std::optional<std::int32_t> {
    // Llama 2's first files say -1 where there is none.
    const auto value = config.optional_int(key);
    return value && *value >= 0 ? value : std::nullopt;
  };
  result.bos_token_id = one("bos_token_id");
  result.pad_token_id = one("pad_token_id");
  if (config.is_list("eos_token_id")) {
    for (const double id : config.doubles("eos_token_id"))
      result.eos_token_ids.push_back(language_token(config, "eos_token_id", id));
  } else if (const auto id = one("eos_token_id")) {
    result.eos_token_ids = {*id};
  }
}

/// 0.1 scale ln(factor) + 1, by which yarn sharpens attention.
double yarn_magnitude(double factor, double scale = 1.0) {
  return factor <= 1.0 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
}

void read_yarn(const Config& scaling, int max_position_embeddings, RotaryConfig& result) {
  if (scaling.has("original_max_position_embeddings")) {
    // The factor that is written is not looked at then.
    result.original_max_position_embeddings = scaling.require_int("original_max_position_embeddings");
    result.factor = max_position_embeddings / result.original_max_position_embeddings;
  } else {
    result.original_max_position_embeddings = max_position_embeddings;
  }
  result.beta_fast = scaling.optional_double("beta_fast").value_or(32.0);
  result.beta_slow = scaling.optional_double("beta_slow").value_or(1.0);
  const auto written = scaling.optional_double("attention_factor");
  const double scale = scaling.optional_double("mscale").value_or(0.0),
               all = scaling.optional_double("mscale_all_dim").value_or(0.0);
  if (written)
    result.attention_factor = *written;
  else if (scale != 0.0 && all != 0.0)
    result.attention_factor = yarn_magnitude(result.factor, scale) / yarn_magnitude(result.factor, all);
  else
    result.attention_factor = yarn_magnitude(result.factor);
}

/// `rope_scaling`, or `rope_parameters`, which has the base, too, of `config`.
void read_rotary_scaling(const Config& config, const char* key, int max_position_embeddings,
                         RotaryConfig& result) {
  const auto text = config.json(key);
  if (!text) return;
  const auto scaling = Config::parse(*text, config.source() + ", " + key);
  const auto type = scaling.get("rope_type", scaling.get("type", "default").c_str());
  (void)scaling.get("type", type.c_str());  // new files have both
  result.theta = scaling.get("rope_theta", result.theta);
  scaling.expect("partial_rotary_factor", {"1.0", "1"});
  if (scaling.has("mrope_section")) result.mrope_section = scaling.require_ints("mrope_section");
  using Scaling = RotaryConfig::Scaling;
  if (type == "default" || type == "mrope") {
    scaling.finish();
    return;
  }
  if (type == "linear")
    result.scaling = Scaling::linear;
  else if (type == "dynamic")
    result.scaling = Scaling::dynamic;
  else if (type == "llama3")
    result.scaling = Scaling::llama3;
  else if (type == "yarn")
    result.scaling = Scaling::yarn;
  else
    throw ConfigError(language_config_who, scaling.source() + ": rope_type \"" + type +
                                               "\" is none of default, linear, dynamic, llama3, yarn, mrope");
  if (!scaling.has("factor"))
    throw ConfigError(language_config_who, scaling.source() + ": factor is missing");
  result.factor = scaling.get("factor", 1.0);
  if (result.scaling == Scaling::dynamic) {
    result.original_max_position_embeddings = max_position_embeddings;
    scaling.ignore({"original_max_position_embeddings"});
  }
  if (result.scaling == Scaling::llama3) {
    result.original_max_position_embeddings = scaling.require_int("original_max_position_embeddings");
    result.low_freq_factor = scaling.get("low_freq_factor", 1.0);
    result.high_freq_factor = scaling.get("high_freq_factor", 4.0);
  }
  if (result.scaling == Scaling::yarn) read_yarn(scaling, max_position_embeddings, result);
  scaling.finish();
}

/// Which layers have a window, from `layer_types` of new files; nullopt where there is none.
std::optional<std::vector<bool>> read_layer_types(const Config& config, int layers) {
  if (!config.has("layer_types")) return std::nullopt;
  const auto types = config.require_strings("layer_types");
  if (static_cast<int>(types.size()) != layers)
    throw ConfigError(language_config_who, config.source() + ": layer_types of " +
                                               std::to_string(types.size()) + " layers, there are " +
                                               std::to_string(layers));
  std::vector<bool> result;
  for (const auto& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      throw ConfigError(language_config_who, config.source() + ": layer_types says \"" + type +
                                                 "\", which is neither full_attention nor "
                                                 "sliding_attention");
    result.push_back(type == "sliding_attention");
  }
  return result;
}

/// `sliding_window`, where `has_window(layer)` says so, or where layer_types does.
template <class F>
void read_windows(const Config& config, std::optional<int> fallback, const F& has_window,
                  LanguageConfig& result) {
  const auto types = read_layer_types(config, result.num_hidden_layers);
  auto size = config.optional_int("sliding_window");
  if (!size && !config.is_null("sliding_window")) size = fallback;
  if (!size) return;
  if (*size < 1)
    throw ConfigError(language_config_who, config.source() + ": sliding_window is " + std::to_string(*size) +
                                               ", a token sees itself at least");
  if (result.num_hidden_layers > LanguageConfig::most_layers) return;  // `check` refuses it
  std::vector<Index> windows;
  for (int i = 0; i < result.num_hidden_layers; ++i)
    windows.push_back(
        (types ? static_cast<bool>((*types)[static_cast<std::size_t>(i)]) : has_window(i)) ? *size : 0);
  if (std::any_of(windows.begin(), windows.end(), [](Index window) { return window != 0; }))
    result.windows = std::move(windows);
}

void read_gpt2(const Config& config, const LanguageDefaults& fallback, LanguageConfig& result) {
  result.hidden_size = config.get("n_embd", fallback.hidden_size);
  result.num_hidden_layers = config.get("n_layer", fallback.num_hidden_layers);
  result.num_attention_heads = config.get("n_head", fallback.num_attention_heads);
  result.num_key_value_heads = result.num_attention_heads;
  const int heads = result.num_attention_heads;
  if (heads < 1 || result.hidden_size % heads != 0)
    throw ConfigError(language_config_who, config.source() + ": n_head " + std::to_string(heads) +
                                               " does not divide n_embd " +
                                               std::to_string(result.hidden_size));
  result.head_dim = result.hidden_size / heads;
  result.max_position_embeddings = config.get("n_positions", fallback.max_position_embeddings);
  const auto inner = config.optional_int("n_inner");
  result.intermediate_size = inner ? Index{*inner} : 4 * result.hidden_size;
  result.activation = ops::parse_activation(config.get("activation_function", "gelu_new"), config.source());
  result.gated = false;
  result.norm = LanguageConfig::Norm::layer;
  result.norm_epsilon = static_cast<float>(config.get("layer_norm_epsilon", fallback.rms_norm_eps));
  result.query_key_value_bias = result.attention_output_bias = result.feed_forward_bias = true;
  result.learned_positions = true;
  config.expect("scale_attn_weights", {"true"});
  config.expect("scale_attn_by_inverse_layer_idx", {"false"});
  config.ignore({"attn_pdrop", "embd_pdrop", "n_ctx", "reorder_and_upcast_attn", "resid_pdrop",
                 "summary_activation", "summary_first_dropout", "summary_proj_to_labels", "summary_type",
                 "summary_use_proj"});
}

void read_gemma(const Config& config, LanguageConfig& result) {
  result.norm = LanguageConfig::Norm::rms_plus_one;
  result.embedding_scale = static_cast<float>(std::sqrt(static_cast<double>(result.hidden_size)));
  // The first files say "gelu" in hidden_act and mean the tanh approximation.
  const auto written = config.optional_string("hidden_activation");
  result.activation = ops::parse_activation(written.value_or("gelu_pytorch_tanh"), config.source());
  config.ignore({"cache_implementation", "hidden_act"});
  config.expect("use_bidirectional_attention", {"false"});
  if (result.model_type == "gemma") return;

  const bool is_third = result.model_type == "gemma3_text";
  result.norms_after = true;
  result.query_key_norm = is_third;
  const double scalar = config.get("query_pre_attn_scalar", 256.0);
  if (!(scalar > 0.0))
    throw ConfigError(language_config_who, config.source() + ": query_pre_attn_scalar must be positive");
  result.attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
  const auto cap = [&](const char* key, double fallback) {
    const auto value = config.optional_double(key);
    return static_cast<float>(value || config.is_null(key) ? value.value_or(0.0) : fallback);
  };
  result.attention_soft_cap = cap("attn_logit_softcapping", is_third ? 0.0 : 50.0);
  result.logit_soft_cap = cap("final_logit_softcapping", is_third ? 0.0 : 30.0);
  int pattern = 2;
  if (is_third) {
    pattern = config.get("sliding_window_pattern", config.get("_sliding_window_pattern", 6));
    if (pattern < 1)
      throw ConfigError(language_config_who, config.source() + ": sliding_window_pattern must be positive");
  }
  read_windows(
      config, 4096, [&](int layer) { return (layer + 1) % pattern != 0; }, result);
  if (is_third) {
    result.window_rotary = RotaryConfig{};
    result.window_rotary->theta = config.get("rope_local_base_freq", 10000.0);
  }
}

void read_llama_like(const Config& config, const LanguageDefaults& fallback, LanguageConfig& result) {
  result.hidden_size = config.get("hidden_size", fallback.hidden_size);
  result.intermediate_size = config.get("intermediate_size", fallback.intermediate_size);
  result.num_hidden_layers = config.get("num_hidden_layers", fallback.num_hidden_layers);
  result.num_attention_heads = config.get("num_attention_heads", fallback.num_attention_heads);
  const int heads = result.num_attention_heads;
  // Files from before grouped queries leave it out, or write None.
  const auto key_heads = config.optional_int("num_key_value_heads");
  const bool none = config.is_null("num_key_value_heads") || fallback.num_key_value_heads == 0;
  result.num_key_value_heads = key_heads ? *key_heads : none ? heads : fallback.num_key_value_heads;
  const auto head_dim = config.optional_int("head_dim");
  if (head_dim)
    result.head_dim = *head_dim;
  else if (fallback.head_dim != 0 && !config.is_null("head_dim"))
    result.head_dim = fallback.head_dim;
  else if (heads < 1 || result.hidden_size % heads != 0)
    throw ConfigError(language_config_who, config.source() + ": num_attention_heads " +
                                               std::to_string(heads) + " does not divide hidden_size " +
                                               std::to_string(result.hidden_size) +
                                               ", and there is no head_dim");
  else
    result.head_dim = result.hidden_size / heads;
  const int positions = config.get("max_position_embeddings", fallback.max_position_embeddings);
  result.max_position_embeddings = positions;
  result.norm_epsilon = static_cast<float>(config.get("rms_norm_eps", fallback.rms_norm_eps));
  result.rotary.theta = config.get("rope_theta", fallback.rope_theta);
  config.expect("partial_rotary_factor", {"1.0", "1"});

  const auto& type = fallback.model_type;
  if (type.starts_with("gemma")) {
    read_gemma(config, result);
  } else {
    result.activation = ops::parse_activation(config.get("hidden_act", "silu"), config.source());
  }
  if (type == "mistral") {
    read_windows(
        config, 4096, [](int) { return true; }, result);
  } else if (type.starts_with("qwen")) {
    const bool uses = config.get("use_sliding_window", false);
    const int first = config.get("max_window_layers", 28);
    if (uses)
      read_windows(
          config, 4096, [&](int layer) { return layer >= first; }, result);
    else
      config.ignore({"sliding_window", "layer_types"});
    if (type != "qwen3") result.query_key_value_bias = true;
    result.query_key_norm = type == "qwen3";
  }
  const bool biased = config.get("attention_bias", false);
  result.query_key_value_bias = result.query_key_value_bias || biased;
  result.attention_output_bias = biased;
  result.feed_forward_bias = config.get("mlp_bias", false);

  // A file of Gemma 3 in the newest form has one set of parameters for each kind of layers.
  const auto parameters = config.json("rope_parameters");
  const bool by_kind = parameters && Config::parse(*parameters, config.source()).has("full_attention");
  if (by_kind) {
    const auto kinds = Config::parse(*parameters, config.source() + ", rope_parameters");
    read_rotary_scaling(kinds, "full_attention", positions, result.rotary);
    if (!result.window_rotary) result.window_rotary = result.rotary;
    read_rotary_scaling(kinds, "sliding_attention", positions, *result.window_rotary);
    kinds.finish();
  } else {
    read_rotary_scaling(config, "rope_parameters", positions, result.rotary);
  }
  read_rotary_scaling(config, "rope_scaling", positions, result.rotary);
  config.expect("rope_interleaved", {"false"});
  config.ignore({"is_llama_config", "pretraining_tp", "vision_config", "vision_start_token_id",
                 "vision_end_token_id", "vision_token_id", "image_token_id", "video_token_id"});
}

}  // namespace

bool LanguageConfig::knows(std::string_view model_type) {
  return find_language_defaults(text_model_type(model_type)) != nullptr;
}

LanguageConfig LanguageConfig::from(const Config& config) {
  if (const auto text = config.json("text_config")) {
    // A model of several kinds of input: what is around it concerns pictures.
    auto part = Config::parse(*text, config.source() + ", text_config");
    if (config.has("tie_word_embeddings") && !part.has("tie_word_embeddings"))
      part = part.with(config.get("tie_word_embeddings", false) ? "{\"tie_word_embeddings\": true}"
                                                                : "{\"tie_word_embeddings\": false}");
    if (!part.has("model_type"))
      part = part.with("{\"model_type\": \"" + std::string(language_defaults_of(config).model_type) + "\"}");
    return from(part);
  }
  const auto& fallback = language_defaults_of(config);
  LanguageConfig result;
  result.model_type = fallback.model_type;
  result.vocab_size = config.get("vocab_size", fallback.vocab_size);
  result.tie_word_embeddings = config.get("tie_word_embeddings", fallback.tie_word_embeddings);
  read_special_tokens(config, result);
  if (fallback.model_type == "gpt2")
    read_gpt2(config, fallback, result);
  else
    read_llama_like(config, fallback, result);
  if (result.attention_scale == 0.0f && result.head_dim > 0)
    result.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(result.head_dim)));
  leave_transformers_keys(config);
  config.finish();
  result.check(config.source());
  return result;
}

}  // namespace daguerre::models
