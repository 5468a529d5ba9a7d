"""diffusers' UNet2DConditionModel, as far as the configuration below uses it."""

import torch
import torch.nn.functional as F
from torch import nn

from .layers import (
    Attention,
    Conv3x3,
    Downsample,
    GroupNorm,
    ResnetBlock,
    Upsample,
    timestep_embedding,
    to_grid,
    to_tokens,
)

CONFIG = {
    "_class_name": "UNet2DConditionModel",
    "_diffusers_version": "0.31.0",
    "sample_size": 16,
    "in_channels": 4,
    "out_channels": 4,
    "center_input_sample": False,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "only_cross_attention": False,
    "block_out_channels": [32, 96, 128],
    "layers_per_block": 1,
    "downsample_padding": 1,
    "mid_block_scale_factor": 1,
    "act_fn": "silu",
    "norm_num_groups": 16,
    "norm_eps": 1e-5,
    "cross_attention_dim": 192,
    "attention_head_dim": 4,  # the number of heads, as diffusers reads it
    "use_linear_projection": True,
    "transformer_layers_per_block": 1,
}


class GatedFeedForward(nn.Module):
    """ff.net.0.proj, a GELU gate, ff.net.2"""

    def __init__(self, channels):
        super().__init__()
        gate = nn.Module()
        gate.proj = nn.Linear(channels, 8 * channels)
        self.net = nn.ModuleList([gate, nn.Identity(), nn.Linear(4 * channels, channels)])

    def forward(self, x):
        value, gate = self.net[0].proj(x).chunk(2, dim=-1)
        return self.net[2](value * F.gelu(gate))


class TransformerBlock(nn.Module):
    def __init__(self, channels, heads, context_channels):
        super().__init__()
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(channels) for _ in range(3))
        self.attn1 = Attention(channels, heads)
        self.attn2 = Attention(channels, heads, context_channels)
        self.ff = GatedFeedForward(channels)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer2D(nn.Module):
    def __init__(self, channels, config):
        super().__init__()
        self.norm = GroupNorm(config["norm_num_groups"], channels, 1e-6)
        self.proj_in, self.proj_out = nn.Linear(channels, channels), nn.Linear(channels, channels)
        block = TransformerBlock(channels, config["attention_head_dim"], config["cross_attention_dim"])
        self.transformer_blocks = nn.ModuleList([block])

    def forward(self, x, context):
        y = self.proj_in(to_tokens(self.norm(x)))
        for block in self.transformer_blocks:
            y = block(y, context)
        return x + to_grid(self.proj_out(y), *x.shape[2:])


class Block(nn.Module):
    """Pairs of a resnet and, in blocks that attend, a transformer; `widths` holds (in, out) for each pair."""

    def __init__(self, widths, attends, config):
        super().__init__()
        time_channels = 4 * config["block_out_channels"][0]
        scale_shift = config.get("resnet_time_scale_shift") == "scale_shift"
        self.resnets = nn.ModuleList(
            ResnetBlock(a, b, config["norm_num_groups"], config["norm_eps"], time_channels, scale_shift)
            for a, b in widths
        )
        if attends:
            self.attentions = nn.ModuleList(Transformer2D(b, config) for _, b in widths[:attends])

    def pair(self, i, x, time, context):
        x = self.resnets[i](x, time)
        attentions = getattr(self, "attentions", ())
        return attentions[i](x, context) if i < len(attentions) else x


class UNet(nn.Module):
    """Noisy latents [N, 4, H, W], timesteps [N], text [N, L, cross_attention_dim] to the prediction."""

    def __init__(self, config=CONFIG):
        super().__init__()
        widths, layers = config["block_out_channels"], config["layers_per_block"]
        self.time_channels = widths[0]
        self.conv_in = Conv3x3(config["in_channels"], widths[0])
        self.time_embedding = nn.Module()
        self.time_embedding.linear_1 = nn.Linear(widths[0], 4 * widths[0])
        self.time_embedding.linear_2 = nn.Linear(4 * widths[0], 4 * widths[0])
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        skips, width = [widths[0]], widths[0]
        for i, (kind, out) in enumerate(zip(config["down_block_types"], widths)):
            pairs = [(width if j == 0 else out, out) for j in range(layers)]
            block = Block(pairs, len(pairs) * kind.startswith("Cross"), config)
            skips += [out] * layers
            if i + 1 < len(widths):
                block.downsamplers = nn.ModuleList([Downsample(out, padding=1)])
                skips.append(out)
            self.down_blocks.append(block)
            width = out
        # resnet, transformer, resnet
        self.mid_block = Block([(width, width)] * 2, 1, config)
        for i, (kind, out) in enumerate(zip(config["up_block_types"], widths[::-1])):
            pairs = []
            for _ in range(layers + 1):
                pairs.append((width + skips.pop(), out))
                width = out
            block = Block(pairs, len(pairs) * kind.startswith("Cross"), config)
            if i + 1 < len(widths):
                block.upsamplers = nn.ModuleList([Upsample(out)])
            self.up_blocks.append(block)
        self.conv_norm_out = GroupNorm(config["norm_num_groups"], widths[0], config["norm_eps"])
        self.conv_out = Conv3x3(widths[0], config["out_channels"])
        nn.init.zeros_(self.conv_out.weight), nn.init.zeros_(self.conv_out.bias)

    def embed_time(self, timesteps, dtype):
        time = timestep_embedding(timesteps, self.time_channels).to(dtype)
        time = F.silu(self.time_embedding.linear_1(time))
        return F.silu(self.time_embedding.linear_2(time))  # each resnet would apply the same silu

    def down(self, x, time, context, added=0.0):
        """What the middle block makes of `x`, and the outputs on the way that the up blocks take again.
        `added` is added to what conv_in makes of `x`."""
        x = self.conv_in(x) + added
        skips = [x]
        for block in self.down_blocks:
            for i in range(len(block.resnets)):
                x = block.pair(i, x, time, context)
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        for i in range(len(self.mid_block.resnets)):
            x = self.mid_block.pair(i, x, time, context)
        return x, skips

    def up(self, x, skips, time, context):
        skips = list(skips)
        for block in self.up_blocks:
            for i in range(len(block.resnets)):
                x = block.pair(i, torch.cat([x, skips.pop()], dim=1), time, context)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        return self.conv_out(self.conv_norm_out(x, F.silu))

    def forward(self, x, timesteps, context):
        time = self.embed_time(timesteps, x.dtype)
        return self.up(*self.down(x, time, context), time, context)
