#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/noise.hpp"
#include "daguerre/pipeline/task.hpp"

namespace daguerre {

/// The parts of a loaded model. Copies share them. Some may be loaded when they are used: what uses them more
/// than once holds a lease meanwhile.
struct Components {
  std::map<std::string, std::shared_ptr<const TextEncoder>, std::less<>> text_encoders;
  std::shared_ptr<const Denoiser> denoiser;
  std::shared_ptr<const Autoencoder> autoencoder;  ///< one that does nothing where the model works in pixels
  std::shared_ptr<const ImageEncoder> image_encoder{};  ///< nullptr where the model has none
  /// By which the small picture is noised, see NoiseAugmentation; nullptr where there is none.
  std::shared_ptr<const samplers::Sampler> noising{};
  Config index;  ///< model_index.json, with the pipeline's own settings

  /// The text encoder of that name. Throws ArgumentError where it is not there (any more).
  const TextEncoder& text_encoder(std::string_view name) const;
  /// One of each text encoder's.
  std::vector<Lease> lease_text_encoders() const;
};

/// What may stand in a model folder, and what it is for.
struct Part {
  enum class Kind { text_encoder, denoiser, autoencoder, image_encoder };
  /// Where a text encoder's states go in the denoiser's context: their widths add up, or they are tokens of
  /// the full width that follow others (which may be narrower then), or only its vector is read.
  enum class Text { beside, behind, pooled };
  Kind kind = Kind::denoiser;
  std::string name;                      ///< "unet"
  std::vector<std::string> class_names;  ///< that the family can use, from the component registry
  /// Of a text encoder: the part that reads its prompts; of an image encoder the one that says how pictures
  /// are prepared.
  std::string tokenizer{};
  bool required = true;
  Text text = Text::beside;
  std::string overrides = "{}";  ///< keys that the pipeline sets in its configuration, a JSON object
};

/// A class that model_index.json may name, and what its constructor does to the scheduler that it is given.
struct PipelineClass {
  std::string name;
  std::string scheduler_overrides = "{}";  ///< keys that it sets, a JSON object
  std::string scheduler_class{};           ///< that it turns any scheduler into; empty: it takes it as it is
};

/// What joins the sample's channels, where a denoiser takes more than the latents have.
enum class Joins {
  mask_and_picture,    ///< the mask, then the picture without what is painted: inpainting models
  edited,              ///< the picture's mean, not scaled: InstructPix2Pix
  control,             ///< the picture as latents: FLUX.1-Depth and -Canny
  picture_and_pixels,  ///< the picture without what is painted, then the mask's pixels: FLUX.1-Fill
  enlarged,            ///< a small picture at the sample's size, noised: super-resolution by diffusion
};
/// How many channels that are, beside latents of that format.
Index joined_channels(Joins joins, const LatentFormat& format);
/// Whether every picture is made from another one, all of it.
constexpr bool is_made_from_picture(Joins joins) {
  return joins == Joins::edited || joins == Joins::control;
}
/// Whether every picture is a small one made large, Task::low_resolution.
constexpr bool enlarges(Joins joins) {
  return joins == Joins::enlarged;
}

/// What a family's pictures are made from.
struct Tasks {
  bool prompt = false;      ///< reads a prompt
  bool classes = false;     ///< takes a class
  bool guidance = true;     ///< can be guided
  bool true_cfg = false;    ///< distilled, and yet can be guided by a negative prompt in a second pass
  bool image = false;       ///< can start from a picture, and paint over parts of it
  bool references = false;  ///< looks at a picture while it makes another one (FLUX.1-Kontext)
  Joins joins = Joins::mask_and_picture;  ///< where the denoiser has the channels for it
  /// What a mask was painted into is decoded without the format's shift, as the reference's pipeline has it.
  bool inpaints_unshifted = false;
};

/// What a family's films can be told.
struct FilmTasks {
  /// Where a picture may stand: nowhere, at the first frame, there and at the last, or at any.
  enum class Conditions { none, first, first_and_last, any };
  Conditions conditions = Conditions::none;
  bool needs_condition = false;  ///< every film begins with a picture
  bool video = false;            ///< can start from a film
  bool follows = false;          ///< that film is not what it starts from, but what it follows
  bool mask = false;             ///< takes a mask of that film
  bool references = false;       ///< looks at pictures that have no place in it
  bool one_picture = false;      ///< no more than one may stand at a frame, and no clip
  bool strength = false;         ///< keeps to pictures as closely as FrameCondition::strength says
};

/// What is not given.
struct Defaults {
  int steps = 50;
  float guidance_scale = 7.5f;
  double strength = 0.8;       ///< from a picture
  double mask_strength = 1.0;  ///< with a mask
  Index sequence_length = 0;   ///< of T5's window, see TextEncoder::Options; 0: the tokenizer's
  Index frames = 1;            ///< of a film
  double frame_rate = 8.0;     ///< of a film, in frames a second
};

/// How a family lays a run over the noise levels.
struct Levels {
  /// From a picture as many steps are run as begin in the part that `strength` leaves, not end in it.
  bool strength_rounds_up = false;
  /// Samplers that follow given levels get 1, 1 - 1/n … 1/n, before the shift.
  bool even = false;
  /// They get levels whose first half falls by 0.025 in a line and whose second half by a square, before the
  /// shift (Polyak et al. 2024, sec. 3.4.2; LTX-Video, Mochi).
  bool linear_quadratic = false;
};

/// How the small picture that is made large is noised before it joins the channels, and the denoiser told how
/// much (Ho et al. 2021, "Cascaded Diffusion Models", sec. 4).
struct NoiseAugmentation {
  std::string scheduler{};  ///< the part that says how: "low_res_scheduler"; empty: nothing is enlarged
  int level = 0;            ///< by default, in timesteps of that scheduler's training
  /// The most that is told, where model_index.json does not say it as "max_noise_level"; 0: the last
  /// timestep.
  int most = 0;
  bool drawn_first = false;  ///< ahead of the run's own noise
};

struct Preparation;
struct Start;

/// A kind of model, as a value: what it consists of and how its condition is made. Everything else is the
/// same for all.
struct Family {
  std::string name;   ///< "sdxl"
  std::string title;  ///< in messages: "Stable Diffusion XL"
  std::vector<PipelineClass> classes;
  std::vector<Part> parts;
  Tasks tasks;
  Defaults defaults;
  Levels levels{};
  FilmTasks films{};
  NoiseAugmentation augmentation{};
  /// What a denoiser says of the variance is left out where the sampler takes none; otherwise that is an
  /// error.
  bool drops_variance = false;
  FilmOrder order = FilmOrder::channels_first;  ///< in which a film's noise is drawn
  /// The same of what samplers draw in their steps, where they see a film's frames as pictures.
  std::optional<FilmOrder> step_order{};
  /// One side of the condition of one picture, `[1, ...]`.
  std::function<Conditioning(const ops::Context& context, const Components& components, const Task& task,
                             const Prompt& prompt, Side side)>
      condition;
  /// What is done to a prompt before it is read; empty: nothing.
  std::function<std::string(std::string_view prompt)> clean{};
  /// How many frames a film has that `task` asks so many of; empty: as many as its latents give, each of
  /// which behind the first has the same number of them.
  std::function<Index(const Task& task, Index asked, const LatentFormat& format)> frames{};
  /// What depends on the model at hand: distilled ones take fewer steps. Called once its parts are known;
  /// empty: nothing does.
  std::function<void(Family& family, const DenoiserInfo& denoiser)> settle{};
  /// The second stage; empty: `prepare_standard`, see pipeline/preparation.hpp.
  std::function<void(const Preparation& preparation, Start& start)> prepare{};
  /// One denoiser of several parts, in the order of `parts` (experts for parts of the run); empty: there is
  /// one.
  std::function<std::shared_ptr<const Denoiser>(std::vector<std::shared_ptr<const Denoiser>> parts,
                                                const Config& index)>
      combine{};
  /// How predictions are combined.
  std::function<std::shared_ptr<const Guider>(const Guidance& guidance, const DenoiserInfo& denoiser)>
      guider = standard_guider;

  /// The prompt as it is read: all its texts through `clean`.
  Prompt cleaned(Prompt prompt) const;
  /// nullptr when there is no part of that kind, or none of that name.
  const Part* part(Part::Kind kind) const noexcept;
};

/// The families that a model may belong to. A value: a host adds its own to a copy of the standard one.
class FamilyRegistry {
 public:
  /// The library's own.
  static FamilyRegistry standard();
  /// Replaces one of the same name.
  void add(Family family);
  /// The family with that pipeline class. Throws ConfigError in the name of `source`, listing the classes
  /// there are.
  const Family& of_class(std::string_view class_name, const std::string& source) const;
  /// The class itself.
  static const PipelineClass& pipeline_class(const Family& family, std::string_view class_name);
  std::vector<std::string> names() const;

 private:
  std::vector<Family> families_;
};

}  // namespace daguerre
