#include "pipeline/plan.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <limits>
#include <set>

#include "daguerre/pipeline/ip_adapter.hpp"
#include "pipeline/control_picture.hpp"
#include "pipeline/film_plan.hpp"
#include "pipeline/name.hpp"
#include "pipeline/prompt_conditions.hpp"
#include "pipeline/prompt_encoder.hpp"
#include "pipeline/reference_size.hpp"

namespace daguerre {
namespace {

/// Whether one of its text encoders has a window that can be chosen.
bool reads_by_length(const Model& model) {
  const auto& encoders = model.components().text_encoders;
  return std::any_of(encoders.begin(), encoders.end(),
                     [](const auto& entry) { return entry.second->info().takes_length; });
}

/// Distilled models are guided by a negative prompt only where both are asked for.
void check_true_cfg(const Request& request, const Family& family) {
  if (!family.tasks.true_cfg) return;
  const bool has_negative = request.negative_prompt || request.negative_prompt_2 || request.negative_prompt_3;
  const bool guides = request.guidance.true_cfg_scale.value_or(1.0f) > 1.0f;
  if (has_negative && !guides && !request.guidance.guider)
    throw ArgumentError(pipeline_name, family.title +
                                           " reads a negative prompt only with a true_cfg_scale above 1, "
                                           "which doubles the time");
  if (guides && !has_negative)
    throw ArgumentError(pipeline_name,
                        family.title +
                            " with a true_cfg_scale above 1 needs a negative prompt, which may "
                            "be empty");
}

void refuse_what_is_not_read(const Request& request, const Model& model) {
  const auto& family = model.family();
  const auto& tasks = family.tasks;
  const auto& [image, original, noise_level, mask, latents, strength, inpainting] = request.input;
  const auto& guidance = request.guidance;
  const bool enlarging = enlarges(tasks.joins);
  const auto refuse = [&](bool given, const char* what) {
    if (given) throw ArgumentError(pipeline_name, family.title + " takes no " + what);
  };
  if (!tasks.prompt) {
    refuse(!request.prompt.empty() || request.prompt_2, "prompt");
    refuse(request.negative_prompt || request.negative_prompt_2, "negative prompt");
    refuse(request.clip_skip.has_value(), "clip_skip");
  }
  if (!model.components().text_encoders.contains("text_encoder_2"))
    refuse(request.prompt_2 || request.negative_prompt_2, "second prompt");
  const auto& extras = model.denoiser().extras;
  if (std::find(extras.begin(), extras.end(), "time_ids") == extras.end())
    refuse(!(request.micro == MicroConditioning{}), "sizes and scores of pictures");
  refuse(!tasks.classes && (!request.class_labels.empty() || request.class_name), "class");
  refuse(!tasks.guidance && guidance.scale, "guidance");
  refuse((!tasks.guidance || tasks.true_cfg) && guidance.rescale, "rescaling of guidance");
  refuse(tasks.joins != Joins::edited && guidance.image_scale, "guidance scale of the picture");
  refuse(!tasks.true_cfg && guidance.true_cfg_scale, "true_cfg_scale");
  if (!model.components().text_encoders.contains("text_encoder_3"))
    refuse(request.prompt_3 || request.negative_prompt_3, "third prompt");
  refuse(request.max_sequence_length && !reads_by_length(model), "max_sequence_length");
  const bool second_pass = tasks.image && !is_made_from_picture(tasks.joins) && !enlarging;
  refuse(!second_pass && request.hires, "second pass (hires)");
  refuse(tasks.references && request.tiles && !image.empty(), "tiles where it looks at a picture");
  if (model.denoiser().films) check_film_request(request, model);
  refuse(!enlarging && noise_level, "noise level");
  refuse(enlarging && (!mask.empty() || inpainting.outpaint.any()), "mask");
  refuse(!(enlarging && tasks.image) && !original.empty(), "large picture to start from beside another one");
  if (enlarging && strength && original.empty() && latents.empty())
    throw ArgumentError(pipeline_name, "a strength goes with the large picture that the run begins with");
  if (!tasks.image) {
    refuse((!image.empty() && !tasks.references && !enlarging) || !latents.empty(), "picture to start from");
    refuse(!mask.empty(), "mask");
    refuse(strength.has_value() && !family.films.video, "strength");
  }
}

/// How far the noise is turned towards another seed's.
void check_variation(const Request& request) {
  const double strength = request.sampling.variation_strength.value_or(0.0);
  if (!(strength >= 0.0 && strength <= 1.0))
    throw ArgumentError(pipeline_name, "variation_strength is " + number(strength) + ", expected 0 to 1");
  if (request.sampling.variation_seed && !request.sampling.variation_strength)
    throw ArgumentError(pipeline_name, "a variation_seed does nothing without a variation_strength");
}

/// How many pictures are made.
std::size_t count_of(const Request& request) {
  if (const auto count = request.output.count) {
    if (*count < 1)
      throw ArgumentError(pipeline_name, "count is " + std::to_string(*count) + ", expected at least 1");
    return static_cast<std::size_t>(*count);
  }
  std::size_t count = std::max<std::size_t>(1, request.class_labels.size());
  for (const auto* tensor : {&request.sampling.noise, &request.input.latents})
    if (tensor->rank() >= 4) count = std::max(count, static_cast<std::size_t>(tensor->dim(0)));
  return count;
}

/// A class id for each picture, from names or ids; none where none is given.
std::vector<std::int32_t> classes_for_all(const Request& request, std::size_t count,
                                          const ClassNames& names) {
  auto labels = request.class_labels;
  if (request.class_name) {
    if (!labels.empty()) throw ArgumentError(pipeline_name, "give class_labels or class_name, not both");
    labels = {names.find(*request.class_name)};
  }
  if (labels.size() == 1) labels.assign(count, std::int32_t{labels.front()});
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

/// Of how many tokens what an encoder reads consists, without those that mark its ends.
Index most_tokens(const TextEncoderInfo& encoder, Index sequence_length) {
  return encoder.takes_length && sequence_length > 0 ? sequence_length - 1 : encoder.most_tokens;
}

/// The parts of prompts that no text encoder sees, and prompts that cannot be encoded. Words that one encoder
/// loses and another one with a longer window reads are not lost.
void check_prompts(const Prompt& prompt, const Model& model, Index sequence_length, bool guided,
                   std::vector<std::string>& warnings) {
  const auto& encoders = model.components().text_encoders;
  struct Reading {
    std::string text, lost;
    Index most = 0;
  };
  const auto check = [&](const char* what, const auto& text_for) {
    std::vector<Reading> readings;
    for (const auto& [name, encoder] : encoders) {
      const std::string text = text_for(encoders.size() == 1 ? std::string_view() : name);
      encoder->check(text, what);
      readings.push_back(
          {text, encoder->lost(text, sequence_length), most_tokens(encoder->info(), sequence_length)});
    }
    std::sort(readings.begin(), readings.end(), [](const auto& a, const auto& b) { return a.most > b.most; });
    for (std::size_t i = 0; i < readings.size(); ++i) {
      const auto& reading = readings[i];
      const bool read_elsewhere = std::any_of(
          readings.begin(), readings.begin() + static_cast<std::ptrdiff_t>(i), [&](const Reading& other) {
            return other.text == reading.text && other.lost.size() < reading.lost.size();
          });
      if (reading.lost.empty() || read_elsewhere) continue;
      auto warning = "[pipeline] the " + std::string(what) + " is longer than " +
                     std::to_string(reading.most) + " tokens; these words are lost: " + reading.lost;
      if (std::find(warnings.begin(), warnings.end(), warning) == warnings.end())
        warnings.push_back(std::move(warning));
    }
  };
  check("prompt", [&](std::string_view encoder) {
    return encoder.ends_with("_2")   ? prompt.text_2.value_or(prompt.text)
           : encoder.ends_with("_3") ? prompt.text_3.value_or(prompt.text)
                                     : prompt.text;
  });
  const auto negative = prompt.negative.value_or("");
  if (guided)
    check("negative prompt", [&](std::string_view encoder) {
      return encoder.ends_with("_2")   ? prompt.negative_2.value_or(negative)
             : encoder.ends_with("_3") ? prompt.negative_3.value_or(negative)
                                       : negative;
    });
}

/// What the picture's settings say of the controls (as AUTOMATIC1111's extension for ControlNet does).
void describe_controls(const Request& request, Plan& plan) {
  for (std::size_t i = 0; i < request.controls.size(); ++i) {
    const auto& use = request.controls[i];
    const char* const resize = use.resize == ControlResize::stretch ? "Just Resize"
                               : use.resize == ControlResize::crop  ? "Crop and Resize"
                                                                    : "Resize and Fill";
    std::string text = "Module: none, Model: " + use.control->info().name +
                       ", Weight: " + number(static_cast<double>(use.scale)) + ", Resize Mode: " + resize +
                       ", Guidance Start: " + number(use.start) + ", Guidance End: " + number(use.end);
    if (use.guess_mode) text += ", Guess Mode: True";
    if (use.hides_masked) text += ", Hides Masked: True";
    if (use.mode) text += ", Union Mode: " + std::to_string(*use.mode);
    plan.parameters.emplace_back("ControlNet " + std::to_string(i), text);
  }
}

void describe_image_prompts(const Request& request, Plan& plan) {
  for (std::size_t i = 0; i < request.image_prompts.size(); ++i) {
    const auto& prompt = request.image_prompts[i];
    if (prompt.adapter == nullptr) continue;  // is refused later
    auto text = "Model: " + std::filesystem::path(prompt.adapter->info().file).stem().string();
    if (prompt.block_scales.empty()) text += ", Weight: " + number(prompt.scale);
    for (const auto& [name, scale] : prompt.block_scales) text += ", " + name + ": " + number(scale);
    plan.parameters.emplace_back("Image prompt " + std::to_string(i),
                                 text + ", Images: " + std::to_string(prompt.images.size()));
  }
}

/// The same for prompts in a prompt language, or with textual inversions.
void check_language(const Prompt& prompt, const Model& model, const Task& task, bool guided,
                    std::vector<std::string>& warnings) {
  const auto& encoders = model.components().text_encoders;
  const auto check = [&](Side side, const char* what) {
    const auto edited = edited_prompts(prompt, side, task.prompting, task.steps);
    for (const auto& [name, encoder] : encoders) {
      const PromptEncoder reader(*encoder, name, task.prompting, encoders.size() > 1);
      std::set<std::string> seen;
      for (const auto& part : edited)
        for (const auto& entry : part.entries)
          if (const auto text = text_for(name, entry.prompt, side); seen.insert(text).second)
            reader.check(text, what, model.sequence_length(task), warnings);
    }
  };
  check(Side::positive, "prompt");
  if (guided) check(Side::negative, "negative prompt");
  std::vector<std::string> once;
  for (auto& warning : warnings)
    if (std::find(once.begin(), once.end(), warning) == once.end()) once.push_back(std::move(warning));
  warnings = std::move(once);
}

/// How the prompts are to be read; refuses what does not belong together.
Prompting prompting_for(const Request& request, const Family& family) {
  Prompting prompting{.syntax = request.prompt_syntax, .embeddings = request.embeddings};
  if (request.emphasis && request.prompt_syntax != PromptSyntax::a1111)
    throw ArgumentError(pipeline_name, "an emphasis is chosen for the a1111 prompt syntax only");
  prompting.emphasis = request.emphasis.value_or(prompting.emphasis);
  if (!prompting.is_plain() && !family.tasks.prompt)
    throw ArgumentError(pipeline_name, family.title + " takes no prompt");
  return prompting;
}

/// What of the reading of prompts a picture's settings say.
void describe_prompting(const Prompting& prompting, std::vector<std::pair<std::string, std::string>>& to) {
  if (prompting.syntax != PromptSyntax::plain) to.emplace_back("Prompt syntax", name_of(prompting.syntax));
  if (prompting.emphasis != Emphasis::original) to.emplace_back("Emphasis", name_of(prompting.emphasis));
  std::string names;
  for (const auto& embedding : prompting.embeddings) names += (names.empty() ? "" : ", ") + embedding->name();
  if (!names.empty()) to.emplace_back("Embeddings", names);
}

/// In the fewest digits that are read back as this number.
template <class Number>
std::string shortest(Number value) {
  char text[64];  // not printf: its decimal point is the host's locale's
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::general).ptr};
}

/// The size that the picture decides on where the request does not, of models that work in pixels or enlarge.
std::optional<Extent> own_size(const Request& request, const Model& model) {
  const auto& picture = request.input.image;
  const bool says = request.size.width || request.size.height || !request.sampling.noise.empty() ||
                    !request.input.latents.empty();
  if (says || picture.empty()) return std::nullopt;
  const Extent given{picture.height(), picture.width()};
  if (model.family().part(Part::Kind::autoencoder) == nullptr)
    return size_as_trained(given, model.default_size(), model.denoiser().side_multiple);
  if (!enlarges(model.family().tasks.joins)) return std::nullopt;
  const Index ratio = model.format().space_ratio;
  return Extent{checked_multiply(given[0], ratio), checked_multiply(given[1], ratio)};
}

/// As many as timesteps are given, else what the request says, else the family.
int requested_steps(const Request& request, const Family& family) {
  const auto& steps = request.sampling.steps;
  const auto& timesteps = request.sampling.timesteps;
  if (timesteps.empty()) return steps.value_or(family.defaults.steps);
  if (steps)
    throw ArgumentError(pipeline_name, "give a number of steps or the timesteps to go through, not both");
  return static_cast<int>(timesteps.size());
}

/// "999 750.5 500"
std::string timesteps_text(const std::vector<double>& timesteps) {
  std::string text;
  for (const double timestep : timesteps) text += (text.empty() ? "" : " ") + shortest(timestep);
  return text;
}

/// A picture as cameras take it may set a size that nobody meant to ask for.
void warn_of_size(const Request& request, const Task& task, const Extent& trained,
                  std::vector<std::string>& warnings) {
  constexpr Index usual = 4;  // times as many pixels as the model was trained at
  const bool from_picture =
      !request.size.width && !request.size.height && request.sampling.noise.empty() && !task.image.empty();
  if (!from_picture || task.width * task.height <= usual * trained[0] * trained[1]) return;
  const auto text = [](Index height, Index width) {
    return std::to_string(width) + " x " + std::to_string(height);
  };
  warnings.push_back("[pipeline] the size is that of the picture to start from, " +
                     text(task.height, task.width) + ", the model was trained at " +
                     text(trained[0], trained[1]) +
                     ": it takes long and things may come out twice; give a width or a height to scale it");
}

}  // namespace

