#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "daguerre/pipeline/components.hpp"
#include "daguerre/pipeline/embedding.hpp"
#include "daguerre/pipeline/prompting.hpp"
#include "daguerre/text/prompt_windows.hpp"

namespace daguerre {

/// What compel is told beside the prompt.
struct CompelOptions {
  bool truncates = false;  ///< to one window
  /// Whether words that count less are taken out of the text for what they are mixed with (REMOVE), and not
  /// hidden from the attention (MASK).
  bool removes = false;
  text::LongText long_text = text::LongText::sentences;
};

/// Prompts of a prompt language through a text encoder: windows, weights and textual inversions.
///
/// T5 has no windows; weights act on it as in ComfyUI, whatever the language, and textual inversions are read
/// as words.
class PromptEncoder {
 public:
  /// `part`: the encoder's name in the model; `several`: whether there are others. `encoder` must outlive
  /// this. Throws ArgumentError for an embedding that does not fit.
  PromptEncoder(const TextEncoder& encoder, std::string part, const Prompting& prompting, bool several,
                const CompelOptions& compel = {});

  /// One output for each of `prompts`, which the web UI reads as a batch: all have as many windows as the
  /// longest, `least_windows` at least, and its "Original" emphasis keeps the mean over all of them. Throws
  /// ArgumentError for prompts that cannot be read.
  std::vector<TextEncoder::Output> encode(const ops::Context& context, std::span<const std::string> prompts,
                                          const TextEncoder::Options& options, Index least_windows = 1) const;
  /// How many windows a prompt takes.
  Index window_count(const std::string& prompt, Index max_sequence_length = 0) const;
  /// The windows themselves; of compel's language those of all its parts.
  std::vector<text::TokenWindow> windows(const std::string& prompt, Index max_sequence_length = 0,
                                         std::vector<std::string>* unknown = nullptr) const;
  /// Throws ArgumentError for a prompt that cannot be read; `what` is "prompt" or the like. Adds to
  /// `warnings` what is lost.
  void check(const std::string& prompt, const char* what, Index max_sequence_length,
             std::vector<std::string>& warnings) const;

 private:
  using Output = TextEncoder::Output;
  using Options = TextEncoder::Options;
  /// What an encoder made of several windows, one behind the other.
  Output encode_windows(const ops::Context& context, const std::vector<text::TokenWindow>& windows,
                        const Options& options, const Tensor<float>& mask = {}) const;
  std::vector<Output> encode_a1111(const ops::Context& context, std::span<const std::string> prompts,
                                   const Options& options, Index least_windows) const;
  Output encode_towards_empty(const ops::Context& context, const std::string& prompt, const Options& options,
                              Index least_windows) const;
  Output encode_compel(const ops::Context& context, const std::string& prompt, const Options& options,
                       Index least_windows) const;
  Tensor<float> compel_states(const ops::Context& context, const std::vector<text::CompelFragment>& prompt,
                              const Options& options) const;
  std::vector<text::WeightedText> weighted_texts(const std::string& prompt) const;
  TextEncoder::Window window_for(const text::TokenWindow& window) const;
  text::WindowTokenizer tokenizer(Index max_sequence_length) const;
  /// Appends windows without a prompt.
  void fill_up(const ops::Context& context, const Options& options, Index least_windows,
               Output& output) const;

  const TextEncoder& encoder_;
  const std::string part_;
  const Prompting prompting_;
  const CompelOptions compel_;
  bool has_windows_;  ///< it is no T5
  std::vector<text::NamedVectors> names_;
  std::vector<Tensor<float>> vectors_;  ///< of each name
};

/// A text encoder whose prompts are in a prompt language. Made for one run: it knows the prompts that belong
/// together, see PromptEncoder::encode, and encodes them once.
class ReadingTextEncoder final : public TextEncoder {
 public:
  /// `prompts`: of an edited prompt, all that it becomes. `further_skip` is added to Options::skip.
  ReadingTextEncoder(std::shared_ptr<const TextEncoder> encoder, std::string part, const Prompting& prompting,
                     bool several, std::vector<std::string> prompts, int further_skip);

  /// At least so many windows, so that its states can stand beside another encoder's.
  void set_least_windows(Index count) { least_windows_ = count; }
  /// Of the longest of its prompts; 0 where there are no windows.
  Index window_count() const;

  const TextEncoderInfo& info() const noexcept override { return encoder_->info(); }
  Output encode(const ops::Context& context, std::string_view prompt, const Options& options) const override;
  std::string lost(std::string_view prompt, Index length) const override {
    return encoder_->lost(prompt, length);
  }
  void check(std::string_view prompt, const char* what) const override { encoder_->check(prompt, what); }
  Lease lease() const override { return encoder_->lease(); }

 private:
  const std::shared_ptr<const TextEncoder> encoder_;
  const PromptEncoder reader_;
  const std::vector<std::string> prompts_;
  const int further_skip_;
  Index least_windows_ = 1;
  // What was encoded, under the options that it was encoded with.
  mutable std::mutex mutex_;
  mutable std::vector<Output> outputs_;
  mutable Options made_with_;
};

}  // namespace daguerre
