#include <algorithm>
#include <array>
#include <map>

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
std::string chat_text(const text::ChatTemplate& chat, const RewriteQuestion& question) {
  text::ChatTemplate::Options options;
  options.variables = R"({"enable_thinking": false})";
  const std::array<text::ChatMessage, 2> messages = {
      {{"system", question.system_message()}, {"user", question.user_message()}}};
  try {
    return chat.render(messages, options);
  } catch (const ArgumentError&) {
    const std::array<text::ChatMessage, 1> one = {
        {{"user", question.system_message() + "\n\n" + question.user_message()}}};
    return chat.render(one, options);
  }
}

}  // namespace

RewriteAnswer answer_by(const LanguageModel& model) {
  const auto& tokenizer = model.tokenizer();
  const auto source = tokenizer.chat_template();
  if (!source)
    throw ArgumentError("rewriter",
                        tokenizer.source() +
                            ": the model has no chat template, so it was not trained to follow instructions");
  std::map<std::string, std::string> tokens;
  const auto& special = tokenizer.special_tokens();
  const auto add = [&](const char* name, const std::optional<std::int32_t>& id) {
    if (id)
      if (const auto token = tokenizer.token_of(*id)) tokens[name] = *token;
  };
  add("bos_token", special.bos);
  add("eos_token", special.eos);
  add("pad_token", special.pad);
  add("unk_token", special.unknown);
  const text::ChatTemplate chat(*source, tokenizer.source(), tokens);
  return [model, chat](const RewriteQuestion& question) {
    GenerateRequest request;
    // The template writes what comes before a text itself.
    request.ids = model.tokenizer().encode(chat_text(chat, question), {.add_special_tokens = false});
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
