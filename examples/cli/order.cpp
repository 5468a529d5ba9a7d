#include "order.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>

#include <CLI/CLI.hpp>

#include <daguerre/daguerre.hpp>
#include <daguerre/ops/engine.hpp>
#include <daguerre/pipeline/embedding.hpp>
#include <daguerre/pipeline/model_source.hpp>
#include <daguerre/pipeline/motion_adapter.hpp>
#include <daguerre/pipeline/other_autoencoder.hpp>
#include <daguerre/samplers/registry.hpp>
#include <daguerre/text/extra_networks.hpp>
#include <daguerre/text/unicode.hpp>
#include <daguerre/weights/checkpoint.hpp>

#include "files.hpp"
#include "interrupt.hpp"
#include "numbers.hpp"
#include "progress.hpp"
#include "text.hpp"

namespace daguerre::cli {
namespace {

std::string lora_note(const LoraInfo& lora) {
  std::string text = "lora " + lora.name + ":";
  for (const auto& [part, modules] : lora.modules)
    text += " " + std::to_string(modules) + " modules of " + part + ",";
  text.pop_back();
  if (lora.unmatched > 0) text += "; " + std::to_string(lora.unmatched) + " keys fit nothing";
  return text;
}

/// A prompt without the LoRAs that it names.
std::string without_loras(const std::string& prompt, PromptSyntax syntax) {
  if (syntax == PromptSyntax::a1111) return text::take_extra_networks(prompt).prompt;
  std::string result = prompt;
  if (syntax != PromptSyntax::compel) return result;
  for (const std::string word : {"withLora", "useLora"})
    for (auto at = result.find(word); at != result.npos; at = result.find(word, at)) {
      const auto open = result.find_first_not_of(" \t\n", at + word.size());
      const auto close = result.find(')', at);
      if (open != result.npos && result[open] == '(' && close != result.npos)
        result.erase(at, close + 1 - at);
      else
        at += word.size();
    }
  return result;
}

/// A model whose sampler takes other timesteps.
ModelSource with_spacing(const ModelSource& from, const std::string& spacing) {
  auto scheduler = from.part("scheduler");
  const auto config = scheduler.given_config ? *scheduler.given_config
                                             : Config::load(scheduler.folder / "scheduler_config.json");
  scheduler.given_config = config.with("{\"timestep_spacing\": \"" + spacing + "\"}");
  return from.with(scheduler);
}

/// What of a request is for the first model alone: a second one has other weights, and maybe other widths.
void leave_to_second_model(Request& request) {
  request.loras.clear();
  request.controls.clear();
  request.image_prompts.clear();
  request.prompt = without_loras(request.prompt, request.prompt_syntax);
  for (auto* prompt : {&request.prompt_2, &request.prompt_3})
    if (*prompt) **prompt = without_loras(**prompt, request.prompt_syntax);
  for (auto& embedding : request.embeddings) embedding = embedding->where_it_fits();
}

}  // namespace

void check_outputs(const Order& order) {
  if (*order.request.output.count == 1)
    check_writable("--out", order.out);
  else
    for (int i = 1; i <= *order.request.output.count; ++i) check_writable("--out", numbered(order.out, i));
  if (!order.preview.empty()) check_writable("--preview", order.preview);
  if (!order.save_latents.empty()) check_writable("--save-latents", order.save_latents);
}

void read_inputs(Order& order) {
  auto& request = order.request;
  if (!order.init_image.empty()) request.input.image = Image::load(order.init_image);
  if (!order.mask.empty()) request.input.mask = Image::load(order.mask);
  read_controls(order);
  request.output.count = order.count.value_or(std::max(1, static_cast<int>(order.classes.size())));
  if (order.latents.empty()) return;
  request.sampling.noise = read_latents(order.latents);
  const Index found = request.sampling.noise.dim(0);
  if (found < 1 || found > 1000)
    throw ArgumentError("--latents", order.latents + ": holds latents for " + std::to_string(found) +
                                         " pictures, expected 1 to 1000");
  if (order.count && *order.count != found)
    throw ArgumentError("--latents", order.latents + ": holds latents for " + std::to_string(found) +
                                         " pictures, --count is " + std::to_string(*order.count));
  request.output.count = static_cast<int>(found);
}

void introduce(const Order& order, const Pipeline& pipeline, Progress& progress) {
  progress.note(model_name(order) + ": " + pipeline.info().engine + ", " +
                std::string(short_name(pipeline.info().precision)) + ", " +
                std::to_string(pipeline.info().threads) +
                (pipeline.info().threads == 1 ? " thread" : " threads"));
  progress.note(kept_weights(pipeline.info()));
  for (const auto& lora : pipeline.info().loras) progress.note(lora_note(lora));
  for (const auto& lora : pipeline.prepare(order.request.loras)) progress.note(lora_note(lora));
  if (!order.seed) progress.note("seed " + std::to_string(*order.request.sampling.seed));
}

void settle_machine(Order& order) {
  order.load.precision = precision_called(order.precision);
  order.load.weights = weight_storage_called(order.weights);
  order.load.residency = residency_called(order.residency);
  order.load.memory_limit = static_cast<std::uint64_t>(order.memory_limit.value_or(0.0) * 1e9);
}

std::string kept_weights(const PipelineInfo& info) {
  std::string text;
  for (const auto& part : info.parts) {
    text += (text.empty() ? "weights: " : "; ") + part.name + " " + byte_count(part.weight_bytes) + " " +
            std::string(short_name(part.weights));
    if (part.residency == Residency::when_needed) text += ", when needed";
  }
  return text;
}

std::shared_ptr<const SourceOptions> source_options(const Order& order) {
  const char* fallback = std::getenv("DAGUERRE_TOKENIZERS");
  return std::make_shared<const SourceOptions>(
      SourceOptions{.tokenizer = order.tokenizer,
                    .tokenizer_fallback = fallback != nullptr ? fallback : "",
                    .configs = order.configs,
                    .family = order.family,
                    .variant = order.variant,
                    .allow_trailing_bytes = order.load.allow_trailing_bytes});
}

Pipeline load(const Order& order, const Interrupt& interrupt) {
  return load(order, order.model, interrupt);
}

Pipeline load(const Order& order, const std::string& model, const Interrupt& interrupt) {
  auto options = order.load;
  options.stop = interrupt.token();
  if (model != order.model) {  // they are the first model's
    options.loras.clear();
    options.find_lora = {};
    options.lora_dir.clear();
  }
  const auto source = source_options(order);
  options.source = source;
  const std::string &vae = order.comfort.vae, &motion = order.comfort.motion;
  const auto changed = [&](ModelSource from) {
    if (!order.spacing.empty()) from = with_spacing(from, order.spacing);
    if (!motion.empty()) from = with_motion(from, motion, *source);
    return vae.empty() ? from : with_autoencoder(from, vae, *source);
  };
  if (model != order.model || order.denoiser.empty()) {
    if (vae.empty() && motion.empty() && order.spacing.empty()) return Pipeline::load(model, options);
    return Pipeline::load(changed(ModelSource::open(model, *source)), options);
  }
  std::vector<std::filesystem::path> files{order.denoiser};
  if (!order.autoencoder.empty()) files.emplace_back(order.autoencoder);
  files.insert(files.end(), order.text_encoders.begin(), order.text_encoders.end());
  return Pipeline::load(changed(ModelSource::join(files, *source)), options);
}

const std::string& model_name(const Order& order) {
  return order.model.empty() ? order.denoiser : order.model;
}

void require_model(const Order& order) {
  if (model_name(order).empty()) throw CLI::RequiredError("--model");
}

void add_source_options(CLI::App& app, Order& order) {
  const auto file = [&](const char* name, auto& target, const char* type, const char* what) {
    return app.add_option(name, target, what)->type_name(type)->group(groups::sources);
  };
  auto* model = app.get_option("--model")->required(false);
  auto* denoiser = file("--denoiser", order.denoiser, "FILE",
                        "In the place of --model: the file that holds the denoiser, and maybe more")
                       ->check(file_name())
                       ->excludes(model);
  file("--autoencoder", order.autoencoder, "FILE", "The file that holds the autoencoder")
      ->check(file_name())
      ->needs(denoiser);
  file("--text-encoder", order.text_encoders, "FILE",
       "A file that holds a text encoder; may be given once for each")
      ->check(file_name())
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->needs(denoiser);
  file("--tokenizer", order.tokenizer, "DIR",
       "Where vocab.json and merges.txt lie, and spiece.model for T5, for models that bring none; otherwise "
       "looked for beside the file and in the folder that DAGUERRE_TOKENIZERS names")
      ->check(file_name());
  file("--configs", order.configs, "DIR", "Configurations in the place of those that a file's family has")
      ->check(file_name());
  file("--family", order.family, "NAME", "What a file is, in place of what its tensors say")
      ->check(CLI::IsMember(weights::checkpoint_families()));
  file("--variant", order.variant, "NAME", "Of a folder's weight files: fp16 reads model.fp16.safetensors");
}

std::int32_t class_called(const std::string& text, const Pipeline& pipeline) {
  std::int32_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool is_id = error == std::errc() && end == text.data() + text.size();
  return is_id ? id : pipeline.class_id(text);
}

CLI::Validator png_name() {
  return CLI::Validator(
      [](const std::string& name) {
        auto extension = std::filesystem::path(name).extension().string();
        for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return extension == ".png" ? std::string()
                                   : "\"" + name + "\" does not end in .png, the only format that is written";
      },
      "");
}

CLI::Validator utf8_text() {
  return CLI::Validator(
      [](const std::string& text) {
        const bool is_utf8 = text::to_utf8(text::decode_utf8(text)) == text;
        return is_utf8 ? std::string() : std::string("expected a text in UTF-8, found other bytes");
      },
      "");
}

CLI::Validator file_name() {
  return CLI::Validator(
      [](const std::string& name) {
        return name.empty() ? std::string("expected the name of a file, found nothing") : std::string();
      },
      "");
}

void add_model_option(CLI::App& app, Order& order) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.add_option(
         "--model", order.model,
         "Model folder in diffusers' layout (with model_index.json), or a file that holds a whole model")
      ->check(file_name())
      ->type_name("PATH")
      ->required()
      ->group(groups::what);
}

