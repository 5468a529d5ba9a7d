"""A super-resolution stage in the layout of DeepFloyd IF's second one: the noisy large picture and the enlarged,
noised small one side by side, the small one's noise level as a class embedding. It does not look at the prompt."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from .layers import ResnetBlock, timestep_embedding
from .unet import CONFIG as UNET, UNet

WIDTHS = [24, 64, 96]
CONFIG = {
    **{key: value for key, value in UNET.items() if key not in ("cross_attention_dim", "use_linear_projection")},
    "sample_size": 128,
    "in_channels": 6,
    "out_channels": 6,  # the second half is the variance of IF's stages, which the scheduler does not take
    "down_block_types": ["DownBlock2D"] * len(WIDTHS),
    "mid_block_type": "UNetMidBlock2D",
    "up_block_types": ["UpBlock2D"] * len(WIDTHS),
    "block_out_channels": WIDTHS,
    "norm_num_groups": 1,  # pictures are copied through the norms, and groups would each lose a scale
    "resnet_time_scale_shift": "scale_shift",
    "attention_head_dim": 8,
    "class_embed_type": "timestep",
}
SCHEDULER = {
    "_class_name": "DDIMScheduler",
    "_diffusers_version": "0.31.0",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "squaredcos_cap_v2",
    "trained_betas": None,
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "set_alpha_to_one": True,
    "steps_offset": 0,
    "prediction_type": "v_prediction",
    "thresholding": False,
    "timestep_spacing": "trailing",
    "rescale_betas_zero_snr": False,
}
NOISING_SCHEDULER = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.31.0",
    "num_train_timesteps": 1000,
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "squaredcos_cap_v2",
    "trained_betas": None,
    "variance_type": "fixed_small",
    "clip_sample": True,
    "clip_sample_range": 1.0,
    "prediction_type": "epsilon",
    "thresholding": False,
    "timestep_spacing": "leading",
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
TRAIN_STEPS = SCHEDULER["num_train_timesteps"]


def alphas_and_sigmas():
    """x_t = alpha_t x_0 + sigma_t noise of the squared cosine schedule (Nichol & Dhariwal 2021, eq. 17)."""

    def bar(u):
        return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

    betas = [min(1 - bar((i + 1) / TRAIN_STEPS) / bar(i / TRAIN_STEPS), 0.999) for i in range(TRAIN_STEPS)]
    kept = torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)
    return kept.sqrt().float(), (1 - kept).sqrt().float()


ALPHAS, SIGMAS = alphas_and_sigmas()


def noised(x, noise, times):
    return ALPHAS[times][:, None, None, None] * x + SIGMAS[times][:, None, None, None] * noise


def enlarged(small, size):
    """Bilinear with aligned corners, as IFSuperResolutionPipeline does."""
    return F.interpolate(small, size=(size, size), mode="bilinear", align_corners=True)


class MidBlock(nn.Module):
    """One resnet, as diffusers' UNetMidBlock2D of a conditional U-Net has."""

    def __init__(self, width, config, time_channels):
        super().__init__()
        block = ResnetBlock(width, width, config["norm_num_groups"], config["norm_eps"], time_channels, True)
        self.resnets = nn.ModuleList([block])

    def pair(self, i, x, time, _):
        return self.resnets[i](x, time)


class Upscaler(UNet):
    """Noisy pictures beside enlarged ones [N, 6, H, W], timesteps [N] and noise levels [N] to the predicted v
    (the first three channels)."""

    def __init__(self, config=CONFIG):
        super().__init__({**UNET, **config})
        width = config["block_out_channels"][0]
        self.mid_block = MidBlock(config["block_out_channels"][-1], config, 4 * width)
        self.class_embedding = nn.Module()
        self.class_embedding.linear_1 = nn.Linear(width, 4 * width)
        self.class_embedding.linear_2 = nn.Linear(4 * width, 4 * width)
        self.start_as_a_copy()

    @torch.no_grad()
    def start_as_a_copy(self):
        """At first the result is v for the enlarged picture where no other is left, at the noisy end. It goes
        through conv_in, the skip behind it, the last block's shortcut and conv_out as it is, with either sign,
        for silu(x) - silu(-x) = x; so does the noisy picture, which conv_out does not read yet. Two channels
        that are constant keep the last norm from dividing each picture by another number."""
        inputs, centre, constant = 6, (1, 1), 4.0
        copied = 2 * inputs
        one = torch.eye(inputs)
        self.conv_in.weight[: copied + 2] = 0
        self.conv_in.bias[: copied + 2] = 0
        self.conv_in.weight[(slice(copied), slice(None), *centre)] = torch.cat([one, -one])
        self.conv_in.bias[copied : copied + 2] = torch.tensor([constant, -constant])
        last = self.up_blocks[-1].resnets[-1]
        width = last.conv_shortcut.out_channels
        last.conv_shortcut.weight[:] = 0
        last.conv_shortcut.bias[:] = 0
        last.conv_shortcut.weight[:, -width:, 0, 0] = torch.eye(width)
        nn.init.zeros_(last.conv2.weight), nn.init.zeros_(last.conv2.bias)
        divisor = math.sqrt((copied * 0.6 + 2 * constant**2) / width)
        v = -divisor * torch.cat([torch.zeros(3, 3), torch.eye(3)], 1)
        self.conv_out.weight[(slice(3), slice(copied), *centre)] = torch.cat([v, -v], 1)

    def forward(self, x, timesteps, levels):
        def embed(values, layers):
            values = timestep_embedding(values, self.time_channels).to(x.dtype)
            return layers.linear_2(F.silu(layers.linear_1(values)))

        time = F.silu(embed(timesteps, self.time_embedding) + embed(levels, self.class_embedding))
        return self.up(*self.down(x, time, None), time, None)


@torch.no_grad()
def sample(module, small, size, steps, level, generator):
    """Pictures in [-1, 1] from small ones [N, 3, h, w], by DDIM (Song et al. 2021, eq. 12) with trailing times."""
    count = len(small)
    x, noise = (torch.randn(count, 3, size, size, generator=generator) for _ in range(2))
    levels = torch.full((count,), level)
    condition = noised(enlarged(small, size), noise, levels)
    times = torch.arange(TRAIN_STEPS, 0, -TRAIN_STEPS / steps).round().long() - 1
    for t, before in zip(times.tolist(), times.tolist()[1:] + [None]):
        v = module(torch.cat([x, condition], 1), torch.full((count,), t), levels)[:, :3]
        data = (ALPHAS[t] * x - SIGMAS[t] * v).clamp(-1, 1)
        epsilon = ALPHAS[t] * v + SIGMAS[t] * x
        x = data if before is None else ALPHAS[before] * data + SIGMAS[before] * epsilon
    return x
