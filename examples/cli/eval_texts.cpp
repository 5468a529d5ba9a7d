#include <CLI/CLI.hpp>

#include <daguerre/evaluation/prompt_suite.hpp>

#include "eval.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

struct EvalTextsOrder {
  EvalOrder common;
  std::string pictures, prompts, other_pictures, other_prompts;
};

/// The prompts of a file, of which --limit counts, too; without a file those that the set knows.
std::vector<std::string> prompts_for(const evaluation::PictureSet& set, const std::string& file,
                                     const EvalOrder& order) {
  std::vector<std::string> prompts;
  if (!file.empty()) {
    prompts = evaluation::PromptSuite::load(file).texts();
    const auto most = static_cast<std::size_t>(order.limit.value_or(0));
    if (most > 0 && prompts.size() > most) prompts.resize(most);
    return prompts;
  }
  for (Index i = 0; i < set.size(); ++i) {
    auto prompt = set.prompt(i);
    if (!prompt)
      throw ArgumentError("PROMPTS", set.name(i) +
                                         ": its prompt is not known; give a file of prompts, a line for each "
                                         "picture");
    prompts.push_back(*std::move(prompt));
  }
  return prompts;
}

void add_score(CLI::App& eval, evaluation::ProcessGroup& group, const char* name, const char* what,
               const std::string& kind,
               evaluation::Report (*score)(const evaluation::PictureSet&, evaluation::Prompts,
                                           const evaluation::FeatureNetwork&,
                                           const evaluation::JobOptions&)) {
  auto* app = eval.add_subcommand(name, what);
  const auto order = std::make_shared<EvalTextsOrder>();
  app->add_option("DIR", order->pictures, "Pictures")->check(file_name())->type_name("DIR")->required();
  app->add_option("PROMPTS", order->prompts,
                  "Their prompts: a line for each picture, in the order of the names, a JSON list, or a "
                  "suite as eval model takes it; by default those that the pictures' files say")
      ->check(file_name())
      ->type_name("PROMPTS");
  add_eval_options(*app, order->common, kind + ":PATH");
  app->footer(std::string("Example:\n  daguerre eval ") + name + " made/ prompts.txt --network " + kind +
              ":model.safetensors");
  app->callback([order, kind, score, &group] {
    const Evaluation evaluation(order->common, group);
    const auto set = evaluation.pictures(order->pictures);
    const auto prompts = prompts_for(set, order->prompts, order->common);
    const auto network = evaluation.network({kind, kind == "hps" ? "clip" : "hps"});
    evaluation.show(score(set, prompts, network, evaluation.job("features")));
  });
}

void add_directional(CLI::App& eval, evaluation::ProcessGroup& group) {
  auto* app = eval.add_subcommand("directional",
                                  "CLIP directional similarity: does a picture change as its prompt does");
  const auto order = std::make_shared<EvalTextsOrder>();
  const auto add = [&](const char* name, std::string& target, const char* what) {
    app->add_option(name, target, what)->check(file_name())->type_name(name)->required();
  };
  add("A", order->pictures, "Pictures before");
  add("B", order->other_pictures, "Pictures behind, in the same order");
  add("PROMPTS_A", order->prompts, "A line for each picture of A");
  add("PROMPTS_B", order->other_prompts, "A line for each picture of B");
  add_eval_options(*app, order->common, "clip:PATH");
  app->callback([order, &group] {
    const Evaluation evaluation(order->common, group);
    const auto a = evaluation.pictures(order->pictures), b = evaluation.pictures(order->other_pictures);
    const auto prompts_a = prompts_for(a, order->prompts, order->common);
    const auto prompts_b = prompts_for(b, order->other_prompts, order->common);
    const auto network = evaluation.network({"clip", "hps"});
    evaluation.show(
        evaluation::evaluate_directional(a, b, prompts_a, prompts_b, network, evaluation.job("features")));
  });
}

}  // namespace

void add_eval_texts(CLI::App& eval, evaluation::ProcessGroup& group) {
  add_score(eval, group, "clip-score", "CLIP score of pictures and their prompts, on both scales", "clip",
            evaluation::evaluate_clip_score);
  add_score(eval, group, "hps", "HPSv2's score of pictures and their prompts", "hps",
            evaluation::evaluate_hps);
  add_directional(eval, group);
}

}  // namespace daguerre::cli
