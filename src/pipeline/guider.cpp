#include "daguerre/pipeline/guider.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>

#include "pipeline/number.hpp"
#include "samplers/numerics.hpp"

namespace daguerre {
namespace {

/// With Bessel's correction, as torch.Tensor.std, of the first `steered` of every `channels` values.
double standard_deviation(std::span<const float> values, Index channels, Index steered) {
  double mean = 0.0, squares = 0.0, count = 0.0;
  const auto for_each = [&](const auto& f) {
    for (std::size_t i = 0; i < values.size(); ++i)
      if (static_cast<Index>(i) % channels < steered) f(static_cast<double>(values[i]));
  };
  for_each([&](double value) { mean += value, count += 1.0; });
  mean /= count;
  for_each([&](double value) { squares += (value - mean) * (value - mean); });
  return std::sqrt(squares / (count - 1.0));
}

const Conditioning& negative_of(const Conditions& conditions) {
  if (!conditions.negative) throw ArgumentError("guidance", "there is no negative condition");
  return *conditions.negative;
}

/// `x[1, ...]` for each of several branches.
Tensor<float> for_branches(const Tensor<float>& x, std::size_t branches) {
  return concat_leading<float>(std::vector<Tensor<float>>(branches, x));
}

/// Predictions under several conditions: those with as many tokens as each other in one pass.
class Branches {
 public:
  Branches() = default;
  explicit Branches(const std::vector<Conditioning>& conditions) : count_(conditions.size()) {
    const auto tokens = [](const Conditioning& conditioning) {
      return conditioning.context.rank() == 3 ? conditioning.context.dim(1) : 0;
    };
    std::vector<bool> placed(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      if (placed[i]) continue;
      Pass pass;
      std::vector<Conditioning> alike;
      for (std::size_t k = i; k < count_; ++k) {
        if (placed[k] || tokens(conditions[k]) != tokens(conditions[i])) continue;
        placed[k] = true;
        pass.branches.push_back(k);
        alike.push_back(conditions[k]);
      }
      pass.conditioning = joined(alike);
      passes_.push_back(std::move(pass));
    }
  }

  std::vector<Tensor<float>> operator()(const Predict& predict, const Tensor<float>& x) const {
    std::vector<Tensor<float>> result(count_);
    for (const auto& pass : passes_) {
      const auto output = predict(for_branches(x, pass.branches.size()), pass.conditioning);
      for (std::size_t i = 0; i < pass.branches.size(); ++i)
        result[pass.branches[i]] = output.slice(static_cast<Index>(i), static_cast<Index>(i) + 1);
    }
    return result;
  }

 private:
  struct Pass {
    std::vector<std::size_t> branches;
    Conditioning conditioning;
  };
  std::size_t count_ = 0;
  std::vector<Pass> passes_;
};

/// CogVideoX's scale at `timestep` of a run of so many steps: 1 + scale (1 - cos(pi ((n - t) / n)^5)) / 2.
/// The reference takes the timestep of training for the number of the step, so that the angle is huge.
double dynamic_scale(double scale, Index steps, double timestep) {
  const auto n = static_cast<double>(steps);
  return 1.0 + scale * ((1.0 - std::cos(std::numbers::pi * std::pow((n - timestep) / n, 5.0))) / 2.0);
}

class OnePass final : public GuiderRun {
 public:
  explicit OnePass(Conditioning conditioning) : conditioning_(std::move(conditioning)) {}
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    return predict(x, conditioning_);
  }
  void change(const Conditions& conditions) override { conditioning_ = conditions.positive; }

 private:
  Conditioning conditioning_;
};

class TwoHalves final : public GuiderRun {
 public:
  TwoHalves(const Guidance& guidance, const Conditions& conditions) : guidance_(guidance) {
    change(conditions);
  }
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall& call) override {
    const auto outputs = branches_(predict, x);
    const std::span<const Tensor<float>> positive = std::span(outputs).subspan(1);
    auto guidance = guidance_;
    if (guidance.dynamic) {
      if (!first_call_) first_call_ = call.index;
      guidance.scale =
          static_cast<float>(dynamic_scale(static_cast<double>(guidance.scale), call.total - *first_call_,
                                           static_cast<double>(call.timestep)));
    }
    if (positive.size() == 1 && weights_.front() == 1.0f)
      return apply_guidance(outputs.front(), positive.front(), guidance);
    return apply_guidance(outputs.front(), composed_prediction(outputs.front(), positive, weights_),
                          guidance);
  }
  void change(const Conditions& conditions) override {
    std::vector<Conditioning> all{negative_of(conditions), conditions.positive};
    weights_ = {conditions.weight};
    for (const auto& other : conditions.others) {
      all.push_back(other.conditioning);
      weights_.push_back(other.weight);
    }
    branches_ = Branches(all);
  }

