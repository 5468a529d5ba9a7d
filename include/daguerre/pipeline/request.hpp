#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/models/denoisers/free_u.hpp"
#include "daguerre/pipeline/control_use.hpp"
#include "daguerre/pipeline/film_task.hpp"
#include "daguerre/pipeline/hires.hpp"
#include "daguerre/pipeline/image_prompt.hpp"
#include "daguerre/pipeline/inpainting.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/pipeline/micro_conditioning.hpp"
#include "daguerre/pipeline/prompting.hpp"
#include "daguerre/pipeline/rewrite.hpp"
#include "daguerre/pipeline/step.hpp"
#include "daguerre/pipeline/tiles.hpp"
#include "daguerre/pipeline/tiling.hpp"

namespace daguerre {

namespace ops {
class Profile;
}
class Autoencoder;
class Guider;

/// One order for pictures or films, in groups:
///
///     {.prompt = "a lighthouse at dawn", .size = {.width = 512}, .sampling = {.steps = 20, .seed = 42}}
///
/// Only the prompt or the class has no usable default. What is not given is nullopt, or an empty picture or
/// tensor, and as the family takes it; what the loaded model cannot use must not be given. Every member is
/// initialised here, so that a host may name the few that it sets without a compiler warning.
struct Request {
  /// In pixels, as a rule multiples of 8. By default as the latents, else as the picture to start from,
  /// rounded down to a multiple (where one side is given, in the picture's proportions), else what the model
  /// was trained at.
  struct Size {
    std::optional<Index> width{}, height{};
  };

  /// How noise becomes a picture.
  struct Sampling {
    std::optional<int> steps{};  ///< by default 50, 4 for latent consistency models …
    /// Timesteps of training to go through, falling (999 …), in the place of `steps` evenly spaced ones; of
    /// samplers that take them: DDPM, Euler, Heun, DPM-Solver, LCM and Euler's method of flow matching.
    std::vector<double> timesteps{};
    /// Of the first image, by default 0; the next ones have seed + 1, seed + 2 …
    std::optional<std::uint64_t> seed{};
    /// Turns the initial noise towards that of another seed, on the arc between them: 0 not at all, 1 all the
    /// way (the web UI's "variation"). Above 0 every image has the same seed, and the next variation_seed.
    std::optional<double> variation_strength{};
    std::optional<std::uint64_t> variation_seed{};  ///< by default 0
    /// A short name ("euler-a", "dpm++2m-karras", …); by default what the model's folder says.
    std::optional<std::string> sampler{};
    std::optional<double> eta{};  ///< DDIM and TCD only: 0 (the default) deterministic, 1 as noisy as DDPM
    /// Whose random numbers the seed means: "torch-cpu" (the default) or "cuda-philox".
    std::optional<std::string> generator{};
    /// Initial noise `[count, h, w, C]` of unit variance in the place of what the seed gives (what diffusers
    /// calls `latents`). It decides on the size where that is not given.
    Tensor<float> noise{};
    /// The part of the whole schedule that is run, 0 to 1: a base model ends where its refiner starts.
    std::optional<double> denoising_start{}, denoising_end{};
  };

  /// How strongly the condition steers.
  struct Guidance {
    /// 1 and below turn guidance off and halve the time. By default 7.5, 5 for SDXL, 4 for DiT.
    std::optional<float> scale{};
    std::optional<float> rescale{};      ///< 0..1, by default 0; 0.7 for models with zero terminal SNR
    std::optional<float> image_scale{};  ///< InstructPix2Pix: how strongly the picture steers; by default 1.5
    /// FLUX, whose guidance is distilled into the model: above 1, together with a negative prompt, guides in
    /// a second pass of each step, which takes twice the time. By default 1.
    std::optional<float> true_cfg_scale{};
    /// Combines predictions in the place of the family's own; see pipeline/guider.hpp.
    std::shared_ptr<const Guider> guider{};
  };

  /// What to start from.
  struct Input {
    /// Image to image, and what is kept when inpainting; scaled to the size. Of models that make a small
    /// picture large (DeepFloyd IF's second stage, Stable Diffusion's x4 upscaler) the small picture.
    Image image{};
    /// Of such models: a large picture that the run begins with (image to image); scaled to the size.
    Image original{};
    /// Of such models: how noisy the small picture is made, which they are told; more leaves them more to
    /// invent. 0 to 999, or to what the model says (350 for the x4 upscaler); by default 250, or 20 for that.
    std::optional<int> noise_level{};
    Image mask{};  ///< inpainting: white where to paint (grey from 128 on); scaled to the size
    /// Latents to start from in the place of the picture, as another run left them, `[1 or count, h, w, C]`.
    Tensor<float> latents{};
    /// 0..1, how far to go from the picture; by default 0.8, or 1 with a mask.
    std::optional<double> strength{};
    Inpainting inpainting{};  ///< what is done around the mask
  };

