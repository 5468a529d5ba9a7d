#include <algorithm>
#include <cmath>
#include <numeric>

#include "daguerre/models/language/language_config.hpp"

namespace daguerre::models {
namespace {

/// Why such positions cannot be; empty where they can.
std::string not_possible(const RotaryConfig& rotary, Index head_dim) {
  using Scaling = RotaryConfig::Scaling;
  if (!(rotary.theta > 0.0) || !std::isfinite(rotary.theta)) return "rope_theta must be positive";
  if (head_dim % 2 != 0)
    return "rotary positions turn pairs, and head_dim " + std::to_string(head_dim) + " is odd";
  if (rotary.scaling != Scaling::none && !(rotary.factor >= 1.0 && std::isfinite(rotary.factor)))
    return "the factor of rope_scaling is less than 1";
  if (rotary.scaling == Scaling::dynamic && head_dim <= 2) return "a dynamic rope_scaling needs wider heads";
  const bool has_original = rotary.scaling == Scaling::llama3 || rotary.scaling == Scaling::yarn ||
                            rotary.scaling == Scaling::dynamic;
  if (has_original && !(rotary.original_max_position_embeddings >= 1.0))
    return "original_max_position_embeddings of rope_scaling must be positive";
  if (rotary.scaling == Scaling::llama3 &&
      !(rotary.low_freq_factor > 0.0 && rotary.high_freq_factor > rotary.low_freq_factor))
    return "low_freq_factor must be positive and less than high_freq_factor";
  if (rotary.scaling == Scaling::yarn && !(rotary.beta_slow > 0.0 && rotary.beta_fast >= rotary.beta_slow &&
                                           rotary.attention_factor > 0.0 && rotary.theta > 1.0))
    return "beta_slow must be positive and no more than beta_fast, attention_factor positive";
  const auto& sections = rotary.mrope_section;
  if (!sections.empty() && (sections.size() != 3 || *std::min_element(sections.begin(), sections.end()) < 0 ||
                            std::accumulate(sections.begin(), sections.end(), Index{0}) != head_dim / 2))
    return "mrope_section must be three numbers that add up to half of head_dim " + std::to_string(head_dim);
  const auto& divisors = rotary.frequency_divisors;
  if (!divisors.empty() && (static_cast<Index>(divisors.size()) != head_dim / 2 ||
                            !std::all_of(divisors.begin(), divisors.end(), [](float d) { return d > 0.0f; })))
    return "there must be one positive frequency divisor for each pair of channels";
  return {};
}

}  // namespace

void LanguageConfig::check(std::string_view source) const {
  const auto refuse = [&](const std::string& why) {
    throw ConfigError("language_config", std::string(source) + ": " + why);
  };
  constexpr Index most = Index{1} << 24, most_width = 1 << 16;  // products of these are indices
  const auto possible = [&](const char* name, Index value, Index bound) {
    if (value < 1 || value > bound) refuse(std::string(name) + " is " + std::to_string(value));
  };
  possible("vocab_size", vocab_size, most);
  possible("hidden_size", hidden_size, most);
  possible("intermediate_size", intermediate_size, most);
  possible("num_hidden_layers", num_hidden_layers, most_layers);
  possible("num_attention_heads", num_attention_heads, most_width);
  possible("num_key_value_heads", num_key_value_heads, most_width);
  possible("head_dim", head_dim, most_width);
  possible("max_position_embeddings", max_position_embeddings, Index{1} << 31);
  if (num_attention_heads % num_key_value_heads != 0)
    refuse("num_key_value_heads " + std::to_string(num_key_value_heads) +
           " does not divide num_attention_heads " + std::to_string(num_attention_heads));
  if (!(norm_epsilon >= 0.0f)) refuse("the epsilon of the norms is negative");
  if (!(attention_scale > 0.0f)) refuse("attention_scale must be positive");
  if (!(attention_soft_cap >= 0.0f && logit_soft_cap >= 0.0f)) refuse("a soft cap is negative");
  if (!windows.empty() && static_cast<int>(windows.size()) != num_hidden_layers)
    refuse("there are windows of " + std::to_string(windows.size()) + " layers, and " +
           std::to_string(num_hidden_layers) + " layers");
  for (const Index size : windows)
    if (size < 0) refuse("a window of " + std::to_string(size) + " positions");
  const auto token = [&](const char* name, std::int32_t id) {
    if (id < 0) refuse(std::string(name) + " is " + std::to_string(id));
  };
  if (bos_token_id) token("bos_token_id", *bos_token_id);
  for (const auto id : eos_token_ids) token("eos_token_id", id);
  if (learned_positions) return;
  auto why = not_possible(rotary, head_dim);
  if (why.empty() && window_rotary) why = not_possible(*window_rotary, head_dim);
  if (!why.empty()) refuse(why);
}

}  // namespace daguerre::models
