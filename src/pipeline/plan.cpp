#include "pipeline/plan.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <tuple>

#include "pipeline/name.hpp"

namespace daguerre {
namespace {

/// Throws ArgumentError, saying that the family takes no `what`, when it was given.
void refuse(bool given, const Family& family, const char* what) {
  if (given) throw ArgumentError(pipeline_name, family.title + " takes no " + what);
}

void refuse_what_is_not_read(const GenerateOptions& options, const Family& family) {
  const auto& tasks = family.tasks;
  if (!tasks.prompt) {
    refuse(!options.prompt.empty() || !options.prompt_2.empty(), family, "prompt");
    refuse(options.negative_prompt.has_value() || options.negative_prompt_2.has_value(), family,
           "negative prompt");
    refuse(options.clip_skip != 0, family, "clip_skip");
  }
  refuse(!tasks.classes && (!options.class_labels.empty() || !options.class_name.empty()), family, "class");
  refuse(!tasks.guidance && (options.guidance_scale.has_value() || options.guidance_rescale != 0.0f), family,
         "guidance");
  if (!tasks.image) {
    refuse(!options.init_image.empty() || !options.init_latents.empty(), family, "picture to start from");
    refuse(!options.mask_image.empty(), family, "mask");
    refuse(options.strength >= 0, family, "strength");
  }
}

/// One class id for each picture, from names or ids; none where none is given.
std::vector<std::int32_t> classes_for_all(const GenerateOptions& options, const ClassNames& names) {
  auto labels = options.class_labels;
  if (!options.class_name.empty()) {
    if (!labels.empty()) throw ArgumentError(pipeline_name, "give class_labels or class_name, not both");
    labels = {names.find(options.class_name)};
  }
  const auto count = static_cast<std::size_t>(options.count);
  if (labels.size() == 1) return std::vector<std::int32_t>(count, labels.front());
  if (!labels.empty() && labels.size() != count)
    throw ArgumentError(pipeline_name, std::to_string(labels.size()) + " classes for " +
                                           std::to_string(count) +
                                           " pictures: expected one, or one for each");
  return labels;
}

/// The settings' line for the classes of a run; one entry where all are the same.
std::string classes_text(const std::vector<std::int32_t>& labels, const ClassNames& names) {
  const bool same = std::all_of(labels.begin(), labels.end(), [&](auto id) { return id == labels.front(); });
  std::string text;
  for (const auto id : same ? std::vector{labels.front()} : labels) {
    const auto label = names.label(id);
    text += (text.empty() ? "" : "; ") + std::to_string(id) + (label.empty() ? "" : " " + label);
  }
  return text;
}

/// The parts of prompts that no text encoder sees, and prompts that cannot be encoded.
void check_prompts(const Task& task, const Model& model, bool guided, std::vector<std::string>& warnings) {
  const auto& prompt = task.prompts.front();
  const auto& encoders = model.components().text_encoders;
  for (const auto& [name, encoder] : encoders) {
    const bool second = encoders.size() > 1 && name.ends_with("_2");
    const auto texts = {
        std::pair{"prompt", second ? prompt.text_2.value_or(prompt.text) : prompt.text},
        std::pair{"negative prompt", second ? prompt.negative_2.value_or(prompt.negative.value_or(""))
                                            : prompt.negative.value_or("")}};
    for (const auto& [what, text] : texts) {
      if (std::string_view(what) == "negative prompt" && !guided) continue;
      encoder->check(text, what);
      const auto lost = encoder->lost(text);
      if (lost.empty()) continue;
      auto warning = "[pipeline] the " + std::string(what) + " is longer than " +
                     std::to_string(encoder->info().most_tokens) + " tokens; these words are lost: " + lost;
      if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end())
        warnings.push_back(std::move(warning));
    }
  }
}

/// A picture as cameras take it may set a size that nobody meant to ask for; empty otherwise.
std::string unusual_size(const GenerateOptions& options, const Task& task,
                         std::pair<Index, Index> usual_size) {
  constexpr Index usual = 4;  // times as many pixels as the model was trained at
  const bool from_picture =
      options.width == 0 && options.height == 0 && options.latents.empty() && !task.image.empty();
  const auto [width, height] = usual_size;
  if (!from_picture || task.width * task.height <= usual * width * height) return {};
  const auto size = [](Index across, Index down) {
    return std::to_string(across) + " x " + std::to_string(down);
  };
  return "[pipeline] the size is that of the picture to start from, " + size(task.width, task.height) +
         ", the model was trained at " + size(width, height) +
         ": it takes long and things may come out twice; give a width or a height to scale it";
}

void set_prompts(const GenerateOptions& options, const std::vector<std::int32_t>& labels, Task& task) {
  Prompt prompt{.text = options.prompt, .negative = options.negative_prompt};
  if (!options.prompt_2.empty()) prompt.text_2 = options.prompt_2;
  prompt.negative_2 = options.negative_prompt_2;
  task.prompts.assign(static_cast<std::size_t>(options.count), prompt);
  for (std::size_t i = 0; i < labels.size(); ++i) task.prompts[i].label = labels[i];
}

void set_pictures(const GenerateOptions& options, const Defaults& defaults, Task& task) {
  if (task.width > 0 && task.height > 0 && task.width <= Image::max_side && task.height <= Image::max_side) {
    if (!options.init_image.empty()) task.image = picture_input(options.init_image, task.width, task.height);
    if (!options.mask_image.empty()) task.mask = mask_input(options.mask_image, task.width, task.height);
  }
  task.image_latents = options.init_latents;
  if (!std::isfinite(options.strength))
    throw ArgumentError(pipeline_name,
                        "strength is " + std::to_string(options.strength) + ", expected 0 to 1");
  task.strength = options.strength >= 0        ? options.strength
                  : options.mask_image.empty() ? defaults.strength
                                               : defaults.mask_strength;
}

}  // namespace

