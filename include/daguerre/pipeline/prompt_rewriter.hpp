#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/log.hpp"
#include "daguerre/pipeline/request.hpp"
#include "daguerre/pipeline/rewrite.hpp"

namespace daguerre {

class LanguageModel;

/// What a rewriter is told to do with a prompt.
struct RewriteInstruction {
  std::string name{};  ///< as the record has it
  std::string text{};
  /// The answer's lines are parts of a prompt: joined by BREAK in the language of a1111, else by commas.
  bool parts = false;

  /// One of the library's own: "expand" (a short prompt into a detailed caption), "translate" (into English),
  /// "split" (into a part for each thing). Throws ArgumentError for another name, listing these.
  static RewriteInstruction standard(std::string_view name);
  /// A text file of at most 64 KiB, called as the file is. Throws FileError, FormatError for one that is
  /// empty.
  static RewriteInstruction load(const std::filesystem::path& file);
};

/// What is asked of whoever rewrites.
struct RewriteQuestion {
  std::string instruction;
  std::string prompt;         ///< without what is set apart: tags, weights
  std::string remark;         ///< more about what is wanted; often empty
  std::uint64_t seed = 0;     ///< the same seed should give the same answer
  std::size_t max_words = 0;  ///< more are refused
  double time_limit = 0.0;    ///< seconds
  std::stop_token stop;       ///< asks it to end: the time is over, or the run was stopped

  /// Instruction and prompt as messages of a chat would have them.
  std::string system_message() const { return instruction; }
  std::string user_message() const { return remark.empty() ? prompt : prompt + "\n\n" + remark; }
};
/// The answer: a prompt, with whatever language models put around it. What it throws is a failure of the
/// rewriting.
using RewriteAnswer = std::function<std::string(const RewriteQuestion& question)>;

/// Answers by a language model on this machine, which must have a chat template. Throws ArgumentError where
/// it has none, FormatError for one that is malformed.
RewriteAnswer answer_by(const LanguageModel& model);

/// Rewrites prompts before pictures are made of them: by a function of the host, a language model, a service.
/// A picture is never lost to it: where it fails, answers nothing or too much, or takes too long, the prompt
/// stays as it was, and the record and the log say why.
///
///     daguerre::PromptRewriter rewriter(daguerre::answer_by(language_model), {.name = "SmolLM2"});
///     auto result = pipeline.generate(rewriter(request));
///     result.rewrite->original, result.infotexts[0] …
///
/// In the languages of a1111 and comfyui, tags `<lora:…>` and weighted words `(words:1.2)` are set apart and
/// put back (in place of the same words of the answer, else at its end); what lies between BREAK or AND is
/// rewritten by itself; brackets of the answer are made plain characters, and tags in it are dropped: only
/// the one who wrote the prompt names files.
class PromptRewriter {
 public:
  struct Options {
    std::string name = "host";  ///< as the record has it
    RewriteInstruction instruction = RewriteInstruction::standard("expand");
    double time_limit = 120.0;            ///< seconds for the whole prompt; above 0
    std::size_t max_words = 200;          ///< of each part of a prompt; above 0
    std::optional<std::uint64_t> seed{};  ///< by default the request's, else 0
    LogSink log{};
  };

  /// Throws ArgumentError for an empty function and for limits of 0.
  /// The function runs in a thread of its own. One that is still running when its time is over is left to end
  /// by itself: it must not use anything that may be gone by then.
  PromptRewriter(RewriteAnswer answer, Options options);
  explicit PromptRewriter(RewriteAnswer answer) : PromptRewriter(std::move(answer), Options()) {}

  /// The request with its prompt rewritten, and the record of that in `Request::rewrite`. A request that has
  /// one already (as those read from infotexts) and no new `remark` is left as it is. A new rewriting begins
  /// with the original prompt. Throws Cancelled when `request.stop` asks for it.
  Request operator()(const Request& request, std::string_view remark = {}) const;

  const Options& options() const noexcept { return options_; }

 private:
  std::string answer_in_time(const RewriteQuestion& question, const std::stop_token& stop) const;
  std::string rewritten(const Request& request, const std::string& prompt, std::string_view remark,
                        std::uint64_t seed) const;

  std::shared_ptr<const RewriteAnswer> answer_;
  Options options_;
};

/// A language model's answer as a prompt: without thoughts (`<think>…</think>`), an introduction ("Here is
/// the prompt:"), quotes, markup, control characters, and in one line; with `parts` a line for each part.
std::string cleaned_answer(std::string_view answer, bool parts = false);

}  // namespace daguerre
