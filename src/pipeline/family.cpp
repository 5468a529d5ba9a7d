#include "daguerre/pipeline/family.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "pipeline/families/families.hpp"
#include "pipeline/name.hpp"

namespace daguerre {

const TextEncoder& Components::text_encoder(std::string_view name) const {
  const auto found = text_encoders.find(name);
  if (found == text_encoders.end())
    throw ArgumentError(pipeline_name, "the model has no " + in_quotes(name) + " to read a prompt with");
  return *found->second;
}

Prompt Family::cleaned(Prompt prompt) const {
  if (!clean) return prompt;
  prompt.text = clean(prompt.text);
  for (auto* text :
       {&prompt.text_2, &prompt.text_3, &prompt.negative, &prompt.negative_2, &prompt.negative_3})
    if (*text) *text = clean(**text);
  return prompt;
}

Index joined_channels(Joins joins, const LatentFormat& format) {
  switch (joins) {
    case Joins::mask_and_picture:
      return format.channels + 1;
    case Joins::edited:
    case Joins::control:
      return format.channels;
    case Joins::picture_and_pixels:
      return format.channels + format.space_ratio * format.space_ratio;
    case Joins::enlarged:
      return 3;
  }
  return 0;
}

std::vector<Lease> Components::lease_text_encoders() const {
  std::vector<Lease> leases;
  for (const auto& [name, encoder] : text_encoders) leases.push_back(encoder->lease());
  return leases;
}

const Part* Family::part(Part::Kind kind) const noexcept {
  const auto found =
      std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.kind == kind; });
  return found == parts.end() ? nullptr : &*found;
}

FamilyRegistry FamilyRegistry::standard() {
  FamilyRegistry registry;
  registry.add(families::stable_diffusion());
  registry.add(families::stable_diffusion_xl());
  registry.add(families::stable_diffusion_3());
  registry.add(families::latent_consistency());
  registry.add(families::instruct_pix2pix());
  registry.add(families::flux());
  registry.add(families::flux_fill());
  registry.add(families::flux_control());
  registry.add(families::flux_kontext());
  registry.add(families::deepfloyd_if());
  registry.add(families::deepfloyd_if_upscale());
  registry.add(families::stable_diffusion_upscale());
  registry.add(families::pixart_alpha());
  registry.add(families::pixart_sigma());
  registry.add(families::dit());
  registry.add(families::ddpm());
  registry.add(families::wan());
  registry.add(families::wan_vace());
  registry.add(families::cogvideox());
  registry.add(families::ltx_video());
  registry.add(families::ltx_video_conditions());
  registry.add(families::stable_video_diffusion());
  registry.add(families::text_to_video_sd());
  registry.add(families::i2vgen_xl());
  registry.add(families::latte());
  registry.add(families::mochi());
  registry.add(families::hunyuan_video());
  registry.add(families::animatediff());
  registry.add(families::animatediff_xl());
  return registry;
}

void FamilyRegistry::add(Family family) {
  std::erase_if(families_, [&](const Family& present) { return present.name == family.name; });
  families_.push_back(std::move(family));
}

const PipelineClass& FamilyRegistry::pipeline_class(const Family& family, std::string_view class_name) {
  for (const auto& pipeline : family.classes)
    if (pipeline.name == class_name) return pipeline;
  throw ArgumentError(pipeline_name, "the family " + family.name + " has no class " + in_quotes(class_name));
}

const Family& FamilyRegistry::of_class(std::string_view class_name, const std::string& source) const {
  std::string known;
  for (const auto& family : families_)
    for (const auto& pipeline : family.classes) {
      if (pipeline.name == class_name) return family;
      known.append(known.empty() ? "" : ", ").append(pipeline.name);
    }
  throw ConfigError(pipeline_name, source + ": pipeline class " + in_quotes(class_name) +
                                       " is not supported; supported are: " + known);
}

std::vector<std::string> FamilyRegistry::names() const {
  std::vector<std::string> result;
  for (const auto& family : families_) result.push_back(family.name);
  return result;
}

}  // namespace daguerre
