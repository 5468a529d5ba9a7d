"""diffusers' AutoencoderKL."""

import torch
import torch.nn.functional as F
from torch import nn

from .layers import Attention, Conv3x3, Downsample, GroupNorm, ResnetBlock, Upsample, to_grid, to_tokens

CONFIG = {
    "_class_name": "AutoencoderKL",
    "_diffusers_version": "0.31.0",
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [16, 32, 64],
    "layers_per_block": 1,
    "act_fn": "silu",
    "latent_channels": 4,
    "norm_num_groups": 8,
    "sample_size": 64,
    "scaling_factor": 1.0,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
    "force_upcast": False,
    "use_quant_conv": True,
    "use_post_quant_conv": True,
    "mid_block_add_attention": True,
}
EPS = 1e-6


class AttentionBlock(Attention):
    def __init__(self, channels, groups):
        super().__init__(channels, 1, qkv_bias=True)
        self.group_norm = GroupNorm(groups, channels, EPS)

    def forward(self, x):
        return x + to_grid(super().forward(to_tokens(self.group_norm(x))), *x.shape[2:])


class MidBlock(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.resnets = nn.ModuleList([ResnetBlock(channels, channels, groups, EPS) for _ in range(2)])
        self.attentions = nn.ModuleList([AttentionBlock(channels, groups)])

    def forward(self, x):
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class Block(nn.Module):
    """Resnets and, where there is one, a change of resolution."""

    def __init__(self, in_channels, out_channels, layers, groups, **resampler):
        super().__init__()
        widths = [in_channels] + [out_channels] * layers
        self.resnets = nn.ModuleList([ResnetBlock(a, b, groups, EPS) for a, b in zip(widths, widths[1:])])
        for name, module in resampler.items():
            setattr(self, name, nn.ModuleList([module]))
        self.resampler = next(iter(resampler), None)

    def forward(self, x):
        for resnet in self.resnets:
            x = resnet(x)
        return getattr(self, self.resampler)[0](x) if self.resampler else x


class Encoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        widths, groups = config["block_out_channels"], config["norm_num_groups"]
        self.conv_in = Conv3x3(config["in_channels"], widths[0])
        self.down_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            last = i + 1 == len(widths)
            resampler = {} if last else {"downsamplers": Downsample(width, padding=0)}
            block = Block(widths[max(i - 1, 0)], width, config["layers_per_block"], groups, **resampler)
            self.down_blocks.append(block)
        self.mid_block = MidBlock(widths[-1], groups)
        self.conv_norm_out = GroupNorm(groups, widths[-1], EPS)
        self.conv_out = Conv3x3(widths[-1], 2 * config["latent_channels"])

    def forward(self, x):
        x = self.conv_in(x)
        for block in self.down_blocks:
            x = block(x)
        return self.conv_out(self.conv_norm_out(self.mid_block(x), F.silu))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        widths, groups = config["block_out_channels"][::-1], config["norm_num_groups"]
        self.conv_in = Conv3x3(config["latent_channels"], widths[0])
        self.mid_block = MidBlock(widths[0], groups)
        self.up_blocks = nn.ModuleList()
        for i, width in enumerate(widths):
            last = i + 1 == len(widths)
            resampler = {} if last else {"upsamplers": Upsample(width)}
            block = Block(widths[max(i - 1, 0)], width, config["layers_per_block"] + 1, groups, **resampler)
            self.up_blocks.append(block)
        self.conv_norm_out = GroupNorm(groups, widths[-1], EPS)
        self.conv_out = Conv3x3(widths[-1], config["out_channels"])

    def forward(self, z):
        x = self.mid_block(self.conv_in(z))
        for block in self.up_blocks:
            x = block(x)
        return self.conv_out(self.conv_norm_out(x, F.silu))


class Autoencoder(nn.Module):
    def __init__(self, config=CONFIG):
        super().__init__()
        latent = config["latent_channels"]
        self.encoder, self.decoder = Encoder(config), Decoder(config)
        self.quant_conv = nn.Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = nn.Conv2d(latent, latent, 1)

    def encode(self, pictures):
        """Mean and log-variance of the latents."""
        return self.quant_conv(self.encoder(pictures)).chunk(2, dim=1)

    def decode(self, latents):
        return self.decoder(self.post_quant_conv(latents))

    @torch.no_grad()
    def normalise(self, mean, std):
        """Folds (latent - mean) / std, channel by channel, into the two 1x1 convolutions: the latents then
        have mean 0 and deviation 1, which diffusion assumes, and the pictures stay as they are."""
        latent = len(mean)
        self.quant_conv.bias[:latent] -= mean
        self.quant_conv.bias[:latent] /= std
        self.quant_conv.weight[:latent] /= std[:, None, None, None]
        self.quant_conv.bias[latent:] -= 2 * std.log()
        self.post_quant_conv.bias += self.post_quant_conv.weight[:, :, 0, 0] @ mean
        self.post_quant_conv.weight *= std[None, :, None, None]
