#include <array>
#include <utility>

#include "weights/families.hpp"

namespace daguerre::weights {
namespace {

// ---- what shows a denoiser's family

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

constexpr Mark sd3_second_attention = mark("joint_blocks.0.x_block.attn2.qkv.weight",
                                           "transformer_blocks.0.attn2.to_q.weight", Mark::Kind::present);
constexpr Mark no_sd3_second_attention = mark("joint_blocks.0.x_block.attn2.qkv.weight",
                                              "transformer_blocks.0.attn2.to_q.weight", Mark::Kind::absent);
constexpr Mark sd3_normed = mark("joint_blocks.0.x_block.attn.ln_q.weight",
                                 "transformer_blocks.0.attn.norm_q.weight", Mark::Kind::present);
constexpr Mark no_sd3_normed = mark("joint_blocks.0.x_block.attn.ln_q.weight",
                                    "transformer_blocks.0.attn.norm_q.weight", Mark::Kind::absent);
constexpr Mark guided = mark("guidance_in.in_layer.weight",
                             "time_text_embed.guidance_embedder.linear_1.weight", Mark::Kind::present);
constexpr Mark not_guided = mark("guidance_in.in_layer.weight",
                                 "time_text_embed.guidance_embedder.linear_1.weight", Mark::Kind::absent);
/// Tokens that come in are so many times as wide as those that go out: the latents and what joins them.
constexpr Mark joined(Index times) {
  return {"img_in.weight", "x_embedder.weight",         Mark::Kind::multiple,
          times,           "final_layer.linear.weight", "proj_out.weight"};
}
constexpr Mark sized = mark("csize_embedder.mlp.0.weight",
                            "adaln_single.emb.resolution_embedder.linear_1.weight", Mark::Kind::present);
constexpr Mark not_sized = mark("csize_embedder.mlp.0.weight",
                                "adaln_single.emb.resolution_embedder.linear_1.weight", Mark::Kind::absent);

/// Channels of the sample, and of what joins them.
constexpr Mark wan_channels(Index count) {
  return mark("patch_embedding.weight", "patch_embedding.weight", Mark::Kind::extent, count);
}
constexpr Mark no_wan_image =
    mark("img_emb.proj.0.weight", "condition_embedder.image_embedder.norm1.weight", Mark::Kind::absent);

// ---- text encoders

constexpr std::array<TextSlot, 1> sd1_text{
    {{.name = "text_encoder", .tokenizer = "tokenizer", .prefix = "cond_stage_model.transformer."}}};
// The last of OpenCLIP H's 24 layers is not used.
constexpr std::array<TextSlot, 1> sd2_text{{{.name = "text_encoder",
                                             .tokenizer = "tokenizer",
                                             .prefix = "cond_stage_model.model.",
                                             .other_prefix = "conditioner.embedders.0.model.",
                                             .kind = TextKind::open_clip,
                                             .open_clip_names = true,
                                             .most_layers = 23}}};
constexpr TextSlot sdxl_big_text(std::string_view prefix) {
  return {.name = "text_encoder_2",
          .tokenizer = "tokenizer_2",
          .prefix = prefix,
          .kind = TextKind::open_clip,
          .open_clip_names = true,
          .projection = TextSlot::Projection::own,
          .gives_pooled = true};
}
constexpr std::array<TextSlot, 2> sdxl_text{
    {{.name = "text_encoder", .tokenizer = "tokenizer", .prefix = "conditioner.embedders.0.transformer."},
     sdxl_big_text("conditioner.embedders.1.model.")}};
constexpr std::array<TextSlot, 1> refiner_text{{sdxl_big_text("conditioner.embedders.0.model.")}};

constexpr std::string_view clip_l_prefix = "text_encoders.clip_l.transformer.",
                           clip_g_prefix = "text_encoders.clip_g.transformer.",
                           t5_prefix = "text_encoders.t5xxl.transformer.";
// The states of both CLIPs are filled up to T5's width.
constexpr std::array<TextSlot, 3> sd3_text{{{.name = "text_encoder",
                                             .tokenizer = "tokenizer",
                                             .prefix = clip_l_prefix,
                                             .projection = TextSlot::Projection::or_unit,
                                             .gives_states = false,
                                             .gives_pooled = true},
                                            {.name = "text_encoder_2",
                                             .tokenizer = "tokenizer_2",
                                             .prefix = clip_g_prefix,
                                             .kind = TextKind::open_clip,
                                             .projection = TextSlot::Projection::own,
                                             .gives_states = false,
                                             .gives_pooled = true},
                                            {.name = "text_encoder_3",
                                             .tokenizer = "tokenizer_3",
                                             .prefix = t5_prefix,
                                             .kind = TextKind::t5,
                                             .required = false}}};
constexpr std::array<TextSlot, 2> flux_text{
    {{.name = "text_encoder",
      .tokenizer = "tokenizer",
      .prefix = clip_l_prefix,
      .gives_states = false,
      .gives_pooled = true},
     {.name = "text_encoder_2", .tokenizer = "tokenizer_2", .prefix = t5_prefix, .kind = TextKind::t5}}};
constexpr std::array<TextSlot, 1> pixart_text{
    {{.name = "text_encoder", .tokenizer = "tokenizer", .prefix = t5_prefix, .kind = TextKind::t5}}};

constexpr std::array<TextSlot, 1> wan_text{{{.name = "text_encoder",
                                             .tokenizer = "tokenizer",
                                             .prefix = "text_encoders.umt5xxl.transformer.",
                                             .kind = TextKind::umt5}}};

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

constexpr std::string_view flow_shift_3 =
    R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.31.0",
"num_train_timesteps": 1000, "shift": 3.0})";
constexpr std::string_view flow_dynamic =
    R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.31.0",
