#include <functional>

#include <CLI/CLI.hpp>

#include "eval.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

struct EvalPairsOrder {
  EvalOrder common;
  std::string a, b;
  bool gaussian = false;
};

/// A command that compares pictures pair by pair, by what `measure` makes of its options.
CLI::App* add_pairs(
    CLI::App& eval, evaluation::ProcessGroup& group, const char* name, const char* what,
    const std::shared_ptr<EvalPairsOrder>& order,
    const std::function<evaluation::PairMeasure(const EvalPairsOrder&, const Evaluation&)>& measure,
    const std::string& network = {}) {
  auto* app = eval.add_subcommand(name, what);
  app->add_option("A", order->a, "Pictures")->check(file_name())->type_name("A")->required();
  app->add_option("B", order->b, "Their partners, in the order of the names")
      ->check(file_name())
      ->type_name("B")
      ->required();
  add_eval_options(*app, order->common, network);
  app->callback([order, measure, &group] {
    const Evaluation evaluation(order->common, group);
    const auto a = evaluation.pictures(order->a), b = evaluation.pictures(order->b);
    evaluation.show(evaluation::evaluate_pairs(a, b, measure(*order, evaluation), evaluation.threads(),
                                               evaluation.job("pairs")));
  });
  return app;
}

}  // namespace

void add_eval_pairs(CLI::App& eval, evaluation::ProcessGroup& group) {
  add_pairs(
      eval, group, "lpips", "LPIPS between pairs of pictures", std::make_shared<EvalPairsOrder>(),
      [](const EvalPairsOrder&, const Evaluation& evaluation) {
        return evaluation::lpips_measure(evaluation.perceptual_distance());
      },
      "lpips-alex:PATH, lpips-vgg:PATH or lpips-squeeze:PATH");
  add_pairs(eval, group, "psnr", "Peak signal-to-noise ratio between pairs of pictures",
            std::make_shared<EvalPairsOrder>(),
            [](const EvalPairsOrder&, const Evaluation&) { return evaluation::psnr_measure(); });
  const auto order = std::make_shared<EvalPairsOrder>();
  auto* ssim = add_pairs(
      eval, group, "ssim", "Structural similarity between pairs of pictures", order,
      [](const EvalPairsOrder& its, const Evaluation&) { return evaluation::ssim_measure(its.gaussian); });
  ssim->add_flag("--gaussian", order->gaussian,
                 "Wang et al.'s Gaussian window of 11 x 11, instead of scikit-image's uniform one of 7 x 7");
}

}  // namespace daguerre::cli
