#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <daguerre/daguerre.hpp>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace daguerre::cli {

class Interrupt;

/// What a command line that makes pictures asks for.
struct Order {
  std::string model;
  /// In the place of a whole model: the files that hold its parts.
  std::string denoiser, autoencoder;
  std::vector<std::string> text_encoders;
  std::string refiner;         ///< a second model, which goes on with the first one's latents
  double refiner_start = 0.8;  ///< the part of the schedule that the first one does
  std::string tokenizer, configs, family, variant;
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
  std::string out, init_image, mask, latents, save_latents, preview;
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
void add_source_options(CLI::App& app, Order& order);  // for models in other forms than one folder
void add_output_options(CLI::App& app, Order& order);  // with the size's
void add_size_options(CLI::App& app, Order& order);
void add_sampling_options(CLI::App& app, Order& order);  // with the steps'
void add_step_options(CLI::App& app, Order& order,
                      int steps);  // number of steps by default, guidance, sampler
void add_control_options(CLI::App& app, Order& order);
void add_latents_option(CLI::App& app, Order& order);
void add_language_options(CLI::App& app, Order& order);  // prompt languages, textual inversions
void add_lora_options(CLI::App& app, Order& order);
void add_machine_options(CLI::App& app, Order& order);
void add_other_outputs(CLI::App& app, Order& order);

/// Accepts any name of a file but none, which is what a shell's variable that is not set leaves.
CLI::Validator file_name();

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
/// Loads the order's model, which is one or lies in parts; an interrupt stops it (Cancelled).
Pipeline load(const Order& order, const Interrupt& interrupt);
/// Another model as that order asks for.
Pipeline load(const Order& order, const std::string& model, const Interrupt& interrupt);

/// Loads the model, makes the pictures, writes them. Progress goes to stderr, names of files to stdout.
void carry_out(Order order);

}  // namespace daguerre::cli
