#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/tensor.hpp"
#include "daguerre/evaluation/feature_network.hpp"
#include "daguerre/evaluation/picture_set.hpp"
#include "daguerre/evaluation/process_group.hpp"
#include "daguerre/evaluation/report.hpp"
#include "daguerre/metrics/feature_statistics.hpp"

namespace daguerre::evaluation {

/// How long jobs over many items are run.
struct JobOptions {
  /// The folder in which what is done is kept, so that a job that was killed goes on where it was; jobs of
  /// several measures may share it, and take what they have in common from it. Empty: a folder among the
  /// system's temporary files, which goes with the results; several processes need a folder that all see.
  std::filesystem::path work{};
  Index chunk = 32;               ///< items in a chunk: what is lost at most when the job is killed
  Index batch = 8;                ///< pictures that are decoded and given to a network at once
  ProcessGroup* group = nullptr;  ///< that shares the work; nullptr: this process alone
  /// Told, in the process of rank 0, how many chunks of how many are done.
  std::function<void(Index done, Index total)> on_chunk{};
  std::stop_token stop{};
};

/// What a job found of the items of a chunk.
struct ChunkValues {
  std::vector<Index> items;  ///< those that could be read, ascending: row i of each tensor is items[i]'s
  std::map<std::string, Tensor<float>> tensors;       ///< by name, [items, ...]
  std::map<std::string, std::vector<double>> values;  ///< by name, one for each item
  std::vector<Unreadable> unreadable;
};

/// What a job over items left: a file for each chunk. Reading them again costs little memory, however many
/// there are. Immutable and cheap to copy; a temporary folder is removed with the last copy.
class ChunkResults {
 public:
  Index chunks() const noexcept;
  ChunkValues read(Index chunk) const;  ///< Throws FileError, FormatError, WeightError.
  /// How many items could be read.
  Index count() const noexcept;
  /// Those that could not.
  const std::vector<Unreadable>& unreadable() const noexcept;
  /// A tensor of all items that could be read, in their order. Takes memory for all of it. Throws
  /// FormatError, as the two below do, where a chunk with items lacks the name.
  Tensor<float> tensor(const std::string& name) const;
  /// Of one chunk's; empty where none of its items could be read.
  Tensor<float> tensor_of(Index chunk, const std::string& name) const;
  std::vector<double> values(const std::string& name) const;
  /// All items that could be read.
  std::vector<Index> items() const;
  /// Where the chunks lie.
  const std::filesystem::path& folder() const noexcept;

 private:
  friend ChunkResults run_chunks(const std::string& job, Index count,
                                 const std::function<ChunkValues(Index begin, Index end)>& work,
                                 const JobOptions& options);
  struct State;
  explicit ChunkResults(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Runs `work` on the items [begin, end) of each chunk that is not done yet; chunks are shared out among the
/// processes, and all of them return the same results, whatever their number. `job` is a JSON object of all
/// that the results depend on but the number of items and of those in a chunk. Throws what `work` throws,
/// ArgumentError for no items, a chunk below 1, and several processes without a folder; Cancelled;
/// FileError.
ChunkResults run_chunks(const std::string& job, Index count,
                        const std::function<ChunkValues(Index begin, Index end)>& work,
                        const JobOptions& options);

/// The features of a set's pictures: tensors "features" and, where the network classifies, "logits". The
/// pictures of a chunk are decoded in parallel, then given to the network at once; what cannot be read is
/// left out and listed. Throws what `run_chunks` and the network throw, and ArgumentError where no picture at
/// all could be read.
ChunkResults run_features(const PictureSet& set, const FeatureNetwork& network,
                          const JobOptions& options = {});

/// Mean and covariance of a job's tensor `name`, merged in the order of the chunks.
metrics::FeatureStatistics feature_statistics(const ChunkResults& features,
                                              const std::string& name = "features");

/// The pictures of a set that can be read, of [begin, end), decoded in parallel: `items`, and what could not
/// be read, go into `values`.
std::vector<Image> read_pictures(const PictureSet& set, Index begin, Index end, const Threads& threads,
                                 ChunkValues& values);

}  // namespace daguerre::evaluation
