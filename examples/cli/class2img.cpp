#include <memory>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "order.hpp"

namespace daguerre::cli {
namespace {

void add_class_options(CLI::App& app, Order& order) {
  add_model_option(app, order);
  app.add_option("--class", order.classes,
                 "What the picture should show: an id, or a name from the model's id2label. Several give a "
                 "picture each. Not for unconditional models")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->type_name("N|NAME ...")
      ->group(groups::what);
  add_output_options(app, order);
  add_sampling_options(app, order);
  add_latents_option(app, order);
  add_machine_options(app, order);
  add_other_outputs(app, order);
}

}  // namespace

void add_class2img(CLI::App& parent) {
  auto* app = parent.add_subcommand("class2img", "Make pictures of a class, or with an unconditional model");
  app->footer(
      "Examples:\n"
      "  daguerre class2img --model models/DiT-XL-2-256 --class \"golden retriever\" --seed 42 --out "
      "dog.png\n"
      "  daguerre class2img --model models/DiT-XL-2-256 --class 207 88 --guidance 4 --out two.png\n"
      "  daguerre class2img --model models/ddpm-cifar10-32 --sampler ddim --steps 50 --out thing.png\n"
      "The names of the files written go to stdout, everything else to stderr. Ctrl-C stops the run.");
  const auto order = std::make_shared<Order>();
  add_class_options(*app, *order);
  app->callback([order] { carry_out(*order); });
}

}  // namespace daguerre::cli
