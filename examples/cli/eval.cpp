#include "eval.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "eval_common.hpp"
#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {

void add_eval_options(CLI::App& app, EvalOrder& order, const std::string& network) {
  if (!network.empty())
    app.add_option("--network", order.network, "What looks at the pictures: " + network)
        ->check(file_name())
        ->type_name("KIND:PATH");
  app.add_option("--precision", order.precision, "Of the network: f32, bf16, or auto")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}))
      ->capture_default_str()
      ->type_name("TYPE");
  app.add_option("--engine", order.engine, "onednn, native, or auto")
      ->capture_default_str()
      ->type_name("NAME");
  add_number(app, "--threads", order.threads, {.least = 0, .most = 4096},
             "Number of threads; 0: as many as there are processors")
      ->capture_default_str();
  add_number(app, "--batch", order.batch, {.least = 1, .most = 4096},
             "Pictures that are read and looked at together, which decides how much memory is taken")
      ->capture_default_str();
  add_number(app, "--chunk", order.chunk, {.least = 1, .most = 1'000'000},
             "Pictures whose results are kept together: what is lost at most when the command is killed")
      ->capture_default_str();
  app.add_option("--work", order.work,
                 "A folder to keep results in: the same command, and others on the same pictures, go on from "
                 "there; else they lie among the temporary files until the command ends")
      ->check(file_name())
      ->type_name("FOLDER");
  add_number(app, "--limit", order.limit, {.least = 1}, "Only the first so many pictures of each set")
      ->type_name("N");
  app.add_option("--json", order.json, "Write the figures, warnings and what could not be read, too")
      ->check(file_name())
      ->type_name("FILE");
  if (!network.empty())
    app.add_option("--tokenizer", order.tokenizer, "CLIP's vocabulary, for networks that bring none")
        ->check(file_name())
        ->type_name("FOLDER");
  app.add_flag("--quiet", order.quiet, "Only warnings and errors on stderr");
}

struct Evaluation::State {
  EvalOrder order;
  evaluation::ProcessGroup& group;
  Interrupt interrupt;
  mutable Progress progress;
  Threads threads;

  /// Throws ArgumentError where --network is none of these.
  void check_network(const std::vector<std::string>& kinds) const;
  evaluation::FeatureNetworkOptions options() const;

  State(const EvalOrder& settings, evaluation::ProcessGroup& processes)
      : order(settings),
        group(processes),
        progress(settings.quiet || group.rank() != 0),
        threads(settings.threads == 0 ? processes.threads() : settings.threads) {}
};

Evaluation::Evaluation(const EvalOrder& order, evaluation::ProcessGroup& group)
    : state_(std::make_unique<State>(order, group)) {
  if (!order.json.empty() && speaks()) check_writable("--json", order.json);
}
Evaluation::~Evaluation() = default;

void Evaluation::State::check_network(const std::vector<std::string>& kinds) const {
  std::string expected;
  for (const auto& kind : kinds) expected += (expected.empty() ? "" : ", ") + kind + ":PATH";
  if (order.network.empty())
    throw ArgumentError("--network", "say which network looks at the pictures: " + expected);
  const auto kind = order.network.substr(0, order.network.find(':'));
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end())
    throw ArgumentError("--network", "\"" + order.network + "\" is none of " + expected);
}

evaluation::FeatureNetworkOptions Evaluation::State::options() const {
  auto result = network_options(order.engine, threads.count(), order.tokenizer,
                                group.rank() == 0 ? progress.warnings() : LogSink(), interrupt);
  result.precision = precision_called(order.precision);
  return result;
}

evaluation::FeatureNetwork Evaluation::network(const std::vector<std::string>& kinds) const {
  state_->check_network(kinds);
  state_->progress.stage("loading " + state_->order.network);
  auto network = evaluation::FeatureNetwork::load(state_->order.network, state_->options());
  state_->progress.clear();
  return network;
}

evaluation::PerceptualDistance Evaluation::perceptual_distance() const {
  state_->check_network({"lpips-alex", "lpips-vgg", "lpips-squeeze"});
  state_->progress.stage("loading " + state_->order.network);
  auto distance = evaluation::PerceptualDistance::load(state_->order.network, state_->options());
  state_->progress.clear();
  return distance;
}

evaluation::PictureSet Evaluation::pictures(const std::string& path) const {
  auto set = evaluation::PictureSet::open(path);
  return state_->order.limit ? set.first(*state_->order.limit) : set;
}

evaluation::PicturesOrStatistics Evaluation::pictures_or_statistics(const std::string& path) const {
  auto side = evaluation::open_pictures_or_statistics(path);
  if (auto* set = std::get_if<evaluation::PictureSet>(&side); set != nullptr && state_->order.limit)
    *set = set->first(*state_->order.limit);
  return side;
}

evaluation::JobOptions Evaluation::job(const std::string& what) const {
  evaluation::JobOptions options;
  options.work = state_->order.work;
  options.chunk = state_->order.chunk;
  options.batch = state_->order.batch;
  options.group = &state_->group;
  options.stop = state_->interrupt.token();
  options.on_chunk = chunk_progress(state_->progress, what);
  return options;
}

Threads Evaluation::threads() const {
  return state_->threads;
}

Progress& Evaluation::progress() const {
  return state_->progress;
}

const Interrupt& Evaluation::interrupt() const {
  return state_->interrupt;
}

bool Evaluation::speaks() const {
  return state_->group.rank() == 0;
}

void Evaluation::show(const evaluation::Report& report) const {
  if (speaks()) show_report(report, state_->progress, state_->order.json);
}

void add_eval(CLI::App& parent, evaluation::ProcessGroup& group) {
  auto* app = parent.add_subcommand("eval", "Measure pictures and models: FID, CLIP score, HPSv2 and others");
  app->require_subcommand(1);
  app->footer(
      "Sets of pictures are folders (with the folders in them, by name), shards (tar files, as daguerre "
      "sample makes\n"
      "them) or .npz files of arr_0. Figures go to standard\n"
      "output, each with its 95 % interval where it has one, and with a line that says what it is.\n"
      "docs/evaluation.md tells more; daguerre eval fid --help and so on say what each takes.");
  add_eval_sets(*app, group);
  add_eval_texts(*app, group);
  add_eval_pairs(*app, group);
  add_eval_model(*app, group);
  add_eval_compare(*app, group);
  add_eval_votes(*app, group);
}

}  // namespace daguerre::cli