Plan plan_for(const Request& request, const Model& model, const ClassNames& class_names,
              std::shared_ptr<const samplers::Sampler> sampler) {
  const auto& family = model.family();
  const auto& [image, original, noise_level, mask, latents, strength, inpainting] = request.input;
  const auto count = count_of(request);
  refuse_what_is_not_read(request, model);
  check_true_cfg(request, family);
  check_variation(request);
  const auto labels = classes_for_all(request, count, class_names);
  Plan plan;
  auto& task = plan.task;
  const Prompt prompt{.text = request.prompt,
                      .text_2 = request.prompt_2,
                      .text_3 = request.prompt_3,
                      .negative = request.negative_prompt,
                      .negative_2 = request.negative_prompt_2,
                      .negative_3 = request.negative_prompt_3,
                      .label = {}};
  task.prompts.assign(count, prompt);
  for (std::size_t i = 0; i < labels.size(); ++i) task.prompts[i].label = labels[i];
  const auto trained = model.default_size();
  const Index multiple = model.format().space_ratio * model.denoiser().side_multiple;
  const bool references = family.tasks.references && !image.empty();
  const auto own = own_size(request, model);
  const auto size = references ? size_beside(request.size, image, multiple, trained)
                    : own      ? *own
                               : size_of(request, model.format().space_ratio, multiple, trained);
  task.height = size[0];
  task.width = size[1];
  task.timesteps = request.sampling.timesteps;
  task.steps = requested_steps(request, family);
  const float usual_scale = family.tasks.guidance ? family.defaults.guidance_scale : 1.0f;
  task.guidance.scale = request.guidance.scale.value_or(usual_scale);
  task.guidance.rescale = request.guidance.rescale.value_or(task.guidance.rescale);
  task.guidance.image_scale = request.guidance.image_scale.value_or(task.guidance.image_scale);
  task.guidance.true_cfg_scale = request.guidance.true_cfg_scale.value_or(task.guidance.true_cfg_scale);
  task.guider = request.guidance.guider;
  task.eta = request.sampling.eta.value_or(0.0);
  task.clip_skip = request.clip_skip.value_or(0);
  task.sequence_length = request.max_sequence_length.value_or(0);
  task.micro = request.micro;
  task.image_prompts = request.image_prompts;
  task.free_u = request.free_u;
  task.tiling = request.tiling;
  task.latents = request.sampling.noise;
  task.denoising_start = request.sampling.denoising_start;
  task.denoising_end = request.sampling.denoising_end;
  task.sampler = std::move(sampler);
  task.film = request.film;
  settle_video(model, plan);
  const bool possible = std::min(size[0], size[1]) > 0 && std::max(size[0], size[1]) <= Image::max_side;
  if (possible) {
    if (references) {
      const auto looked_at = reference_size({image.height(), image.width()}, multiple);
      task.reference = picture_input(image, looked_at[1], looked_at[0]);
    } else if (enlarges(family.tasks.joins)) {
      const Index ratio = model.format().space_ratio;
      if (!image.empty())  // in pixels of any size: the preparation brings it to the sample's
        task.low_resolution = ratio > 1 ? picture_input(image, size[1] / ratio, size[0] / ratio)
                                        : picture_input(image, image.width(), image.height());
      if (!original.empty()) task.image = picture_input(original, size[1], size[0]);
      task.noise_level = noise_level.value_or(family.augmentation.level);
    } else if (!image.empty()) {
      task.image = picture_input(image, size[1], size[0]);
    }
    if (!mask.empty()) task.mask = task_mask(request, size[1], size[0]);
  }
  if (possible) {
    task.controls = controls_for(request, task);
    describe_controls(request, plan);
    describe_image_prompts(request, plan);
  }
  task.differential = inpainting.differential;
  task.content = inpainting.content;
  task.image_latents = latents;
  task.strength = strength.value_or(mask.empty() ? family.defaults.strength : family.defaults.mask_strength);
  task.prompting = prompting_for(request, family);
  const bool guided = model.guider(task)->needs_negative();
  if (!task.prompting.is_plain())
    check_language(family.cleaned(prompt), model, task, guided, plan.warnings);
  else if (family.tasks.prompt)
    check_prompts(family.cleaned(prompt), model, model.sequence_length(task), guided, plan.warnings);
  warn_of_size(request, task, trained, plan.warnings);

  if (!labels.empty()) plan.parameters.emplace_back("Class", classes_text(labels, class_names));
  if (task.has_image() && !is_made_from_picture(family.tasks.joins) && !task.denoising_start)
    plan.parameters.emplace_back("Denoising strength", number(task.strength));
  if (enlarges(family.tasks.joins))
    plan.parameters.emplace_back("Noise level",
                                 std::to_string(noise_level.value_or(family.augmentation.level)));
  if (!task.timesteps.empty()) plan.parameters.emplace_back("Timesteps", timesteps_text(task.timesteps));
  if (task.has_image() && family.tasks.joins == Joins::control)
    plan.parameters.emplace_back("Reference image", "given");
  describe_film(model, plan);
  if (family.tasks.joins == Joins::edited)
    plan.parameters.emplace_back("Image CFG scale", number(task.guidance.image_scale));
  if (!model.loras().empty()) plan.parameters.emplace_back("Loras", lora_mentions(model.loras()));
  if (const auto& tiling = task.tiling; tiling.any())
    plan.parameters.emplace_back("Tiling", tiling.x && tiling.y ? "True" : tiling.x ? "x" : "y");
  if (task.free_u)
    for (const auto& [key, value] :
         {std::pair{"freeu_b1", task.free_u->b1}, std::pair{"freeu_b2", task.free_u->b2},
          std::pair{"freeu_s1", task.free_u->s1}, std::pair{"freeu_s2", task.free_u->s2}})
      plan.parameters.emplace_back(key, number(static_cast<double>(value)));
  if (task.clip_skip > 0)  // there 1 means none
    plan.parameters.emplace_back("Clip skip", std::to_string(task.clip_skip + 1));
  describe_prompting(task.prompting, plan.parameters);
  return plan;
}

