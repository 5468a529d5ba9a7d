#include <cstdio>
#include <functional>

#include <CLI/CLI.hpp>

#include "eval.hpp"
#include "files.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

struct EvalSetsOrder {
  EvalOrder common;
  std::string a, b, out;
  int splits = 10, subsets = 100, subset_size = 1000, neighbours = 3;
  std::uint64_t seed = 2020;
  bool shuffles = true;
};

const std::vector<std::string> all_kinds{"pytorch-fid", "torch-fidelity", "clip", "cmmd", "hps", "vae"};
const std::vector<std::string> classifiers{"torch-fidelity", "pytorch-fid"};
constexpr const char* all_networks =
    "pytorch-fid:PATH or torch-fidelity:PATH (Inception v3 with the one's or the other's preprocessing), "
    "clip:PATH, cmmd:PATH, hps:PATH, vae:PATH (an autoencoder)";

void add_set(CLI::App& app, const char* name, std::string& target, const std::string& what) {
  app.add_option(name, target, what)->check(file_name())->type_name(name)->required();
}

/// A subcommand with the shared options; `run` is called when it has been parsed.
CLI::App* add_command(CLI::App& eval, evaluation::ProcessGroup& group, const char* name, const char* what,
                      const char* network, const std::shared_ptr<EvalSetsOrder>& order,
                      const std::function<void(const EvalSetsOrder&, const Evaluation&)>& run) {
  auto* app = eval.add_subcommand(name, what);
  add_eval_options(*app, order->common, network);
  app->callback([order, run, &group] {
    const Evaluation evaluation(order->common, group);
    run(*order, evaluation);
  });
  return app;
}

void add_fid(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app = add_command(
      eval, group, "fid", "Frechet distance between the features of two sets", all_networks, order,
      [](const EvalSetsOrder& its, const Evaluation& evaluation) {
        const auto a = evaluation.pictures_or_statistics(its.a);
        const auto b = evaluation.pictures_or_statistics(its.b);
        const auto network = evaluation.network(all_kinds);
        evaluation.show(evaluation::evaluate_frechet_distance(a, b, network, evaluation.job("features")));
      });
  add_set(*app, "A", order->a, "Pictures, or a file of statistics");
  add_set(*app, "B", order->b, "The reference, likewise");
  app->footer(
      "Examples:\n"
      "  daguerre eval fid made/ photos/ --network pytorch-fid:inception.safetensors\n"
      "  daguerre eval fid made/ cifar10.npz --network pytorch-fid:inception.safetensors --work fid.work");
}

void add_is(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app =
      add_command(eval, group, "is", "Inception Score of a set", "torch-fidelity:PATH or pytorch-fid:PATH",
                  order, [](const EvalSetsOrder& its, const Evaluation& evaluation) {
                    const auto set = evaluation.pictures(its.a);
                    const auto network = evaluation.network(classifiers);
                    evaluation::InceptionScoreSettings settings;
                    settings.splits = its.splits;
                    settings.shuffle_seed =
                        its.shuffles ? std::optional(static_cast<std::uint32_t>(its.seed)) : std::nullopt;
                    evaluation.show(evaluation::evaluate_inception_score(set, network, settings,
                                                                         evaluation.job("features")));
                  });
  add_set(*app, "DIR", order->a, "Pictures");
  add_number(*app, "--splits", order->splits, {.least = 1}, "Parts of the set that are scored alone")
      ->capture_default_str();
  add_number(*app, "--seed", order->seed, {.least = 0, .most = 0xFFFFFFFFu}, "Of the shuffle before")
      ->capture_default_str();
  app->add_flag("!--no-shuffle", order->shuffles, "Split the pictures in their order");
}

