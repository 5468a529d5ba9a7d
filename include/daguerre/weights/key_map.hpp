#pragma once

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// One network's weights under the names that the networks ask for, diffusers' and those of transformers 4,
/// whatever layout their own names follow; nothing behind this function knows of others. Recognised by their
/// names are these layouts themselves (returned as they are), that of facebookresearch/DiT
/// (`x_embedder.proj`, `blocks.N.adaLN_modulation.1`, queries, keys and values in one `qkv`), Stability's SD3
/// (`joint_blocks.N`), Black Forest Labs' FLUX (`double_blocks.N`, `single_blocks.N`), PixArt's
/// (`blocks.N.cross_attn.kv_linear`), Wan's (`blocks.N.self_attn`) and LTX-Video's (`patchify_proj`), these
/// also below `model.diffusion_model.`, CLIP's text encoder without `text_model.` (transformers 5.6 and
/// later), with `clip.` before it, or with norms of `gamma` and `beta`, open_clip's and openai/CLIP's text encoder
/// (`transformer.resblocks.N`), alone or with the vision tower below `visual.`, llama.cpp's T5 encoder (`enc.blk.N`), the U-Net (`input_blocks.N`) and
/// autoencoder (`encoder.down.N`) of CompVis and Stability, the autoencoders of Wan (`decoder.upsamples.N`)
/// and LTX-Video (`per_channel_statistics`, also below `vae.`), and beside denoisers ControlNet
/// (`zero_convs.N`, also below `control_model.`), XLabs' for FLUX, TencentARC's T2I-Adapter (`body.N.block1`)
/// and AnimateDiff's motion modules (`temporal_transformer`, also below `module.`). Names without a
/// counterpart stay as they are. Files that hold several networks are for `open_checkpoint`.
StateDict with_diffusers_names(const StateDict& weights);

}  // namespace daguerre::weights