"num_train_timesteps": 1000, "shift": 3.0, "use_dynamic_shifting": true, "base_shift": 0.5, "max_shift": 1.15,
"base_image_seq_len": 256, "max_image_seq_len": 4096})";
constexpr std::string_view flow_plain =
    R"({"_class_name": "FlowMatchEulerDiscreteScheduler", "_diffusers_version": "0.31.0",
"num_train_timesteps": 1000, "shift": 1.0, "use_dynamic_shifting": false, "base_shift": 0.5, "max_shift": 1.15,
"base_image_seq_len": 256, "max_image_seq_len": 4096})";
constexpr std::string_view dpm_solver =
    R"({"_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.31.0",
"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear",
"trained_betas": null, "solver_order": 2, "prediction_type": "epsilon", "thresholding": false,
"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "lower_order_final": true,
"timestep_spacing": "linspace", "steps_offset": 0})";

constexpr std::string_view unipc_flow_3 =
    R"({"_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.35.2", "num_train_timesteps": 1000,
"solver_order": 2, "solver_type": "bh2", "prediction_type": "flow_prediction", "predict_x0": true,
"lower_order_final": true, "use_flow_sigmas": true, "flow_shift": 3.0, "final_sigmas_type": "zero"})";
constexpr std::string_view unipc_flow_5 =
    R"({"_class_name": "UniPCMultistepScheduler", "_diffusers_version": "0.35.2", "num_train_timesteps": 1000,
"solver_order": 2, "solver_type": "bh2", "prediction_type": "flow_prediction", "predict_x0": true,
"lower_order_final": true, "use_flow_sigmas": true, "flow_shift": 5.0, "final_sigmas_type": "zero"})";

constexpr std::string_view no_options = "{}";
constexpr std::string_view token_times = R"({"expand_timesteps": true})";
constexpr std::string_view no_checker =
    R"({"feature_extractor": [null, null], "safety_checker": [null, null], "requires_safety_checker": false})";
constexpr std::string_view zeros = R"({"force_zeros_for_empty_prompt": true})";
constexpr std::string_view refiner_options =
    R"({"text_encoder": [null, null], "tokenizer": [null, null], "force_zeros_for_empty_prompt": false,
"requires_aesthetics_score": true})";

// ---- the rows

FamilyRow sd1(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline,
              std::string_view scheduler) {
  return {.name = name,
          .title = title,
          .denoiser = &unet_kind(),
          .marks = {channels(in_channels), first_attention(4), no_micro_conditions},
          .pipeline_class = pipeline,
          .index_options = no_checker,
          .scheduler = scheduler,
          .text = sd1_text,
          .heads = 8,
          .architecture = "sd1"};
}

FamilyRow sd2(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline,
              std::string_view scheduler, int size) {
  return {.name = name,
          .title = title,
          .denoiser = &unet_kind(),
          .marks = {channels(in_channels), first_attention(2), no_micro_conditions},
          .pipeline_class = pipeline,
          .index_options = no_checker,
          .scheduler = scheduler,
          .text = sd2_text,
          .picture_size = size,
          .architecture = "sd1"};
}

FamilyRow sdxl(std::string_view name, std::string_view title, Index in_channels, std::string_view pipeline) {
  return {
      .name = name,
      .title = title,
      .denoiser = &unet_kind(),
      .marks = {channels(in_channels), micro_conditions, no_first_attention, second_attention, three_levels},
      .pipeline_class = pipeline,
      .index_options = zeros,
      .scheduler = euler,
      .text = sdxl_text,
      .latents = {.factor = 0.13025},
      .picture_size = 1024,
      .architecture = "sdxl"};
}

