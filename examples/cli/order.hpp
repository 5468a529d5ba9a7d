#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <daguerre/daguerre.hpp>
#include <daguerre/pipeline/cascade_stage.hpp>
#include <daguerre/pipeline/picture_judge.hpp>

#include "rewriting.hpp"

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace daguerre::cli {

class Interrupt;
class Progress;

/// Candidates, and who judges them.
struct Judging {
  std::string judge;  ///< clip:PATH or hps:PATH
  std::optional<int> best_of, draft_steps;
};

/// What the options around masks, second passes and settings of pictures say, where Request does not hold it
/// as the command line has it.
struct Comfort {
  std::string preview_vae;
  std::string vae;                 ///< another autoencoder
  std::string motion;              ///< motion modules, which make films of a model of pictures
  std::string from_png;            ///< whose settings are repeated
  std::string model;               ///< that its settings name
  std::vector<std::string> notes;  ///< on what of them is not repeated
  std::optional<Index> mask_grow, only_masked, outpaint_overlap, tile, tile_overlap;
  std::optional<bool> keep_unmasked;
  bool png_has_hires = false;  ///< its settings have a second pass
  std::optional<double> hires, hires_strength, upscale;
  std::optional<int> hires_steps;
};

/// Several models as one, in the place of a model.
struct CascadeOrder {
  std::vector<std::string> paths;      ///< of a cascade, or of its stages
  std::vector<std::string> stages;     ///< N:OPTION=VALUE,...
  std::vector<StageOptions> repeated;  ///< of the picture whose settings are repeated
  bool one_at_a_time = false, save_stages = false;
};

/// What a command line that makes pictures asks for.
struct Order {
  std::string model;
  /// In the place of a whole model: the files that hold its parts.
  std::string denoiser, autoencoder;
  std::vector<std::string> text_encoders;
  std::string refiner;         ///< a second model, which goes on with the first one's latents
  double refiner_start = 0.8;  ///< the part of the schedule that the first one does
  std::string tokenizer, configs, family, variant;
  std::string spacing;  ///< of the timesteps, in the place of the scheduler's
  LoadOptions load;
  Request request;
  std::vector<std::string> loras;  ///< FILE[:WEIGHT[:TEXT_WEIGHT]]
  std::string lora_dir, lora_mode = "at-load";
  bool lora_partial = false;
  std::string precision = "auto", weights = "auto", residency = "auto";
  std::optional<double> memory_limit;  ///< in GB
  std::optional<int> count;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> classes;                       ///< ids or names
  std::vector<std::string> control_nets, control_images;  ///< one of these for each of those
  std::vector<int> control_modes;                         ///< one for each union
  std::string control_resize = "stretch";
  bool guess_mode = false, control_hides_masked = false;
  std::vector<std::string> ip_adapters;  ///< FILE or FILE:SCALE
  std::string image_encoder;
  std::vector<std::string> image_prompts;
  std::string out, init_image, mask, latents, save_latents, preview;
  Comfort comfort;
  Rewriting rewriting;  ///< of the prompt, before anything is made of it
  CascadeOrder cascade;
  Judging judging;
  int usual_steps = 20;  ///< where the order says nothing
  int preview_every = 5;
  bool quiet = false;
};

/// Headings of --help.
namespace groups {
inline const std::string what = "What to make";
inline const std::string how = "How to make it";
inline const std::string from = "What to start from";
inline const std::string sources = "Models in other forms";
inline const std::string machine = "The machine";
inline const std::string besides = "What to see and keep besides";
}  // namespace groups

/// The model's path, or that of the file that holds its denoiser.
const std::string& model_name(const Order& order);
/// Throws CLI::RequiredError where neither is given, which needs the options of add_source_options.
void require_model(const Order& order);

// The options that all commands which make pictures share, in the order in which --help shows them; a command
// adds its own in between.
void add_model_option(CLI::App& app, Order& order);
void add_prompt_texts(CLI::App& app, Order& order);     // prompts for all encoders, what not to show
void add_encoder_options(CLI::App& app, Order& order);  // what text encoders do with them
void add_source_options(CLI::App& app, Order& order);   // for models in other forms than one folder
void add_output_options(CLI::App& app, Order& order);   // with the size's
void add_size_options(CLI::App& app, Order& order, const std::string& width);
void add_sampling_options(CLI::App& app, Order& order);  // with the steps'
void add_step_options(CLI::App& app, Order& order,
                      int steps);  // number of steps by default, guidance, sampler
void add_control_options(CLI::App& app, Order& order);
void add_latents_option(CLI::App& app, Order& order);
void add_language_options(CLI::App& app, Order& order);  // prompt languages, textual inversions
void add_lora_options(CLI::App& app, Order& order);
void add_machine_options(CLI::App& app, Order& order);
void add_other_outputs(CLI::App& app, Order& order);
void add_image_prompt_options(CLI::App& app, Order& order);  // with FreeU and seamless tiling
/// Reads the adapters and pictures that the order names into its request.
void load_image_prompts(Order& order, const Pipeline& pipeline);

// Masks, second passes, tiles, settings of pictures (comfort_options.cpp). To be added behind the others that
// txt2img has.
void add_comfort_options(CLI::App& app, Order& order);
// Of these, second passes and tiles; another autoencoder.
void add_second_pass_options(CLI::App& app, Order& order);
void add_vae_option(CLI::App& app, Order& order);
/// Puts what --from-png says under what the command line says. Throws CLI::RequiredError without a prompt.
void take_settings(CLI::App& app, Order& order);
/// Puts the rest into the request; before the model is loaded, and behind it. Throws ArgumentError.
void settle_comfort(Order& order);
void settle_comfort(Order& order, const Pipeline& pipeline, Progress& progress);

// Best of several (judge_options.cpp). To be added behind --refiner and --latents.
void add_judge_options(CLI::App& app, Order& order);
/// The judge that the order names; nothing where it names none. Throws what PictureJudge::load throws.
std::optional<PictureJudge> load_judge(const Order& order, Progress& progress, const Interrupt& interrupt);
/// The order's pictures: the best of its candidates where there is a judge.
Result generate(const Order& order, const Pipeline& pipeline, const std::optional<PictureJudge>& judge,
                Progress& progress);

/// Accepts any name of a file but none, which is what a shell's variable that is not set leaves.
CLI::Validator file_name();

/// Accepts texts in UTF-8, which jobs keep as JSON.
CLI::Validator utf8_text();

/// Accepts names that end in .png.
CLI::Validator png_name();

/// Reads the pictures that ControlNets and T2I-Adapters keep to, and puts them into the request. Throws
/// ArgumentError, FileError, FormatError.
void read_controls(Order& order);
/// Loads the networks for them. Throws what Pipeline::load_control throws.
void load_controls(Order& order, const Pipeline& pipeline);

/// The id that `text` is, or that the class of that name has. Throws ArgumentError.
std::int32_t class_called(const std::string& text, const Pipeline& pipeline);
/// Puts what the options of the machine say into `order.load`.
void settle_machine(Order& order);
/// Reads the LoRAs that the order names, and puts them where they are to be applied.
void settle_loras(Order& order);
/// "weights: text_encoder 246 MB packed, when needed; unet 1.7 GB mapped"
std::string kept_weights(const PipelineInfo& info);
/// Where the parts of models are looked for.
std::shared_ptr<const SourceOptions> source_options(const Order& order);
/// Loads the order's model, which is one or lies in parts; an interrupt stops it (Cancelled).
Pipeline load(const Order& order, const Interrupt& interrupt);
/// Another model as that order asks for.
Pipeline load(const Order& order, const std::string& model, const Interrupt& interrupt);

/// Says what was loaded and what was drawn, once it is known that the order can be carried out.
void introduce(const Order& order, const Pipeline& pipeline, Progress& progress);

/// Everything that can be wrong about the files named in the order shows here, before the model is loaded.
void read_inputs(Order& order);
void check_outputs(const Order& order);
/// All that comes before a model is loaded: the functions above, and what is warned of goes to `progress`.
void settle(Order& order, Progress& progress);

// Cascades (cascade_options.cpp).
void add_cascade_options(CLI::App& app, Order& order);
/// As carry_out, for an order that names a cascade.
void carry_out_cascade(Order order);

/// Rewrites the prompt, where the order says by whom. The language model is gone again behind it.
void rewrite_prompt(Order& order, Progress& progress, const Interrupt& interrupt);

/// Loads the model, makes the pictures, writes them. Progress goes to stderr, names of files to stdout.
void carry_out(Order order);

}  // namespace daguerre::cli
