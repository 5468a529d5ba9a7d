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
  std::string precision = "auto", weights = "auto", residency = "auto";
  std::optional<double> memory_limit;  ///< in GB
  std::optional<int> count;
  std::optional<std::uint64_t> seed;
  std::vector<std::string> classes;  ///< ids or names
  std::vector<std::string> ip_adapters;  ///< FILE or FILE:SCALE
  std::string image_encoder;
  std::vector<std::string> image_prompts;
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
void add_latents_option(CLI::App& app, Order& order);
void add_machine_options(CLI::App& app, Order& order);
void add_other_outputs(CLI::App& app, Order& order);
void add_image_prompt_options(CLI::App& app, Order& order);  // with FreeU and seamless tiling
/// Reads the adapters and pictures that the order names into its request.
void load_image_prompts(Order& order, const Pipeline& pipeline);

/// Accepts any name of a file but none, which is what a shell's variable that is not set leaves.
CLI::Validator file_name();

/// The id that `text` is, or that the class of that name has. Throws ArgumentError.
std::int32_t class_called(const std::string& text, const Pipeline& pipeline);
/// Puts what the options of the machine say into `order.load`.
void settle_machine(Order& order);
/// "weights: text_encoder 246 MB packed, when needed; unet 1.7 GB mapped"
std::string kept_weights(const PipelineInfo& info);
/// Loads the order's model, which is one or lies in parts; an interrupt stops it (Cancelled).
Pipeline load(const Order& order, const Interrupt& interrupt);
/// Another model as that order asks for.
Pipeline load(const Order& order, const std::string& model, const Interrupt& interrupt);

/// Loads the model, makes the pictures, writes them. Progress goes to stderr, names of files to stdout.
void carry_out(Order order);

}  // namespace daguerre::cli
