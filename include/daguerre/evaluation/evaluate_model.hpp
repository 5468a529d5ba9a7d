#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "daguerre/evaluation/picture_measures.hpp"
#include "daguerre/evaluation/sample_job.hpp"
#include "daguerre/evaluation/votes.hpp"

namespace daguerre::evaluation {

/// As `sample_items`, but each picture's prompt is drawn from all of them: picture i has that of number i + 1
/// of std::mt19937 of the seed, modulo their number. Throws likewise.
std::vector<SampleItem> drawn_sample_items(std::span<const SuitePrompt> prompts, Index count,
                                           std::uint64_t seed);

struct ModelEvaluationOptions {
  JobOptions job{};              ///< its chunks are the sample job's
  std::filesystem::path keep{};  ///< a folder for the pictures, 000000.png …; empty: they are forgotten
};

/// Makes pictures and measures them, a chunk at a time, so that memory does not grow with their number;
/// pictures are forgotten as soon as they are measured. A job that was killed goes on where it was, and the
/// processes of a group share it. Throws what making and measuring throw; ArgumentError where a kept picture
/// of a job that is done is gone.
Report evaluate_model(const SampleJob& pictures, const PictureMeasures& measures,
                      const ModelEvaluationOptions& options = {});

/// A model, or one way to run it, with a name for people.
struct ComparedModel {
  std::string name;
  SampleJob pictures;
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
/// models of one name, names and questions that are not UTF-8, different items or chunks, and for a folder of
/// votes that holds other things.
Report compare_models(const ComparedModel& a, const ComparedModel& b, const PictureMeasures& measures,
                      const ComparisonOptions& options = {});

/// FOLDER.key.json, beside the folder of a blind set.
std::filesystem::path blind_key_path(const std::filesystem::path& folder);

}  // namespace daguerre::evaluation
