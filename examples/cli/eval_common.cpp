#include "eval_common.hpp"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <utility>

#include <daguerre/core/error.hpp>

#include "interrupt.hpp"
#include "progress.hpp"
#include "system.hpp"

namespace daguerre::cli {

evaluation::FeatureNetworkOptions network_options(const std::string& engine, int threads,
                                                  const std::string& tokenizer, LogSink log,
                                                  const Interrupt& interrupt) {
  const char* fallback = std::getenv("DAGUERRE_TOKENIZERS");
  evaluation::FeatureNetworkOptions options;
  options.engine = engine;
  options.threads = threads;
  options.tokenizer = tokenizer;
  options.tokenizer_fallback = fallback != nullptr ? fallback : "";
  options.log = std::move(log);
  options.stop = interrupt.token();
  return options;
}

std::function<void(Index, Index)> chunk_progress(Progress& progress, std::string what) {
  return [&progress, what = std::move(what), is_terminal = stderr_is_terminal(), tenths = Index{0}](
             Index done, Index total) mutable {
    const auto text = what + ": chunk " + std::to_string(done) + " of " + std::to_string(total);
    if (is_terminal) {
      done < total ? progress.stage(text) : progress.clear();
    } else if (constexpr Index long_job = 20; total >= long_job && done * 10 / total > tenths) {
      tenths = done * 10 / total;
      progress.note(text);
    }
  };
}

void show_warnings(const evaluation::Report& report, Progress& progress) {
  const auto warn = progress.warnings();
  for (const auto& warning : report.warnings) warn(LogLevel::warning, warning);
  for (const auto& picture : report.unreadable)
    warn(LogLevel::warning, "cannot be read: " + picture.name + ": " + picture.why);
}

void show_report(const evaluation::Report& report, Progress& progress, const std::string& json) {
  progress.clear();
  show_warnings(report, progress);
  std::fputs(evaluation::Report{report.figures, {}, {}}.table().c_str(), stdout);
  write_json(json, report.json());
}

void write_json(const std::string& path, const std::string& text) {
  if (path.empty()) return;
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw FileError("--json", path + ": cannot be written");
}

}  // namespace daguerre::cli
