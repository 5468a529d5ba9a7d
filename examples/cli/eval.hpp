#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <daguerre/evaluation/evaluate.hpp>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace daguerre::cli {

class Interrupt;
class Progress;

/// What the commands of `daguerre eval` share.
struct EvalOrder {
  std::string network, precision = "f32", engine = "auto", work, json, tokenizer;
  int threads = 0, batch = 8, chunk = 32;
  std::optional<int> limit;
  bool quiet = false;
};

/// The options of an EvalOrder; `network` says which networks the command takes ("" : it takes none).
void add_eval_options(CLI::App& app, EvalOrder& order, const std::string& network);

/// What a command of `daguerre eval` works with, from its options: progress on stderr, Ctrl-C, the processes
/// that share the work.
class Evaluation {
 public:
  Evaluation(const EvalOrder& order, evaluation::ProcessGroup& group);
  ~Evaluation();
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

  /// Loads --network. Throws ArgumentError where it is not one of `kinds`.
  evaluation::FeatureNetwork network(const std::vector<std::string>& kinds) const;
  /// The same of LPIPS.
  evaluation::PerceptualDistance perceptual_distance() const;
  evaluation::PictureSet pictures(const std::string& path) const;  ///< --limit of them
  evaluation::PicturesOrStatistics pictures_or_statistics(const std::string& path) const;
  /// For a job, of which `what` is shown while it runs.
  evaluation::JobOptions job(const std::string& what) const;
  Threads threads() const;
  Progress& progress() const;
  const Interrupt& interrupt() const;
  /// Whether this process is the one that speaks.
  bool speaks() const;
  /// The table on standard output, and --json; in the process that speaks.
  void show(const evaluation::Report& report) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The commands, by what they take: eval_sets.cpp, eval_texts.cpp, eval_pairs.cpp.
void add_eval_sets(CLI::App& eval, evaluation::ProcessGroup& group);
void add_eval_texts(CLI::App& eval, evaluation::ProcessGroup& group);
void add_eval_pairs(CLI::App& eval, evaluation::ProcessGroup& group);

}  // namespace daguerre::cli
