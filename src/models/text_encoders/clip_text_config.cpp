#include "daguerre/models/text_encoders/clip_text.hpp"

namespace daguerre::models {
namespace {

/// Attributes that transformers gives every configuration, in one version or another. None is looked at by
/// CLIP; those that would change it have another value than the default only where somebody pruned heads.
void leave_common_keys(const Config& config) {
  config.expect("pruned_heads", {"{}"});
  config.ignore({"add_cross_attention",
                 "architectures",
                 "attention_dropout",
                 "attn_implementation",
                 "bad_words_ids",
                 "begin_suppress_tokens",
                 "bos_token_id",
                 "chunk_size_feed_forward",
                 "cross_attention_hidden_size",
                 "decoder_start_token_id",
                 "diversity_penalty",
                 "do_sample",
                 "dropout",
                 "dtype",
                 "early_stopping",
                 "encoder_no_repeat_ngram_size",
                 "exponential_decay_length_penalty",
                 "finetuning_task",
                 "forced_bos_token_id",
                 "forced_eos_token_id",
                 "gradient_checkpointing",
                 "id2label",
                 "initializer_factor",
                 "initializer_range",
                 "is_decoder",
                 "is_encoder_decoder",
                 "label2id",
                 "length_penalty",
                 "max_length",
                 "min_length",
                 "no_repeat_ngram_size",
                 "num_beam_groups",
                 "num_beams",
                 "num_labels",
                 "num_return_sequences",
                 "output_attentions",
                 "output_hidden_states",
                 "output_scores",
                 "pad_token_id",
                 "prefix",
                 "problem_type",
                 "remove_invalid_values",
                 "repetition_penalty",
                 "return_dict",
                 "return_dict_in_generate",
                 "sep_token_id",
                 "suppress_tokens",
                 "task_specific_params",
                 "temperature",
                 "tf_legacy_loss",
                 "tie_encoder_decoder",
                 "tie_word_embeddings",
                 "tokenizer_class",
                 "top_k",
                 "top_p",
                 "torch_dtype",
                 "torchscript",
                 "transformers_version",
                 "typical_p",
                 "use_bfloat16",
                 "use_cache"});
}

/// The part that is the text encoder's where `config` is a whole CLIPConfig, else `config`.
Config text_part(const Config& config) {
  if (!config.has("text_config")) {
    // Some converters wrote a CLIPConfig's type above the keys of its text_config.
    config.expect("model_type", {"\"clip_text_model\"", "\"clip\""});
    return config;
  }
  auto part = Config::parse(*config.json("text_config"), config.source() + ", text_config");
  part.expect("model_type", {"\"clip_text_model\""});
  return part;
}

ClipTextConfig read(const Config& config, bool with_projection) {
  ClipTextConfig result;
  result.vocab_size = config.get("vocab_size", 49408);
  result.hidden_size = config.get("hidden_size", 512);
  result.intermediate_size = config.get("intermediate_size", 2048);
  result.num_hidden_layers = config.get("num_hidden_layers", 12);
  result.num_attention_heads = config.get("num_attention_heads", 8);
  result.max_position_embeddings = config.get("max_position_embeddings", 77);
  result.hidden_act = ops::parse_activation(config.get("hidden_act", "quick_gelu"), config.source());
  result.layer_norm_eps = static_cast<float>(config.get("layer_norm_eps", 1e-5));
  result.eos_token_id = config.get("eos_token_id", 49407);
  result.use_attention_mask = config.get("use_attention_mask", false);
  if (with_projection)
    result.projection_dim = config.optional_int("projection_dim").value_or(512);
  else
    config.ignore({"projection_dim"});
  leave_common_keys(config);
  config.finish();

  const bool possible = result.vocab_size > 0 && result.hidden_size > 0 && result.intermediate_size > 0 &&
                        result.num_hidden_layers > 0 && result.num_attention_heads > 0 &&
                        result.max_position_embeddings > 0 &&
                        (result.projection_dim > 0 || !with_projection) && result.layer_norm_eps >= 0.0f &&
                        result.hidden_size % result.num_attention_heads == 0;
  if (!possible)
    throw ConfigError(
        "clip_text",
        config.source() + ": sizes must be positive and num_attention_heads must divide hidden_size");
  return result;
}

}  // namespace

ClipTextConfig ClipTextConfig::from(const Config& config) {
  const std::string class_name = config.class_name();
  if (class_name != "CLIPTextModel" && class_name != "CLIPTextModelWithProjection")
    throw ConfigError("clip_text", config.source() + ": class \"" + class_name +
                                       "\" is not CLIPTextModel or CLIPTextModelWithProjection");
  return read(text_part(config), class_name == "CLIPTextModelWithProjection");
}

}  // namespace daguerre::models
