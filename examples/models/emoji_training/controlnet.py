"""diffusers' ControlNetModel without attention: a copy of the U-Net's way down that also sees a picture."""

import torch
import torch.nn.functional as F
from torch import nn

from . import unet
from .layers import Conv3x3

CONFIG = {
    "_class_name": "ControlNetModel",
    "_diffusers_version": "0.31.0",
    "act_fn": "silu",
    "addition_embed_type": None,
    "addition_embed_type_num_heads": 64,
    "addition_time_embed_dim": None,
    "attention_head_dim": 4,
    "block_out_channels": unet.CONFIG["block_out_channels"],
    "class_embed_type": None,
    "conditioning_channels": 3,
    "conditioning_embedding_out_channels": [16, 32, 96],
    "controlnet_conditioning_channel_order": "rgb",
    "cross_attention_dim": 192,
    "down_block_types": ["DownBlock2D"] * 3,
    "downsample_padding": 1,
    "encoder_hid_dim": None,
    "encoder_hid_dim_type": None,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "global_pool_conditions": False,
    "in_channels": 4,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "mid_block_type": "UNetMidBlock2D",
    "norm_eps": 1e-5,
    "norm_num_groups": 16,
    "num_attention_heads": None,
    "num_class_embeds": None,
    "only_cross_attention": False,
    "projection_class_embeddings_input_dim": None,
    "resnet_time_scale_shift": "default",
    "transformer_layers_per_block": 1,
    "upcast_attention": False,
    "use_linear_projection": True,
}


class ConditioningEmbedding(nn.Module):
    """The condition [N, 3, 4H, 4W] in [0, 1] at the size of the latents, added to what conv_in makes of those."""

    def __init__(self, config):
        super().__init__()
        widths = config["conditioning_embedding_out_channels"]
        self.conv_in = Conv3x3(config["conditioning_channels"], widths[0])
        self.blocks = nn.ModuleList()
        for a, b in zip(widths, widths[1:]):
            self.blocks += [Conv3x3(a, a), Conv3x3(a, b, stride=2)]
        self.conv_out = zeroed(Conv3x3(widths[-1], config["block_out_channels"][0]))

    def forward(self, x):
        x = F.silu(self.conv_in(x))
        for block in self.blocks:
            x = F.silu(block(x))
        return self.conv_out(x)


def zeroed(module):
    nn.init.zeros_(module.weight), nn.init.zeros_(module.bias)
    return module


class ControlNet(unet.UNet):
    """Noisy latents, timesteps and the condition to what is added to the U-Net's middle block and skips."""

    def __init__(self, config=CONFIG):
        super().__init__(config | {"up_block_types": [], "out_channels": 1})
        del self.conv_norm_out, self.conv_out
        del self.mid_block.resnets[1:], self.mid_block.attentions
        self.controlnet_cond_embedding = ConditioningEmbedding(config)
        widths, layers = config["block_out_channels"], config["layers_per_block"]
        skips = [widths[0]]
        for i, width in enumerate(widths):
            skips += [width] * (layers + (i + 1 < len(widths)))
        self.controlnet_down_blocks = nn.ModuleList(zeroed(nn.Conv2d(c, c, 1)) for c in skips)
        self.controlnet_mid_block = zeroed(nn.Conv2d(widths[-1], widths[-1], 1))

    def forward(self, x, timesteps, condition):
        time = self.embed_time(timesteps, x.dtype)
        middle, skips = self.down(x, time, None, self.controlnet_cond_embedding(condition))
        return self.controlnet_mid_block(middle), [c(s) for c, s in zip(self.controlnet_down_blocks, skips)]


def steered(base, control, x, timesteps, context, condition, scale=1.0):
    """The U-Net's prediction with a ControlNet; `base` keeps no gradients of its way down."""
    with torch.no_grad():
        time = base.embed_time(timesteps, x.dtype)
        middle, skips = base.down(x, time, context)
    middle_change, changes = control(x, timesteps, condition)
    skips = [skip + scale * change for skip, change in zip(skips, changes)]
    return base.up(middle + scale * middle_change, skips, time, context)
