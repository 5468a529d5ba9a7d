#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

#include "daguerre/core/eigen.hpp"
#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "daguerre/samplers/timesteps.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::samplers;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

bool near(double a, double b, double relative = 1e-5) {
  return std::abs(a - b) <= relative * std::max(std::abs(a), std::abs(b));
}

}  // namespace

TEST_CASE("betas and their products equal the recorded ones to the last bit", "[samplers][schedule]") {
  const struct {
    const char* folder;
    NoiseScheduleConfig config;
  } cases[] = {{"forward_ddpm_linear", {}},
               {"forward_ddpm_scaled_linear",
                {.beta_start = 0.00085, .beta_end = 0.012, .beta_schedule = BetaSchedule::scaled_linear}},
               {"forward_ddpm_cosine", {.beta_schedule = BetaSchedule::squaredcos_cap_v2}}};
  for (const auto& [folder, config] : cases) {
    INFO(folder);
    const auto io =
        weights::SafetensorsFile::open(test::golden(std::string("schedulers/") + folder) / "io.safetensors");
    const NoiseSchedule schedule(config, TerminalAlpha::exact);
    const auto betas = io.read<float>("betas"), products = io.read<float>("alphas_cumprod");
    CHECK(std::equal(betas.data(), betas.data() + betas.size(), schedule.betas().begin(),
                     schedule.betas().end()));
    CHECK(std::equal(products.data(), products.data() + products.size(), schedule.alphas_cumprod().begin(),
                     schedule.alphas_cumprod().end()));
  }
}

TEST_CASE("noise schedules have the properties they promise", "[samplers][schedule]") {
  SECTION("zero terminal SNR keeps the first value and ends in zero, or just above") {
    NoiseScheduleConfig config{
        .beta_start = 0.00085, .beta_end = 0.012, .beta_schedule = BetaSchedule::scaled_linear};
    const float first = NoiseSchedule(config, TerminalAlpha::exact).alphas_cumprod().front();
    config.rescale_betas_zero_snr = true;
    const NoiseSchedule exact(config, TerminalAlpha::exact), finite(config, TerminalAlpha::finite);
    CHECK(near(exact.alphas_cumprod().front(), first));
    CHECK(exact.alphas_cumprod().back() == 0.0f);
    CHECK(near(finite.sigmas().back(), 4096.0));
    CHECK(std::is_sorted(finite.sigmas().begin(), finite.sigmas().end()));
  }
  SECTION("trained betas are taken as they are") {
    const std::vector<double> betas{0.125, 0.25, 0.5};
    const NoiseSchedule schedule({.num_train_timesteps = 3, .trained_betas = betas}, TerminalAlpha::exact);
    CHECK(schedule.alphas_cumprod()[2] == 0.875f * 0.75f * 0.5f);
  }
  SECTION("impossible values are refused") {
    expect_error<ConfigError>([] { make_betas({.num_train_timesteps = 0}); }, {"num_train_timesteps", "0"});
    expect_error<ConfigError>([] { make_betas({.beta_start = -1.0}); }, {"beta"});
    expect_error<ConfigError>(
        [] { make_betas({.beta_start = -1.0, .beta_schedule = BetaSchedule::scaled_linear}); },
        {"beta", "nan"});
  }
}

TEST_CASE("timesteps are spaced as in the reference", "[samplers][schedule]") {
  using Values = std::vector<double>;
  // 999 / 2 is rounded to the even neighbour.
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::linspace, .steps = 3}) == Values{999, 500, 0});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::linspace, .steps = 3, .rounded = false}) ==
        Values{999, 499.5, 0});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::leading, .steps = 3, .steps_offset = 1}) ==
        Values{667, 334, 1});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::trailing, .steps = 3}) == Values{999, 666, 332});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::linspace, .steps = 2, .drop_smallest = true}) ==
        Values{999, 500});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::leading, .steps = 2, .drop_smallest = true}) ==
        Values{666, 333});
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::linspace, .steps = 1}) == Values{0});
  // The reference's rounding error.
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::trailing, .steps = 61}).size() == 62);
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::trailing, .steps = 61}).back() == -1.0);
  CHECK(spaced_timesteps({.spacing = TimestepSpacing::trailing, .steps = 60}).size() == 60);
}

