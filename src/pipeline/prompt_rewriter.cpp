#include "daguerre/pipeline/prompt_rewriter.hpp"

#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "daguerre/core/error.hpp"
#include "pipeline/plan.hpp"
#include "pipeline/rewrite_text.hpp"

namespace daguerre {
namespace {

using RewriteClock = std::chrono::steady_clock;

constexpr const char* rewriter_name = "rewriter";
/// What a prompt may have, however few words that are.
constexpr std::size_t most_answer_bytes = std::size_t{64} << 10;
/// Parts of a prompt that are rewritten one by one.
constexpr std::size_t most_segments = 32;
/// How long one that was asked to stop is waited for: most hear it, and then no thread is left behind that
/// works while the program ends.
constexpr std::chrono::milliseconds stop_grace{500};

/// A failure of the rewriting, as the record has it.
struct RewriteFailure {
  std::string what;
};

/// What a thread that may outlive the call shares with it.
struct PendingAnswer {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool done = false;
  std::string text, failure;
};

std::string first_line(std::string_view text) {
  std::string line(text.substr(0, std::min<std::size_t>(text.find('\n'), 300)));
  return line.empty() ? "it failed without saying why" : line;
}

}  // namespace

PromptRewriter::PromptRewriter(RewriteAnswer answer, Options options) : options_(std::move(options)) {
  if (!answer) throw ArgumentError(rewriter_name, "there is no function that answers");
  if (!(options_.time_limit > 0.0) || !std::isfinite(options_.time_limit) || options_.time_limit > 1e6)
    throw ArgumentError(rewriter_name, "the time limit is " + number(options_.time_limit) +
                                           " seconds, expected above 0, up to 1000000");
  if (options_.max_words == 0) throw ArgumentError(rewriter_name, "max_words is 0");
  answer_ = std::make_shared<const RewriteAnswer>(std::move(answer));
}

std::string PromptRewriter::answer_in_time(const RewriteQuestion& question,
                                           const std::stop_token& stop) const {
  const auto pending = std::make_shared<PendingAnswer>();
  std::stop_source source;
  auto own = question;
  own.stop = source.get_token();
  const auto until = RewriteClock::now() + std::chrono::duration_cast<RewriteClock::duration>(
                                               std::chrono::duration<double>(question.time_limit));
  std::thread([pending, answer = answer_, own = std::move(own)] {
    std::string text, failure;
    try {
      text = (*answer)(own);
    } catch (const std::exception& error) {
      failure = first_line(error.what());
    } catch (...) {
      failure = first_line("");
    }
    const std::lock_guard lock(pending->mutex);
    pending->text = std::move(text);
    pending->failure = std::move(failure);
    pending->done = true;
    pending->changed.notify_all();
  }).detach();
  std::unique_lock lock(pending->mutex);
  const bool done = pending->changed.wait_until(lock, stop, until, [&] { return pending->done; });
  if (!done) {
    source.request_stop();
    pending->changed.wait_for(lock, stop_grace, [&] { return pending->done; });
    if (stop.stop_requested()) throw Cancelled(rewriter_name, "the rewriting was stopped");
    throw RewriteFailure{"no answer within " + number(options_.time_limit) + " seconds"};
  }
  if (!pending->failure.empty()) throw RewriteFailure{pending->failure};
  return std::move(pending->text);
}

std::string PromptRewriter::rewritten(const Request& request, const std::string& prompt,
                                      std::string_view remark, std::uint64_t seed) const {
  const auto syntax = request.prompt_syntax;
  const bool parts = options_.instruction.parts;
  const auto begun = RewriteClock::now();
  const auto prompt_parts = separated(prompt, syntax);
  if (prompt_parts.segments.size() > most_segments)
    throw RewriteFailure{"the prompt has more than " + std::to_string(most_segments) + " parts"};
  std::string result;
  for (const auto& segment : prompt_parts.segments) {
    std::string words;
    if (segment.words.find_first_not_of(" ,.\t\r\n") != std::string::npos) {
      const double left =
          options_.time_limit - std::chrono::duration<double>(RewriteClock::now() - begun).count();
      if (left <= 0.0) throw RewriteFailure{"no answer within " + number(options_.time_limit) + " seconds"};
      const auto answer = answer_in_time({.instruction = options_.instruction.text,
                                          .prompt = segment.words,
                                          .remark = std::string(remark),
                                          .seed = seed,
                                          .max_words = options_.max_words,
                                          .time_limit = left,
                                          .stop = {}},
                                         request.stop);
      // Before anything goes through it: it may be of any size.
      if (answer.size() > 16 * most_answer_bytes)
        throw RewriteFailure{"the answer has " + std::to_string(answer.size()) + " bytes"};
      const auto cleaned = cleaned_answer(answer, parts);
      if (cleaned.empty()) throw RewriteFailure{"the answer is empty"};
      const auto count = count_words(cleaned);
      if (count > options_.max_words || cleaned.size() > most_answer_bytes)
        throw RewriteFailure{"the answer has " + std::to_string(count) + " words, expected at most " +
                             std::to_string(options_.max_words)};
      std::string_view rest = cleaned;
      for (bool more = true; more;) {
        const auto end = rest.find('\n');
        const auto line = as_plain_words(rest.substr(0, end), syntax);
        if (!words.empty() && !line.empty()) words += syntax == PromptSyntax::a1111 ? " BREAK " : ", ";
        words += line;
        more = end != rest.npos;
        if (more) rest.remove_prefix(end + 1);
      }
      if (words.empty()) throw RewriteFailure{"the answer is empty"};
    }
    result += with_pieces(std::move(words), segment, syntax) + segment.joint;
  }
  for (const auto& tag : prompt_parts.tags) result += " " + tag;
  return result;
}

Request PromptRewriter::operator()(const Request& given, std::string_view remark) const {
  if (given.rewrite && remark.empty()) return given;
  if (given.stop.stop_requested()) throw Cancelled(rewriter_name, "the rewriting was stopped");
  Request result = given;
  RewriteRecord record{.original = given.rewrite ? given.rewrite->original : given.prompt,
                       .rewriter = options_.name,
                       .instruction = options_.instruction.name,
                       .remark = std::string(remark),
                       .seed = options_.seed.value_or(given.sampling.seed.value_or(0)),
                       .seconds = 0.0,
                       .failure = {}};
  const auto begun = RewriteClock::now();
  result.prompt = record.original;
  try {
    result.prompt = rewritten(given, record.original, remark, record.seed);
  } catch (const RewriteFailure& failure) {
    record.failure = failure.what;
  } catch (const Cancelled&) {
    throw;
  } catch (const std::exception& error) {  // no thread, no memory
    record.failure = first_line(error.what());
  }
  record.seconds =
      std::round(std::chrono::duration<double>(RewriteClock::now() - begun).count() * 1000.0) / 1000.0;
  if (options_.log) {
    if (record.failure.empty())
      options_.log(LogLevel::info, "[rewriter] " + record.rewriter + ", " + record.instruction + ", " +
                                       number(record.seconds) + " s: " + result.prompt);
    else
      options_.log(LogLevel::warning, "[rewriter] " + record.rewriter + ": " + record.failure +
                                          "; the prompt stays as it was given");
  }
  result.rewrite = std::move(record);
  return result;
}

}  // namespace daguerre
