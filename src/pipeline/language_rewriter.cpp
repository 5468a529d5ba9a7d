#include <algorithm>
#include <string>

#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/language_model.hpp"
#include "daguerre/pipeline/prompt_rewriter.hpp"
#include "daguerre/text/chat_template.hpp"
#include "daguerre/text/language_tokenizer.hpp"

namespace daguerre {
namespace {

/// Tokens that an answer of so many words may take, more than any prompt needs.
int answer_tokens(std::size_t words) {
  return static_cast<int>(std::min<std::size_t>(words, 10'000) * 4 + 32);
}

/// What is asked, as the model was trained to read it. Where its template has no system messages the
/// instruction stands above the prompt.
std::string rewrite_chat(const LanguageModel& model, const RewriteQuestion& question) {
  text::ChatTemplate::Options options;
  options.variables = R"({"enable_thinking": false})";
  try {
    return model.chat_text({{"system", question.system_message()}, {"user", question.user_message()}},
                           options);
  } catch (const ArgumentError&) {
    return model.chat_text({{"user", question.system_message() + "\n\n" + question.user_message()}}, options);
  }
}

}  // namespace

RewriteAnswer answer_by(const LanguageModel& model) {
  if (!model.has_chat_template())
    throw ArgumentError("rewriter",
                        model.tokenizer().source() +
                            ": the model has no chat template, so it was not trained to follow instructions");
  RewriteQuestion trial;
  trial.prompt = "a cat";
  (void)rewrite_chat(model, trial);  // a template that cannot be read says so now
  return [model](const RewriteQuestion& question) {
    GenerateRequest request;
    // The template writes what comes before a text itself.
    request.ids = model.tokenizer().encode(rewrite_chat(model, question), {.add_special_tokens = false});
    request.max_new_tokens = answer_tokens(question.max_words);
    request.seed = question.seed;
    request.time_limit = question.time_limit;
    request.stop_token = question.stop;
    const auto result = model.generate(request);
    if (result.finish == FinishReason::length || result.finish == FinishReason::context)
      throw Error("rewriter",
                  "the model did not come to an end within " + std::to_string(result.ids.size()) + " tokens");
    if (result.finish == FinishReason::time_limit)
      throw Error("rewriter", "the model did not come to an end in time");
    return result.text;
  };
}

}  // namespace daguerre
