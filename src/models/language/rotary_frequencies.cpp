#include "daguerre/models/language/rotary_frequencies.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre::models {
namespace {

constexpr double rotary_two_pi = 6.283185307179586;

/// theta^(2 i / d), of which the frequencies are the inverses.
std::vector<float> rotary_periods(float theta, Index head_dim) {
  std::vector<float> periods;
  for (Index i = 0; i < head_dim; i += 2)
    periods.push_back(std::pow(theta, static_cast<float>(i) / static_cast<float>(head_dim)));
  return periods;
}

/// The base of sequences that are longer than those of training.
float dynamic_theta(const RotaryConfig& config, Index head_dim, Index length) {
  const double original = config.original_max_position_embeddings;
  if (static_cast<double>(length) <= original) return static_cast<float>(config.theta);
  const auto dims = static_cast<double>(head_dim);
  const float stretch =
      static_cast<float>(config.factor) * static_cast<float>(length) / static_cast<float>(original) -
      static_cast<float>(config.factor - 1.0);
  return static_cast<float>(config.theta) * std::pow(stretch, static_cast<float>(dims / (dims - 2.0)));
}

/// Long waves are stretched, short ones are not, those between in part.
void scale_llama3(const RotaryConfig& config, std::vector<float>& frequencies) {
  const auto original = static_cast<float>(config.original_max_position_embeddings),
             factor = static_cast<float>(config.factor), low = static_cast<float>(config.low_freq_factor),
             range = static_cast<float>(config.high_freq_factor - config.low_freq_factor);
  const auto longest = static_cast<float>(config.original_max_position_embeddings / config.low_freq_factor),
             shortest = static_cast<float>(config.original_max_position_embeddings / config.high_freq_factor);
  for (float& frequency : frequencies) {
    const float wave = 1.0f / frequency * static_cast<float>(rotary_two_pi);
    if (wave > longest) {
      frequency /= factor;
    } else if (wave >= shortest) {
      const float kept = (1.0f / wave * original - low) / range;
      frequency = (1.0f - kept) * frequency / factor + kept * frequency;
    }
  }
}

/// The pair that turns `turns` times over the positions of training.
double yarn_pair(const RotaryConfig& config, double turns, Index head_dim) {
  return static_cast<double>(head_dim) *
         std::log(config.original_max_position_embeddings / (turns * rotary_two_pi)) /
         (2.0 * std::log(config.theta));
}

void scale_yarn(const RotaryConfig& config, Index head_dim, const std::vector<float>& periods,
                std::vector<float>& frequencies) {
  const double first = std::max(std::floor(yarn_pair(config, config.beta_fast, head_dim)), 0.0);
  double last =
      std::min(std::ceil(yarn_pair(config, config.beta_slow, head_dim)), static_cast<double>(head_dim - 1));
  if (first == last) last += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const float ramp = std::clamp(
        (static_cast<float>(i) - static_cast<float>(first)) / static_cast<float>(last - first), 0.0f, 1.0f);
    const float kept = 1.0f - ramp, stretched = 1.0f / (static_cast<float>(config.factor) * periods[i]);
    frequencies[i] = stretched * (1.0f - kept) + frequencies[i] * kept;
  }
}

}  // namespace

ops::RotaryFrequencies rotary_frequencies(const RotaryConfig& config, Index head_dim, Index length) {
  using Scaling = RotaryConfig::Scaling;
  const auto periods =
      rotary_periods(config.scaling == Scaling::dynamic ? dynamic_theta(config, head_dim, length)
                                                        : static_cast<float>(config.theta),
                     head_dim);
  ops::RotaryFrequencies result;
  result.sections = config.mrope_section;
  result.pairs = config.pairs;
  auto& frequencies = result.of_pairs;
  for (const float period : periods) frequencies.push_back(1.0f / period);
  switch (config.scaling) {
    case Scaling::none:
    case Scaling::dynamic:
      break;
    case Scaling::linear:
      for (float& frequency : frequencies) frequency /= static_cast<float>(config.factor);
      break;
    case Scaling::llama3:
      scale_llama3(config, frequencies);
      break;
    case Scaling::yarn:
      scale_yarn(config, head_dim, periods, frequencies);
      result.magnitude = static_cast<float>(config.attention_factor);
      break;
  }
  for (std::size_t i = 0; i < config.frequency_divisors.size(); ++i)
    frequencies[i] /= config.frequency_divisors[i];
  return result;
}

}  // namespace daguerre::models