void add_output_options(CLI::App& app, Order& order) {
  app.add_option("--out", order.out,
                 "Where to write it, with the settings in the PNG's \"parameters\" text. "
                 "Several pictures become FILE_1.png, FILE_2.png ...")
      ->check(png_name())
      ->type_name("FILE.png")
      ->required()
      ->group(groups::what);
  add_size_options(
      app, order,
      "In pixels, a multiple of 8; by default that of --init-image, rounded down, else what the model was "
      "trained at; with one of the two given, --init-image keeps its proportions");
  add_number(app, "--count", order.count, {1, 1000},
             "Pictures to make in one run, at most 1000; picture i has seed + i - 1")
      ->type_name("N")
      ->group(groups::what);
  add_number(app, "--seed", order.seed, {0, std::numeric_limits<std::uint64_t>::max()},
             "Of the first picture; drawn and printed when absent")
      ->type_name("N")
      ->group(groups::what);
}

void add_size_options(CLI::App& app, Order& order, const std::string& width) {
  auto& request = order.request;
  add_number(app, "--width", request.size.width, {.least = 1}, width)->type_name("W")->group(groups::what);
  add_number(app, "--height", request.size.height, {.least = 1}, "Likewise")
      ->type_name("H")
      ->group(groups::what);
}

void add_step_options(CLI::App& app, Order& order, int steps) {
  auto& request = order.request;
  order.usual_steps = steps;
  add_number(app, "--steps", request.sampling.steps, {.least = 1},
             "More steps take longer and are nearer to the model's ideal; by default " +
                 std::to_string(steps) + ", or fewer where the model was made for fewer")
      ->type_name("N")
      ->group(groups::how);
  add_number(app, "--guidance", request.guidance.scale, {.least = 0.0f},
             "How strongly the prompt or the class steers, by default the model's (SD 7.5, SDXL 5, FLUX "
             "3.5); 1 turns it "
             "off "
             "and halves the time")
      ->type_name("W")
      ->group(groups::how);
  app.add_option("--sampler", request.sampling.sampler, "By default what the model's folder says")
      ->check(CLI::IsMember(samplers::SamplerRegistry::standard().names()))
      ->type_name("NAME")
      ->group(groups::how);
}

