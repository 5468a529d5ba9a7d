#pragma once

#include <functional>
#include <memory>

#include "daguerre/pipeline/family.hpp"
#include "daguerre/pipeline/noise.hpp"

/// The second stage: what the loop begins with.
namespace daguerre {

/// One call of the denoiser as the loop wants it.
struct PreparedCall {
  Index index = 0;  ///< of the sampler's calls
  Index image = 0;  ///< of the batch
  float timestep = 0.0f;
  /// The guided prediction for `x[1, ...]`; `tell` may add to what each pass of the denoiser is told.
  std::function<Tensor<float>(const Tensor<float>& x, const std::function<void(Conditioning&)>& tell)>
      predict;
};

/// What the second stage hands to the loop.
struct Start {
  Tensor<float> latents;  ///< what the first call is given, `[N, …]`, in whatever shape the sampler is to see
  Index first_call = 0;
  Index end_call = 0;               ///< one past the last
  Tensor<float> concat;             ///< `[N, …]`, channels that join the sample's; empty: none
  Tensor<float> reference_latents;  ///< `[N, h', w', C]`, of a picture that is looked at; empty: none
  /// Adds to one side of an image's conditions, once before the run; empty: nothing is added.
  std::function<void(Conditioning& conditioning, Side side, Index image)> tell{};
  /// The prediction that the sampler is given for `x[1, …]`, which it has scaled; empty: the guided one.
  std::function<Tensor<float>(const PreparedCall& call, const Tensor<float>& x)> call{};
  /// What the latents become after a step; empty: they stay.
  std::function<Tensor<float>(const Tensor<float>& stepped, Index next_call)> revise{};
  /// What they become at the end, `[N, F, h, w, C]` or `[N, h, w, C]`; empty: they stay.
  std::function<Tensor<float>(const Tensor<float>& latents)> finish{};
  std::shared_ptr<samplers::SamplerRun> run;
};

/// What a preparation may use. What it leaves in Start is called later, and must hold copies: none of these
/// references outlives the call of the preparation but `noise`, which is there until the run ends.
struct Preparation {
  const ops::Context& context;
  const Task& task;
  const Family& family;
  const Components& components;
  NoiseStreams& noise;
  Shape shape;  ///< of the latents: `[N, h, w, C]` or `[N, F, h, w, C]`

  const Autoencoder& autoencoder() const { return *components.autoencoder; }
  const LatentFormat& format() const { return components.autoencoder->info(); }
  Index batch() const { return shape[0]; }
  /// Of a film's latents; 1 of a picture.
  Index frames() const;
  /// Of the film itself.
  Index film_frames() const;
  /// The task's own initial noise of that shape, or drawn.
  Tensor<float> start_noise() const;
  /// What the autoencoder knows of `pictures[1 or N, H, W, 3]` or of `films[1 or N, F, H, W, 3]`, repeated
  /// for the batch. Autoencoders of pictures see a film's frames one by one.
  Autoencoder::Distribution encoded(const Tensor<float>& pictures) const;
  /// A draw from it as the denoiser sees it. Throws NumericError.
  Tensor<float> encode(const Tensor<float>& pictures) const;
  /// The pictures of a film at the task's size, as the reference's VideoProcessor brings them there (Pillow's
  /// Lanczos filter on 8 bits): `[1, F, H, W, 3]` in [-1, 1].
  Tensor<float> film_of(std::span<const Image> pictures) const;
  /// The task's film to start from, cut to what is made, in the same way. Throws ArgumentError where it is
  /// shorter than that.
  Tensor<float> film_to_start_from() const;
};

/// How many frames the latents of a film of that many have in that format.
Index latent_frames(const LatentFormat& format, Index frames);

/// The preparation that most families share: text to image begins with noise, image to image with a noisy
/// picture, films likewise; what inpainting keeps is put back after each step or joins the sample's channels,
/// as does the picture of models that change one. Draws in the reference's order: the picture, the noise, the
/// picture without what will be painted. `start` has its run and calls.
void prepare_standard(const Preparation& of, Start& start);
/// The same for one that begins with noise alone.
void prepare_noise(const Preparation& of, Start& start);

}  // namespace daguerre
