#include "weights/families.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"

namespace daguerre::weights {
namespace {

// ---- what shows a U-Net's family

constexpr Mark mark(std::string_view original, std::string_view diffusers, Mark::Kind kind, Index value = 0) {
  return {original, diffusers, kind, value};
}
constexpr Mark channels(Index count) {
  return mark("input_blocks.0.0.weight", "conv_in.weight", Mark::Kind::extent, count);
}
/// Attention in the first level, by convolutions of one pixel (rank 4) or matrices (rank 2).
constexpr Mark first_attention(Index rank) {
  return mark("input_blocks.1.1.proj_in.weight", "down_blocks.0.attentions.0.proj_in.weight",
              Mark::Kind::rank, rank);
}
constexpr Mark no_first_attention =
    mark("input_blocks.1.1.proj_in.weight", "down_blocks.0.attentions.0.proj_in.weight", Mark::Kind::absent);
constexpr Mark second_attention =
    mark("input_blocks.4.1.proj_in.weight", "down_blocks.1.attentions.0.proj_in.weight", Mark::Kind::present);
constexpr Mark micro_conditions =
    mark("label_emb.0.0.weight", "add_embedding.linear_1.weight", Mark::Kind::present);
constexpr Mark no_micro_conditions =
    mark("label_emb.0.0.weight", "add_embedding.linear_1.weight", Mark::Kind::absent);
constexpr Mark three_levels =
    mark("input_blocks.9.0.op.weight", "down_blocks.3.resnets.0.conv1.weight", Mark::Kind::absent);
constexpr Mark four_levels =
    mark("input_blocks.9.0.op.weight", "down_blocks.3.resnets.0.conv1.weight", Mark::Kind::present);

// ---- text encoders

constexpr std::array<TextSlot, 1> sd1_text{{{"text_encoder", "tokenizer", "cond_stage_model.transformer."}}};
// The last of OpenCLIP H's 24 layers is not used.
constexpr std::array<TextSlot, 1> sd2_text{{{"text_encoder", "tokenizer", "cond_stage_model.model.",
                                             "conditioner.embedders.0.model.", true, false, 23}}};
constexpr std::array<TextSlot, 2> sdxl_text{
    {{"text_encoder", "tokenizer", "conditioner.embedders.0.transformer."},
     {"text_encoder_2", "tokenizer_2", "conditioner.embedders.1.model.", "", true, true}}};
constexpr std::array<TextSlot, 1> refiner_text{
    {{"text_encoder_2", "tokenizer_2", "conditioner.embedders.0.model.", "", true, true}}};

// ---- what the models were published with

constexpr std::string_view pndm =
    R"({"_class_name": "PNDMScheduler", "_diffusers_version": "0.31.0", "num_train_timesteps": 1000,
"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "trained_betas": null,
"skip_prk_steps": true, "set_alpha_to_one": false, "prediction_type": "epsilon", "timestep_spacing": "leading",
"steps_offset": 1})";
constexpr std::string_view ddim_v =
    R"({"_class_name": "DDIMScheduler", "_diffusers_version": "0.31.0", "num_train_timesteps": 1000,
"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "trained_betas": null,
"clip_sample": false, "set_alpha_to_one": false, "steps_offset": 1, "prediction_type": "v_prediction",
"timestep_spacing": "leading", "rescale_betas_zero_snr": false})";
constexpr std::string_view euler =
    R"({"_class_name": "EulerDiscreteScheduler", "_diffusers_version": "0.31.0", "num_train_timesteps": 1000,
"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "trained_betas": null,
"prediction_type": "epsilon", "interpolation_type": "linear", "use_karras_sigmas": false,
"timestep_spacing": "leading", "steps_offset": 1})";
constexpr std::string_view euler_ancestral =
    R"({"_class_name": "EulerAncestralDiscreteScheduler", "_diffusers_version": "0.31.0",
"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear",
"trained_betas": null, "prediction_type": "epsilon", "timestep_spacing": "linspace", "steps_offset": 1})";

constexpr std::string_view no_checker =
    R"({"feature_extractor": [null, null], "safety_checker": [null, null], "requires_safety_checker": false})";
constexpr std::string_view zeros = R"({"force_zeros_for_empty_prompt": true})";
constexpr std::string_view refiner_options =
    R"({"text_encoder": [null, null], "tokenizer": [null, null], "force_zeros_for_empty_prompt": false,
"requires_aesthetics_score": true})";

// ---- the rows

FamilyRow sd1(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline,
              std::string_view scheduler) {
  return {name,     title,      {channels(in_channels), first_attention(4), no_micro_conditions},
          pipeline, no_checker, scheduler,
          sd1_text, 0.18215,    512,
          8};
}

FamilyRow sd2(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline,
              std::string_view scheduler, int size) {
  return {name,     title,      {channels(in_channels), first_attention(2), no_micro_conditions},
          pipeline, no_checker, scheduler,
          sd2_text, 0.18215,    size};
}

FamilyRow sdxl(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline) {
  return {name,
          title,
          {channels(in_channels), micro_conditions, no_first_attention, second_attention, three_levels},
          pipeline,
          zeros,
          euler,
          sdxl_text,
          0.13025,
          1024};
}

FamilyRow refiner() {
  auto row = sdxl("sdxl-refiner", "Stable Diffusion XL refiner", 4, "StableDiffusionXLImg2ImgPipeline");
  row.marks.back() = four_levels;
  row.index_options = refiner_options;
  row.text = refiner_text;
  return row;
}