  /// What comes out.
  struct Output {
    /// Images made in one run; by default one for each class label, each noise or each of the latents to
    /// start from, else 1.
    std::optional<int> count{};
    bool latents = true;   ///< keep them in Result::latents
    bool decoded = false;  ///< keep the decoder's floats in Result::decoded
    /// Makes the previews in the place of the model's own, as a small one does in no time (TAESD); see
    /// load_autoencoder. Its latents are the model's.
    std::shared_ptr<const Autoencoder> preview{};
  };

  std::string prompt{};
  /// How the prompt came to be, where it was rewritten; see pipeline/prompt_rewriter.hpp.
  std::optional<RewriteRecord> rewrite{};
  /// What the picture should not show. Not given is not the same as empty: some models (SDXL) know what it
  /// means that there is none.
  std::optional<std::string> negative_prompt{};
  // For the second text encoder of models that have two (SDXL, FLUX) and the third (Stable Diffusion 3); by
  // default as for the first.
  std::optional<std::string> prompt_2{}, negative_prompt_2{}, prompt_3{}, negative_prompt_3{};
  /// The language that all of them are written in; LoRAs that they name are found as by Pipeline::lora.
  PromptSyntax prompt_syntax = PromptSyntax::plain;
  std::optional<Emphasis> emphasis{};  ///< of the a1111 language, by default Emphasis::original
  /// Textual inversions that the prompts may name; see pipeline/embedding.hpp.
  std::vector<std::shared_ptr<const Embedding>> embeddings{};
  /// Tokens that T5 reads of a prompt, its end included, up to 512; what is longer is lost, what is shorter
  /// is padded. By default what the model was trained with: 256 for Stable Diffusion 3 and FLUX.1-schnell,
  /// 512 for FLUX.1-dev …
  std::optional<int> max_sequence_length{};
  /// Ids of what to show, for class-conditional models: one for all pictures, or one for each.
  std::vector<std::int32_t> class_labels{};
  std::optional<std::string> class_name{};  ///< instead: the name of one class in the model's `id2label`
  std::optional<int> clip_skip{};  ///< layers of the text encoder left out at its end, for the prompt only
  /// For this run, beside those that were applied at load; see pipeline/lora.hpp. The first request with
  /// other ones than the last few takes the time to prepare them.
  std::vector<LoraUse> loras{};
  MicroConditioning micro{};  ///< sizes and scores that SDXL is told

  std::vector<ImagePrompt> image_prompts{};  ///< pictures to show, see Pipeline::load_ip_adapter
  std::optional<models::FreeU> free_u{};     ///< of U-Nets that read a prompt
  Tiling tiling{};                           ///< pictures that repeat without a seam, of U-Nets

  Size size{};
  Sampling sampling{};
  Guidance guidance{};
  Input input{};
  /// Of models that make films: frames, pictures at frames, a film to start from, windows …; what is 0 or
  /// empty is as the family takes it. How far to go from its film is `Input::strength`.
  FilmTask film{};
  std::vector<ControlUse> controls{};  ///< ControlNets and T2I-Adapters: pictures to keep to
  Output output{};
  std::optional<Hires> hires{};  ///< a second pass over the picture made larger
  std::optional<Tiles> tiles{};  ///< the denoiser works piece by piece
  VaeTiling vae_tiling{};        ///< and the autoencoder

  /// Called after each step; return false to stop the run, which then throws Cancelled. What it throws
  /// reaches the caller of `generate`.
  std::function<bool(const Step&)> on_step{};
  /// Of films: called with each frame as soon as it is decoded, those of one film in order, film after film;
  /// frames are then not kept in Result::images, so that a film of any length needs the memory of a few.
  /// Return false to stop, as above.
  std::function<bool(const FilmFrame&)> on_frame{};
  /// Stops the run, also inside a step, from any thread; `generate` throws Cancelled.
  std::stop_token stop{};
  /// Collects where the time goes, see ops/profile.hpp; nullptr: nothing is timed.
  std::shared_ptr<ops::Profile> profile{};
};

}  // namespace daguerre
