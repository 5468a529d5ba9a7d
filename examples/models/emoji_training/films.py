"""What each stage of train_motion.py does."""

import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from . import data, files, lora, motion
from .steering import Base, noisy_batch
from .stages import contact_sheet, load, path
from .trainer import Trainer

WORDS = ("bouncing", "spinning", "growing", "sliding")


def place(word, progress):
    """Where a film's figure is at `progress` 0 ... 1: (size, degrees clockwise, shift to the right, downwards), in
    parts of the picture's side. Without a word it stands still."""
    if word == "bouncing":  # thrown up from the ground, and back
        return 0.65, 0.0, 0.0, 0.16 - 0.32 * 4 * progress * (1 - progress)
    if word == "spinning":
        return 0.75, 360.0 * progress, 0.0, 0.0
    if word == "growing":
        return 0.35 + 0.6 * progress, 0.0, 0.0, 0.0
    if word == "sliding":  # from left to right
        return 0.65, 0.0, 0.32 * progress - 0.16, 0.0
    return 0.75, 0.0, 0.0, 0.0


def progress_of(word, frame, frames):
    """Bouncing and spinning come round to the first frame after the last one; the others end with it."""
    return frame / (frames if word in ("bouncing", "spinning") else frames - 1)


def film(picture, word, frames):
    """uint8 [frames, H, W, 3] of a picture that moves on white."""
    image, side, shots = Image.fromarray(picture), picture.shape[0], []
    for frame in range(frames):
        size, degrees, right, down = place(word, progress_of(word, frame, frames))
        # four times as fine and then reduced, so that small figures are not made of single pixels
        fine, angle = 4 * side, math.radians(degrees)
        c, s = math.cos(angle) / (4 * size), math.sin(angle) / (4 * size)
        x, y = (0.5 + right) * fine, (0.5 + down) * fine
        matrix = (c, s, side / 2 - c * x - s * y, -s, c, side / 2 + s * x - c * y)
        large = image.transform(
            (fine, fine), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255)
        )
        shots.append(np.asarray(large.resize((side, side), Image.Resampling.BOX)))
    return np.stack(shots)


class Films:
    """Latents [F, C, h, w] of the film of an emoji and states [L, D] of its prompt, made when they are first asked
    for."""

    def __init__(self, base, pictures, names, frames):
        self.base, self.pictures, self.names, self.frames, self.made = base, pictures, names, frames, {}

    def __call__(self, index, word):
        if (index, word) not in self.made:
            latents = self.base.encode(film(self.pictures[index], word, self.frames))
            self.made[index, word] = latents, self.base.states([prompt_of(self.names[index], word)])[0]
        return self.made[index, word]


class Motion(nn.Module):
    """The motion modules, and a LoRA by which the U-Net learns pictures that are not in the middle and the words
    of motion: AnimateDiff's domain adapter."""

    def __init__(self, base, options):
        super().__init__()
        self.adapter, self.domain = motion.MotionAdapter(), lora.LowRank(base.unet, options.rank)
        lora.attach(base.unet, self.domain)
        motion.attach(base.unet, self.adapter, options.frames)


def prompt_of(name, word):
    return f"{name}, {word}" if word else name


def fits(base, name):
    """Whether a prompt has room for the longest word behind the name."""
    return all(len(base.tokenizer.encode(prompt_of(name, word))) <= base.tokenizer.length - 2 for word in WORDS)


def train(options):
    base = Base(options.model)
    pictures, emojis = data.load(options)
    names = [emoji.name for emoji in emojis]
    if options.only:
        kept = [names.index(name) for name in options.only.split(",")]
    else:
        kept = [i for i, name in enumerate(names) if fits(base, name)]
    print(f"{len(kept)} of {len(emojis)} emoji", flush=True)
    films = Films(base, pictures, names, options.frames)
    empty = base.states([""])[0]
    module = Motion(base, options)
    print(f"{sum(p.numel() for p in module.parameters())} parameters", flush=True)

    def loss_of(module, share, generator):
        def drawn(count):
            return torch.randint(count, (), generator=generator).item()

        latents, states = [], []
        for _ in range(options.films):
            film_latents, prompt = films(kept[drawn(len(kept))], WORDS[drawn(len(WORDS))])
            latents.append(film_latents)
            states.append(prompt if drawn(10) > 0 else empty)
        context = torch.stack(states).repeat_interleave(options.frames, 0).to(base.dtype)
        noisy, times, target = noisy_batch(torch.cat(latents), generator, base.dtype, 0.6, options.frames)
        return F.mse_loss(base.unet(noisy, times, context).float(), target)

    trainer = Trainer(module, loss_of, options, shares=1, learning_rate=options.learning_rate, ema=0.995)
    trainer.run(path(options, "motion.pt"))


def trained(base, options):
    return load(options, "motion.pt", Motion(base, options), options.weights)


@torch.no_grad()
def show(options):
    """A film a row: the names of --prompts, with the words in turn."""
    base = Base(options.model)
    trained(base, options).to(base.dtype)
    prompts = [prompt_of(name, word) for name in options.prompts.split(",") for word in WORDS]
    states = base.states(prompts).repeat_interleave(options.frames, 0)
    contact_sheet(base.sample(states, options).reshape(len(prompts), options.frames, *[options.size] * 2, 3),
                  path(options, "motion.png"))


def export(options):
    base = Base(options.model)
    module = trained(base, options)
    folder = path(options, "emoji-motion")
    files.write_model(folder, motion.CONFIG, module.adapter)
    file = os.path.join(folder, "pytorch_lora_weights.safetensors")
    files.write_safetensors(file, lora.state_of(module.domain, options.rank))
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")
