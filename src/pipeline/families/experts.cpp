#include "pipeline/families/experts.hpp"

#include <string>

#include "pipeline/name.hpp"

namespace daguerre::families {
namespace {

class Experts final : public Denoiser {
 public:
  Experts(std::shared_ptr<const Denoiser> first, std::shared_ptr<const Denoiser> second, double boundary)
      : info_(first->info()), first_(std::move(first)), second_(std::move(second)) {
    info_.expert_boundary = boundary;
  }
  const DenoiserInfo& info() const noexcept override { return info_; }
  Tensor<float> operator()(const ops::Context& context, const Tensor<float>& x, float timestep,
                           const Conditioning& conditioning) const override {
    const bool is_late = static_cast<double>(timestep) < info_.expert_boundary;
    return (is_late ? *second_ : *first_)(context, x, timestep, conditioning);
  }

 private:
  DenoiserInfo info_;
  std::shared_ptr<const Denoiser> first_, second_;
};

/// One way through a run for each expert.
class ExpertRun final : public GuiderRun {
 public:
  ExpertRun(std::unique_ptr<GuiderRun> first, std::unique_ptr<GuiderRun> second, double boundary)
      : first_(std::move(first)), second_(std::move(second)), boundary_(boundary) {}
  Tensor<float> operator()(const Predict& predict, const Tensor<float>& x, const GuidedCall& call) override {
    return (static_cast<double>(call.timestep) < boundary_ ? *second_ : *first_)(predict, x, call);
  }
  void change(const Conditions& conditions) override {
    first_->change(conditions);
    second_->change(conditions);
  }

 private:
  std::unique_ptr<GuiderRun> first_, second_;
  double boundary_;
};

class ExpertGuidance final : public Guider {
 public:
  ExpertGuidance(const Guidance& first, const Guidance& second, double boundary)
      : first_(first), second_(second), boundary_(boundary) {}
  bool needs_negative() const noexcept override { return true; }
  bool composes() const noexcept override { return true; }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override {
    return std::make_unique<ExpertRun>(first_.start(conditions), second_.start(conditions), boundary_);
  }

 private:
  ClassifierFreeGuidance first_, second_;
  double boundary_;
};

}  // namespace

std::shared_ptr<const Denoiser> experts(std::shared_ptr<const Denoiser> first,
                                        std::shared_ptr<const Denoiser> second, double boundary) {
  const auto &a = first->info(), &b = second->info();
  const auto said = [](const DenoiserInfo& info) {
    return std::to_string(info.in_channels) + " channels in and " + std::to_string(info.out_channels) +
           " out, a context " + std::to_string(info.context_width) + " wide and " +
           std::to_string(info.extras.size()) + " extras in " + info.config;
  };
  const bool alike = a.in_channels == b.in_channels && a.out_channels == b.out_channels &&
                     a.context_width == b.context_width && a.extras == b.extras &&
                     a.side_multiple == b.side_multiple && a.frame_multiple == b.frame_multiple;
  if (!alike)
    throw ConfigError(pipeline_name, "the two experts do not fit each other: " + said(a) + ", " + said(b));
  return std::make_shared<const Experts>(std::move(first), std::move(second), boundary);
}

std::shared_ptr<const Guider> expert_guider(const Guidance& guidance, const DenoiserInfo& denoiser) {
  const bool differs = guidance.scale_2 && *guidance.scale_2 != guidance.scale;
  if (denoiser.expert_boundary <= 0.0 || !guidance.is_on() || !differs)
    return standard_guider(guidance, denoiser);
  auto second = guidance;
  second.scale = *guidance.scale_2;
  return std::make_shared<const ExpertGuidance>(guidance, second, denoiser.expert_boundary);
}

}  // namespace daguerre::families