// "sd2-v" stands behind "sd2", whose marks it has.
const std::vector<FamilyRow>& rows() {
  static const std::vector<FamilyRow> all{
      sd1("sd1", "Stable Diffusion 1", 4, "StableDiffusionPipeline", pndm),
      sd1("sd1-inpaint", "Stable Diffusion 1, inpainting", 9, "StableDiffusionInpaintPipeline", pndm),
      sd1("sd1-pix2pix", "InstructPix2Pix on Stable Diffusion 1", 8, "StableDiffusionInstructPix2PixPipeline",
          euler_ancestral),
      sd2("sd2", "Stable Diffusion 2, base", 4, "StableDiffusionPipeline", pndm, 512),
      sd2("sd2-v", "Stable Diffusion 2, predicting v", 4, "StableDiffusionPipeline", ddim_v, 768),
      sd2("sd2-inpaint", "Stable Diffusion 2, inpainting", 9, "StableDiffusionInpaintPipeline", pndm, 512),
      sd2("sd2-pix2pix", "InstructPix2Pix on Stable Diffusion 2", 8, "StableDiffusionInstructPix2PixPipeline",
          euler_ancestral, 512),
      sdxl("sdxl", "Stable Diffusion XL", 4, "StableDiffusionXLPipeline"),
      sdxl("sdxl-inpaint", "Stable Diffusion XL, inpainting", 9, "StableDiffusionXLInpaintPipeline"),
      sdxl("sdxl-pix2pix", "InstructPix2Pix on Stable Diffusion XL", 8,
           "StableDiffusionXLInstructPix2PixPipeline"),
      refiner(),
  };
  return all;
}

std::string_view name_in(const Mark& mark, Layout layout) {
  return layout == Layout::original ? mark.original : mark.diffusers;
}

/// A mark in words, as it stands in a message.
std::string in_words(const Mark& mark, const StateDict& weights, std::string_view prefix, Layout layout) {
  const std::string name = std::string(prefix).append(name_in(mark, layout));
  const auto* found = weights.find(name);
  return found == nullptr ? "no " + name : name + " " + to_string(found->shape);
}

}  // namespace

std::span<const FamilyRow> families() {
  return rows();
}

const FamilyRow& family_called(std::string_view name) {
  std::string known;
  for (const auto& row : families()) {
    if (row.name == name) return row;
    known.append(known.empty() ? "" : ", ").append(row.name);
  }
  throw ArgumentError("checkpoint", "there is no family " + in_quotes(name) + "; there are: " + known);
}

bool holds(const Mark& mark, const StateDict& weights, std::string_view prefix, Layout layout) {
  const auto* found = weights.find(std::string(prefix).append(name_in(mark, layout)));
  switch (mark.kind) {
    case Mark::Kind::present:
      return found != nullptr;
    case Mark::Kind::absent:
      return found == nullptr;
    case Mark::Kind::rank:
      return found != nullptr && found->shape.rank() == mark.value;
    case Mark::Kind::extent:
      return found != nullptr && found->shape.rank() > 1 && found->shape[1] == mark.value;
  }
  return false;
}

const FamilyRow* recognised_family(const StateDict& weights, std::string_view prefix, Layout layout) {
  for (const auto& row : families())
    if (std::all_of(row.marks.begin(), row.marks.end(),
                    [&](const Mark& mark) { return holds(mark, weights, prefix, layout); }))
      return &row;
  return nullptr;
}

std::string nearest_families(const StateDict& weights, std::string_view prefix, Layout layout) {
  std::vector<std::pair<double, const FamilyRow*>> ranked;
  for (const auto& row : families()) {
    const auto count = std::count_if(row.marks.begin(), row.marks.end(),
                                     [&](const Mark& mark) { return holds(mark, weights, prefix, layout); });
    ranked.emplace_back(static_cast<double>(count) / static_cast<double>(row.marks.size()), &row);
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [share, row] : std::span(ranked).first(2)) {
    std::string supporting, opposing;
    for (const auto& mark : row->marks) {
      std::string& side = holds(mark, weights, prefix, layout) ? supporting : opposing;
      side += (side.empty() ? "" : ", ") + in_words(mark, weights, prefix, layout);
    }
    if (!supporting.empty()) supporting = "for it: " + supporting;
    if (!opposing.empty()) opposing = (supporting.empty() ? "against it: " : "; against it: ") + opposing;
    text.append(text.empty() ? "" : "; ").append(row->name).append(" (" + supporting + opposing + ")");
  }
  return text;
}

std::string_view unsupported_model(const StateDict& weights) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 18> known{
      {{"joint_blocks.0.context_block.adaLN_modulation.1.bias", "Stable Diffusion 3"},
       {"double_blocks.0.img_attn.norm.key_norm.scale", "FLUX"},
       {"distilled_guidance_layer.in_proj.bias", "Chroma"},
       {"double_stream_blocks.0.block.adaLN_modulation.1.bias", "HiDream"},
       {"double_layers.0.attn.w2q.weight", "AuraFlow"},
       {"txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias", "HunyuanVideo"},
       {"patchify_proj.weight", "LTX-Video"},
       {"head.modulation", "Wan"},
       {"cap_embedder.0.weight", "Lumina 2 or Z-Image"},
       {"blocks.0.cross_attn.kv_linear.weight", "PixArt or Sana"},
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
