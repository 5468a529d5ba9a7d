#include "daguerre/pipeline/prompt_rewriter.hpp"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <thread>

#include "daguerre/core/error.hpp"
#include "daguerre/pipeline/language_model.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/scripted_language_model.hpp"

using namespace daguerre;

namespace {

PromptRewriter answering(std::string answer, PromptRewriter::Options options = {}) {
  return {[answer](const RewriteQuestion&) { return answer; }, std::move(options)};
}

std::string made_of(const std::string& answer, const std::string& prompt, PromptSyntax syntax) {
  Request request;
  request.prompt = prompt;
  request.prompt_syntax = syntax;
  return answering(answer)(request).prompt;
}

}  // namespace

TEST_CASE("what language models put around a prompt is cleaned away", "[rewriter]") {
  CHECK(cleaned_answer("  A cat.\n") == "A cat.");
  CHECK(cleaned_answer("\"A cat on a mat.\"") == "A cat on a mat.");
  CHECK(cleaned_answer("<think>\nhm \"x\"\n</think>\n\nPrompt: \xE2\x80\x9C"
                       "A cat\xE2\x80\x9D") == "A cat");
  CHECK(cleaned_answer("Here is the rewritten prompt:\n\n**A cat,\n  sitting**") == "A cat, sitting");
  CHECK(cleaned_answer("thoughts without a beginning</think>A cat") == "A cat");
  CHECK(cleaned_answer("<think>and on and on") == "");
  CHECK(cleaned_answer("A sign: \"open\"") == "A sign: \"open\"");
  CHECK(cleaned_answer("a\x01\x1B[31mcat\xFF") == "a[31mcat\xEF\xBF\xBD");
  CHECK(cleaned_answer("1. a cat\n2. \"a dog\"\n- night\n\n", true) == "a cat\na dog\nnight");
}

TEST_CASE("a prompt is rewritten, and the record says so", "[rewriter]") {
  std::shared_ptr<RewriteQuestion> asked = std::make_shared<RewriteQuestion>();
  const PromptRewriter rewriter(
      [asked](const RewriteQuestion& question) {
        *asked = question;
        return "A white lighthouse at dawn.";
      },
      {.name = "test", .instruction = {"mine", "Do it.", false}});
  Request request;
  request.prompt = "a lighthouse";
  request.sampling.seed = 7;
  const auto rewritten = rewriter(request);
  CHECK(rewritten.prompt == "A white lighthouse at dawn.");
  REQUIRE(rewritten.rewrite);
  CHECK(rewritten.rewrite->original == "a lighthouse");
  CHECK(rewritten.rewrite->rewriter == "test");
  CHECK(rewritten.rewrite->instruction == "mine");
  CHECK(rewritten.rewrite->seed == 7);
  CHECK(rewritten.rewrite->failure == "");
  CHECK(asked->instruction == "Do it.");
  CHECK(asked->prompt == "a lighthouse");
  CHECK(asked->seed == 7);

  *asked = {};
  CHECK(rewriter(rewritten).prompt == rewritten.prompt);  // not again
  CHECK(asked->prompt == "");
  const auto again = rewriter(rewritten, "It lacked the moon.");
  CHECK(asked->prompt == "a lighthouse");  // the original
  CHECK(asked->user_message() == "a lighthouse\n\nIt lacked the moon.");
  CHECK(again.rewrite->remark == "It lacked the moon.");
}

