#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "daguerre/pipeline/components.hpp"

namespace daguerre {

/// How strongly the condition steers.
struct Guidance {
  float scale = 7.5f;    ///< 1 and below: no guidance, and only one pass of the denoiser
  float rescale = 0.0f;  ///< 0..1; pulls the result's standard deviation back to the conditional prediction's
  /// How strongly the picture steers, for models that are told one beside the prompt.
  float image_scale = 1.5f;
  /// Distilled models that read `scale` can be guided by a negative prompt on top, at the price of a second
  /// pass; 1 and below: they are not.
  float true_cfg_scale = 1.0f;
  std::optional<float> scale_2{};      ///< of a second expert, for the steps that it does; by default `scale`
  std::optional<float> first_scale{};  ///< of a film's first frame; it grows to `scale` at the last one
  bool dynamic = false;                ///< grows over the run from 1 to `scale` + 1 (CogVideoX)
  /// Only the first so many channels are steered, the rest stays the conditional prediction's (the original
  /// DiT's forward_with_cfg); 0: all.
  Index channels = 0;

  bool is_on() const noexcept { return scale > 1.0f; }
};

/// Classifier-free guidance (Ho & Salimans 2022, eq. 6): unconditional + scale * (conditional -
/// unconditional). With `rescale` the deviation over all axes but the first is matched to the conditional
/// prediction's and mixed in (Lin et al. 2024, eq. 14-16; diffusers' rescale_noise_cfg). Shapes must be
/// equal, `[N, ...]`.
Tensor<float> apply_guidance(const Tensor<float>& unconditional, const Tensor<float>& conditional,
                             const Guidance& guidance);

/// One of several positive conditions of an image.
struct WeightedConditioning {
  Conditioning conditioning;
  float weight = 1.0f;
};

struct LaterConditions;

/// The conditions of one image.
struct Conditions {
  Conditioning positive;
  std::optional<Conditioning> negative;        ///< where the guider reads one
  float weight = 1.0f;                         ///< how much `positive` counts, for guiders that compose
  std::vector<WeightedConditioning> others{};  ///< further positive conditions, for the same
  /// What takes their place as the run goes on, in the order of its steps: prompts that are edited.
  std::vector<std::shared_ptr<const LaterConditions>> later{};
};

/// Conditions from a step of the whole schedule on, counted from 0.
struct LaterConditions {
  Index step = 0;
  Conditions conditions;
};

/// What several conditional predictions come to beside an unconditional one: unconditional + sum of weight *
/// (prediction - unconditional) (Liu et al. 2022, eq. 11; AUTOMATIC1111's AND, before it is scaled). Throws
/// ArgumentError for shapes that differ, or other than one weight for each.
Tensor<float> composed_prediction(const Tensor<float>& unconditional,
                                  std::span<const Tensor<float>> predictions, std::span<const float> weights);

/// Which call of the denoiser a prediction is for.
struct GuidedCall {
  Index index = 0;  ///< of the sampler's calls
  Index total = 1;
  float timestep = 0.0f;
};

/// The denoiser's output for `x[B, ...]` under a conditioning of B branches.
using Predict = std::function<Tensor<float>(const Tensor<float>& x, const Conditioning& conditioning)>;

/// One image's way through a run: owns what is prepared once and what changes from call to call. Belongs to
/// one thread.
class GuiderRun {
 public:
  virtual ~GuiderRun() = default;
  /// The prediction to go by for `x[1, ...]`, from as many of the denoiser's as it takes.
  virtual Tensor<float> operator()(const Predict& predict, const Tensor<float>& x,
                                   const GuidedCall& call) = 0;
  /// Goes on under other conditions. Throws ArgumentError where a guider cannot.
  virtual void change(const Conditions& conditions);
};

/// How predictions under several conditions become one. Immutable; safe to share between threads.
class Guider {
 public:
  virtual ~Guider() = default;
  /// Whether the negative condition is read; otherwise nobody makes it.
  virtual bool needs_negative() const noexcept = 0;
  /// Whether it reads `Conditions::others` and the weights.
  virtual bool composes() const noexcept { return false; }
  virtual std::unique_ptr<GuiderRun> start(const Conditions& conditions) const = 0;
};

/// The conditional prediction as it is; one pass.
class NoGuidance final : public Guider {
 public:
  bool needs_negative() const noexcept override { return false; }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override;
};

/// `apply_guidance` of both predictions, which are made in one pass; in passes of their own where the
/// conditions have unlike numbers of tokens. Several positive predictions are composed first.
class ClassifierFreeGuidance final : public Guider {
 public:
  explicit ClassifierFreeGuidance(const Guidance& guidance) : guidance_(guidance) {}
  bool needs_negative() const noexcept override { return true; }
  bool composes() const noexcept override { return true; }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override;

 private:
  Guidance guidance_;
};

/// Classifier-free guidance of films in which every frame has a scale of its own, from `first_scale` (1 where
/// it is not given) at the first one to `scale` at the last, evenly (Blattmann et al. 2023, app. D.3). Throws
/// ArgumentError for a rescale, and for conditions that are to be composed.
class FramewiseGuidance final : public Guider {
 public:
  explicit FramewiseGuidance(const Guidance& guidance);
  bool needs_negative() const noexcept override { return true; }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override;

 private:
  Guidance guidance_;
};

/// For distilled models that read the guidance scale, extra "guidance" `[1]` (Meng et al. 2023; latent
/// consistency models, FLUX.1-dev). The predictions are combined by `combine`, by default in one pass.
class EmbeddedGuidance final : public Guider {
 public:
  explicit EmbeddedGuidance(float scale,
                            std::shared_ptr<const Guider> combine = std::make_shared<const NoGuidance>())
      : scale_(scale), combine_(std::move(combine)) {}
  bool needs_negative() const noexcept override { return combine_->needs_negative(); }
  bool composes() const noexcept override { return combine_->composes(); }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override;

 private:
  float scale_;
  std::shared_ptr<const Guider> combine_;
};

/// Two conditions, text and picture (Brooks et al. 2023, eq. 3): neither + image_scale * (picture - neither)
/// + scale * (both - picture). The picture is what `concat` holds: zeros stand for none.
class ImageTextGuidance final : public Guider {
 public:
  explicit ImageTextGuidance(const Guidance& guidance) : guidance_(guidance) {}
  bool needs_negative() const noexcept override { return true; }
  std::unique_ptr<GuiderRun> start(const Conditions& conditions) const override;

 private:
  Guidance guidance_;
};

/// What most models are steered by: their own embedding where the denoiser reads one, else classifier-free
/// guidance where `guidance` is on.
std::shared_ptr<const Guider> standard_guider(const Guidance& guidance, const DenoiserInfo& denoiser);

/// The same for models of which the guidance was distilled away: classifier-free guidance is what
/// `true_cfg_scale` says (diffusers' `true_cfg_scale`).
std::shared_ptr<const Guider> distilled_guider(const Guidance& guidance, const DenoiserInfo& denoiser);

}  // namespace daguerre
