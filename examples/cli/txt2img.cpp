#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "commands.hpp"
#include "numbers.hpp"
#include "order.hpp"

namespace daguerre::cli {

void add_prompt_texts(CLI::App& app, Order& order) {
  auto& request = order.request;
  app.add_option("--prompt", request.prompt, "What it should show")
      ->type_name("TEXT")
      ->required()
      ->group(groups::what);
  const auto text = [&](const char* name, std::optional<std::string>& target, const std::string& what) {
    app.add_option(name, target, what)->type_name("TEXT")->group(groups::what);
  };
  text("--negative", request.negative_prompt,
       "What it should not show; needs --guidance above 1 (FLUX: --true-cfg-scale)");
  text("--prompt-2", request.prompt_2, "For the second text encoder (SDXL, SD 3, FLUX); by default the same");
  text("--prompt-3", request.prompt_3, "For the third (SD 3's T5)");
  text("--negative-2", request.negative_prompt_2, "As --prompt-2");
  text("--negative-3", request.negative_prompt_3, "As --prompt-3");
}

void add_encoder_options(CLI::App& app, Order& order) {
  auto& request = order.request;
  add_number(app, "--clip-skip", request.clip_skip, {.least = 0},
             "Layers left out at the end of the text encoder")
      ->type_name("N")
      ->default_str("0")
      ->group(groups::how);
  add_number(app, "--true-cfg-scale", request.guidance.true_cfg_scale, {.least = 0.0f},
             "FLUX: above 1, with --negative, guides in a second pass of each step")
      ->type_name("W")
      ->default_str("1")
      ->group(groups::how);
  add_number(app, "--max-sequence-length", request.max_sequence_length, {1, 512},
             "Tokens that T5 reads of a prompt (SD 3, FLUX, PixArt), by default as the model was trained")
      ->type_name("N")
      ->group(groups::how);
}

namespace {

void add_prompt_options(CLI::App& app, Order& order) {
  auto& request = order.request;
  add_model_option(app, order);
  add_prompt_texts(app, order);
  add_output_options(app, order);
  add_sampling_options(app, order);
  add_encoder_options(app, order);
  auto* init =
      app.add_option(
             "--init-image", order.init_image,
             "Picture to start from (PNG, JPEG, WebP, TIFF ...), turned as its EXIF says, scaled to the "
             "size")
          ->check(file_name())
          ->type_name("FILE")
          ->group(groups::from);
  add_number(
      app, "--strength", request.input.strength, {0.0, 1.0},
      "0 to 1, how far to go from --init-image; by default 0.8, 1 with --mask (SDXL 0.3, SD 3 and FLUX "
      "0.6)")
      ->needs(init)
      ->type_name("S")
      ->group(groups::from);
  add_number(app, "--noise-level", request.input.noise_level, {.least = 0},
             "Of models that make the small picture --init-image large: how much noise is added to it, by "
             "default 20, DeepFloyd IF 250")
      ->needs(init)
      ->type_name("N")
      ->group(groups::from);
  app.add_option("--mask", order.mask, "Where to paint over --init-image: white paints, black keeps")
      ->check(file_name())
      ->needs(init)
      ->type_name("FILE")
      ->group(groups::from);
  add_control_options(app, order);
  add_latents_option(app, order);
  add_language_options(app, order);
  add_rewrite_options(app, order.rewriting, groups::how);
  add_lora_options(app, order);
  add_image_prompt_options(app, order);
  add_source_options(app, order);
  app.add_option("--refiner", order.refiner,
                 "A second model (SDXL's refiner), which does the last part of the steps")
      ->check(file_name())
      ->type_name("PATH")
      ->group(groups::sources);
  add_number(app, "--refiner-start", order.refiner_start, {0.0, 1.0},
             "How much of the schedule the first one does")
      ->type_name("PART")
      ->capture_default_str()
      ->group(groups::sources);
  add_judge_options(app, order);
  add_cascade_options(app, order);
  add_machine_options(app, order);
  add_other_outputs(app, order);
  add_comfort_options(app, order);
}

}  // namespace

void add_txt2img(CLI::App& parent) {
  auto* app = parent.add_subcommand("txt2img", "Make pictures from a prompt, and from a picture if given");
  app->footer(
      "Examples:\n"
      "  daguerre txt2img --model models/stable-diffusion-v1-5 --prompt \"a lighthouse at dawn\" --seed 42 "
      "--out "
      "lighthouse.png\n"
      "  daguerre txt2img --model models/stable-diffusion-v1-5 --prompt \"the same in snow\" --init-image "
      "lighthouse.png --strength 0.6 --sampler euler-a --out snow.png\n"
      "The names of the files written go to stdout, everything else to stderr. Ctrl-C stops the run.");
  const auto order = std::make_shared<Order>();
  add_prompt_options(*app, *order);
  app->callback([app, order] {
    const bool is_cascade = !order->cascade.paths.empty();
    if (!is_cascade) require_model(*order);
    take_settings(*app, *order);
    is_cascade ? carry_out_cascade(*order) : carry_out(*order);
  });
}

}  // namespace daguerre::cli