TEST_CASE("sigmas are spaced between their ends", "[samplers][schedule]") {
  const double low = 0.03, high = 14.6;
  for (const auto spacing : {SigmaSpacing::karras, SigmaSpacing::exponential, SigmaSpacing::beta}) {
    const auto sigmas = spaced_sigmas(spacing, low, high, 11);
    CHECK(sigmas.size() == 11);
    CHECK(near(sigmas.front(), high));
    CHECK(near(sigmas.back(), low));
    CHECK(std::is_sorted(sigmas.rbegin(), sigmas.rend()));
    CHECK(near(spaced_sigmas(spacing, low, high, 1).front(), high));
  }
  // Beta(0.6, 0.6) is symmetric.
  const auto beta = spaced_sigmas(SigmaSpacing::beta, 0.0, 1.0, 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(near(beta[i] + beta[8 - i], 1.0));
  CHECK(near(beta[4], 0.5));
  const auto lu = lu_sigmas(std::log(low), std::log(high), 3);
  CHECK(near(lu[1], std::sqrt(low * high)));

  const std::vector<float> table{1.0f, 2.0f, 4.0f};
  CHECK(interpolate(std::vector<double>{-1.0, 0.5, 1.0, 1.75, 9.0}, table) ==
        std::vector<double>{1.0, 1.5, 2.0, 3.5, 4.0});
  const auto logs = log_sigma_table(table);
  for (std::size_t i = 0; i < 3; ++i) CHECK(near(logs[i], std::log(table[i]), 1e-6));
  for (const auto precision : {InterpolationPrecision::float32, InterpolationPrecision::float64}) {
    CHECK(near(sigma_to_timestep(std::sqrt(8.0), logs, precision), 1.5, 1e-5));
    CHECK(sigma_to_timestep(100.0, logs, precision) == 2.0);
    CHECK(sigma_to_timestep(0.0, logs, precision) == 0.0);
  }
}

TEST_CASE("the three kinds of prediction say the same", "[samplers][prediction]") {
  const unsigned seed = GENERATE(1u, 2u);
  INFO("seed " << seed);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  Tensor<float> original({2, 3, 4}), epsilon({2, 3, 4}), sample({2, 3, 4}), velocity({2, 3, 4});
  for (float& value : original.span()) value = normal(generator);
  for (float& value : epsilon.span()) value = normal(generator);
  const Mixture at{.alpha = 0.8f, .sigma = 0.6f};
  array(sample) = at.alpha * array(original) + at.sigma * array(epsilon);
  array(velocity) = at.alpha * array(epsilon) - at.sigma * array(original);
  const std::pair<PredictionType, const Tensor<float>*> outputs[] = {
      {PredictionType::epsilon, &epsilon},
      {PredictionType::sample, &original},
      {PredictionType::v_prediction, &velocity}};
  for (const auto& [type, output] : outputs) {
    CHECK(difference(predict_original(type, *output, sample, at), original).rel_l2 < 1e-6);
    CHECK(difference(predict_epsilon(type, *output, sample, at), epsilon).rel_l2 < 1e-6);
    Tensor<float> unscaled(sample.shape());
    array(unscaled) = array(sample) / at.alpha;
    const float sigma = at.sigma / at.alpha;
    CHECK(difference(predict_original_unscaled(type, *output, unscaled, sigma, sigma), original).rel_l2 <
          1e-6);
  }
}

TEST_CASE("predicted samples are limited one by one", "[samplers][prediction]") {
  Tensor<float> x({2, 5});
  const float values[] = {0.1f, -0.2f, 0.3f, -0.4f, 0.5f, 1.0f, -2.0f, 3.0f, -4.0f, 5.0f};
  std::copy(std::begin(values), std::end(values), x.data());

  const auto clipped = limit_original(x, {.clip_sample = true, .clip_sample_range = 2.5});
  CHECK(clipped.data()[2] == 0.3f);
  CHECK(clipped.data()[8] == -2.5f);

  // The median of the second sample is 3; that of the first is below 1 and becomes 1.
  const auto thresholded =
      limit_original(x, {.thresholding = true, .dynamic_thresholding_ratio = 0.5, .sample_max_value = 10.0});
  CHECK(thresholded.data()[4] == 0.5f);
  CHECK(thresholded.data()[5] == 1.0f / 3.0f);
  CHECK(thresholded.data()[9] == 1.0f);
  // Between ranks: 0.9 of 4 is 3.6, so 4 + 0.6.
  const auto between =
      limit_original(x, {.thresholding = true, .dynamic_thresholding_ratio = 0.9, .sample_max_value = 10.0});
  CHECK(near(between.data()[5], 1.0 / 4.6));
  const auto capped =
      limit_original(x, {.thresholding = true, .dynamic_thresholding_ratio = 1.0, .sample_max_value = 2.0});
  CHECK(capped.data()[5] == 0.5f);

  x.data()[7] = std::numeric_limits<float>::quiet_NaN();
  const auto broken = limit_original(x, {.thresholding = true});
  CHECK(broken.data()[0] == 0.1f);
  CHECK(std::isnan(broken.data()[5]));
}

TEST_CASE("channels are halved along the last axis", "[samplers][prediction]") {
  Tensor<float> x({2, 4});
  std::iota(x.data(), x.data() + 8, 0.0f);
  const auto [first, second] = split_channels(x);
  CHECK(first.shape() == Shape{2, 2});
  CHECK(first.data()[2] == 4.0f);
  CHECK(second.data()[2] == 6.0f);
  expect_error<ArgumentError>([] { split_channels(Tensor<float>({2, 3})); }, {"odd"});
}
