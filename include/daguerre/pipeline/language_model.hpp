#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/expected.hpp"
#include "daguerre/core/log.hpp"
#include "daguerre/core/shape.hpp"
#include "daguerre/models/language/token_sampler.hpp"
#include "daguerre/pipeline/precision.hpp"
#include "daguerre/text/chat_template.hpp"

namespace daguerre {

namespace models {
struct LanguageConfig;
}
namespace ops {
class EngineRegistry;
class Profile;
}  // namespace ops
namespace text {
class LanguageTokenizer;
}

/// How a language model is loaded.
struct LanguageModelOptions {
  std::string engine = "auto";  ///< as LoadOptions::engine
  /// `automatic`: bfloat16 where the processor multiplies it faster and the file has it, else float32, which
  /// costs no more memory where weights are mapped: they are read as they are stored.
  Precision precision = Precision::automatic;
  /// `automatic`: mapped, unless bfloat16 or 8 bits are laid out for the engine "onednn". Pages of mapped
  /// weights stay: every token reads them all.
  WeightStorage weights = WeightStorage::automatic;
  int threads = 0;       ///< of every run; 0: `available_threads()`
  Index max_length = 0;  ///< tokens of a prompt and its continuation together; 0: what the model was made for
  bool allow_trailing_bytes = false;                     ///< see weights::SafetensorsOptions
  std::shared_ptr<const ops::EngineRegistry> engines{};  ///< that `engine` may name; nullptr: the library's
  LogSink log{};                                         ///< told of what was loaded; empty: silence
  std::stop_token stop{};
};

/// What a text is to be continued from, and for how long. Exactly one of `prompt`, `messages` and `ids` is
/// given.
struct GenerateRequest {
  std::string prompt{};  ///< encoded as the model's tokenizer does, with what it puts before a text
  /// A conversation, of which the model writes what comes next: through its own chat template.
  std::vector<text::ChatMessage> messages{};
  text::ChatTemplate::Options chat{};  ///< what the template sees beside the messages
  std::vector<std::int32_t> ids{};     ///< tokens as they are
  int max_new_tokens = 256;            ///< above 0
  /// How tokens are chosen; nullopt: as the model's generation_config.json says, or the likeliest ones.
  std::optional<models::TokenSamplerOptions> sampling{};
  std::uint64_t seed = 0;           ///< of the random numbers, see models::TokenSampler
  std::vector<std::string> stop{};  ///< the text ends before the first of these
  /// Tokens that end the text; nullopt: the model's.
  std::optional<std::vector<std::int32_t>> end_tokens{};
  double time_limit = 0.0;  ///< seconds after which the text ends where it is; 0: none
  std::stop_token stop_token{};
  std::shared_ptr<ops::Profile> profile{};  ///< see ops/profile.hpp; nullptr: nothing is timed
};

/// Why a text ends.
enum class FinishReason {
  end_token,    ///< the model ended it
  stop_string,  ///< one of the request's came
  length,       ///< `max_new_tokens`
  context,      ///< the model reads no more tokens
  time_limit,
  callback,  ///< the host wanted no more
};
/// "end_token", "stop_string" …
std::string_view short_name(FinishReason reason) noexcept;

struct GenerateResult {
  std::string text{};               ///< well-formed UTF-8, without the stop string and special tokens
  std::vector<std::int32_t> ids{};  ///< all that were generated, the end token too
  FinishReason finish = FinishReason::length;
  Index prompt_tokens = 0;
  double prompt_seconds = 0.0;      ///< until the first token's logits were there
  double generation_seconds = 0.0;  ///< from then on
};

/// Pieces of the text as soon as nothing can change them; `false` ends it. What it throws reaches the caller.
using OnText = std::function<bool(std::string_view piece)>;

/// A decoder-only language model with its tokenizer: text in, text out. It writes what is likely to follow
/// and knows nothing of what for.
///
///     auto model = daguerre::LanguageModel::load("models/SmolLM2-360M-Instruct");
///     std::cout << model.generate({.prompt = "The lighthouse", .max_new_tokens = 40}).text;
///
/// Immutable and cheap to copy (copies share the weights); `generate` may be called from many threads at
/// once. Each `try_` function does what its namesake does and throws nothing.
class LanguageModel {
 public:
  /// Loads a folder as transformers writes it (config.json, safetensors, a tokenizer's files,
  /// generation_config.json) or one of llama.cpp's files (GGUF: llama, qwen2, qwen3, gemma, gemma2, gemma3,
  /// gpt2). Throws FileError, FormatError, ConfigError, WeightError naming the file and what is wrong,
  /// ArgumentError for options that are not possible, Cancelled.
  static LanguageModel load(const std::filesystem::path& path, const LanguageModelOptions& options = {});
  static Expected<LanguageModel> try_load(const std::filesystem::path& path,
                                          const LanguageModelOptions& options = {}) noexcept;

  /// Continues a text. It ends, whatever the model does, after `max_new_tokens`. Throws ArgumentError for a
  /// request that is not possible: a prompt longer than `max_length()`, ids outside of the vocabulary, empty
  /// stop strings, messages for a model without a chat template …; NumericError where the model computes NaN;
  /// Cancelled.
  GenerateResult generate(const GenerateRequest& request, const OnText& on_text = {}) const;
  Expected<GenerateResult> try_generate(const GenerateRequest& request,
                                        const OnText& on_text = {}) const noexcept;

  /// Whether it takes messages. Where its template cannot be read, `generate` says why.
  bool has_chat_template() const noexcept;
  /// The text of a conversation as the model was trained to read it. Throws ArgumentError where it has no
  /// template or that refuses the messages, FormatError where the template fails.
  std::string chat_text(const std::vector<text::ChatMessage>& messages,
                        const text::ChatTemplate::Options& options = {}) const;

  const models::LanguageConfig& config() const noexcept;
  const text::LanguageTokenizer& tokenizer() const noexcept;
  /// How tokens are chosen where a request does not say.
  const models::TokenSamplerOptions& sampling() const noexcept;
  /// Tokens that end a text where a request does not say.
  const std::vector<std::int32_t>& end_tokens() const noexcept;
  /// Tokens of a prompt and its continuation together.
  Index max_length() const noexcept;
  /// What it multiplies in.
  Precision precision() const noexcept;

 private:
  struct State;
  explicit LanguageModel(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace daguerre
