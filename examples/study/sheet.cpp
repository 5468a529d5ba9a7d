#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>

#include "commands.hpp"

namespace daguerre::study {
namespace {

struct SheetOrder {
  std::string model, init_image, out, precision = "auto", sampler;
  std::vector<std::string> prompts, classes;
  std::vector<float> guidance{3.0f};
  std::vector<std::string> negative{""};
  int steps = 20, threads = 0;
  std::uint64_t seed = 0;
  double strength = 0.5;
  Index columns = 6, scale = 2;
};

/// Pictures of one size in rows of `columns`, each enlarged `scale` times, a white line around each.
Image contact_sheet(const std::vector<Image>& pictures, Index columns, Index scale) {
  constexpr Index gap = 4;
  const Index width = pictures.front().width() * scale, height = pictures.front().height() * scale;
  const auto count = static_cast<Index>(pictures.size());
  columns = std::min(columns, count);
  const Index rows = (count + columns - 1) / columns;
  Image sheet(columns * (width + gap) + gap, rows * (height + gap) + gap, 3);
  std::fill(sheet.pixels().begin(), sheet.pixels().end(), std::uint8_t{255});
  for (Index i = 0; i < count; ++i) {
    const auto large =
        pictures[static_cast<std::size_t>(i)].to_channels(3).resized(width, height, Resampling::nearest);
    const Index left = gap + i % columns * (width + gap), top = gap + i / columns * (height + gap);
    for (Index y = 0; y < height; ++y)
      std::copy_n(large.pixels().begin() + y * width * 3, width * 3,
                  sheet.pixels().begin() + ((top + y) * sheet.width() + left) * 3);
  }
  return sheet;
}

void make_sheet(const SheetOrder& order) {
  const auto pipeline =
      Pipeline::load(order.model, {.precision = precision_called(order.precision), .threads = order.threads});
  Request request;
  request.sampling.steps = order.steps;
  if (!order.sampler.empty()) request.sampling.sampler = order.sampler;
  std::vector<Image> pictures;
  if (!order.init_image.empty()) {
    request.input.image = Image::load(order.init_image).to_channels(3);
    request.input.strength = order.strength;
    pictures.push_back(request.input.image.resized(pipeline.info().width, pipeline.info().height));
  }
  const bool of_classes = !order.classes.empty();
  for (const float guidance : order.guidance)
    for (const auto& negative : order.negative) {
      request.guidance.scale = guidance;
      request.negative_prompt = negative;
      auto seed = order.seed;
      for (const auto& what : of_classes ? order.classes : order.prompts) {
        if (of_classes)
          request.class_name = what;
        else
          request.prompt = what;
        request.sampling.seed = seed++;
        pictures.push_back(pipeline.generate(request).images.front());
      }
    }
  contact_sheet(pictures, order.columns, order.scale).save_png(order.out);
  std::printf("%s: %zu pictures\n", order.out.c_str(), pictures.size());
}

}  // namespace

void add_sheet(CLI::App& parent) {
  auto& app = *parent.add_subcommand(
      "sheet",
      "A contact sheet: a picture of each prompt, each with a seed of its own. With several --guidance or "
      "--negative, all prompts for each of them in turn, from the same seeds.");
  const auto order = std::make_shared<SheetOrder>();
  app.add_option("--model", order->model, "Model folder")->required();
  auto* what = app.add_option_group("what")->require_option(1);
  what->add_option("--prompts", order->prompts, "What to show");
  what->add_option("--classes", order->classes, "Names of classes to show, for class-conditional models");
  app.add_option("--guidance", order->guidance, "Guidance scales")->capture_default_str();
  app.add_option("--negative", order->negative, "Negative prompts; \"\" for none");
  auto* init = app.add_option("--init-image", order->init_image,
                              "Picture to start from, which also comes first on the sheet");
  app.add_option("--strength", order->strength, "How far to go from it")->needs(init)->capture_default_str();
  app.add_option("--steps", order->steps, "Steps of the sampler")->capture_default_str();
  app.add_option("--sampler", order->sampler, "Short name of the sampler; the model's own by default");
  app.add_option("--seed", order->seed, "Of the first prompt; the next ones count on")->capture_default_str();
  app.add_option("--columns", order->columns, "Pictures in a row")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--scale", order->scale, "Enlargement")->check(CLI::Range(1, 16))->capture_default_str();
  app.add_option("--precision", order->precision, "auto, f32, bf16 or int8")->capture_default_str();
  app.add_option("--threads", order->threads, "0: as many as processors")->capture_default_str();
  app.add_option("--out", order->out, "PNG file to write")->required();
  app.callback([order] { make_sheet(*order); });
}

}  // namespace daguerre::study
