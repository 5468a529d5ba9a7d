#include "weights/families.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::weights {
namespace {

std::string named(const DenoiserPlace& place, std::string_view original, std::string_view diffusers) {
  return std::string(place.prefix).append(place.layout == Layout::original ? original : diffusers);
}
std::string named(const DenoiserPlace& place, const Mark& mark) {
  return named(place, mark.original, mark.diffusers);
}

/// A mark in words, as it stands in a message.
std::string in_words(const Mark& mark, const StateDict& weights, const DenoiserPlace& place) {
  const auto described = [&](const std::string& name) {
    const auto* found = weights.find(name);
    return found == nullptr ? "no " + name : name + " " + to_string(found->shape);
  };
  const auto text = described(named(place, mark));
  return mark.kind != Mark::Kind::multiple
             ? text
             : text + " beside " + described(named(place, mark.other_original, mark.other_diffusers));
}

}  // namespace

const FamilyRow& family_called(std::string_view name) {
  std::string known;
  for (const auto& row : families()) {
    if (row.name == name) return row;
    known.append(known.empty() ? "" : ", ").append(row.name);
  }
  throw ArgumentError("checkpoint", "there is no family " + in_quotes(name) + "; there are: " + known);
}

std::string part_in_words(const FamilyRow& family, std::string_view part) {
  const auto words = [&](std::string_view what) { return std::string(part).append(", ").append(what); };
  for (const auto& slot : family.text) {
    if (slot.name != part) continue;
    if (slot.kind == TextKind::t5) return words("a T5 text encoder (as t5xxl_fp16.safetensors)");
    if (slot.kind == TextKind::umt5) return words("a umT5 text encoder (as umt5_xxl_fp16.safetensors)");
    if (slot.kind == TextKind::clip_l) return words("a CLIP text encoder (as clip_l.safetensors)");
    return words("an OpenCLIP text encoder (as clip_g.safetensors)");
  }
  if (part == "vae") return words("an autoencoder");
  return std::string(part);
}

bool holds(const Mark& mark, const StateDict& weights, const DenoiserPlace& place) {
  const auto* found = weights.find(named(place, mark));
  switch (mark.kind) {
    case Mark::Kind::present:
      return found != nullptr;
    case Mark::Kind::absent:
      return found == nullptr;
    case Mark::Kind::rank:
      return found != nullptr && found->shape.rank() == mark.value;
    case Mark::Kind::extent:
      return found != nullptr && found->shape.rank() > 1 && found->shape[1] == mark.value;
    case Mark::Kind::multiple: {
      const auto* other = weights.find(named(place, mark.other_original, mark.other_diffusers));
      return found != nullptr && found->shape.rank() > 1 && other != nullptr && other->shape.rank() > 0 &&
             other->shape[0] > 0 && found->shape[1] % other->shape[0] == 0 &&
             found->shape[1] / other->shape[0] == mark.value;
    }
  }
  return false;
}

const FamilyRow* recognised_family(const StateDict& weights, const DenoiserPlace& place) {
  for (const auto& row : families())
    if (row.denoiser == place.kind && std::all_of(row.marks.begin(), row.marks.end(), [&](const Mark& mark) {
          return holds(mark, weights, place);
        }))
      return &row;
  return nullptr;
}

std::string nearest_families(const StateDict& weights, const DenoiserPlace& place) {
  std::vector<std::pair<double, const FamilyRow*>> ranked;
  for (const auto& row : families()) {
    if (row.denoiser != place.kind) continue;
    const auto count = std::count_if(row.marks.begin(), row.marks.end(),
                                     [&](const Mark& mark) { return holds(mark, weights, place); });
    ranked.emplace_back(static_cast<double>(count) / static_cast<double>(row.marks.size()), &row);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [share, row] : std::span(ranked).first(std::min<std::size_t>(ranked.size(), 2))) {
    std::string supporting, opposing;
    for (const auto& mark : row->marks) {
      std::string& side = holds(mark, weights, place) ? supporting : opposing;
      side += (side.empty() ? "" : ", ") + in_words(mark, weights, place);
    }
    if (!supporting.empty()) supporting = "for it: " + supporting;
    if (!opposing.empty()) opposing = (supporting.empty() ? "against it: " : "; against it: ") + opposing;
    text.append(text.empty() ? "" : "; ").append(row->name).append(" (" + supporting + opposing + ")");
  }
  return text;
}

std::string_view unsupported_model(const StateDict& weights) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 17> known{
      {{"double_stream_modulation_img.lin.weight", "FLUX.2"},
       {"redux_up.weight", "FLUX.1 Redux, which steers a FLUX model and is none itself"},
       {"distilled_guidance_layer.in_proj.bias", "Chroma"},
       {"double_stream_blocks.0.block.adaLN_modulation.1.bias", "HiDream"},
       {"double_layers.0.attn.w2q.weight", "AuraFlow"},
       {"txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", "HunyuanVideo"},
       {"patchify_proj.weight", "LTX-Video"},
       {"cap_embedder.0.weight", "Lumina 2 or Z-Image"},
       {"blocks.0.mlp.inverted_conv.conv.weight", "Sana"},
       {"clip_txt_mapper.weight", "Stable Cascade"},
       {"down_blocks.1.0.channelwise.0.weight", "Stable Cascade"},
       {"down_blocks.0.motion_modules.0.temporal_transformer.norm.bias", "an AnimateDiff motion module"},
       {"transformer_in.proj_in.weight", "ModelScope's text-to-video or I2VGen-XL"},
       {"input_blocks.1.1.time_stack.0.norm1.weight", "Stable Video Diffusion"},
       {"edm_mean", "Playground v2.5"},
       {"edm_vpred.sigma_max", "an EDM fine-tune of Stable Diffusion XL (CosXL)"},
       {"label_emb.weight", "the Stable Diffusion x4 upscaler"}}};
  for (const auto& [key, title] : known)
    for (const std::string_view prefix : {"", "model.diffusion_model.", "diffusion_model."})
      if (weights.contains(std::string(prefix).append(key))) return title;
  return {};
}

}  // namespace daguerre::weights