Plan plan_for(const GenerateOptions& options, const Model& model, const ClassNames& class_names,
              std::shared_ptr<const samplers::Sampler> sampler) {
  const auto& family = model.family();
  refuse_what_is_not_read(options, family);
  Plan plan;
  auto& task = plan.task;
  const auto labels = classes_for_all(options, class_names);
  set_prompts(options, labels, task);
  const auto trained = model.default_size();
  const std::pair default_size{trained[1], trained[0]};
  std::tie(task.width, task.height) = size_of(options, model.format().space_ratio, default_size);
  task.steps = options.steps.value_or(family.defaults.steps);
  task.guidance = {.scale = options.guidance_scale.value_or(family.defaults.guidance_scale),
                   .rescale = options.guidance_rescale,
                   .image_scale = options.image_guidance_scale};
  if (!family.tasks.guidance) task.guidance.scale = 1.0f;
  task.guider = options.guider;
  task.eta = options.eta;
  task.clip_skip = options.clip_skip;
  task.micro = options.micro;
  task.latents = options.latents;
  task.denoising_start = options.denoising_start;
  task.denoising_end = options.denoising_end;
  task.sampler = std::move(sampler);
  set_pictures(options, family.defaults, task);
  if (family.tasks.prompt) check_prompts(task, model, model.guider(task)->needs_negative(), plan.warnings);
  if (auto warning = unusual_size(options, task, default_size); !warning.empty())
    plan.warnings.push_back(std::move(warning));

  if (!labels.empty()) plan.parameters.emplace_back("Class", classes_text(labels, class_names));
  if (task.has_image() && !family.tasks.needs_image && !task.denoising_start)
    plan.parameters.emplace_back("Denoising strength", number(task.strength));
  if (family.tasks.needs_image)
    plan.parameters.emplace_back("Image CFG scale", number(static_cast<double>(task.guidance.image_scale)));
  if (task.clip_skip > 0)  // there 1 means none
    plan.parameters.emplace_back("Clip skip", std::to_string(task.clip_skip + 1));
  return plan;
}

std::pair<Index, Index> size_of(const GenerateOptions& options, Index downscale,
                                std::pair<Index, Index> default_size) {
  Index width = options.width, height = options.height;
  const auto& latents = options.latents.empty() ? options.init_latents : options.latents;
  if (latents.rank() == 4) {
    if (height == 0) height = checked_multiply(latents.dim(1), downscale);
    if (width == 0) width = checked_multiply(latents.dim(2), downscale);
  } else if (const Image& picture = options.init_image; !picture.empty()) {
    const auto rounded = [&](Index side) { return side - side % downscale; };
    if (width == 0 && height == 0) {
      width = rounded(picture.width());
      height = rounded(picture.height());
      if (width == 0 || height == 0)
        throw ArgumentError(pipeline_name,
                            "the picture to start from is " + std::to_string(picture.width()) + " x " +
                                std::to_string(picture.height()) + ", smaller than the " +
                                std::to_string(downscale) + " x " + std::to_string(downscale) +
                                " that this model can make; give a width and a height to scale it");
    } else if (width == 0 && height > 0 && height <= Image::max_side) {
      width = std::max(downscale, rounded(height * picture.width() / picture.height()));
    } else if (height == 0 && width > 0 && width <= Image::max_side) {
      height = std::max(downscale, rounded(width * picture.height() / picture.width()));
    }
  }
  return {width == 0 ? default_size.first : width, height == 0 ? default_size.second : height};
}

std::string number(double value) {
  char text[32];  // not printf: its decimal point is the host's locale's
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
  return {text, end};
}

}  // namespace daguerre
