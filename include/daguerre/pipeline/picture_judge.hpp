#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/core/log.hpp"
#include "daguerre/core/tensor.hpp"
#include "daguerre/media/image.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// How a judge is loaded.
struct JudgeOptions {
  std::string engine = "auto";  ///< as LoadOptions::engine
  Precision precision = Precision::automatic;
  int threads = 0;  ///< of every run; 0: `available_threads()`
  /// Where CLIP's vocabulary lies for models that bring none; see SourceOptions.
  std::filesystem::path tokenizer{}, tokenizer_fallback{};
  LogSink log{};  ///< told of what was loaded, and of prompts that are cut; empty: silence
  std::stop_token stop{};
};

/// Says how well pictures show what a prompt asks for: a network, or a host's function. Immutable and cheap
/// to copy (copies share the weights); may be used from many threads at once.
class PictureJudge {
 public:
  /// A host's own: how good a picture is for a prompt, greater being better.
  using Function = std::function<double(std::string_view prompt, const Image& picture)>;

  /// Loads what `judge` names:
  /// - "clip:PATH": 100 times the cosine between CLIP's embeddings of picture and prompt (the CLIP score of
  ///   torchmetrics, which would then cut off what is below 0);
  /// - "hps:PATH": that cosine itself, for a CLIP that was trained on people's choices (HPSv2, Wu et al.
  /// 2023).
  ///
  /// PATH is a folder of transformers' (config.json of a CLIPModel, weights, tokenizer, and the
  /// preprocessor's configuration, where it is there), one of open_clip's (open_clip_config.json and
  /// open_clip_model.safetensors), or a safetensors file in transformers', open_clip's or openai/CLIP's
  /// layout, which is then what its tensors say (models::ClipModelConfig::from_weights). In the latter two
  /// forms "clip" prepares pictures as openai/CLIP and open_clip do, and "hps" as HPSv2 does, which resizes
  /// them without antialiasing. Throws ArgumentError for another form, FileError, FormatError, ConfigError or
  /// WeightError, naming the file and what it is instead.
  static PictureJudge load(std::string_view judge, const JudgeOptions& options = {});
  static Expected<PictureJudge> try_load(std::string_view judge, const JudgeOptions& options = {}) noexcept;
  /// A host's function, and what to call it in messages and settings of pictures.
  static PictureJudge from(std::string name, Function function);

  /// Scores pictures for one prompt, which is looked at once. Valid as long as it is kept; a stop makes it
  /// throw Cancelled. What it throws beside: NumericError where a score is NaN or infinite, and what the
  /// host's function throws.
  using Scorer = std::function<double(const Image& picture)>;
  Scorer scorer(std::string_view prompt, std::stop_token stop = {}) const;
  /// The same of several pictures.
  std::vector<double> score(std::string_view prompt, std::span<const Image> pictures,
                            std::stop_token stop = {}) const;

  // The network's embeddings, not normalised, `[N, projection_dim]`: for figures between pictures, see
  // metrics/clip_score.hpp. Throw ArgumentError where the judge is a host's function.
  Tensor<double> embed_texts(std::span<const std::string> texts, std::stop_token stop = {}) const;
  Tensor<double> embed_pictures(std::span<const Image> pictures, std::stop_token stop = {}) const;

  /// "clip:NAME", NAME being its folder's or file's, or what the host says.
  const std::string& name() const noexcept;

 private:
  struct State;
  explicit PictureJudge(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
