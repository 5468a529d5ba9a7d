"""diffusers' MotionAdapter without a middle module (AnimateDiff, Guo et al. 2023; version 1's layout)."""

import math

import torch
from torch import nn

from .layers import Attention, GroupNorm
from .unet import CONFIG as UNET
from .unet import GatedFeedForward

CONFIG = {
    "_class_name": "MotionAdapter",
    "_diffusers_version": "0.31.0",
    "block_out_channels": UNET["block_out_channels"],
    "motion_layers_per_block": UNET["layers_per_block"],
    "motion_transformer_layers_per_block": 1,
    "motion_mid_block_layers_per_block": 1,
    "motion_transformer_layers_per_mid_block": 1,
    "motion_num_attention_heads": 4,
    "motion_norm_num_groups": 16,
    "motion_max_seq_length": 16,
    "use_motion_mid_block": False,
    "conv_in_channels": None,
}


class Positions(nn.Module):
    """Sines and cosines of a frame's number, in turn; a part of the file, as in published adapters."""

    def __init__(self, channels, length):
        super().__init__()
        rates = torch.exp(torch.arange(0, channels, 2) * (-math.log(10000.0) / channels))
        angles = torch.arange(length)[:, None] * rates
        self.register_buffer("pe", torch.stack([angles.sin(), angles.cos()], -1).reshape(1, length, channels))

    def forward(self, x):
        return x + self.pe[:, : x.shape[1]].to(x.dtype)


class TemporalBlock(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1, self.attn2 = (Attention(channels, config["motion_num_attention_heads"]) for _ in range(2))
        self.ff = GatedFeedForward(channels)
        self.pos_embed = Positions(channels, config["motion_max_seq_length"])

    def forward(self, x):
        x = x + self.attn1(self.pos_embed(self.norm1(x)))
        x = x + self.attn2(self.pos_embed(self.norm2(x)))
        return x + self.ff(self.norm3(x))


class MotionModule(nn.Module):
    """[N * F, C, H, W] with `frames` F: each place attends to itself in the other frames. Changes nothing at the
    start."""

    def __init__(self, channels, config):
        super().__init__()
        self.norm = GroupNorm(config["motion_norm_num_groups"], channels, 1e-6)
        self.proj_in, self.proj_out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        blocks = config["motion_transformer_layers_per_block"]
        self.transformer_blocks = nn.ModuleList(TemporalBlock(channels, config) for _ in range(blocks))
        nn.init.zeros_(self.proj_out.weight), nn.init.zeros_(self.proj_out.bias)

    def forward(self, x, frames):
        many, channels, height, width = x.shape
        films = x.view(-1, frames, channels, height, width).transpose(1, 2)
        y = self.norm(films).permute(0, 3, 4, 2, 1).reshape(-1, frames, channels)
        y = self.proj_in(y)
        for block in self.transformer_blocks:
            y = block(y)
        y = self.proj_out(y).view(-1, height, width, frames, channels)
        return x + y.permute(0, 3, 4, 1, 2).reshape(many, channels, height, width)


class Blocks(nn.ModuleList):
    """The modules of a way down or up, `layers` of each width."""

    def __init__(self, widths, layers, config):
        super().__init__()
        for width in widths:
            block = nn.Module()
            block.motion_modules = nn.ModuleList(MotionModule(width, config) for _ in range(layers))
            self.append(block)


class MotionAdapter(nn.Module):
    def __init__(self, config=CONFIG):
        super().__init__()
        widths, layers = config["block_out_channels"], config["motion_layers_per_block"]
        self.down_blocks = Blocks(widths, layers, config)
        self.up_blocks = Blocks(widths[::-1], layers + 1, config)


def attach(unet, adapter, frames):
    """From now on the U-Net's pictures are films of `frames` pictures, one behind the other; each pair's last
    layer is followed by its motion module."""

    def follow(blocks, motions):
        for block, motion in zip(blocks, motions):
            attentions = list(getattr(block, "attentions", ()))
            for i, module in enumerate(motion.motion_modules):
                last = attentions[i] if i < len(attentions) else block.resnets[i]
                last.register_forward_hook(lambda _, inputs, output, module=module: module(output, frames))

    follow(unet.down_blocks, adapter.down_blocks)
    follow(unet.up_blocks, adapter.up_blocks)