 private:
  Guidance guidance_;
  std::optional<Index> first_call_;
  Branches branches_;  // the negative one, then the positive ones
  std::vector<float> weights_;
};

class ByFrame final : public GuiderRun {
 public:
  ByFrame(const Guidance& guidance, const Conditions& conditions) : guidance_(guidance) {
    change(conditions);
  }
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    const auto outputs = branches_(predict, x);
    const auto& negative = outputs[0];
    const auto& positive = outputs[1];
    if (positive.rank() != 5)
      throw ArgumentError("guidance", "a prediction " + to_string(positive.shape()) + " is no film's");
    Tensor<float> result(positive.shape());
    const Index frames = positive.dim(1), size = positive.size() / std::max<Index>(frames, 1);
    const auto scales =
        samplers::numerics::torch_linspace(static_cast<double>(guidance_.first_scale.value_or(1.0f)),
                                           static_cast<double>(guidance_.scale), static_cast<int>(frames));
    float* const out = result.data();
    for (Index i = 0; i < result.size(); ++i) {
      const float base = negative.data()[i], scale = scales[static_cast<std::size_t>(i / size)];
      out[i] = base + scale * (positive.data()[i] - base);
    }
    return result;
  }
  void change(const Conditions& conditions) override {
    if (!conditions.others.empty() || conditions.weight != 1.0f)
      throw ArgumentError("guidance", "a scale for each frame goes with one prompt of weight 1, not several");
    branches_ = Branches({negative_of(conditions), conditions.positive});
  }

 private:
  Guidance guidance_;
  Branches branches_;
};

class ThreeBranches final : public GuiderRun {
 public:
  ThreeBranches(const Guidance& guidance, const Conditions& conditions) : guidance_(guidance) {
    change(conditions);
  }
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    const auto outputs = branches_(predict, x);
    Tensor<float> result(outputs.front().shape());
    const float *both = outputs[0].data(), *picture = outputs[1].data(), *neither = outputs[2].data();
    float* const out = result.data();
    for (Index i = 0; i < result.size(); ++i)
      out[i] = neither[i] + guidance_.scale * (both[i] - picture[i]) +
               guidance_.image_scale * (picture[i] - neither[i]);
    return result;
  }
  void change(const Conditions& conditions) override {
    const auto& picture = negative_of(conditions);
    auto neither = picture;
    neither.concat = Tensor<float>::zeros(picture.concat.shape());
    branches_ = Branches({conditions.positive, picture, neither});
  }

 private:
  Guidance guidance_;
  Branches branches_;
};

/// Another run, all of whose conditions are told the guidance scale.
class Told final : public GuiderRun {
 public:
  Told(float scale, const Guider& combine, const Conditions& conditions)
      : scale_(scale), run_(combine.start(told(conditions))) {}
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall& call) override {
    return (*run_)(predict, x, call);
  }
  void change(const Conditions& conditions) override { run_->change(told(conditions)); }

 private:
  Conditions told(Conditions conditions) const {
    const auto scale = Tensor<float>::full({1}, scale_);
    const auto tell = [&](Conditioning& side) { side.extras.insert_or_assign("guidance", scale); };
    tell(conditions.positive);
    if (conditions.negative) tell(*conditions.negative);
    for (auto& other : conditions.others) tell(other.conditioning);
    return conditions;
  }

  float scale_;
  std::unique_ptr<GuiderRun> run_;
};

}  // namespace

