#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/evaluation/prompt_suite.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/pipeline.hpp"

namespace daguerre::evaluation {

class ChunkFolder;
class ProcessGroup;

/// A picture that is to be made.
struct SampleItem {
  std::string prompt;                            ///< of models of classes empty
  std::optional<std::string> negative_prompt{};  ///< by default the request's
  std::string category{};                        ///< of the prompt
  std::uint64_t seed = 0;
  std::optional<std::int32_t> class_label{};  ///< of models of classes
};

/// `count` items that take the prompts in turn; item i has seed `seed` + i. Throws ArgumentError where there
/// are no prompts, and for a count below 1.
std::vector<SampleItem> sample_items(std::span<const SuitePrompt> prompts, Index count, std::uint64_t seed);
/// The same of classes.
std::vector<SampleItem> sample_items(std::span<const std::int32_t> classes, Index count, std::uint64_t seed);

/// A picture that was made.
struct SampledPicture {
  Index index = 0;  ///< of its item
  Image image;
  std::string settings;  ///< as Result::infotexts
};

struct SampleJobOptions {
  Index chunk = 16;  ///< pictures that are made, and kept, together: what is lost at most of a killed job
  /// What pictures depend on beside the files of the model's parts, of the request's LoRAs and of its textual
  /// inversions, which are known: the model's folder with its configurations, LoRAs applied at load …
  std::vector<std::filesystem::path> files{};
  /// What else they depend on, as text: settings that were changed at load …
  std::string more{};
};

/// Many pictures of one model, chunk by chunk. A picture depends on its item and the request alone, not on
/// chunks, processes or threads. Immutable; cheap to copy but for its items.
class SampleJob {
 public:
  /// `request` says how pictures are made; its prompt, class, seed and count are the items'. Its callbacks
  /// and its stop token are used. Where `vae_tiling` is automatic it is off: what memory is free must not
  /// decide. Throws ArgumentError for no items, a chunk below 1, seeds beyond 2^64 - 1,
  /// and what a job's settings cannot name: pictures, latents or noise to start from, controls, image
  /// prompts, films, a guider or an upscaler of the host's.
  SampleJob(Pipeline pipeline, Request request, std::vector<SampleItem> items, SampleJobOptions options = {});

  const Pipeline& pipeline() const noexcept { return pipeline_; }
  const std::vector<SampleItem>& items() const noexcept { return items_; }
  Index size() const noexcept { return static_cast<Index>(items_.size()); }
  Index chunks() const noexcept { return (size() + options_.chunk - 1) / options_.chunk; }
  Index begin_of(Index chunk) const noexcept { return chunk * options_.chunk; }
  Index end_of(Index chunk) const noexcept;
  /// A JSON object of all that the pictures depend on, for ChunkFolder: the files' fingerprint, engine and
  /// precision, the request, the items. Throws FileError.
  std::string description() const;

  /// The pictures of a chunk. Throws what Pipeline::generate throws.
  std::vector<SampledPicture> make(Index chunk) const;
  /// Makes the chunks whose files `stem`-000012`extension` are missing in `folder`, shared out among the
  /// group's processes; `keep` writes what is to be kept of one, which may be all or a few numbers.
  void run(ProcessGroup& group, const ChunkFolder& folder, std::string_view stem, std::string_view extension,
           const std::function<void(std::vector<SampledPicture> pictures,
                                    const std::filesystem::path& unfinished)>& keep) const;

 private:
  Pipeline pipeline_;
  Request request_;
  std::vector<SampleItem> items_;
  SampleJobOptions options_;
};

/// How pictures are kept.
enum class SampleLayout {
  shards,  ///< `shard-000012.tar` for each chunk; of each picture `000123.png`, `000123.json` (as in the
           ///< index) and, as WebDataset calls them, `000123.txt` (the prompt) or `000123.cls` (the class)
  loose,   ///< `000123.png`
};

/// Makes all pictures of the job in a folder of its own, and then, in the process of rank 0, `index.jsonl`:
/// an object for each picture, in their order, with file, prompt, category, seed, width, height … and, of
/// shards, shard, offset and size. Files are the same to the byte whatever the number of processes, and
/// however often the job was killed. `on_chunk` is told, in each process, behind each chunk that it made.
void sample_to_folder(const SampleJob& job, ProcessGroup& group, const ChunkFolder& folder,
                      SampleLayout layout, const std::function<void()>& on_chunk = {});

/// How many of the job's pictures are in the folder.
Index sampled(const SampleJob& job, const ChunkFolder& folder, SampleLayout layout);

}  // namespace daguerre::evaluation
