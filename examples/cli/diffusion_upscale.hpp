#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <daguerre/daguerre.hpp>

namespace CLI {
class App;
}

namespace daguerre::cli {

class Interrupt;
class Progress;

/// What `upscale` is told of models that make a small picture large by diffusion.
struct DiffusionUpscale {
  std::string model, from, to;
  Request request;
  int tile = 256;              ///< of the small picture, in pixels; 0: none
  std::optional<int> overlap;  ///< likewise
};

/// Whether the path is a model's folder and no network's file.
bool is_diffusion_model(const std::string& path);
/// The options that only they have.
void add_diffusion_upscale_options(CLI::App& app, DiffusionUpscale& upscale);
/// Loads the model, enlarges the picture, writes it with its settings. Throws what the library throws, and
/// ArgumentError where the model does not enlarge.
void upscale_by_diffusion(DiffusionUpscale upscale, const LoadOptions& options, const Interrupt& interrupt,
                          Progress& progress);

}  // namespace daguerre::cli
