#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>

#include "commands.hpp"
#include "results.hpp"
#include "sampler_run.hpp"
#include "training_set.hpp"

namespace daguerre::study {
namespace {

constexpr const char* error_name = "relative L2 error of the latents";

struct ConvergenceOrder {
  LatentMaker::Options make;
  std::string pictures, out, precision = "f32", reference = "dpm++2m-karras:100";
  bool unconditional = false;
  std::size_t samples = 50;
  std::vector<std::string> cells{"dpm++2m:5", "ddim:5",     "dpm++2m:10", "ddim:10",     "dpm++2m:20",
                                 "ddim:20",   "dpm++2m:50", "ddim:50",    "dpm++2m:100", "ddim:100"};
};

/// Root of the mean over pictures of |actual - exact|^2 / |exact|^2, and the 95 % interval of that mean.
Json error_of(const Tensor<float>& actual, const Tensor<float>& exact) {
  double sum = 0.0, squares = 0.0;
  const auto count = static_cast<double>(actual.dim(0));
  for (Index n = 0; n < actual.dim(0); ++n) {
    const auto a = actual[n], b = exact[n];
    double off = 0.0, size = 0.0;
    for (Index i = 0; i < a.size(); ++i) {
      const double value = static_cast<double>(b.data()[i]);
      off += std::pow(static_cast<double>(a.data()[i]) - value, 2);
      size += value * value;
    }
    sum += off / size;
    squares += std::pow(off / size, 2);
  }
  const double mean = sum / count;
  const double half = 1.96 * std::sqrt((squares / count - mean * mean) / (count - 1));
  return {{"distance", std::sqrt(mean)},
          {"low", std::sqrt(std::max(mean - half, 0.0))},
          {"high", std::sqrt(mean + half)}};
}

void measure_convergence(ConvergenceOrder order) {
  order.make.precision = precision_called(order.precision);
  const auto training = TrainingSet::load(order.pictures);
  auto prompts = std::vector<std::string>(order.samples);
  if (!order.unconditional)
    prompts = chosen_from(training.names, draw(training.names.size(), order.samples,
                                               static_cast<std::uint32_t>(order.make.seed)));
  auto settings = settings_of(order.make, order.precision, order.unconditional, order.samples);
  settings["reference"] = order.reference;
  Results results(order.out, error_name, settings);
  const LatentMaker maker(order.make, prompts);
  const auto make = [&](const std::string& text) {
    const auto cell = cell_called(text);
    return maker.make(cell.sampler, cell.steps, progress_of(text, order.samples));
  };
  const auto exact = make(order.reference);
  for (const auto& text : order.cells) {
    const auto cell = cell_called(text);
    if (results.has(cell.sampler, cell.steps)) continue;
    Json result{{"sampler", cell.sampler}, {"steps", cell.steps}};
    result.update(error_of(make(text), exact));
    results.add(result);
  }
}

}  // namespace

void add_convergence(CLI::App& parent) {
  auto& app = *parent.add_subcommand(
      "convergence",
      "How far samplers of the probability flow's differential equation are from its solution, which they "
      "all approach from the same noise: the relative L2 difference from a run of many steps.");
  const auto order = std::make_shared<ConvergenceOrder>();
  add_sampling_options(app, order->make, order->precision, order->unconditional);
  app.add_option("--pictures", order->pictures, "What train_emoji.py pictures wrote")->required();
  app.add_option("--out", order->out, "JSON file of the finished cells")->required();
  app.add_option("--samples", order->samples, "Pictures of a cell")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  app.add_option("--cells", order->cells, "sampler:steps, …")->check(valid_cell)->capture_default_str();
  app.add_option("--reference", order->reference, "What counts as the solution")
      ->check(valid_cell)
      ->capture_default_str();
  app.callback([order] { measure_convergence(*order); });
}

}  // namespace daguerre::study
