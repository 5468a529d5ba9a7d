"""Layers that the networks share. Names of modules are diffusers' own, so that a state_dict can be saved as
it is. Pictures are [N, C, H, W] in channels_last memory, which oneDNN likes best."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Conv3x3(nn.Conv2d):
    """A 3x3 convolution. On grids of 4x4 and less, oneDNN's backward pass in bfloat16 is very slow, so there
    the nine shifted copies are laid side by side and multiplied as one matrix."""

    def __init__(self, in_channels, out_channels, stride=1, padding=1):
        super().__init__(in_channels, out_channels, 3, stride=stride, padding=padding)

    def forward(self, x):
        n, c, h, w = x.shape
        if h > 4 or self.stride != (1, 1):
            return super().forward(x)
        x = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        x = torch.cat([x[:, i : i + h, j : j + w] for i in range(3) for j in range(3)], dim=-1)
        weight = self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, 9 * c)
        return F.linear(x.reshape(n * h * w, 9 * c), weight, self.bias).view(n, h, w, -1).permute(0, 3, 1, 2)


class GroupNorm(nn.GroupNorm):
    """In float32 whatever the input is: PyTorch 1.13's bfloat16 sums lose too much on large grids."""

    def forward(self, x, activation=lambda y: y):
        y = F.group_norm(x.float(), self.num_groups, self.weight.float(), self.bias.float(), self.eps)
        return activation(y).to(x.dtype)


class ResnetBlock(nn.Module):
    """norm, silu, conv, (+ time), norm, silu, conv, + shortcut; with `scale_shift` the time multiplies and shifts
    what comes out of the second norm instead"""

    def __init__(self, in_channels, out_channels, groups, eps, time_channels=None, scale_shift=False):
        super().__init__()
        self.scale_shift = scale_shift
        self.norm1 = GroupNorm(groups, in_channels, eps)
        self.conv1 = Conv3x3(in_channels, out_channels)
        if time_channels:
            self.time_emb_proj = nn.Linear(time_channels, (1 + scale_shift) * out_channels)
        self.norm2 = GroupNorm(groups, out_channels, eps)
        self.conv2 = Conv3x3(out_channels, out_channels)
        if in_channels != out_channels:
            self.conv_shortcut = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x, time=None):
        h = self.conv1(self.norm1(x, F.silu))
        if time is None:
            h = self.norm2(h, F.silu)
        elif self.scale_shift:
            scale, shift = self.time_emb_proj(time).float()[:, :, None, None].chunk(2, dim=1)
            h = self.norm2(h, lambda y: F.silu(y * (1 + scale) + shift))
        else:
            h = self.norm2(h + self.time_emb_proj(time)[:, :, None, None], F.silu)
        h = self.conv2(h)
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Downsample(nn.Module):
    """The autoencoder pads only to the right and below (padding 0 here), the U-Net on all sides."""

    def __init__(self, channels, padding):
        super().__init__()
        self.conv = Conv3x3(channels, channels, stride=2, padding=padding)

    def forward(self, x):
        return self.conv(x if self.conv.padding[0] else F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = Conv3x3(channels, channels)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Attention(nn.Module):
    """Multi-head attention on [N, L, C] with diffusers' names; `context` is what keys and values see."""

    def __init__(self, channels, heads, context_channels=None, qkv_bias=False):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels, bias=qkv_bias)
        self.to_k = nn.Linear(context_channels or channels, channels, bias=qkv_bias)
        self.to_v = nn.Linear(context_channels or channels, channels, bias=qkv_bias)
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(self, x, context=None, causal=False):
        context = x if context is None else context
        n, length, channels = x.shape
        q, k, v = (
            y.view(n, -1, self.heads, channels // self.heads).transpose(1, 2)
            for y in (self.to_q(x), self.to_k(context), self.to_v(context))
        )
        scores = q @ k.transpose(-1, -2) * (channels // self.heads) ** -0.5
        y = scores.softmax(-1) @ v
        return self.to_out[0](y.transpose(1, 2).reshape(n, length, channels))


def timestep_embedding(timesteps, channels):
    """Sines and cosines of a timestep; cosines first (flip_sin_to_cos), freq_shift 0."""
    half = channels // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10000.0) / half)).to(timesteps.device)
    angles = timesteps[:, None].float() * frequencies[None]
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def to_tokens(x):
    """[N, C, H, W] to [N, H * W, C]"""
    return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, x.shape[1])


def to_grid(tokens, height, width):
    return tokens.view(tokens.shape[0], height, width, -1).permute(0, 3, 1, 2)
