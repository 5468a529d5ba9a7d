#pragma once

#include <string>
#include <utility>
#include <vector>

#include "daguerre/samplers/noise_schedule.hpp"
#include "daguerre/samplers/prediction.hpp"
#include "daguerre/samplers/sampler.hpp"
#include "daguerre/samplers/sigma_schedule.hpp"
#include "samplers/runs.hpp"

namespace daguerre::samplers {

/// The scalars of one step of a method that is linear in the sample and in the predictions m_k, k = 0 being
/// the newest:
///   x_t = sample x_s + prediction m_b + sum_k differences[k] (m_k - m_b) + noise z.
/// Differences are kept apart because their weights are larger than what they add.
struct LinearStep {
  int order = 1;
  float sample = 1.0f, prediction = 0.0f, noise = 0.0f;
  std::size_t base = 0;  ///< b
  std::vector<float> differences = {};

  bool finite() const;
};

/// The last predictions of a run.
class PredictionHistory {
 public:
  explicit PredictionHistory(std::size_t capacity) : capacity_(capacity) {}

  /// Keeps the tensor itself; the caller must not change it.
  void push(Tensor<float> prediction);
  std::size_t size() const noexcept { return predictions_.size(); }
  /// The prediction made `back` pushes before the newest.
  const Tensor<float>& operator[](std::size_t back) const {
    return predictions_[predictions_.size() - 1 - back];
  }
  /// The step without its noise.
  Tensor<float> apply(const LinearStep& step, const Tensor<float>& x) const;

 private:
  std::size_t capacity_;
  std::vector<Tensor<float>> predictions_;
};

/// The Adams-Bashforth mean of the predictions, of order 1 to 4 as the history allows.
Tensor<float> adams_bashforth(const PredictionHistory& history);

/// The order of call `i` of a multistep run that began at `first_call` without a history. With
/// `lower_order_final` the last steps of runs with fewer than 15 are of lower order; with `first_order_last`
/// the last one always is.
int multistep_order(Index i, Index calls, Index first_call, int solver_order, bool lower_order_final,
                    bool first_order_last);

/// The part of a run that solvers in the half log-SNR lambda share: noise levels and a history.
class LambdaRun : public SamplerRun {
 protected:
  LambdaRun(std::string name, std::size_t history) : SamplerRun(std::move(name)), history_(history) {}

  /// Fills the tables from levels of one step each and the final one, for samples of the variance-preserving
  /// process or on straight paths.
  void set_levels(const Levels& levels, double final_sigma, bool straight);
  /// What the output of call `i` is read by. A velocity is multiplied by the table's level itself, whatever
  /// process the samples follow.
  Mixture mixture(PredictionType type, Index i) const;
  const NoiseLevel& level(Index i) const { return levels_[static_cast<std::size_t>(i)]; }

  /// The steps of the whole run, from the first call. Throws ArgumentError for one that divides by zero.
  void plan(LinearStep step);
  const LinearStep& planned(Index i) const { return plan_[static_cast<std::size_t>(i - first_call_)]; }
  /// Sets the first call of the tables.
  void begin_plan(Index first_call);
  Index first_call() const noexcept { return first_call_; }

  std::vector<NoiseLevel> levels_;
  PredictionHistory history_;

 private:
  Tensor<float> noised(const Tensor<float>& original, const Tensor<float>& noise, Index i) const final;

  std::vector<LinearStep> plan_;
  Index first_call_ = 0;
};

}  // namespace daguerre::samplers
