// A denoiser of one's own instead of a network: the exact one of a mixture of Gaussians in the plane, run
// with several of the library's samplers. Compares what comes out with the mixture and draws it.
//
//     custom_denoiser [PLOT.png]
//
// Exits with 1 when the samples are not distributed like the mixture.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include <daguerre/core/random.hpp>
#include <daguerre/media/image.hpp>
#include <daguerre/samplers/registry.hpp>

namespace {

using daguerre::Index;
using daguerre::Tensor;

struct Component {
  double weight;
  std::array<double, 2> mean;
  double variance;  // the same in every direction
};

constexpr std::array<Component, 3> mixture{{
    {0.5, {-1.5, -1.0}, 0.09},
    {0.3, {1.5, -0.5}, 0.16},
    {0.2, {0.0, 1.5}, 0.04},
}};

/// The components' shares in the density of x = x_0 + sigma noise.
std::array<double, mixture.size()> responsibilities(double x, double y, double sigma) {
  std::array<double, mixture.size()> logs{}, shares{};
  for (std::size_t k = 0; k < mixture.size(); ++k) {
    const auto& c = mixture[k];
    const double variance = c.variance + sigma * sigma;
    const double dx = x - c.mean[0], dy = y - c.mean[1];
    logs[k] = std::log(c.weight / variance) - (dx * dx + dy * dy) / (2.0 * variance);
  }
  const double largest = *std::max_element(logs.begin(), logs.end());
  double sum = 0.0;
  for (std::size_t k = 0; k < mixture.size(); ++k) sum += shares[k] = std::exp(logs[k] - largest);
  for (double& share : shares) share /= sum;
  return shares;
}

/// E[x_0 | x], the denoiser that a network is trained to be, of points [N, 2].
Tensor<float> denoise(const Tensor<float>& points, double sigma) {
  Tensor<float> result(points.shape());
  for (Index n = 0; n < points.dim(0); ++n) {
    const float* x = points.data() + 2 * n;
    const auto shares = responsibilities(x[0], x[1], sigma);
    std::array<double, 2> mean{};
    for (std::size_t k = 0; k < mixture.size(); ++k) {
      const auto& c = mixture[k];
      const double gain = c.variance / (c.variance + sigma * sigma);
      for (std::size_t axis = 0; axis < 2; ++axis)
        mean[axis] += shares[k] * (c.mean[axis] + gain * (x[axis] - c.mean[axis]));
    }
    for (std::size_t axis = 0; axis < 2; ++axis)
      result.data()[2 * n + static_cast<Index>(axis)] = static_cast<float>(mean[axis]);
  }
  return result;
}

/// How a sampler's samples relate to x_0 + sigma noise.
enum class Space {
  exploding,   // they are that
  preserving,  // they are alphas_cumprod^(1/2) (x_0 + sigma noise)
  straight     // they are (1 - t) x_0 + t noise and the model predicts noise - x_0
};

struct Trial {
  const char* name;    // a short name of the registry
  const char* config;  // what the model is, as a scheduler_config.json would say it
  Space space;
  daguerre::samplers::RunOptions options;
};

/// Points that the sampler makes of noise.
Tensor<float> sample(const Trial& trial, Index count, std::uint64_t seed) {
  const auto registry = daguerre::samplers::SamplerRegistry::standard();
  const auto sampler = registry.make(trial.name, daguerre::Config::parse(trial.config, trial.name));
  const auto run = sampler->start(trial.options);
  const auto generator = daguerre::make_generator("torch-cpu", seed);
  const auto noise = [&](const daguerre::Shape& shape) { return generator->randn(shape); };

  Tensor<float> x = generator->randn({count, 2});
  for (float& value : x.span()) value *= run->init_noise_sigma();
  for (Index i = 0; i < run->calls(); ++i) {
    x = run->perturb(x, i, noise);
    const float t = run->timesteps()[static_cast<std::size_t>(i)];
    // The points as x_0 + sigma noise, and what the sampler wants to hear about x_0.
    double sigma = t, scale = 1.0;
    if (trial.space == Space::preserving) {
      // Fractional timesteps lie between two of the table: the sampler itself knows the level.
      const auto a = sampler->alphas_cumprod();
      const auto table = [&](std::size_t k) { return std::sqrt((1.0 - a[k]) / a[k]); };
      const auto below = std::min(static_cast<std::size_t>(t), a.size() - 2);
      sigma = table(below) + (t - static_cast<double>(below)) * (table(below + 1) - table(below));
      scale = 1.0 / std::sqrt(1.0 + sigma * sigma);
    } else if (trial.space == Space::straight) {
      const double time = t / 1000.0;
      scale = std::max(1.0 - time, 1e-6);
      sigma = time / scale;
    }
    Tensor<float> points = run->scale_model_input(x, i).clone();
    for (float& value : points.span()) value = static_cast<float>(value / scale);
    Tensor<float> output = denoise(points, sigma);
    if (trial.space == Space::straight)
      for (Index k = 0; k < output.size(); ++k)
        output.data()[k] = static_cast<float>((x.data()[k] - output.data()[k]) / (t / 1000.0));
    x = run->step(output, i, x, noise);
  }
  return x;
}

/// Whether the samples have the mixture's weights, means and variances. A point belongs to the component with
/// the largest share. With N samples these estimates have standard deviations of about sqrt(w (1 - w) / N),
/// sqrt(v / (w N)) and v / sqrt(w N); allowed are five of them, and for what the steps' finite length and the
/// assignment of points do, 0.01, 0.02 and 8 % of v.
bool matches(const Tensor<float>& points, const char* name) {
  struct Sum {
    double count = 0, x = 0, y = 0, squares = 0, cross = 0;
  };
  std::array<Sum, mixture.size()> sums;
  for (Index n = 0; n < points.dim(0); ++n) {
    const double x = points.data()[2 * n], y = points.data()[2 * n + 1];
    const auto shares = responsibilities(x, y, 0.0);
    const auto k = static_cast<std::size_t>(std::max_element(shares.begin(), shares.end()) - shares.begin());
    const double dx = x - mixture[k].mean[0], dy = y - mixture[k].mean[1];
    sums[k].count += 1;
    sums[k].x += dx;
    sums[k].y += dy;
    sums[k].squares += (dx * dx + dy * dy) / 2.0;
    sums[k].cross += dx * dy;
  }
  const auto total = static_cast<double>(points.dim(0));
  bool good = true;
  for (std::size_t k = 0; k < mixture.size(); ++k) {
    const auto& c = mixture[k];
    const auto& s = sums[k];
    const double weight = s.count / total, n = std::max(s.count, 1.0);
    const double shift = std::max(std::abs(s.x / n), std::abs(s.y / n));
    const double variance = s.squares / n, covariance = s.cross / n;
    const double expected = c.weight * total;
    const double weight_bound = 0.01 + 5.0 * std::sqrt(c.weight * (1.0 - c.weight) / total);
    const double shift_bound = 0.02 + 5.0 * std::sqrt(c.variance / expected);
    const double variance_bound = c.variance * (0.08 + 5.0 / std::sqrt(expected));
    const bool fits = std::abs(weight - c.weight) <= weight_bound && shift <= shift_bound &&
                      std::abs(variance - c.variance) <= variance_bound &&
                      std::abs(covariance) <= variance_bound;
    std::printf(
        "%-15s component %zu: weight %.3f (%.3f +- %.3f), mean off by %.3f (%.3f), variance %.4f "
        "(%.4f +- %.4f), covariance %+.4f  %s\n",
        name, k, weight, c.weight, weight_bound, shift, shift_bound, variance, c.variance, variance_bound,
        covariance, fits ? "ok" : "WRONG");
    good = good && fits;
  }
  return good;
}

/// A panel of `side` pixels over [-3, 3]^2: the mixture's density in grey, the points in red.
void draw(daguerre::Image& plot, Index left, Index top, Index side, const Tensor<float>& points) {
  const auto pixel = [&](Index column, Index row) {
    return plot.pixels().data() + 3 * ((top + row) * plot.width() + left + column);
  };
  for (Index row = 0; row < side; ++row)
    for (Index column = 0; column < side; ++column) {
      const double x = 6.0 * (static_cast<double>(column) + 0.5) / static_cast<double>(side) - 3.0;
      const double y = 3.0 - 6.0 * (static_cast<double>(row) + 0.5) / static_cast<double>(side);
      double density = 0.0;
      for (const auto& c : mixture) {
        const double dx = x - c.mean[0], dy = y - c.mean[1];
        density += c.weight / c.variance * std::exp(-(dx * dx + dy * dy) / (2.0 * c.variance));
      }
      const bool frame = row == 0 || column == 0;
      const auto shade =
          static_cast<std::uint8_t>(frame ? 0.0 : 255.0 - 130.0 * std::min(density / 4.0, 1.0));
      std::fill_n(pixel(column, row), 3, shade);
    }
  for (Index n = 0; n < std::min<Index>(points.dim(0), 1500); ++n) {
    const double fraction = static_cast<double>(side) / 6.0;
    const auto column = static_cast<Index>((points.data()[2 * n] + 3.0) * fraction);
    const auto row = static_cast<Index>((3.0 - points.data()[2 * n + 1]) * fraction);
    if (column < 0 || row < 0 || column >= side || row >= side) continue;
    const std::array<std::uint8_t, 3> red{200, 30, 30};
    std::copy(red.begin(), red.end(), pixel(column, row));
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const char* network = R"({"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
                              "prediction_type": "sample", "clip_sample": false})";
    const char* paper = R"({"sigma_max": 20.0})";
    const std::vector<Trial> trials{
        {"edm-heun", paper, Space::exploding, {.steps = 30}},
        {"edm-heun", paper, Space::exploding, {.steps = 60, .s_churn = 15.0}},
        {"heun", network, Space::preserving, {.steps = 40}},
        {"lms-karras", network, Space::preserving, {.steps = 40}},
        {"dpm++2m-karras", network, Space::preserving, {.steps = 40}},
        {"unipc-karras", network, Space::preserving, {.steps = 40}},
        {"ddim", network, Space::preserving, {.steps = 250}},
        {"flow-euler", "{}", Space::straight, {.steps = 250}},
    };
    constexpr Index side = 256, columns = 4;
    const Index rows = (static_cast<Index>(trials.size()) + columns - 1) / columns;
    daguerre::Image plot(columns * side, rows * side, 3);
    bool good = true;
    for (std::size_t k = 0; k < trials.size(); ++k) {
      const auto points = sample(trials[k], 8000, 7 + k);
      good = matches(points, trials[k].name) && good;
      const auto place = static_cast<Index>(k);
      draw(plot, place % columns * side, place / columns * side, side, points);
    }
    const std::string path = argc > 1 ? argv[1] : "custom_denoiser.png";
    plot.save_png(path);
    std::puts(path.c_str());
    return good ? 0 : 1;
  } catch (const daguerre::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
