#include "daguerre/samplers/objective.hpp"

#include <cmath>

#include "daguerre/core/eigen.hpp"
#include "daguerre/core/random.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"

using namespace daguerre;
using namespace daguerre::samplers;
using daguerre::test::difference;
using daguerre::test::expect_error;

namespace {

struct Batch {
  NoiseSchedule schedule{
      {.beta_start = 0.00085, .beta_end = 0.012, .beta_schedule = BetaSchedule::scaled_linear},
      TerminalAlpha::exact};
  std::vector<int> timesteps{3, 400, 980};
  Tensor<float> original, noise;

  explicit Batch(std::uint64_t seed) {
    const auto generator = make_generator("torch-cpu", seed);
    original = generator->randn({3, 4, 5, 2});
    noise = generator->randn({3, 4, 5, 2});
  }
};

constexpr PredictionType types[] = {PredictionType::epsilon, PredictionType::sample,
                                    PredictionType::v_prediction};

}  // namespace

TEST_CASE("the targets of all types convert into each other", "[samplers][objective]") {
  const unsigned seed = GENERATE(1u, 2u);
  INFO("seed " << seed);
  const Batch batch(seed);
  const auto noisy = add_noise(batch.schedule, batch.original, batch.noise, batch.timesteps);
  for (const auto from : types)
    for (const auto to : types) {
      const auto target = training_target(from, batch.schedule, batch.original, batch.noise, batch.timesteps);
      const auto expected = training_target(to, batch.schedule, batch.original, batch.noise, batch.timesteps);
      const auto converted = convert_prediction(from, to, batch.schedule, target, noisy, batch.timesteps);
      // At t = 3 sigma is 0.05 and at t = 980 alpha 0.07, which divide the rounding of float32.
      CHECK(difference(converted, expected).rel_l2 < 5e-6);
    }
}

TEST_CASE("the loss is a weighted mean and its gradient the derivative", "[samplers][objective]") {
  const Batch batch(5);
  const std::vector<float> weights{0.5f, 2.0f, 0.0f};
  const auto loss = simple_loss(batch.original, batch.noise, weights);
  double expected = 0.0;
  for (Index k = 0; k < batch.original.size(); ++k) {
    const double error = static_cast<double>(batch.original.data()[k]) - batch.noise.data()[k];
    expected += weights[static_cast<std::size_t>(k / 40)] * error * error / 120.0;
  }
  CHECK(std::abs(loss.value - expected) < 1e-6 * expected);
  for (const Index k : {Index{0}, Index{57}, Index{119}}) {
    auto above = batch.original.clone(), below = batch.original.clone();
    above.data()[k] += 0.125f;
    below.data()[k] -= 0.125f;
    // A quadratic's central difference is exact but for rounding.
    const double slope =
        (simple_loss(above, batch.noise, weights).value - simple_loss(below, batch.noise, weights).value) /
        0.25;
    CHECK(std::abs(slope - loss.gradient.data()[k]) < 1e-6);
  }
  CHECK(simple_loss(batch.noise, batch.noise).value == 0.0);
}

TEST_CASE("min-SNR weights make the loss of every type the same", "[samplers][objective]") {
  // The squared errors of one prediction in the three forms differ by SNR and SNR + 1, which the weights
  // undo.
  const Batch batch(7);
  const auto noisy = add_noise(batch.schedule, batch.original, batch.noise, batch.timesteps);
  const auto generator = make_generator("torch-cpu", 8);
  const auto predicted = generator->randn(batch.original.shape());
  std::vector<double> losses;
  for (const auto type : types) {
    const auto target = training_target(type, batch.schedule, batch.original, batch.noise, batch.timesteps);
    const auto prediction = convert_prediction(PredictionType::v_prediction, type, batch.schedule, predicted,
                                               noisy, batch.timesteps);
    losses.push_back(
        simple_loss(prediction, target, min_snr_weights(type, batch.schedule, batch.timesteps)).value);
  }
  CHECK(std::abs(losses[1] / losses[0] - 1.0) < 1e-4);
  CHECK(std::abs(losses[2] / losses[0] - 1.0) < 1e-4);
}

TEST_CASE("straight paths run from the sample to the noise", "[samplers][objective]") {
  const Batch batch(9);
  const std::vector<float> sigmas{0.0f, 0.25f, 1.0f};
  const auto noisy = add_noise_straight(batch.original, batch.noise, sigmas);
  CHECK(difference(noisy.slice(0, 1), batch.original.slice(0, 1)).max_abs == 0.0);
  CHECK(difference(noisy.slice(2, 3), batch.noise.slice(2, 3)).max_abs == 0.0);
  auto along = straight_velocity(batch.original, batch.noise).slice(1, 2).clone();
  array(along) = array(along) * 0.25f + array(batch.original.slice(1, 2));
  CHECK(difference(noisy.slice(1, 2), along).rel_l2 < 1e-6);
}

TEST_CASE("zero terminal SNR gives finite weights", "[samplers][objective]") {
  const NoiseSchedule schedule({.rescale_betas_zero_snr = true}, TerminalAlpha::exact);
  const std::vector<int> last{999};
  CHECK(signal_to_noise(schedule, last).front() == 0.0f);
  CHECK(min_snr_weights(PredictionType::epsilon, schedule, last).front() == 1.0f);
  CHECK(min_snr_weights(PredictionType::sample, schedule, last).front() == 0.0f);
  CHECK(min_snr_weights(PredictionType::v_prediction, schedule, last).front() == 0.0f);
}

TEST_CASE("batches that do not fit are refused", "[samplers][objective]") {
  const Batch batch(1);
  const auto shorter = batch.noise.slice(0, 2);
  const std::vector<int> two{1, 2}, beyond{1, 2, 1000}, negative{-1, 2, 3};
  expect_error<ArgumentError>([&] { add_noise(batch.schedule, batch.original, shorter, batch.timesteps); },
                              {"[3, 4, 5, 2]", "[2, 4, 5, 2]"});
  expect_error<ArgumentError>([&] { add_noise(batch.schedule, batch.original, batch.noise, two); },
                              {"2 timesteps", "3 samples"});
  expect_error<ArgumentError>([&] { velocity(batch.schedule, batch.original, batch.noise, beyond); },
                              {"1000", "999"});
  expect_error<ArgumentError>([&] { signal_to_noise(batch.schedule, negative); }, {"-1"});
  const std::vector<float> weights{1.0f};
  expect_error<ArgumentError>([&] { simple_loss(batch.original, batch.noise, weights); }, {"1 weights"});
}
