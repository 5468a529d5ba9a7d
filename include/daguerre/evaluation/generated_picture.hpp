#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/evaluation/prompt_suite.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre::evaluation {

/// A picture that a model is asked for.
struct GeneratedItem {
  std::string prompt, category;
  std::uint64_t seed = 0;
};

/// Which prompt a picture has.
enum class PromptOrder {
  in_turn,  ///< the suite's from the first to the last, and again
  drawn,    ///< each drawn from all of them: number i + 1 of std::mt19937 of the seed, modulo their number
};

/// `count` pictures of a suite's prompts, picture i with seed + i. Throws ArgumentError for none.
std::vector<GeneratedItem> generated_items(const PromptSuite& suite, Index count, std::uint64_t seed,
                                           PromptOrder order = PromptOrder::in_turn);

/// Makes pictures of items, and says what they depend on.
struct PictureMaker {
  /// A JSON object of everything but the item: the model, its weights, steps … Two jobs of the same settings
  /// and items have the same pictures.
  std::string settings;
  /// Safe from one thread at a time.
  std::function<Image(const GeneratedItem& item, std::stop_token stop)> make;

  /// By a model, `request` without a prompt and a seed; more is added to the settings by the caller.
  static PictureMaker of(Pipeline pipeline, Request request, std::string settings);
};

}  // namespace daguerre::evaluation
