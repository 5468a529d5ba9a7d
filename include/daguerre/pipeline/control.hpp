#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/ops/context.hpp"
#include "daguerre/pipeline/conditioning.hpp"

namespace daguerre {

/// What a control is, and what it needs of the model that it stands beside.
struct ControlInfo {
  /// What it reads of its picture.
  enum class Reads {
    pixels,
    /// The autoencoder's latents as the denoiser sees them. They are drawn before the run's noise is.
    latents,
    /// The same without the format's shift, as Stable Diffusion 3's have it, drawn for each side of guidance.
    /// That is after all else: the reference draws them from elsewhere.
    unshifted_latents,
  };
  std::string name{};   ///< for people: its folder's, or its file's without what follows the dot
  std::string title{};  ///< in messages: "ControlNet"
  FeatureSizes gives{};
  Reads reads = Reads::pixels;
  bool centred = false;        ///< pixels are wanted in [-1, 1], else in [0, 1]
  Index picture_channels = 3;  ///< where pixels are read
  Index picture_ratio = 8;     ///< likewise: along a side to one latent
  Index picture_multiple = 1;  ///< likewise: that sides must be multiples of
  Index latent_channels = 0;   ///< of the latents that it reads in each step; 0: none
  Index context_width = 0;     ///< of the prompt's tokens; 0: it reads none
  std::string context_key{};   ///< what says so: "cross_attention_dim"
  Index pooled_width = 0;      ///< of the prompt in one vector, where the configuration says it
  int modes = 0;               ///< kinds of pictures that a union is told apart; 0: it is for one
  bool takes_guess_mode = false;
  bool guesses_always = false;  ///< guess mode is on whether or not it is asked for
  /// Which of a film's frames it can keep to pictures.
  enum class Films {
    none,    ///< it is for pictures
    frames,  ///< all of them
    sparse,  ///< any, of which the others learn; it is for films only
  };
  Films films = Films::none;
  std::string config{};  ///< the file that says all this, for messages
};

/// What steers a control in one call.
struct ControlCall {
  float timestep = 0.0f;
  float scale = 1.0f;
  float guidance_scale = 1.0f;
  bool guess_mode = false;
  std::optional<int> mode{};
};

/// A network beside the denoiser that makes it keep to a picture: a ControlNet (Zhang et al. 2023) or a
/// T2I-Adapter (Mou et al. 2023). Immutable and safe to use from many threads, each with a context of its
/// own. A host may bring its own.
class Control {
 public:
  using Info = ControlInfo;
  virtual ~Control() = default;
  virtual const ControlInfo& info() const noexcept = 0;
  /// What it needs of a picture in all calls, once a run: of its pixels `[1, H, W, C]`, or its latents `[1,
  /// h, w, C]`.
  virtual std::vector<Tensor<float>> read(const ops::Context& context,
                                          const Tensor<float>& picture) const = 0;
  /// The same for a film of `count` frames, of which those numbered `frames` have `pictures[P, …]`; where
  /// there are no numbers, one picture is for all frames, or there is one for each. By default the pictures'
  /// maps `[1, count, …]`, each read by itself. Throws ArgumentError where frames are left without.
  virtual std::vector<Tensor<float>> read_film(const ops::Context& context, const Tensor<float>& pictures,
                                               std::span<const Index> frames, Index count) const;
  /// What is added for the denoiser's input `x[N, h, w, C]`, of films `x[N, F, h, w, C]`, of N branches of
  /// guidance; of what was read there is one for all of them, or one for each. Throws ArgumentError.
  virtual Features operator()(const ops::Context& context, const std::vector<Tensor<float>>& read,
                              const Tensor<float>& x, const Conditioning& conditioning,
                              const ControlCall& call) const = 0;
};

/// A control as one run uses it, in tensors; `ControlUse` is the same in pictures.
struct ControlTask {
  std::shared_ptr<const Control> control{};
  Tensor<float> image{};  ///< `[1 or N, H, W, picture_channels]`, in the control's range; of films `[P, …]`
  /// Of films: which frames the P pictures of all films are; empty: one is for every frame, or each has its
  /// own.
  std::vector<Index> frames{};
  float scale = 1.0f;
  /// Parts of the run's steps: it is off in the i-th of n where i / n is below the start, or (i + 1) / n
  /// above the end.
  double start = 0.0, end = 1.0;
  bool guess_mode = false;  ///< see ControlUse
  std::optional<int> mode{};
};

struct ComponentSource;
struct LoadContext;
class Model;

/// A control for `model` from a folder or file, see Pipeline::load_control; packed as `context` says. Throws
/// FileError, FormatError, ConfigError and WeightError.
std::shared_ptr<const Control> load_control(const std::filesystem::path& path, const Model& model,
                                            const LoadContext& context);
/// The same from elsewhere; `source.class_name` is ControlNetModel, T2IAdapter, SD3ControlNetModel or
/// FluxControlNetModel, its name what people call it.
std::shared_ptr<const Control> load_control(const ComponentSource& source, const Model& model,
                                            const LoadContext& context);
/// Throws ConfigError, naming the files of both, when `control` cannot stand beside that model's denoiser.
void check_control_fit(const ControlInfo& control, const Model& model);

}  // namespace daguerre
