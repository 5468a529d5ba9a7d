#pragma once

#include <optional>
#include <string>

#include <daguerre/pipeline/prompt_rewriter.hpp>

namespace CLI {
class App;
}

namespace daguerre::cli {

/// What the command line says on rewriting prompts.
struct Rewriting {
  std::string by;                         ///< a language model's path, or a service's address; empty: nothing
  std::string instruction = "expand";     ///< one of the library's own, or a file
  std::string service_model = "default";  ///< what the service is asked for
  double time_limit = 120.0;              ///< seconds
  int max_words = 200;
};

/// How the language model is loaded.
struct RewriterMachine {
  std::string engine = "auto";
  int threads = 0;
  LogSink log{};
  std::stop_token stop{};
};

/// Adds --rewrite and what belongs to it; `by_name` is the option that says who rewrites.
void add_rewrite_options(CLI::App& app, Rewriting& rewriting, const std::string& group,
                         const std::string& by_name = "--rewrite");
/// Throws what loading the model throws, ArgumentError.
PromptRewriter load_rewriter(const Rewriting& rewriting, const RewriterMachine& machine);

}  // namespace daguerre::cli
