#pragma once

#include <filesystem>

#include "daguerre/pipeline/control.hpp"
#include "daguerre/pipeline/family.hpp"
#include "daguerre/pipeline/load_component.hpp"
#include "daguerre/pipeline/noise.hpp"

/// The library's own controls: where they come from, whether they fit, and how a run uses them.
namespace daguerre {

/// `x[1 or count, ...]` for each of `count` branches of guidance.
Tensor<float> for_each_branch(const Tensor<float>& x, Index count);

/// models::ControlNet.
Opened<Control> open_control_net(const ComponentSource& source, const LoadContext& context);
/// models::T2IAdapter.
Opened<Control> open_t2i_adapter(const ComponentSource& source, const LoadContext& context);
/// models::SD3ControlNet.
Opened<Control> open_sd3_control_net(const ComponentSource& source, const LoadContext& context);
/// models::FluxControlNet.
Opened<Control> open_flux_control_net(const ComponentSource& source, const LoadContext& context);

/// A folder in diffusers' layout with a config.json, or one file, whose configuration is beside it or what
/// its tensors show. `space_ratio`: the model's, by which two kinds of T2I-Adapters are told apart. Throws
/// FileError, FormatError, ConfigError.
ComponentSource control_source(const std::filesystem::path& path, Index space_ratio,
                               const weights::SafetensorsOptions& options);

/// check_control_fit for the parts of a model.
void check_control_fit(const ControlInfo& control, const DenoiserInfo& denoiser, const LatentFormat& format);
/// Throws ArgumentError for controls that a task of that size and number of pictures, or of frames, cannot
/// use.
void check_controls(const Task& task, const Components& components, Index frames);

/// The controls of one run.
class ControlRun {
 public:
  /// Borrows all of them. `guided`: there are negative conditions, too.
  ControlRun(const std::vector<ControlTask>& tasks, const Autoencoder& autoencoder,
             const DenoiserInfo& denoiser, float guidance_scale, bool guided);

  /// Reads the pictures for a batch of that shape `[N, h, w, C]`: those that are drawn for before the run's
  /// noise is, or the others. Throws NumericError.
  void read(const ops::Context& context, const Shape& latents, NoiseStreams& noise, bool before_noise);
  /// Whether any is on in step `index` of `total`.
  bool is_on(Index index, Index total) const;
  /// What they add for the branches `x[B, h, w, C]` of image number `image`. Throws NumericError in the name
  /// of the control.
  Features operator()(const ops::Context& context, const Tensor<float>& x, const Conditioning& conditioning,
                      float timestep, Index image, Index index, Index total) const;

 private:
  using Maps = std::vector<Tensor<float>>;
  /// What one control read of one picture.
  struct Reading {
    Maps maps;
    Maps of_negative;  ///< where that is drawn for itself; else empty
  };
  bool is_on(const ControlTask& task, Index index, Index total) const;
  Reading read_latents(const ops::Context& context, const ControlTask& task, const Tensor<float>& drawn,
                       const Tensor<float>& drawn_for_negative, Index image) const;
  /// Of a film's pictures: for all films, or one for each of `latents[N, F, …]`.
  std::vector<Reading> read_film(const ops::Context& context, const ControlTask& task, const Shape& latents,
                                 NoiseStreams& noise) const;
  Features of_one(const ops::Context& context, const ControlTask& task, const Reading& reading,
                  const Tensor<float>& x, const Conditioning& conditioning, float timestep) const;

  const std::vector<ControlTask>& tasks_;
  const Autoencoder& autoencoder_;
  const DenoiserInfo& denoiser_;
  float guidance_scale_;
  bool guided_;
  std::vector<std::vector<Reading>> readings_;  // of each control for each image, or one for all
};

}  // namespace daguerre