void add_kid(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app = add_command(eval, group, "kid", "Kernel Inception Distance between two sets", all_networks,
                          order, [](const EvalSetsOrder& its, const Evaluation& evaluation) {
                            const auto a = evaluation.pictures(its.a), b = evaluation.pictures(its.b);
                            const auto network = evaluation.network(all_kinds);
                            evaluation::KernelDistanceSettings settings;
                            settings.subsets = its.subsets;
                            settings.subset_size = its.subset_size;
                            settings.seed = static_cast<std::uint32_t>(its.seed);
                            evaluation.show(evaluation::evaluate_kernel_distance(a, b, network, settings,
                                                                                 evaluation.job("features")));
                          });
  add_set(*app, "A", order->a, "Pictures");
  add_set(*app, "B", order->b, "The reference");
  add_number(*app, "--subsets", order->subsets, {.least = 1}, "How many random subsets")
      ->capture_default_str();
  add_number(*app, "--subset-size", order->subset_size, {.least = 2}, "Pictures in each")
      ->capture_default_str();
  add_number(*app, "--seed", order->seed, {.least = 0, .most = 0xFFFFFFFFu}, "Of the drawing")
      ->capture_default_str();
}

void add_pr(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app = add_command(eval, group, "pr", "Improved precision and recall of a set against another",
                          all_networks, order, [](const EvalSetsOrder& its, const Evaluation& evaluation) {
                            const auto a = evaluation.pictures(its.a), b = evaluation.pictures(its.b);
                            const auto network = evaluation.network(all_kinds);
                            evaluation.show(evaluation::evaluate_precision_recall(
                                a, b, network, its.neighbours, evaluation.job("features")));
                          });
  add_set(*app, "A", order->a, "Pictures that were made");
  add_set(*app, "B", order->b, "Real ones");
  add_number(*app, "--neighbours", order->neighbours, {.least = 1},
             "k: which nearest neighbour is the border")
      ->capture_default_str();
}

void add_cmmd(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app =
      add_command(eval, group, "cmmd", "CLIP maximum mean discrepancy between two sets", "cmmd:PATH", order,
                  [](const EvalSetsOrder& its, const Evaluation& evaluation) {
                    const auto a = evaluation.pictures(its.a), b = evaluation.pictures(its.b);
                    const auto network = evaluation.network({"cmmd", "clip"});
                    evaluation.show(evaluation::evaluate_cmmd(a, b, network, evaluation.job("features")));
                  });
  add_set(*app, "A", order->a, "Pictures");
  add_set(*app, "B", order->b, "The reference");
}

void add_stats(CLI::App& eval, evaluation::ProcessGroup& group) {
  const auto order = std::make_shared<EvalSetsOrder>();
  auto* app = add_command(eval, group, "stats", "Keep mean and covariance of a set's features in a file",
                          all_networks, order, [](const EvalSetsOrder& its, const Evaluation& evaluation) {
                            if (evaluation.speaks()) check_writable("--out", its.out);
                            const auto set = evaluation.pictures(its.a);
                            const auto network = evaluation.network(all_kinds);
                            const auto gathered =
                                evaluation::gather_statistics(set, network, evaluation.job("features"));
                            evaluation.show(gathered.report);
                            if (!evaluation.speaks()) return;
                            gathered.statistics.save(its.out);
                            std::printf("%s\n", its.out.c_str());
                          });
  add_set(*app, "DIR", order->a, "Pictures");
  app->add_option("--out", order->out,
                  "Where to: .safetensors, which names its network, or .npz as pytorch-fid writes it")
      ->check(CLI::Validator(
          [](const std::string& name) {
            return name.ends_with(".npz") || name.ends_with(".safetensors")
                       ? std::string()
                       : name + ": expected .npz or .safetensors";
          },
          "", "statistics"))
      ->type_name("FILE")
      ->required();
}

}  // namespace

void add_eval_sets(CLI::App& eval, evaluation::ProcessGroup& group) {
  add_fid(eval, group);
  add_is(eval, group);
  add_kid(eval, group);
  add_pr(eval, group);
  add_cmmd(eval, group);
  add_stats(eval, group);
}

}  // namespace daguerre::cli
