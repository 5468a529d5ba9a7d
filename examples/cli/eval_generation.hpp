#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <daguerre/evaluation/evaluate_model.hpp>

#include "order.hpp"

namespace CLI {
class App;
}

namespace daguerre::cli {

class Interrupt;
class Progress;

/// What commands that make the pictures they evaluate have in common: prompts, seeds, measures.
struct GenerationOrder {
  std::string prompts, format = "auto", category;
  bool unconditional = false, drawn = false;
  std::int64_t count = 0;  ///< 0: one picture for each prompt
  std::uint64_t seed = 0;
  std::vector<std::string> measures;
  std::string reference, work, json;
  std::int64_t chunk = 16;
};

/// Adds those options.
void add_generation_options(CLI::App& app, GenerationOrder& order);
/// Adds the options of a model and of how it makes pictures, as txt2img has them.
void add_model_options(CLI::App& app, Order& order);
/// The items that the order asks for. Throws what PromptSuite::load throws; ArgumentError.
std::vector<evaluation::SampleItem> items_of(const GenerationOrder& order);
/// Loads the measures; a bare "latent-fid" is of the autoencoder of `model`.
evaluation::PictureMeasures load_measures(const GenerationOrder& order, const Order& model,
                                          const evaluation::JobOptions& job, Progress& progress,
                                          const Interrupt& interrupt);
/// How the job is run by the processes of `group`. What it tells goes to `progress`, `what` in front, while
/// that lives.
evaluation::JobOptions job_of(const GenerationOrder& order, evaluation::ProcessGroup& group,
                              Progress& progress, const Interrupt& interrupt, std::string what);
/// Loads the order's model and settles its request. The order must be of a model of prompts.
Pipeline load_for_evaluation(Order& order, evaluation::ProcessGroup& group, Progress& progress,
                             const Interrupt& interrupt);
/// The pictures that the orders ask for.
evaluation::SampleJob sample_of(const GenerationOrder& generation, const Order& order,
                                const Pipeline& pipeline, const std::vector<evaluation::SampleItem>& items);

}  // namespace daguerre::cli