Extent size_of(const Request& request, Index ratio, Index multiple, Extent usual) {
  auto [width, height] = request.size;
  const auto& latents = request.sampling.noise.empty() ? request.input.latents : request.sampling.noise;
  if (latents.rank() >= 4) {
    if (!height) height = checked_multiply(latents.dim(-3), ratio);
    if (!width) width = checked_multiply(latents.dim(-2), ratio);
  } else if (const Image& picture = request.input.image; !picture.empty()) {
    const auto rounded = [&](Index side) { return side - side % multiple; };
    const auto scalable = [](const auto& side) { return side && *side > 0 && *side <= Image::max_side; };
    if (!width && !height) {
      width = rounded(picture.width());
      height = rounded(picture.height());
      if (*width == 0 || *height == 0)
        throw ArgumentError(pipeline_name,
                            "the picture to start from is " + std::to_string(picture.width()) + " x " +
                                std::to_string(picture.height()) + ", smaller than the " +
                                std::to_string(multiple) + " x " + std::to_string(multiple) +
                                " that this model can make; give a width and a height to scale it");
    } else if (!width && scalable(height)) {
      width = std::max(multiple, rounded(*height * picture.width() / picture.height()));
    } else if (!height && scalable(width)) {
      height = std::max(multiple, rounded(*width * picture.height() / picture.width()));
    }
  }
  return {height.value_or(usual[0]), width.value_or(usual[1])};
}

Tensor<float> task_mask(const Request& request, Index width, Index height) {
  const auto& mask = request.input.mask;
  if (!request.input.inpainting.differential) return mask_input(mask, width, height);
  const Image colours = mask.channels() == 1 ? mask : mask.to_channels(3);
  return to_unit_tensor(colours.resized(width, height).to_channels(1));
}

std::string number(double value) {
  return shortest(value);
}
std::string number(float value) {
  return shortest(value);
}

}  // namespace daguerre