Tensor<float> apply_guidance(const Tensor<float>& unconditional, const Tensor<float>& conditional,
                             const Guidance& guidance) {
  if (!(unconditional.shape() == conditional.shape()))
    throw ArgumentError("guidance", "predictions " + to_string(unconditional.shape()) + " and " +
                                        to_string(conditional.shape()) + " differ in shape");
  Tensor<float> result(conditional.shape());
  const Index channels = result.rank() == 0 ? 1 : result.dim(-1);
  const Index steered = guidance.channels > 0 ? guidance.channels : channels;
  float* const out = result.data();
  for (Index i = 0; i < result.size(); ++i) {
    const float base = unconditional.data()[i], wanted = conditional.data()[i];
    out[i] = i % channels < steered ? base + guidance.scale * (wanted - base) : wanted;
  }
  if (guidance.rescale <= 0.0f) return result;
  for (Index n = 0; n < result.dim(0); ++n) {
    const auto size = static_cast<std::size_t>(result.shape().tail().size());
    const std::span<float> image(out + static_cast<std::size_t>(n) * size, size);
    const double factor = standard_deviation(conditional[n].span(), channels, steered) /
                          standard_deviation(image, channels, steered);
    const auto mix =
        static_cast<float>(static_cast<double>(guidance.rescale) * factor) + (1.0f - guidance.rescale);
    for (std::size_t i = 0; i < size; ++i)
      if (static_cast<Index>(i) % channels < steered) image[i] *= mix;
  }
  return result;
}

Tensor<float> composed_prediction(const Tensor<float>& unconditional,
                                  std::span<const Tensor<float>> predictions,
                                  std::span<const float> weights) {
  if (predictions.size() != weights.size())
    throw ArgumentError("guidance", std::to_string(predictions.size()) + " predictions and " +
                                        std::to_string(weights.size()) + " weights");
  auto result = unconditional.clone();
  float* const out = result.data();
  const float* const base = unconditional.data();
  for (std::size_t n = 0; n < predictions.size(); ++n) {
    if (!(predictions[n].shape() == unconditional.shape()))
      throw ArgumentError("guidance", "predictions " + to_string(unconditional.shape()) + " and " +
                                          to_string(predictions[n].shape()) + " differ in shape");
    const float* const prediction = predictions[n].data();
    for (Index i = 0; i < result.size(); ++i) out[i] += weights[n] * (prediction[i] - base[i]);
  }
  return result;
}

void GuiderRun::change(const Conditions&) {
  throw ArgumentError("guidance", "this guidance cannot change its prompt during a run");
}

std::unique_ptr<GuiderRun> NoGuidance::start(const Conditions& conditions) const {
  return std::make_unique<OnePass>(conditions.positive);
}

std::unique_ptr<GuiderRun> ClassifierFreeGuidance::start(const Conditions& conditions) const {
  return std::make_unique<TwoHalves>(guidance_, conditions);
}

FramewiseGuidance::FramewiseGuidance(const Guidance& guidance) : guidance_(guidance) {
  if (guidance.rescale != 0.0f)
    throw ArgumentError("guidance", "a scale for each frame goes without rescaling; rescale is " +
                                        number(guidance.rescale) + ", expected 0");
}

std::unique_ptr<GuiderRun> FramewiseGuidance::start(const Conditions& conditions) const {
  return std::make_unique<ByFrame>(guidance_, conditions);
}

std::unique_ptr<GuiderRun> EmbeddedGuidance::start(const Conditions& conditions) const {
  return std::make_unique<Told>(scale_, *combine_, conditions);
}

std::unique_ptr<GuiderRun> ImageTextGuidance::start(const Conditions& conditions) const {
  return std::make_unique<ThreeBranches>(guidance_, conditions);
}

std::shared_ptr<const Guider> standard_guider(const Guidance& guidance, const DenoiserInfo& denoiser) {
  if (denoiser.embeds_guidance) return std::make_shared<const EmbeddedGuidance>(guidance.scale);
  if (!guidance.is_on()) return std::make_shared<const NoGuidance>();
  auto own = guidance;
  own.channels = denoiser.guided_channels;
  return std::make_shared<const ClassifierFreeGuidance>(own);
}

std::shared_ptr<const Guider> distilled_guider(const Guidance& guidance, const DenoiserInfo& denoiser) {
  std::shared_ptr<const Guider> combine = std::make_shared<const NoGuidance>();
  if (guidance.true_cfg_scale > 1.0f)
    combine = std::make_shared<const ClassifierFreeGuidance>(Guidance{.scale = guidance.true_cfg_scale});
  if (!denoiser.embeds_guidance) return combine;
  return std::make_shared<const EmbeddedGuidance>(guidance.scale, std::move(combine));
}

}  // namespace daguerre
