#include <cstdio>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/core/error.hpp>
#include <daguerre/ops/engine.hpp>
#include <daguerre/pipeline/prompting.hpp>

#include "commands.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"
#include "rewriting.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

struct RewriteRequest {
  Rewriting rewriting;
  RewriterMachine machine;
  std::string prompt, remark, syntax = "plain";
  std::uint64_t seed = 0;
  bool quiet = false;
};

void run_rewrite(RewriteRequest order) {
  const Interrupt interrupt;
  Progress progress(order.quiet);
  order.machine.stop = interrupt.token();
  progress.stage("loading " + order.rewriting.by);
  const auto rewriter = load_rewriter(order.rewriting, order.machine);
  progress.loaded();
  Request request;
  request.prompt = order.prompt;
  request.prompt_syntax = prompt_syntax(order.syntax);
  request.sampling.seed = order.seed;
  request.stop = interrupt.token();
  const auto rewritten = rewriter(request, order.remark);
  progress.clear();
  // Alone, it is what was asked for: that it failed is a failure.
  if (!rewritten.rewrite->failure.empty()) throw Error("rewrite", rewritten.rewrite->failure);
  std::printf("%s\n", printable(rewritten.prompt).c_str());
}

}  // namespace

void add_rewrite(CLI::App& parent) {
  auto* app = parent.add_subcommand("rewrite", "Rewrite a prompt by a language model, and print it");
  app->footer(
      "Example:\n"
      "  daguerre rewrite --model models/SmolLM2-1.7B-Instruct --prompt \"a lighthouse\" --seed 3");
  const auto order = std::make_shared<RewriteRequest>();
  add_rewrite_options(*app, order->rewriting, groups::what, "--model");
  app->get_option("--model")->required();
  app->add_option("--prompt", order->prompt, "What is rewritten")
      ->required()
      ->type_name("TEXT")
      ->group(groups::what);
  app->add_option("--remark", order->remark, "What it is told besides: \"The last picture lacked the moon.\"")
      ->type_name("TEXT")
      ->group(groups::what);
  app->add_option("--prompt-syntax", order->syntax, "Whose language the prompt is in, as of txt2img")
      ->check(CLI::IsMember({"plain", "a1111", "comfyui", "compel"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::what);
  app->add_option("--seed", order->seed, "The same seed gives the same answer")
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::how);
  auto engines = ops::engine_names();
  engines.insert(engines.begin(), "auto");
  app->add_option("--engine", order->machine.engine, "What does the heavy arithmetic")
      ->check(CLI::IsMember(engines))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::machine);
  add_number(*app, "--threads", order->machine.threads, {0, 4096}, "0: as many as there are processors")
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::machine);
  app->add_flag("--quiet", order->quiet, "Only warnings and errors on stderr")->group(groups::besides);
  app->callback([order] { run_rewrite(*order); });
}

}  // namespace daguerre::cli
