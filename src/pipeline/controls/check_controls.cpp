#include <algorithm>
#include <cmath>

#include "daguerre/pipeline/model.hpp"
#include "pipeline/controls/controls.hpp"
#include "pipeline/name.hpp"
#include "pipeline/number.hpp"

namespace daguerre {
namespace {

std::string in_words(const std::vector<Index>& numbers) {
  std::string text;
  for (const Index number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
  return text.empty() ? "none" : text;
}

std::string in_words(FeatureSizes::Kind kind) {
  return kind == FeatureSizes::Kind::unet ? "U-Nets" : "transformers";
}

/// Why the sizes of what a control gives are not those of what the denoiser takes; empty: they are.
std::string unlike_sizes(const FeatureSizes& gives, const FeatureSizes& takes) {
  if (gives.kind == FeatureSizes::Kind::unet) {
    if (!gives.residuals.empty())
      return gives.residuals == takes.residuals
                 ? ""
                 : "residuals of " + in_words(gives.residuals) + " channels, the denoiser takes " +
                       in_words(takes.residuals);
    // What is beyond the middle, or does not have its shape, is left out as the reference does.
    const auto& blocks = gives.blocks;
    const bool fits = blocks.size() + 1 >= takes.blocks.size() &&
                      std::equal(takes.blocks.begin(), std::prev(takes.blocks.end()), blocks.begin());
    return fits ? ""
                : "features of " + in_words(blocks) +
                      " channels, the denoiser's blocks and its middle have " + in_words(takes.blocks);
  }
  if (gives.width != takes.width)
    return "tokens of " + std::to_string(gives.width) + ", the denoiser's have " +
           std::to_string(takes.width);
  const auto counts = [](const FeatureSizes& sizes) {
    return std::to_string(sizes.layers) + " and " + std::to_string(sizes.single_layers) + " blocks";
  };
  if (gives.layers > takes.layers || gives.single_layers > takes.single_layers)
    return counts(gives) + ", the denoiser has " + counts(takes);
  return {};
}

void check_part(const std::string& what, double value) {
  if (!(value >= 0.0 && value <= 1.0))
    throw ArgumentError(pipeline_name, what + " is " + number(value) + ", expected 0 to 1");
}

/// Of a film of `count` frames: which of them there are pictures for.
void check_frames(const std::string& who, const ControlInfo& info, const ControlTask& use, Index count) {
  const Index given = use.image.rank() > 0 ? use.image.dim(0) : 0;
  const auto named = static_cast<Index>(use.frames.size());
  if (named > 0 ? given != named : given != 1 && given != count)
    throw ArgumentError(
        pipeline_name, who + ": " + std::to_string(given) + " pictures for " +
                           (named > 0 ? std::to_string(named) : "1 or " + std::to_string(count)) + " frames");
  for (std::size_t i = 0; i < use.frames.size(); ++i) {
    const Index frame = use.frames[i];
    if (frame < 0 || frame >= count || std::count(use.frames.begin(), use.frames.end(), frame) > 1)
      throw ArgumentError(pipeline_name, who + ": frame " + std::to_string(frame) + " of " +
                                             std::to_string(count) + " is not there, or named twice");
  }
  if (named > 0 && named < count && info.films != ControlInfo::Films::sparse)
    throw ArgumentError(pipeline_name, who + ": a " + info.title + " needs pictures for all " +
                                           std::to_string(count) + " frames, or one for all");
}

/// `copies`: how many pictures it may be, beside one.
void check_picture(const std::string& who, const ControlInfo& info, const Task& task,
                   const Tensor<float>& image, Index copies) {
  const bool pixels = info.reads == ControlInfo::Reads::pixels;
  const Index channels = pixels ? info.picture_channels : 3;
  if (image.empty()) throw ArgumentError(pipeline_name, who + " has no image to keep to");
  const bool fits = image.rank() == 4 && (image.dim(0) == 1 || image.dim(0) == copies) &&
                    image.dim(1) == task.height && image.dim(2) == task.width && image.dim(3) == channels;
  if (!fits)
    throw ArgumentError(pipeline_name, who + ": its image is " + to_string(image.shape()) +
                                           ", expected [1 or " + std::to_string(copies) + ", " +
                                           std::to_string(task.height) + ", " + std::to_string(task.width) +
                                           ", " + std::to_string(channels) + "]");
  if (pixels && (task.height % info.picture_multiple != 0 || task.width % info.picture_multiple != 0))
    throw ArgumentError(pipeline_name, who + " needs a width and a height that are multiples of " +
                                           std::to_string(info.picture_multiple) + ", found " +
                                           std::to_string(task.width) + " x " + std::to_string(task.height));
}

}  // namespace

void check_control_fit(const ControlInfo& control, const DenoiserInfo& denoiser, const LatentFormat& format) {
  const auto refuse = [&](const std::string& why) {
    throw ConfigError(pipeline_name, control.config + " is a " + control.title +
                                         " that does not fit the model of " + denoiser.config + ": " + why);
  };
  const auto compare = [&](const std::string& what, Index own, const std::string& other, Index theirs) {
    if (own != theirs)
      refuse(what + " is " + std::to_string(own) + " there, " + other + " " + std::to_string(theirs) +
             " here");
  };
  if (denoiser.takes.kind != control.gives.kind)
    refuse("it is for " + in_words(control.gives.kind) +
           (denoiser.takes.kind == FeatureSizes::Kind::none
                ? ", this denoiser takes no controls"
                : ", this denoiser is one of the " + in_words(denoiser.takes.kind)));
  if (denoiser.films && control.films == ControlInfo::Films::none)
    refuse("it is for pictures, this denoiser makes films");
  if (!denoiser.films && control.films == ControlInfo::Films::sparse)
    refuse("it is for films, this denoiser makes pictures");
  if (control.latent_channels > 0)
    compare("the number of the latents' channels", control.latent_channels, "the number of channels",
            format.channels);
  if (control.context_width > 0)
    compare(control.context_key, control.context_width, denoiser.context_key, denoiser.context_width);
  if (control.pooled_width > 0 && denoiser.pooled_width > 0)
    compare("pooled_projection_dim", control.pooled_width, "pooled_projection_dim", denoiser.pooled_width);
  if (control.reads == ControlInfo::Reads::pixels)
    compare("the number of pixels along a side to one latent", control.picture_ratio, "the autoencoder's",
            format.space_ratio);
  if (const auto why = unlike_sizes(control.gives, denoiser.takes); !why.empty()) refuse("it gives " + why);
}

void check_control_fit(const ControlInfo& control, const Model& model) {
  check_control_fit(control, model.denoiser(), model.format());
}

void check_controls(const Task& task, const Components& components, Index frames) {
  const bool films = components.denoiser->info().films;
  for (std::size_t i = 0; i < task.controls.size(); ++i) {
    const auto& use = task.controls[i];
    const std::string place = "control " + std::to_string(i);
    if (use.control == nullptr) throw ArgumentError(pipeline_name, place + " is not there");
    const auto& info = use.control->info();
    const auto who = place + (info.name.empty() ? "" : " (" + info.name + ")");
    check_control_fit(info, components.denoiser->info(), components.autoencoder->info());
    if (films) check_frames(who, info, use, frames);
    if (!films && !use.frames.empty())
      throw ArgumentError(pipeline_name, who + " is told frames, and this model makes pictures");
    check_picture(who, info, task, use.image,
                  films ? std::max<Index>(use.image.dim(0), 1) : static_cast<Index>(task.prompts.size()));
    if (!std::isfinite(use.scale))
      throw ArgumentError(pipeline_name,
                          who + ": scale is " + number(use.scale) + ", expected a finite number");
    check_part(who + ": start", use.start);
    check_part(who + ": end", use.end);
    if (use.start > use.end)
      throw ArgumentError(pipeline_name, who + ": start is " + number(use.start) + ", end " +
                                             number(use.end) + ": nothing is between them");
    if (use.guess_mode && !info.takes_guess_mode)
      throw ArgumentError(pipeline_name, who + ": a " + info.title + " of this family has no guess mode");
    if (use.mode && (*use.mode < 0 || *use.mode >= info.modes))
      throw ArgumentError(
          pipeline_name,
          who + ": mode is " + std::to_string(*use.mode) +
              (info.modes == 0 ? ", and it has none" : ", expected 0 to " + std::to_string(info.modes - 1)));
    if (!use.mode && info.modes > 0)
      throw ArgumentError(pipeline_name,
                          who + " is a union: it needs a mode, 0 to " + std::to_string(info.modes - 1));
  }
  if (!task.controls.empty() && !task.reference.empty())
    throw ArgumentError(pipeline_name, "a picture to look at and controls are not possible at once");
}

}  // namespace daguerre
