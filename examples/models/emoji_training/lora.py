"""A LoRA (Hu et al. 2021) of the U-Net in kohya's layout: attention, feed-forward and convolutions."""

import re

import torch
from torch import nn

from .layers import Conv3x3

TARGETS = re.compile(
    r"\.attentions\.|\.resnets\.\d+\.(conv\d|conv_shortcut|time_emb_proj)$|\.(down|up)samplers\."
)


class Pair(nn.Module):
    """What is added to the output of a layer: up(down(x)), of rank `rank`; zero at the start."""

    def __init__(self, layer, rank):
        super().__init__()
        if isinstance(layer, Conv3x3):
            self.lora_down = Conv3x3(layer.in_channels, rank, layer.stride[0], layer.padding[0])
            self.lora_down.bias = None
        elif isinstance(layer, nn.Conv2d):
            self.lora_down = nn.Conv2d(layer.in_channels, rank, 1, bias=False)
        else:
            self.lora_down = nn.Linear(layer.in_features, rank, bias=False)
        if isinstance(layer, nn.Conv2d):
            self.lora_up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        else:
            self.lora_up = nn.Linear(rank, layer.out_features, bias=False)
        nn.init.zeros_(self.lora_up.weight)

    def forward(self, x):
        return self.lora_up(self.lora_down(x))


def targets(unet):
    """{kohya's name: layer}"""
    return {
        "lora_unet_" + name.replace(".", "_"): layer
        for name, layer in unet.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and TARGETS.search(name)
    }


class LowRank(nn.ModuleDict):
    def __init__(self, unet, rank):
        super().__init__({name: Pair(layer, rank) for name, layer in targets(unet).items()})
        self.scale = 1.0


def attach(unet, low_rank):
    """From now on the layers' outputs include those of their pairs, times `low_rank.scale`."""
    for name, layer in targets(unet).items():
        pair = low_rank[name]
        layer.register_forward_hook(lambda _, inputs, output, pair=pair: output + low_rank.scale * pair(inputs[0]))


def state_of(low_rank, alpha):
    return low_rank.state_dict() | {f"{name}.alpha": torch.tensor(float(alpha)) for name in low_rank}