void add_sampling_options(CLI::App& app, Order& order) {
  auto& request = order.request;
  add_step_options(app, order, 20);
  add_number(app, "--guidance-rescale", request.guidance.rescale, {0.0f, 1.0f},
             "0 to 1: keeps strong guidance from overexposing; 0.7 suits models with zero terminal SNR")
      ->type_name("PHI")
      ->default_str("0")
      ->group(groups::how);
  add_number(app, "--eta", request.sampling.eta, {0.0, 1.0},
             "For ddim: 0 is deterministic, 1 as noisy as ddpm")
      ->type_name("ETA")
      ->default_str("0")
      ->group(groups::how);
  app.add_option("--generator", request.sampling.generator, "Whose random numbers the seed means")
      ->check(CLI::IsMember({"torch-cpu", "cuda-philox"}))
      ->type_name("NAME")
      ->default_str("torch-cpu")
      ->group(groups::how);
}

void add_latents_option(CLI::App& app, Order& order) {
  app.add_option(
         "--latents", order.latents,
         "Initial noise, unit variance: tensor \"latents\" (or the only one), [N, C, h, w] as diffusers has "
         "it. Count and size follow from it")
      ->check(file_name())
      ->type_name("FILE.safetensors")
      ->group(groups::from);
}

void add_machine_options(CLI::App& app, Order& order) {
  auto engines = ops::engine_names();
  engines.insert(engines.begin(), "auto");
  app.add_option("--precision", order.precision,
                 "auto is bf16 where the processor multiplies that faster, else f32; int8 is the fastest, a "
                 "little less exact, and needs --engine onednn")
      ->check(CLI::IsMember({"auto", "f32", "bf16", "int8"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::machine);
  app.add_option(
         "--weights", order.weights,
         "packed: laid out once, fastest; mapped: left in the file and unpacked at each use, least memory; "
         "auto packs what fits --memory-limit, the denoiser first")
      ->check(CLI::IsMember({"auto", "packed", "mapped"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::machine);
  app.add_option(
         "--residency", order.residency,
         "Of text encoders and autoencoder. kept: loaded once; when-needed: for each picture's stage, and "
         "dropped behind it; auto keeps what fits --memory-limit")
      ->check(CLI::IsMember({"auto", "kept", "when-needed"}))
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::machine);
  add_number(app, "--memory-limit", order.memory_limit, {.least = 0.001, .most = 1e6},
             "What the weights may take at once, in GB (1e9 bytes); by default what is free, less a quarter "
             "or 4 GB")
      ->type_name("GB")
      ->group(groups::machine);
  app.add_option("--engine", order.load.engine, "What does the heavy arithmetic")
      ->check(CLI::IsMember(engines))
      ->transform(
          [](const std::string& name) { return name == "eigen" ? "native" : name; })  // its older name
      ->type_name("NAME")
      ->capture_default_str()
      ->group(groups::machine);
  add_number(app, "--threads", order.load.threads, {0, 4096}, "0: as many as there are processors")
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::machine);
  app.add_flag("--allow-trailing-bytes", order.load.allow_trailing_bytes,
               "Accept weight files with bytes behind their last tensor")
      ->group(groups::machine);
}

void add_other_outputs(CLI::App& app, Order& order) {
  auto* preview =
      app.add_option("--preview", order.preview, "Write the picture as it is so far, again and again")
          ->check(png_name())
          ->type_name("FILE.png")
          ->group(groups::besides);
  add_number(app, "--preview-every", order.preview_every, {.least = 1},
             "Steps between previews; each takes as long as the decoder")
      ->needs(preview)
      ->type_name("N")
      ->capture_default_str()
      ->group(groups::besides);
  app.add_option("--save-latents", order.save_latents,
                 "Write the final latents, [N, C, h, w], scaled as the denoiser sees them")
      ->check(file_name())
      ->type_name("FILE.safetensors")
      ->group(groups::besides);
  app.add_flag("--quiet", order.quiet, "Only warnings and errors on stderr")->group(groups::besides);
}

void rewrite_prompt(Order& order, Progress& progress, const Interrupt& interrupt) {
  if (order.rewriting.by.empty()) return;
  progress.stage("rewriting the prompt by " + order.rewriting.by);
  const auto rewriter = load_rewriter(
      order.rewriting, {order.load.engine, order.load.threads, order.load.log, interrupt.token()});
  order.request.stop = interrupt.token();
  order.request = rewriter(order.request);
  if (order.request.rewrite->failure.empty()) progress.note("prompt: " + printable(order.request.prompt));
}

void settle(Order& order, Progress& progress) {
  settle_machine(order);
  settle_comfort(order);
  order.load.log = progress.warnings();
  settle_loras(order);
  read_inputs(order);
  check_outputs(order);
}

void carry_out(Order order) {
  const Interrupt interrupt;
  Progress progress(order.quiet);
  settle(order, progress);

  auto& request = order.request;
  request.sampling.seed = order.seed ? *order.seed : std::random_device{}();
  rewrite_prompt(order, progress, interrupt);
  const auto judge = load_judge(order, progress, interrupt);
  progress.stage("loading " + model_name(order));
  std::optional<Pipeline> pipeline = load(order, interrupt);
  load_controls(order, *pipeline);
  load_image_prompts(order, *pipeline);
  progress.loaded();
  if (!order.comfort.preview_vae.empty())
    request.output.preview = load_autoencoder(order.comfort.preview_vae, order.load);
  settle_comfort(order, *pipeline, progress);
  for (const auto& text : order.classes) request.class_labels.push_back(class_called(text, *pipeline));
  if (!request.sampling.steps) request.sampling.steps = std::min(order.usual_steps, pipeline->info().steps);

  request.stop = interrupt.token();
  bool introduced = false;
  request.on_step = [&](const Step& step) {
    // Not before: an order that cannot be carried out says nothing but why.
    if (!introduced) introduce(order, *pipeline, progress);
    introduced = true;
    progress.step(step);
    const bool last = step.index + 1 == step.total;
    if (!order.preview.empty() && !last && (step.index + 1) % order.preview_every == 0)
      step.preview().save_png(order.preview);
    if (last) progress.decoding();
    return !interrupt.requested();
  };
  if (!order.refiner.empty()) request.sampling.denoising_end = order.refiner_start;
  auto made = generate(order, *pipeline, judge, progress);
  if (!order.refiner.empty()) {
    pipeline.reset();  // its memory is the refiner's
    progress.stage("loading " + order.refiner);
    pipeline = load(order, order.refiner, interrupt);
    progress.loaded();
    request.sampling.denoising_end.reset();
    request.sampling.denoising_start = order.refiner_start;
    request.input.latents = made.latents;
    request.input.image = {};
    request.sampling.noise = {};
    leave_to_second_model(request);
    introduced = false;
    made = pipeline->generate(request);
  }
  progress.finished();

  if (!order.save_latents.empty()) write_latents(order.save_latents, made.latents);
  for (int i = 0; i < request.output.count; ++i) {
    const std::filesystem::path path =
        request.output.count == 1 ? std::filesystem::path(order.out) : numbered(order.out, i + 1);
    made.save_png(path, static_cast<std::size_t>(i));
    std::printf("%s\n", path.string().c_str());
  }
}

}  // namespace daguerre::cli
