#include "rewriting.hpp"

#include <filesystem>

#include <CLI/CLI.hpp>

#include <daguerre/core/error.hpp>
#include <daguerre/pipeline/language_model.hpp>

#include "chat_endpoint.hpp"
#include "numbers.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

RewriteInstruction instruction_called(const std::string& name) {
  if (name.find('/') == name.npos && name.find('.') == name.npos) return RewriteInstruction::standard(name);
  return RewriteInstruction::load(name);
}

}  // namespace

void add_rewrite_options(CLI::App& app, Rewriting& rewriting, const std::string& group,
                         const std::string& by_name) {
  auto* by =
      app.add_option(
             by_name, rewriting.by,
             "Who rewrites the prompt: a language model that follows instructions (folder or GGUF "
             "file), or a service that speaks OpenAI's protocol, as http://localhost:11434/v1, with the "
             "key in DAGUERRE_API_KEY. Where it fails the prompt stays as it is")
          ->check(file_name())
          ->type_name("MODEL|URL")
          ->group(group);
  app.add_option(
         "--rewrite-instruction", rewriting.instruction,
         "What it is told: expand, translate, split, or a text file (with a dot or slash in its name)")
      ->check(file_name())
      ->needs(by)
      ->type_name("NAME|FILE")
      ->capture_default_str()
      ->group(group);
  app.add_option("--rewrite-model", rewriting.service_model, "The model that a service is asked for")
      ->needs(by)
      ->type_name("NAME")
      ->group(group);
  add_number(app, "--rewrite-time-limit", rewriting.time_limit, {0.001, 1e6}, "Seconds that it may take")
      ->needs(by)
      ->type_name("S")
      ->capture_default_str()
      ->group(group);
  add_number(app, "--rewrite-max-words", rewriting.max_words, {1, 10'000}, "Words that an answer may have")
      ->needs(by)
      ->type_name("N")
      ->capture_default_str()
      ->group(group);
}

PromptRewriter load_rewriter(const Rewriting& rewriting, const RewriterMachine& machine) {
  PromptRewriter::Options options;
  options.instruction = instruction_called(rewriting.instruction);
  options.time_limit = rewriting.time_limit;
  options.max_words = static_cast<std::size_t>(rewriting.max_words);
  options.log = machine.log;
  if (is_address(rewriting.by)) {
    options.name = rewriting.service_model;
    return {answer_by_service(rewriting.by, rewriting.service_model), std::move(options)};
  }
  auto path = std::filesystem::path(rewriting.by).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  options.name = path.filename().string();
  LanguageModelOptions load;
  load.engine = machine.engine;
  load.threads = machine.threads;
  load.log = machine.log;
  load.stop = machine.stop;
  return {answer_by(LanguageModel::load(rewriting.by, load)), std::move(options)};
}

}  // namespace daguerre::cli