TEST_CASE("where a rewriter fails the prompt stays, and why is said", "[rewriter]") {
  Request request;
  request.prompt = "a lighthouse";
  std::string words;
  for (int i = 0; i < 10'000; ++i) words += "word ";
  const auto failure = [&](const PromptRewriter& rewriter) {
    const auto result = rewriter(request);
    CHECK(result.prompt == "a lighthouse");
    return result.rewrite->failure;
  };
  std::string said;
  PromptRewriter::Options logged;
  logged.log = [&](LogLevel level, std::string_view text) {
    CHECK(level == LogLevel::warning);
    said = text;
  };
  CHECK(failure(answering("", logged)) == "the answer is empty");
  CHECK(said == "[rewriter] host: the answer is empty; the prompt stays as it was given");
  CHECK(failure(answering(" \n\t")) == "the answer is empty");
  CHECK(failure(answering(words)) == "the answer has 10000 words, expected at most 200");
  CHECK(failure(PromptRewriter([](const RewriteQuestion&) -> std::string {
          throw std::runtime_error("no luck\nat all");
        })) == "no luck");
  CHECK(failure(PromptRewriter([](const RewriteQuestion&) -> std::string { throw 1; })) ==
        "it failed without saying why");

  PromptRewriter::Options hasty;
  hasty.time_limit = 0.05;
  const auto ended = std::make_shared<std::atomic<bool>>(false);
  const auto begun = std::chrono::steady_clock::now();
  CHECK(failure({[ended](const RewriteQuestion& question) -> std::string {
                   while (!question.stop.stop_requested())
                     std::this_thread::sleep_for(std::chrono::milliseconds(1));
                   *ended = true;
                   return "too late";
                 },
                 hasty}) == "no answer within 0.05 seconds");
  while (!*ended && std::chrono::steady_clock::now() - begun < std::chrono::seconds(10))
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  CHECK(*ended);

  std::stop_source stop;
  request.stop = stop.get_token();
  stop.request_stop();
  CHECK_THROWS_AS(answering("x")(request), Cancelled);
  CHECK_THROWS_AS(PromptRewriter(RewriteAnswer()), ArgumentError);
  hasty.time_limit = 0.0;
  CHECK_THROWS_AS(answering("x", hasty), ArgumentError);
  CHECK_THROWS_AS(RewriteInstruction::standard("sing"), ArgumentError);
  for (const auto* name : {"expand", "translate", "split"})
    CHECK(RewriteInstruction::standard(name).text.size() > 100);
}

TEST_CASE("the web UI's language survives being rewritten", "[rewriter]") {
  const auto a1111 = PromptSyntax::a1111;
  CHECK(made_of("A tall lighthouse in fog.", "a (lighthouse:1.3), fog <lora:ink:0.8>", a1111) ==
        "A tall (lighthouse:1.3) in fog. <lora:ink:0.8>");
  CHECK(made_of("A tall tower.", "a (lighthouse:1.3)", a1111) == "A tall tower., (lighthouse:1.3)");
  CHECK(made_of("A sea.", "a sea [cat:dog:0.5]", a1111) == "A sea., [cat:dog:0.5]");
  CHECK(made_of("big", "a cat BREAK a dog", a1111) == "big BREAK big");
  CHECK(made_of("big", "a cat AND a dog", a1111) == "big AND big");
  CHECK(made_of("big", "BREAKFAST", a1111) == "big");
  // What an answer has of it is plain text, and it names no files.
  CHECK(made_of("A cat (black) BREAK [1] <lora:evil:1>", "a cat", a1111) ==
        "A cat \\(black\\) break \\[1\\]");
  CHECK(made_of("A (cat:2) <lora:x:1>", "a (cat:1.3)", PromptSyntax::plain) == "A (cat:2) <lora:x:1>");
  CHECK(made_of("A grey cat", "a (cat:1.3)", PromptSyntax::comfyui) == "A grey (cat:1.3)");

  PromptRewriter::Options split;
  split.instruction = RewriteInstruction::standard("split");
  Request request;
  request.prompt = "a cat and a dog";
  CHECK(answering("a cat\na dog", split)(request).prompt == "a cat, a dog");
  request.prompt_syntax = a1111;
  CHECK(answering("a cat\na dog", split)(request).prompt == "a cat BREAK a dog");
}

TEST_CASE("a language model rewrites a prompt", "[rewriter][language]") {
  const test::TempFolder folder;
  const auto written = [&](const test::LanguageScript& script, Index max_length = 0) {
    test::write_language_model(folder.path(), script);
    return LanguageModel::load(folder.path(), {.max_length = max_length});
  };
  Request request;
  request.prompt = "a fox <lora:ink:1>";
  request.prompt_syntax = PromptSyntax::a1111;
  const auto result = PromptRewriter(answer_by(written({.answer = "big fox"})))(request);
  CHECK(result.rewrite->failure == "");
  CHECK(result.prompt == "big fox <lora:ink:1>");
  CHECK(result.rewrite->original == request.prompt);

  // A template that refuses system messages is asked without; one that cannot be read is refused at once.
  const std::string no_system =
      "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}";
  CHECK(PromptRewriter(answer_by(
            written({.answer = "A fox", .chat_template = no_system + test::plain_chat_template})))(request)
            .prompt == "A fox <lora:ink:1>");
  test::expect_error<FormatError>(
      [&] { (void)answer_by(written({.answer = "A fox", .chat_template = "{% if %}"})); }, {"line 1"});
  std::filesystem::remove(folder / "chat_template.jinja");
  test::expect_error<ArgumentError>(
      [&] { (void)answer_by(written({.answer = "A fox", .chat_template = ""})); }, {"no chat template"});

  // One that never ends.
  const auto endless = answer_by(written({.answer = "A fox", .ends = false}, 100'000));
  PromptRewriter::Options options;
  options.max_words = 5;
  const auto kept = PromptRewriter(endless, options)(request);
  CHECK(kept.prompt == request.prompt);
  CHECK(kept.rewrite->failure.find("did not come to an end within 52 tokens") != std::string::npos);
  RewriteQuestion question;
  question.prompt = "a fox";
  question.max_words = 10'000;
  question.time_limit = 0.02;
  test::expect_error<Error>([&] { (void)endless(question); }, {"did not come to an end in time"});
  std::stop_source stop;
  stop.request_stop();
  question.stop = stop.get_token();
  test::expect_error<Cancelled>([&] { (void)endless(question); }, {"stopped"});
}
