#include "daguerre/pipeline/guider.hpp"

#include <array>
#include <cmath>
#include <span>

namespace daguerre {
namespace {

/// With Bessel's correction, as torch.Tensor.std.
double standard_deviation(std::span<const float> values) {
  double mean = 0.0, squares = 0.0;
  for (const float value : values) mean += static_cast<double>(value);
  mean /= static_cast<double>(values.size());
  for (const float value : values) {
    const double offset = static_cast<double>(value) - mean;
    squares += offset * offset;
  }
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

const Conditioning& negative_of(const Conditions& conditions) {
  if (!conditions.negative) throw ArgumentError("guidance", "there is no negative condition");
  return *conditions.negative;
}

/// `x[1, ...]` for each of several branches.
Tensor<float> for_branches(const Tensor<float>& x, std::size_t branches) {
  return concat_leading<float>(std::vector<Tensor<float>>(branches, x));
}

class OnePass final : public GuiderRun {
 public:
  explicit OnePass(Conditioning conditioning) : conditioning_(std::move(conditioning)) {}
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    return predict(x, conditioning_);
  }

 private:
  Conditioning conditioning_;
};

class TwoHalves final : public GuiderRun {
 public:
  TwoHalves(const Guidance& guidance, const Conditions& conditions)
      : guidance_(guidance), both_(joined(std::array{negative_of(conditions), conditions.positive})) {}
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    const auto output = predict(for_branches(x, 2), both_);
    return apply_guidance(output.slice(0, 1), output.slice(1, 2), guidance_);
  }

 private:
  Guidance guidance_;
  Conditioning both_;
};

class ThreeBranches final : public GuiderRun {
 public:
  ThreeBranches(const Guidance& guidance, const Conditions& conditions) : guidance_(guidance) {
    const auto& picture = negative_of(conditions);
    auto neither = picture;
    neither.concat = Tensor<float>::zeros(picture.concat.shape());
    all_ = joined(std::array{conditions.positive, picture, neither});
  }
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall&) override {
    const auto output = predict(for_branches(x, 3), all_);
    const Index size = output.size() / 3;
    Tensor<float> result(output.shape().with(0, 1));
    const float *both = output.data(), *picture = both + size, *neither = picture + size;
    float* const out = result.data();
    for (Index i = 0; i < size; ++i)
      out[i] = neither[i] + guidance_.scale * (both[i] - picture[i]) +
               guidance_.image_scale * (picture[i] - neither[i]);
    return result;
  }

 private:
  Guidance guidance_;
  Conditioning all_;
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
    const double factor = standard_deviation(conditional[n].span()) / standard_deviation(image);
    const auto mix =
        static_cast<float>(static_cast<double>(guidance.rescale) * factor) + (1.0f - guidance.rescale);
    for (float& value : image) value *= mix;
  }
  return result;
}

std::unique_ptr<GuiderRun> NoGuidance::start(const Conditions& conditions) const {
  return std::make_unique<OnePass>(conditions.positive);
}

std::unique_ptr<GuiderRun> ClassifierFreeGuidance::start(const Conditions& conditions) const {
  return std::make_unique<TwoHalves>(guidance_, conditions);
}

std::unique_ptr<GuiderRun> EmbeddedGuidance::start(const Conditions& conditions) const {
  auto told = conditions;
  const auto scale = Tensor<float>::full({1}, scale_);
  told.positive.extras.insert_or_assign("guidance", scale);
  if (told.negative) told.negative->extras.insert_or_assign("guidance", scale);
  return combine_->start(told);
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
