#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "daguerre/evaluation/generated_picture.hpp"
#include "daguerre/evaluation/picture_measures.hpp"
#include "daguerre/evaluation/votes.hpp"

namespace daguerre::evaluation {

struct ModelEvaluationOptions {
  JobOptions job{};
  std::filesystem::path keep{};  ///< a folder for the pictures, 000000.png …; empty: they are forgotten
};

/// Makes the pictures of items and measures them, a chunk at a time, so that memory does not grow with their
/// number; pictures are forgotten as soon as they are measured. A job that was killed goes on where it was.
/// Throws what making and measuring throw, and ArgumentError for no items.
Report evaluate_model(const PictureMaker& maker, std::span<const GeneratedItem> items,
                      const PictureMeasures& measures, const ModelEvaluationOptions& options = {});

/// A model, or one way to run it, with a name for people.
struct ComparedModel {
  std::string name;
  PictureMaker maker;
};

struct ComparisonOptions {
  JobOptions job{};
  /// A folder for a blind set: 0001_left.png and 0001_right.png …, which of the two is whose being drawn,
  /// `manifest.json` with the prompts and questions for those who show it, and, beside the folder,
  /// FOLDER.key.json, which tells (BlindKey). Empty: none.
  std::filesystem::path votes{};
  std::uint64_t votes_seed = 0;  ///< of the order
  /// As DrawBench asks: which picture shows the text better, and which looks better.
  std::vector<std::string> questions{"alignment", "fidelity"};
};

/// Makes the same items by two models and measures them pair by pair. Throws likewise; ArgumentError for two
/// models of one name, and for a folder of votes that is there and holds other things.
Report compare_models(const ComparedModel& a, const ComparedModel& b, std::span<const GeneratedItem> items,
                      const PictureMeasures& measures, const ComparisonOptions& options = {});

/// FOLDER.key.json, beside the folder of a blind set.
std::filesystem::path blind_key_path(const std::filesystem::path& folder);

}  // namespace daguerre::evaluation
