#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/pipeline/control.hpp"
#include "daguerre/pipeline/film_task.hpp"
#include "daguerre/pipeline/guider.hpp"
#include "daguerre/pipeline/image_prompt.hpp"
#include "daguerre/pipeline/inpainting.hpp"
#include "daguerre/pipeline/micro_conditioning.hpp"
#include "daguerre/pipeline/prompting.hpp"
#include "daguerre/pipeline/tiling.hpp"
#include "daguerre/samplers/sampler.hpp"

namespace daguerre {

/// What one picture is to show.
struct Prompt {
  std::string text{};
  /// For the second text encoder of models that have two; otherwise the same.
  std::optional<std::string> text_2{};
  std::optional<std::string> text_3{};  ///< for the third; otherwise as the first
  /// What it should not show. Not given is not the same as empty: some models were trained with zeros there.
  std::optional<std::string> negative{};
  std::optional<std::string> negative_2{};  ///< for the second text encoder; otherwise the same
  std::optional<std::string> negative_3{};
  std::optional<std::int32_t> label{};  ///< a class

  bool operator==(const Prompt&) const = default;
};

/// What one run is to make, in tensors; a family uses what concerns it. The facade's request is the same in
/// pictures and seeds.
struct Task {
  std::vector<Prompt> prompts{};    ///< one for each image of the batch
  Prompting prompting{};            ///< how they are read
  Index height = 512, width = 512;  ///< in pixels
  int steps = 50;
  /// Timesteps of training to go through, falling, in the place of `steps` evenly spaced ones, where the
  /// sampler takes them: as many as `steps`.
  std::vector<double> timesteps{};
  Guidance guidance{};
  /// How predictions are combined; nullptr: as the family does.
  std::shared_ptr<const Guider> guider{};
  double eta = 0.0;
  bool use_clipped_model_output = false;  ///< see samplers::RunOptions
  int clip_skip = 0;                      ///< for the prompts only, as the reference has it
  Index sequence_length = 0;              ///< of T5's window; 0: the family's
  MicroConditioning micro{};
  Tensor<float>
      latents{};  ///< initial noise `[N, h, w, C]` or `[N, F, h, w, C]` of unit variance; empty: drawn
  Tensor<float> image{};          ///< `[1 or N, H, W, 3]` in [-1, 1] to start from; empty: none
  Tensor<float> image_latents{};  ///< instead: `[1 or N, h, w, C]`, scaled as the denoiser sees them
  Tensor<float> reference{};      ///< `[1 or N, H', W', 3]` in [-1, 1], of any size: a picture to look at
  /// `[1 or N, h, w, 3]` in [-1, 1], of any size: a small picture that is made large.
  Tensor<float> low_resolution{};
  std::optional<int> noise_level{};  ///< how noisy that is made, see NoiseAugmentation; as the family has it
  Tensor<float> mask{};              ///< `[1 or N, H, W, 1]`, at least 0.5 where to paint; empty: everywhere
  bool differential = false;         ///< the mask is each pixel's own strength, see Inpainting
  MaskedContent content = MaskedContent::original;  ///< under the mask, where the run begins with the picture
  double strength = 1.0;  ///< how much of the run is done over the image: 1 ignores it, 0 keeps it
  /// Parts of the whole schedule, 0 to 1, for runs that several models share (ensembles of experts; Balaji et
  /// al. 2022). With a start nothing is added to the image, whose noise is that of the start.
  std::optional<double> denoising_start{}, denoising_end{};
  std::vector<ControlTask> controls{};  ///< networks that make it keep to pictures
  std::shared_ptr<const samplers::Sampler> sampler{};
  std::vector<ImagePrompt> image_prompts{};
  std::optional<models::FreeU> free_u{};
  Tiling tiling{};
  FilmTask film{};  ///< of models that make films

  /// Whether there is a picture to start from, in pixels or in latents.
  bool has_image() const noexcept { return !image.empty() || !image_latents.empty(); }
};

}  // namespace daguerre
