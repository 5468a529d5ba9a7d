#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include <daguerre/media/infotext.hpp>
#include <daguerre/pipeline/embedding.hpp>
#include <daguerre/pipeline/infotext_request.hpp>
#include <daguerre/pipeline/model.hpp>
#include <daguerre/samplers/registry.hpp>
#include <daguerre/text/compel.hpp>

#include "numbers.hpp"
#include "order.hpp"
#include "progress.hpp"

namespace daguerre::cli {
namespace {

/// In the fewest digits that are read back as this number.
std::string shortest(float value) {
  char text[64];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

constexpr double usual_upscale_strength = 0.35;  // more would paint the prompt again into every tile
constexpr Index usual_padding = 32;

namespace heading {
const std::string around_mask = "Around the mask";
const std::string larger = "Larger pictures";
}  // namespace heading

/// `names` in the order of the table; one of them is set into `target`.
template <class Value>
CLI::Option* add_choice(CLI::App& app, const std::string& name, const std::map<std::string, Value>& values,
                        const std::function<void(Value)>& set, const std::string& description) {
  std::vector<std::string> names;
  for (const auto& [called, value] : values) names.push_back(called);
  return app
      .add_option_function<std::string>(
          name, [=](const std::string& called) { set(values.at(called)); }, description)
      ->check(CLI::IsMember(names))
      ->type_name("NAME");
}

/// An option that may stand alone, which means `usual`.
CLI::Option* add_number_or_none(CLI::App& app, const std::string& name, std::optional<Index>& target,
                                Index usual, const std::string& description) {
  constexpr Index most = Image::max_side;
  return app
      .add_option(
          name,
          [name, usual, &target](const CLI::results_t& texts) {
            const std::string text = texts.empty() || texts.back() == "{}" ? "" : texts.back();
            Index number = usual;
            const auto* end = text.data() + text.size();
            const auto [last, error] = std::from_chars(text.data(), end, number);
            if (!text.empty() && (error != std::errc() || last != end || number < 0 || number > most))
              throw CLI::ValidationError(
                  name, "expected a whole number, 0 to " + std::to_string(most) + ", found \"" + text + "\"");
            target = number;
            return true;
          },
          description)
      ->expected(0, 1)
      ->default_str(std::to_string(usual));
}

std::array<Index, 4> four_numbers(const std::string& text) {
  std::array<Index, 4> result{};
  const char *at = text.data(), *const end = at + text.size();
  for (std::size_t i = 0; i < result.size(); ++i) {
    const auto [next, error] = std::from_chars(at, end, result[i]);
    const bool last = i + 1 == result.size();
    if (error != std::errc() || result[i] < 0 || (last ? next != end : next == end || *next != ','))
      throw CLI::ValidationError("--outpaint",
                                 "\"" + text + "\" is not four numbers of pixels: left,top,right,bottom");
    at = next + 1;
  }
  return result;
}

void add_mask_options(CLI::App& app, Order& order) {
  auto& how = order.request.input.inpainting;
  auto* mask = app.get_option("--mask");
  auto* init = app.get_option("--init-image");
  add_number(app, "--mask-blur", how.mask_blur, {0.0, 1000.0}, "Pixels by which the mask's edge is softened")
      ->type_name("PX")
      ->default_str("0")
      ->group(heading::around_mask);
  add_number(app, "--mask-grow", order.comfort.mask_grow, {-4096, 4096},
             "Pixels by which the mask is grown; below 0 it shrinks")
      ->type_name("PX")
      ->default_str("0")
      ->group(heading::around_mask);
  add_number_or_none(
      app, "--only-masked", order.comfort.only_masked, usual_padding,
      "Work on the mask's surroundings alone, so many pixels around it, at --width and --height "
      "(by default what the model was trained at), and put them back into the picture")
      ->type_name("PADDING")
      ->needs(init)
      ->group(heading::around_mask);
  app.add_flag("--keep-unmasked,!--no-keep-unmasked", order.comfort.keep_unmasked,
               "What the mask leaves black stays as it is in the picture, byte for byte (on unless "
               "--no-keep-unmasked)")
      ->needs(init)
      ->group(heading::around_mask);
  app.add_flag_callback(
         "--differential", [&order] { order.request.input.inpainting.differential = true; },
         "The mask's grey is each pixel's own strength")
      ->needs(mask)
      ->group(heading::around_mask);
  add_choice<MaskedContent>(
      app, "--masked-content",
      {{"original", MaskedContent::original},
       {"fill", MaskedContent::fill},
       {"latent-noise", MaskedContent::latent_noise},
       {"latent-nothing", MaskedContent::latent_nothing}},
      [&order](MaskedContent content) { order.request.input.inpainting.content = content; },
      "What is under the mask at the beginning, where --strength is below 1")
      ->default_str("original")
      ->group(heading::around_mask);
  app.add_option_function<std::string>(
         "--outpaint",
         [&order](const std::string& text) {
           auto& out = order.request.input.inpainting.outpaint;
           const auto sides = four_numbers(text);
           out.left = sides[0], out.top = sides[1], out.right = sides[2], out.bottom = sides[3];
         },
         "Grow --init-image by so many pixels on each side and paint these")
      ->type_name("LEFT,TOP,RIGHT,BOTTOM")
      ->needs(init)
      ->group(heading::around_mask);
  add_number(app, "--outpaint-overlap", order.comfort.outpaint_overlap, {0, 16384},
             "Pixels of the picture that are painted where it grows")
      ->type_name("PX")
      ->default_str("16")
      ->group(heading::around_mask);
}

Hires& hires_of(Order& order) {
  auto& hires = order.request.hires;
  return hires ? *hires : hires.emplace();
}

/// The settings that came with a picture, those of a cascade's later stages in `stages`. Throws FileError,
/// FormatError.
InfotextRequest settings_of(const std::string& file, std::vector<StageOptions>& stages) {
  for (const auto& [keyword, text] : read_png_text(file)) {
    if (keyword != "parameters") continue;
    auto settings = parse_infotext(text);
    stages = take_stage_options(settings);
    return request_from_infotext(settings);
  }
  throw FormatError("--from-png", file + ": it holds no text \"parameters\", in which settings are kept");
}

/// compel's language names LoRAs in the prompt, which keeps them; the settings list them among the others.
void drop_named_in_prompts(const Request& request, std::vector<LoraMention>& loras) {
  constexpr std::size_t most = std::size_t{128} << 10;  // more is refused later
  if (request.prompt_syntax != PromptSyntax::compel) return;
  std::vector<std::string> prompts{request.prompt};
  for (const auto* prompt : {&request.prompt_2, &request.prompt_3})
    if (*prompt) prompts.push_back(**prompt);
  const auto stem = [](std::string_view name) {
    constexpr std::string_view ending = ".safetensors";
    return name.ends_with(ending) ? name.substr(0, name.size() - ending.size()) : name;
  };
  for (const auto& prompt : prompts) {
    if (prompt.size() > most) continue;
    for (const auto& named : text::parse_compel(prompt).loras) {
      // The last one: what the prompts name comes behind the others.
      const auto found = std::find_if(loras.rbegin(), loras.rend(), [&](const LoraMention& lora) {
        return stem(lora.name) == stem(named.first);
      });
      if (found != loras.rend()) loras.erase(std::next(found).base());
    }
  }
}

}  // namespace

void add_second_pass_options(CLI::App& app, Order& order) {
  auto* scale =
      add_number(app, "--hires", order.comfort.hires, {0.1, 16.0},
                 "A second pass over the picture made so many times as large, with the prompt again")
          ->type_name("SCALE")
          ->group(heading::larger);
  add_choice<Hires::Mode>(
      app, "--hires-mode",
      {{"latent", Hires::Mode::latent_bilinear},
       {"latent-nearest", Hires::Mode::latent_nearest},
       {"latent-nearest-exact", Hires::Mode::latent_nearest_exact},
       {"latent-bicubic", Hires::Mode::latent_bicubic},
       {"lanczos", Hires::Mode::pixels}},
      [&order](Hires::Mode mode) { hires_of(order).mode = mode; }, "How it is made larger between the passes")
      ->default_str("latent")
      ->group(heading::larger);
  add_number(app, "--hires-strength", order.comfort.hires_strength, {0.0, 1.0},
             "0 to 1, how far the second pass goes from the first one's picture")
      ->type_name("S")
      ->default_str("0.7")
      ->group(heading::larger);
  add_number(app, "--hires-steps", order.comfort.hires_steps, {.least = 1},
             "Of the second pass, which takes the part of them that its strength says; by default as --steps")
      ->type_name("N")
      ->group(heading::larger);
  app.add_option_function<std::string>(
         "--hires-sampler", [&order](const std::string& name) { hires_of(order).sampler = name; },
         "Of the second pass; by default as --sampler")
      ->check(CLI::IsMember(samplers::SamplerRegistry::standard().names()))
      ->type_name("NAME")
      ->group(heading::larger);
  add_number(app, "--upscale", order.comfort.upscale, {1.0, 16.0},
             "The picture so many times as large, by Lanczos and a pass in tiles: of --init-image, or of "
             "what was made. Its strength is 0.35 unless --strength or --hires-strength says otherwise")
      ->type_name("SCALE")
      ->excludes(scale)
      ->group(heading::larger);
  add_number_or_none(
      app, "--tile", order.comfort.tile, 0,
      "Work in overlapping tiles of so many pixels a side, 0 being what the model was trained at")
      ->type_name("PX")
      ->group(heading::larger);
  add_number(app, "--tile-overlap", order.comfort.tile_overlap, {0, 16384},
             "Pixels that tiles share; by default a quarter of one")
      ->type_name("PX")
      ->group(heading::larger);
  add_choice<int>(
      app, "--vae-tiling", {{"auto", 0}, {"on", 1}, {"off", 2}, {"reference", 3}},
      [&order](int choice) {
        auto& tiling = order.request.vae_tiling;
        using Use = VaeTiling::Use;
        tiling.use = choice == 0 ? Use::automatic : choice == 2 ? Use::off : Use::on;
        tiling.blend = choice == 3 ? VaeTiling::Blend::reference : VaeTiling::Blend::seamless;
      },
      "The autoencoder in tiles: auto where the picture needs more memory than --memory-limit or the machine "
      "has; reference blends as diffusers does, which shows")
      ->default_str("auto")
      ->group(heading::larger);
}

void add_vae_option(CLI::App& app, Order& order) {
  app.add_option("--vae", order.comfort.vae,
                 "Another autoencoder in the place of the model's: a folder, or a file that holds one")
      ->check(file_name())
      ->type_name("PATH")
      ->group(groups::sources);
}

void add_comfort_options(CLI::App& app, Order& order) {
  add_mask_options(app, order);
  add_second_pass_options(app, order);
  add_vae_option(app, order);
  app.add_option(
         "--from-png", order.comfort.from_png,
         "Repeat what a picture's settings say; options beside it win. Pictures that it was made from "
         "are to be given again")
      ->check(file_name())
      ->type_name("FILE.png")
      ->group(groups::from);
  app.get_option("--prompt")->required(false);
}

void take_settings(CLI::App& app, Order& order) {
  auto& comfort = order.comfort;
  if (comfort.from_png.empty()) {
    if (app.get_option("--prompt")->count() == 0) throw CLI::RequiredError("--prompt");
    return;
  }
  auto settings = settings_of(comfort.from_png, order.cascade.repeated);
  std::vector<std::string> lora_texts;
  order.request = std::move(settings.request);
  comfort.png_has_hires = order.request.hires.has_value();
  if (!order.seed) order.seed = order.request.sampling.seed;
  for (auto* option : app.get_options())  // once more, over what the picture says
    if (option->count() > 0) option->run_callback();
  if (settings.needs_image && order.init_image.empty())
    throw ArgumentError(
        "--from-png",
        comfort.from_png + ": the picture was made from another one, which --init-image must give");
  if (settings.needs_mask && order.mask.empty())
    throw ArgumentError("--from-png",
                        comfort.from_png + ": the picture was painted into a mask, which --mask must give");
  comfort.notes = std::move(settings.notes);
  drop_named_in_prompts(order.request, settings.loras);
  for (const auto& lora : settings.loras) {
    if (!order.loras.empty()) break;  // the command line's own
    if (order.lora_dir.empty()) {
      comfort.notes.push_back("made with the LoRA " + lora.name + ", which --lora or --lora-dir must give");
      continue;
    }
    auto& text = lora_texts.emplace_back(lora.name + ":" + shortest(lora.weight));
    if (lora.text_encoder_weight) text += ":" + shortest(*lora.text_encoder_weight);
  }
  order.loras.insert(order.loras.end(), lora_texts.begin(), lora_texts.end());
  for (const auto& name : settings.embeddings)
    if (std::none_of(order.request.embeddings.begin(), order.request.embeddings.end(),
                     [&](const auto& embedding) { return embedding->name() == name; }))
      comfort.notes.push_back("made with the textual inversion " + name +
                              ", which --embedding or --embedding-dir must give");
  comfort.model = settings.model;
}

void settle_comfort(Order& order) {
  auto& request = order.request;
  auto& comfort = order.comfort;
  auto& how = request.input.inpainting;
  if (comfort.mask_grow) how.mask_grow = *comfort.mask_grow;
  if (comfort.only_masked) how.only_masked = *comfort.only_masked;
  if (comfort.outpaint_overlap) how.outpaint.overlap = *comfort.outpaint_overlap;
  if (comfort.keep_unmasked) how.keep_unmasked = *comfort.keep_unmasked;
  const bool alone = order.refiner.empty();
  if (!how.keep_unmasked && comfort.from_png.empty() && !order.mask.empty() && alone)
    how.keep_unmasked = true;
  const auto scale_second = [&](double scale) {  // a size that a picture's settings say does not stay
    auto& hires = hires_of(order);
    hires.scale = scale;
    hires.width.reset();
    hires.height.reset();
  };
  if (comfort.hires) scale_second(*comfort.hires);
  const bool again = order.init_image.empty();  // --upscale is a second pass over what is made
  if (comfort.upscale && again) {
    scale_second(*comfort.upscale);
    auto& hires = *request.hires;
    hires.mode = Hires::Mode::pixels;
    hires.strength = usual_upscale_strength;
  }
  if (comfort.upscale && !again && !request.input.strength) request.input.strength = usual_upscale_strength;
  if (comfort.upscale && !request.tiles) request.tiles.emplace();
  const bool has_second = comfort.hires || (comfort.upscale && again) || comfort.png_has_hires;
  if ((request.hires && !has_second) || (!request.hires && (comfort.hires_strength || comfort.hires_steps)))
    throw ArgumentError("--hires", "mode, strength, steps or sampler of a second pass: give --hires, too");
  if (comfort.hires_strength) request.hires->strength = *comfort.hires_strength;
  if (comfort.hires_steps) request.hires->steps = comfort.hires_steps;
  if (!alone && (how.only_masked || how.outpaint.any() || how.keep_unmasked.value_or(false) || request.hires))
    throw ArgumentError("--refiner",
                        "a second model goes on with latents alone: --only-masked, --outpaint, "
                        "--keep-unmasked and --hires do not go with it");
  if (comfort.tile) (request.tiles ? *request.tiles : request.tiles.emplace()).size = *comfort.tile;
  if (comfort.tile_overlap && !request.tiles)
    throw ArgumentError("--tile-overlap", "there are no tiles: give --tile, too");
  if (comfort.tile_overlap) request.tiles->overlap = *comfort.tile_overlap;
}

void settle_comfort(Order& order, const Pipeline& pipeline, Progress& progress) {
  auto& request = order.request;
  const auto& comfort = order.comfort;
  for (const auto& note : comfort.notes) progress.note(comfort.from_png + ": " + note);
  if (!comfort.model.empty() && comfort.model != pipeline.info().name)
    progress.note(comfort.from_png + ": made with the model " + comfort.model + ", not " +
                  pipeline.info().name);
  if (!comfort.upscale || request.input.image.empty()) return;
  const auto& model = pipeline.model();
  const Index multiple = model.format().space_ratio * model.denoiser().side_multiple;
  const auto scaled = [&](Index side) {
    const auto pixels = static_cast<Index>(static_cast<double>(side) * *comfort.upscale);
    return std::max(multiple, pixels / multiple * multiple);
  };
  request.size = {scaled(request.input.image.width()), scaled(request.input.image.height())};
}

}  // namespace daguerre::cli
