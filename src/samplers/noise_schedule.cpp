#include "daguerre/samplers/noise_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "daguerre/core/error.hpp"
#include "samplers/numerics.hpp"

namespace daguerre::samplers {
namespace {

double cosine_alpha_bar(double t) {
  const double c = std::cos((t + 0.008) / 1.008 * std::numbers::pi / 2);
  return c * c;
}

double exponential_alpha_bar(double t) {
  return std::exp(-12.0 * t);
}

/// The root of the cumulative product in place of itself, as diffusers has it.
double laplace_alpha_bar(double t) {
  const double half = 0.5 - t;
  const double log_snr = -0.5 * std::copysign(1.0, half) * std::log(1.0 - 2.0 * std::abs(half) + 1e-6);
  const double snr = std::exp(log_snr);
  return std::sqrt(snr / (1.0 + snr));
}

/// The betas whose alphas_cumprod follows `alpha_bar` over [0, 1].
std::vector<float> betas_for(double (*alpha_bar)(double), int count) {
  std::vector<float> betas;
  for (int i = 0; i < count; ++i) {
    const double t = static_cast<double>(i) / count, next = static_cast<double>(i + 1) / count;
    betas.push_back(static_cast<float>(std::min(1.0 - alpha_bar(next) / alpha_bar(t), 0.999)));
  }
  return betas;
}

}  // namespace

bool has_ends(BetaSchedule schedule) {
  return schedule == BetaSchedule::linear || schedule == BetaSchedule::scaled_linear ||
         schedule == BetaSchedule::sigmoid;
}

std::vector<float> make_betas(const NoiseScheduleConfig& config) {
  constexpr const char* who = "noise schedule";
  const int count = config.num_train_timesteps;
  if (count < 1 || count > 1'000'000)
    throw ConfigError(who, "num_train_timesteps is " + std::to_string(count));
  std::vector<float> betas;
  if (!config.trained_betas.empty()) {
    if (config.trained_betas.size() != static_cast<std::size_t>(count))
      throw ConfigError(who, "trained_betas has " + std::to_string(config.trained_betas.size()) +
                                 " values, num_train_timesteps is " + std::to_string(count));
    for (const double beta : config.trained_betas) betas.push_back(static_cast<float>(beta));
  } else {
    const double start = config.beta_start, end = config.beta_end;
    switch (config.beta_schedule) {
      case BetaSchedule::linear:
        betas = numerics::torch_linspace(start, end, count);
        break;
      case BetaSchedule::scaled_linear:
        betas = numerics::torch_linspace(std::sqrt(start), std::sqrt(end), count);
        for (float& beta : betas) beta *= beta;
        break;
      case BetaSchedule::squaredcos_cap_v2:
        betas = betas_for(cosine_alpha_bar, count);
        break;
      case BetaSchedule::exponential:
        betas = betas_for(exponential_alpha_bar, count);
        break;
      case BetaSchedule::laplace:
        betas = betas_for(laplace_alpha_bar, count);
        break;
      case BetaSchedule::sigmoid:
        betas = numerics::torch_linspace(-6.0, 6.0, count);
        for (float& beta : betas)
          beta =
              1.0f / (1.0f + std::exp(-beta)) * static_cast<float>(end - start) + static_cast<float>(start);
        break;
    }
  }
  for (const float beta : betas)
    if (!(beta >= 0.0f && beta <= 1.0f))
      throw ConfigError(who, "a beta is " + std::to_string(beta) + ", expected a value in [0, 1]");
  return betas;
}

std::vector<float> cumulative_alphas(std::span<const float> betas) {
  std::vector<float> result;
  double product = 1.0;
  for (const float beta : betas) {
    product *= 1.0f - beta;
    result.push_back(static_cast<float>(product));
  }
  return result;
}

std::vector<float> rescale_zero_terminal_snr(std::span<const float> betas) {
  std::vector<float> bar = cumulative_alphas(betas);
  for (float& value : bar) value = std::sqrt(value);
  const float first = bar.front(), last = bar.back();
  const float scale = first / (first - last);
  for (float& value : bar) {
    value = (value - last) * scale;
    value *= value;
  }
  std::vector<float> result{1.0f - bar.front()};
  for (std::size_t t = 1; t < bar.size(); ++t) result.push_back(1.0f - bar[t] / bar[t - 1]);
  return result;
}

NoiseSchedule::NoiseSchedule(const NoiseScheduleConfig& config, TerminalAlpha terminal) {
  Tables tables;
  tables.betas = make_betas(config);
  if (config.rescale_betas_zero_snr) {
    if (tables.betas.size() < 2)
      throw ConfigError("noise schedule", "rescale_betas_zero_snr needs at least two training timesteps");
    tables.betas = rescale_zero_terminal_snr(tables.betas);
  }
  tables.alphas_cumprod = cumulative_alphas(tables.betas);
  if (config.rescale_betas_zero_snr && terminal == TerminalAlpha::finite)
    tables.alphas_cumprod.back() = 0x1p-24f;
  for (const float a : tables.alphas_cumprod) tables.sigmas.push_back(std::sqrt((1.0f - a) / a));
  tables_ = std::make_shared<const Tables>(std::move(tables));
}

}  // namespace daguerre::samplers