FamilyRow refiner() {
  auto row = sdxl("sdxl-refiner", "Stable Diffusion XL refiner", 4, "StableDiffusionXLImg2ImgPipeline");
  row.marks.back() = four_levels;
  row.index_options = refiner_options;
  row.time_numbers = 5;  // a score of how it looks in the place of the target's size
  row.text = refiner_text;
  return row;
}

FamilyRow sd3(std::string_view name, std::string_view title, const Mark& normed, const Mark& attention) {
  return {.name = name,
          .title = title,
          .denoiser = &sd3_kind(),
          .marks = {normed, attention},
          .pipeline_class = "StableDiffusion3Pipeline",
          .index_options = no_options,
          .scheduler = flow_shift_3,
          .text = sd3_text,
          .latents = {1.5305, 0.0609},
          .picture_size = 1024,
          .architecture = "sd3"};
}

FamilyRow flux(std::string_view name, std::string_view title, std::vector<Mark> marks,
               std::string_view pipeline, std::string_view scheduler = flow_dynamic) {
  return {.name = name,
          .title = title,
          .denoiser = &flux_kind(),
          .marks = std::move(marks),
          .pipeline_class = pipeline,
          .index_options = no_options,
          .scheduler = scheduler,
          .text = flux_text,
          .latents = {0.3611, 0.1159},
          .picture_size = 1024,
          .architecture = "flux"};
}

FamilyRow pixart(std::string_view name, std::string_view title, const Mark& size, std::string_view pipeline,
                 double vae_factor, int picture_size) {
  return {.name = name,
          .title = title,
          .denoiser = &pixart_kind(),
          .marks = {size},
          .pipeline_class = pipeline,
          .index_options = no_options,
          .scheduler = dpm_solver,
          .text = pixart_text,
          .latents = {.factor = vae_factor},
          .picture_size = picture_size,
          .heads = 16};
}

FamilyRow wan(std::string_view name, std::string_view title, const DenoiserKind& kind,
              std::vector<Mark> marks, std::string_view pipeline, std::string_view scheduler = unipc_flow_3,
              std::string_view options = no_options) {
  return {.name = name,
          .title = title,
          .denoiser = &kind,
          .marks = std::move(marks),
          .pipeline_class = pipeline,
          .index_options = options,
          .scheduler = scheduler,
          .text = wan_text,
          .autoencoder_class = "AutoencoderKLWan",
          .architecture = "wan"};
}

// Those that have all the marks of another stand behind it: "sd2-v", "flux-kontext", "pixart-alpha-512".
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
      sd3("sd3", "Stable Diffusion 3", no_sd3_normed, no_sd3_second_attention),
      sd3("sd35-medium", "Stable Diffusion 3.5 Medium", sd3_normed, sd3_second_attention),
      sd3("sd35-large", "Stable Diffusion 3.5 Large", sd3_normed, no_sd3_second_attention),
      flux("flux-dev", "FLUX.1 dev", {guided, joined(1)}, "FluxPipeline"),
      flux("flux-kontext", "FLUX.1 Kontext", {guided, joined(1)}, "FluxKontextPipeline"),
      flux("flux-schnell", "FLUX.1 schnell", {not_guided, joined(1)}, "FluxPipeline", flow_plain),
      flux("flux-fill", "FLUX.1 Fill", {guided, joined(6)}, "FluxFillPipeline"),
      flux("flux-control", "FLUX.1 Depth or Canny", {guided, joined(2)}, "FluxControlPipeline"),
      pixart("pixart-alpha", "PixArt-alpha", sized, "PixArtAlphaPipeline", 0.18215, 1024),
      pixart("pixart-sigma", "PixArt-Sigma", not_sized, "PixArtSigmaPipeline", 0.13025, 1024),
      pixart("pixart-alpha-512", "PixArt-alpha, 512 pixels", not_sized, "PixArtAlphaPipeline", 0.18215, 512),
      wan("wan", "Wan, films of text", wan_kind(), {wan_channels(16), no_wan_image}, "WanPipeline"),
      wan("wan-i2v", "Wan 2.2, films that begin with pictures", wan_kind(), {wan_channels(36), no_wan_image},
          "WanImageToVideoPipeline", unipc_flow_5),
      wan("wan-ti2v", "Wan 2.2, films of text or pictures", wan_kind(), {wan_channels(48), no_wan_image},
          "WanPipeline", unipc_flow_5, token_times),
      wan("wan-vace", "Wan VACE", wan_vace_kind(), {}, "WanVACEPipeline"),
  };
  return all;
}

}  // namespace

std::span<const FamilyRow> families() {
  return rows();
}

}  // namespace daguerre::weights
