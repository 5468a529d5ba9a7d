#include "weights/single_file_names.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "daguerre/core/error.hpp"
#include "weights/checkpoint_builder.hpp"
#include "weights/key_maps/layouts.hpp"

namespace daguerre::weights {
namespace {

void append(const StateDict& weights, const std::string& prefix, key_maps::JoinedTensor tensor,
            std::vector<StreamedTensor>& result) {
  StreamedTensor streamed{
      prefix + tensor.name, element_type(weights.find(tensor.sources.front())->dtype), tensor.shape, {}};
  for (auto& source : tensor.sources) {
    if (tensor.transposed || tensor.halves_swapped)
      streamed.sources.emplace_back(weights.renamed({{.name = source,
                                                      .source = source,
                                                      .transposed = tensor.transposed,
                                                      .halves_swapped = tensor.halves_swapped}}),
                                    source);
    else
      streamed.sources.emplace_back(weights, std::move(source));
  }
  result.push_back(std::move(streamed));
}

/// The names of transformers, as they are.
std::vector<key_maps::JoinedTensor> unchanged(const StateDict& weights) {
  std::vector<key_maps::JoinedTensor> result;
  for (auto& name : weights.names()) {
    const Shape shape = weights.shape(name);
    result.push_back({name, {name}, shape});
  }
  return result;
}

}  // namespace

std::vector<StreamedTensor> single_part_tensors(const CheckpointPart& part) {
  std::vector<StreamedTensor> result;
  const auto* denoiser = denoiser_of_class(part.class_name);
  auto tensors = denoiser != nullptr ? denoiser->to_original(part.weights, key_maps::Unplaced::refused)
                 : part.class_name == "AutoencoderKL" ? key_maps::to_ldm_autoencoder(part.weights)
                                                      : unchanged(part.weights);
  for (auto& tensor : tensors) append(part.weights, "", std::move(tensor), result);
  return result;
}

std::vector<StreamedTensor> single_file_tensors(const Checkpoint& model, std::vector<std::string>& left_out) {
  if (model.family.empty())
    throw ConfigError(checkpoint_name, model.source + ": a " + model.pipeline_class +
                                           " has no layout of a single file here; a folder can be written");
  const auto& family = family_called(model.family);
  std::vector<StreamedTensor> result;
  for (const auto& part : model.parts) {
    const auto slot = std::find_if(family.text.begin(), family.text.end(),
                                   [&](const TextSlot& text) { return text.name == part.name; });
    std::string prefix;
    std::vector<key_maps::JoinedTensor> tensors;
    if (part.name == family.denoiser->part) {
      prefix = "model.diffusion_model.";
      tensors = family.denoiser->to_original(part.weights, key_maps::Unplaced::refused);
    } else if (part.name == "vae" && part.class_name == "AutoencoderKL") {
      prefix = "first_stage_model.";
      tensors = key_maps::to_ldm_autoencoder(part.weights);
    } else if (slot != family.text.end()) {
      prefix = slot->prefix;
      tensors = slot->open_clip_names ? key_maps::to_open_clip(part.weights) : unchanged(part.weights);
    } else {
      left_out.push_back(part.name);
      continue;
    }
    for (auto& tensor : tensors) append(part.weights, prefix, std::move(tensor), result);
  }
  return result;
}

}  // namespace daguerre::weights
