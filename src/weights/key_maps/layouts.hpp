#pragma once

#include <optional>
#include <string>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

/// The layouts that weights come in, each with a file of its own: how it is recognised and how its names
/// become diffusers' (transformers' for text encoders), and back where such files are written. Names without
/// a counterpart stay as they are.
namespace daguerre::weights::key_maps {

/// A tensor of another layout, made of one or more of diffusers': their rows one behind the other.
struct JoinedTensor {
  std::string name;
  std::vector<std::string> sources;
  Shape shape;                  ///< of the whole, as it is written
  bool transposed = false;      ///< of the one source
  bool halves_swapped = false;  ///< likewise: its second half comes first
};

/// What becomes of tensors that have no place in another layout.
enum class Unplaced { refused, left_out };

/// facebookresearch/DiT: queries, keys and values in one `qkv`, the timestep's embedder shared by all blocks.
bool is_original_dit(const StateDict& weights);
StateDict from_original_dit(const StateDict& weights);

/// Stability's SD3 (`joint_blocks.N.x_block`, `context_block`): queries, keys and values in one `qkv`, shift
/// before scale in the last norms.
bool is_original_sd3(const StateDict& weights);
StateDict from_original_sd3(const StateDict& weights);
std::vector<JoinedTensor> to_original_sd3(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// Black Forest Labs' FLUX (`double_blocks.N`, `single_blocks.N`): queries, keys and values in one `qkv`, and
/// in `linear1` with the feed-forward's first layer; shift before scale in the last norm.
bool is_original_flux(const StateDict& weights);
StateDict from_original_flux(const StateDict& weights);
std::vector<JoinedTensor> to_original_flux(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// PixArt's own (`blocks.N.cross_attn.kv_linear`): queries, keys and values in one `qkv`, keys and values of
/// the prompt in one. Its table of positions and what stands for no prompt are left out.
bool is_original_pixart(const StateDict& weights);
StateDict from_original_pixart(const StateDict& weights);
std::vector<JoinedTensor> to_original_pixart(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// Wan's own (`blocks.N.self_attn`, `head.head`), with image embedding and VACE's blocks or without.
bool is_original_wan(const StateDict& weights);
StateDict from_original_wan(const StateDict& weights);
std::vector<JoinedTensor> to_original_wan(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// Its autoencoder (`decoder.upsamples.N.residual.M`; Wan 2.2's `decoder.upsamples.N.upsamples.M`). The
/// inverse of nothing.
bool is_original_wan_autoencoder(const StateDict& weights);
StateDict from_original_wan_autoencoder(const StateDict& weights);
/// LTX-Video's own (`transformer_blocks.N.attn1.q_norm`, `patchify_proj`).
bool is_original_ltx(const StateDict& weights);
StateDict from_original_ltx(const StateDict& weights);
std::vector<JoinedTensor> to_original_ltx(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// LTX-Video's autoencoder, whose levels are lists of blocks (`decoder.up_blocks.N.res_blocks.M`), the means
/// and deviations of latents among `per_channel_statistics`; also below `vae.`. The inverse of nothing.
bool is_original_ltx_autoencoder(const StateDict& weights);
StateDict from_original_ltx_autoencoder(const StateDict& weights);

/// transformers' CLIP text model without `text_model.` (version 5.6 and later), with `clip.` before it, or
/// with norms of `gamma` and `beta` (converted from TensorFlow's). The inverse of nothing: all of these are
/// read, the usual one is written.
bool is_renamed_clip(const StateDict& weights);
StateDict from_renamed_clip(const StateDict& weights);

/// open_clip's and openai/CLIP's text tower (`transformer.resblocks.N.attn.in_proj_weight`, queries, keys and
/// values in one; the projection is the transposed of transformers'), alone or with the vision tower below
/// `visual.`.
bool is_open_clip(const StateDict& weights);
StateDict from_open_clip(const StateDict& weights);
std::vector<JoinedTensor> to_open_clip(const StateDict& weights);

/// llama.cpp's T5 (`enc.blk.N.attn_q`, `token_embd`), of which the encoder's names are known.
bool is_llama_t5(const StateDict& weights);
StateDict from_llama_t5(const StateDict& weights);

/// CompVis' and Stability's U-Net (`input_blocks.N.M`, `middle_block.M`, `output_blocks.N.M`).
bool is_ldm_unet(const StateDict& weights);
StateDict from_ldm_unet(const StateDict& weights);
std::vector<JoinedTensor> to_ldm_unet(const StateDict& weights, Unplaced unplaced = Unplaced::refused);

/// ControlNets of Stable Diffusion in their authors' layout, a U-Net's with `zero_convs.N`,
/// `input_hint_block.N` and `middle_block_out`. The inverse of nothing.
bool is_ldm_control_net(const StateDict& weights);
StateDict from_ldm_control_net(const StateDict& weights);

/// TencentARC's T2I-Adapters (`body.N.block1`, `conv_in`; light ones `body.N.body.M.block1`). Likewise.
bool is_original_t2i_adapter(const StateDict& weights);
StateDict from_original_t2i_adapter(const StateDict& weights);

/// AnimateDiff's motion modules (`temporal_transformer.transformer_blocks.N.attention_blocks.M`), also those
/// of its SparseCtrl, and below `module.`. Likewise.
bool is_original_motion(const StateDict& weights);
StateDict from_original_motion(const StateDict& weights);

/// XLabs' ControlNets for FLUX, Black Forest Labs' with `controlnet_blocks.N` and `input_hint_block.N`.
/// Likewise.
bool is_xlabs_control_net(const StateDict& weights);
StateDict from_xlabs_control_net(const StateDict& weights);

/// The tiny autoencoder TAESD (`1.conv.0`), whose halves are files of their own, or lie below
/// `taesd_encoder.` and `taesd_decoder.`. The inverse of nothing.
bool is_original_tiny(const StateDict& weights);
StateDict from_original_tiny(const StateDict& weights);

/// Their autoencoder (`encoder.down.N.block.M`), whose attention is convolutions of one pixel and whose
/// decoder counts its levels from the picture's.
bool is_ldm_autoencoder(const StateDict& weights);
StateDict from_ldm_autoencoder(const StateDict& weights);
std::vector<JoinedTensor> to_ldm_autoencoder(const StateDict& weights);

}  // namespace daguerre::weights::key_maps
