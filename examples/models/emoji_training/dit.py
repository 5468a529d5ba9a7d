"""diffusers' DiTTransformer2DModel."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .layers import Attention

CONFIG = {
    "_class_name": "DiTTransformer2DModel",
    "_diffusers_version": "0.31.0",
    "num_attention_heads": 5,
    "attention_head_dim": 32,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 5,
    "dropout": 0.0,
    "norm_num_groups": 32,
    "attention_bias": True,
    "sample_size": 16,
    "patch_size": 2,
    "activation_fn": "gelu-approximate",
    "num_embeds_ada_norm": 0,  # known when the classes are
    "upcast_attention": False,
    "norm_type": "ada_norm_zero",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-5,
}


def position_embedding(channels, side):
    """Sines and cosines of the column in the first half of the channels, of the row in the second, with
    positions scaled as if the grid were `side` wide."""
    frequencies = 1.0 / 10000 ** (np.arange(channels // 4) / (channels / 4))
    angles = np.arange(side)[:, None] * frequencies[None]
    one = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    columns, rows = np.tile(one, (side, 1)), np.repeat(one, side, axis=0)
    return torch.from_numpy(np.concatenate([columns, rows], axis=1)).float()


class Conditioning(nn.Module):
    """Embeds a timestep and a class; the last class stands for none."""

    def __init__(self, channels, classes):
        super().__init__()
        self.timestep_embedder, self.class_embedder = nn.Module(), nn.Module()
        self.timestep_embedder.linear_1 = nn.Linear(256, channels)
        self.timestep_embedder.linear_2 = nn.Linear(channels, channels)
        self.class_embedder.embedding_table = nn.Embedding(classes + 1, channels)
        nn.init.normal_(self.class_embedder.embedding_table.weight, std=0.02)

    def forward(self, timesteps, labels):
        half = 128
        frequencies = torch.exp(torch.arange(half) * (-math.log(10000.0) / (half - 1))).to(labels.device)
        angles = timesteps[:, None].float() * frequencies
        time = torch.cat([angles.cos(), angles.sin()], dim=1).to(self.timestep_embedder.linear_1.weight.dtype)
        time = self.timestep_embedder.linear_2(F.silu(self.timestep_embedder.linear_1(time)))
        return F.silu(time + self.class_embedder.embedding_table(labels))


class Block(nn.Module):
    def __init__(self, channels, heads, classes):
        super().__init__()
        self.norm1, self.ff = nn.Module(), nn.Module()
        self.norm1.emb = Conditioning(channels, classes)
        self.norm1.linear = nn.Linear(channels, 6 * channels)
        self.attn1 = Attention(channels, heads, qkv_bias=True)
        gate = nn.Module()
        gate.proj = nn.Linear(channels, 4 * channels)
        self.ff.net = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * channels, channels)])
        nn.init.zeros_(self.norm1.linear.weight), nn.init.zeros_(self.norm1.linear.bias)

    def forward(self, x, timesteps, labels):
        modulation = self.norm1.linear(self.norm1.emb(timesteps, labels))[:, None]
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = modulation.chunk(6, dim=-1)
        width = x.shape[-1:]
        x = x + gate_a * self.attn1(F.layer_norm(x, width, eps=1e-6) * (1 + scale_a) + shift_a)
        y = F.layer_norm(x, width, eps=CONFIG["norm_eps"]) * (1 + scale_f) + shift_f
        y = self.ff.net[2](F.gelu(self.ff.net[0].proj(y), approximate="tanh"))
        return x + gate_f * y


class DiT(nn.Module):
    """Noisy latents [N, 4, H, W], timesteps [N], classes [N] to the prediction (Peebles and Xie 2023)."""

    def __init__(self, config):
        super().__init__()
        heads, classes = config["num_attention_heads"], config["num_embeds_ada_norm"]
        channels, self.patch = heads * config["attention_head_dim"], config["patch_size"]
        self.pos_embed = nn.Module()
        self.pos_embed.proj = nn.Conv2d(config["in_channels"], channels, self.patch, stride=self.patch)
        self.positions = position_embedding(channels, config["sample_size"] // self.patch)
        layers = range(config["num_layers"])
        self.transformer_blocks = nn.ModuleList(Block(channels, heads, classes) for _ in layers)
        self.proj_out_1 = nn.Linear(channels, 2 * channels)
        self.proj_out_2 = nn.Linear(channels, self.patch**2 * config["out_channels"])
        nn.init.zeros_(self.proj_out_2.weight), nn.init.zeros_(self.proj_out_2.bias)

    def forward(self, x, timesteps, labels):
        n, _, height, width = x.shape
        x = self.pos_embed.proj(x).flatten(2).transpose(1, 2)
        x = x + self.positions.to(x)
        for block in self.transformer_blocks:
            x = block(x, timesteps, labels)
        conditioning = self.transformer_blocks[0].norm1.emb(timesteps, labels)
        shift, scale = self.proj_out_1(conditioning)[:, None].chunk(2, dim=-1)
        x = self.proj_out_2(F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)
        p = self.patch
        x = x.view(n, height // p, width // p, p, p, -1)
        return x.permute(0, 5, 1, 3, 2, 4).reshape(n, -1, height, width)
