"""What each stage of train_upscaler.py does."""

import os

import numpy as np
import torch
import torch.nn.functional as F

from . import data, files, upscaler
from .stages import contact_sheet, load, path, psnr, to_bytes, to_unit
from .steering import Base
from .trainer import Trainer

LARGE = 128
HIGHEST_LEVEL = 250  # noise levels that are trained, low ones most often
FIRST_TIME = 200  # likewise, of timesteps; four steps end at 249


def held_out(count):
    """Whether a picture is kept for tests: 98 of 1,377."""
    return torch.arange(count) % 14 == 7


@torch.no_grad()
def read(options):
    """Large pictures, the small ones, and what the text model's autoencoder makes of the small ones when their
    latents have a little noise: [N, 3, H, W] in [-1, 1], as uint8 pictures would have it."""
    emojis = data.read_emoji(options.emoji_test, options.annotations)
    large, kept = data.read_pictures(options.font, emojis, LARGE)
    small, _ = data.read_pictures(options.font, emojis, options.size)
    cache = path(options, "reconstructions.pt")
    if not os.path.exists(cache):
        base = Base(options.model)
        generator = torch.Generator().manual_seed(options.seed)
        latents = base.encode(small)
        noise = torch.randn(latents.shape, generator=generator)
        amount = 0.25 * torch.rand(len(latents), 1, 1, 1, generator=generator)
        torch.save(torch.from_numpy(base.decode(latents + amount * noise)), cache)
    return to_unit(large), to_unit(small), to_unit(torch.load(cache).numpy()), kept


def train(options):
    large, small, reconstructed, _ = read(options)
    chosen_from = (~held_out(len(large))).nonzero()[:, 0]
    module = upscaler.Upscaler()
    print(f"{sum(p.numel() for p in module.parameters())} parameters, {len(chosen_from)} pictures", flush=True)
    side = options.crop

    def loss_of(module, share, generator):
        def drawn(count):
            return torch.randint(count, (), generator=generator).item()

        targets, conditions = [], []
        while len(targets) < options.crops:
            i = chosen_from[drawn(len(chosen_from))]
            source = small if drawn(5) else reconstructed
            # Even: with aligned corners, what was enlarged lies up to half a pixel beside the true picture, to the
            # left or right depending on which columns are the sharp ones.
            y, x = 2 * drawn((LARGE - side) // 2 + 1), 2 * drawn((LARGE - side) // 2 + 1)
            target = large[i : i + 1, :, y : y + side, x : x + side]
            if target.min() > 0.99 and drawn(20):  # nothing but background
                continue
            condition = upscaler.enlarged(source[i : i + 1], LARGE)[:, :, y : y + side, x : x + side]
            mirrored = drawn(2)
            targets.append(target.flip(3) if mirrored else target)
            conditions.append(condition.flip(3) if mirrored else condition)
        target, condition = torch.cat(targets), torch.cat(conditions)
        times = torch.randint(FIRST_TIME, upscaler.TRAIN_STEPS, (len(target),), generator=generator)
        levels = torch.rand(len(target), generator=generator).pow(3).mul(HIGHEST_LEVEL).long()
        noise, other = (torch.randn(target.shape, generator=generator) for _ in range(2))
        both = torch.cat([upscaler.noised(target, noise, times), upscaler.noised(condition, other, levels)], 1)
        both = both.to(module.dtype).contiguous(memory_format=torch.channels_last)
        sigma = upscaler.SIGMAS[times][:, None, None, None]
        v = upscaler.ALPHAS[times][:, None, None, None] * noise - sigma * target
        # The error of the picture that v means, not of v: small errors count where much noise is left.
        return F.mse_loss(sigma * module(both, times, levels)[:, :3].float(), sigma * v)

    trainer = Trainer(module, loss_of, options, shares=1, learning_rate=options.learning_rate, ema=0.995)
    trainer.run(path(options, "upscaler.pt"))


def trained(options):
    return load(options, "upscaler.pt", upscaler.Upscaler(), options.weights)


def frechet_distance(a, b):
    """Of normal distributions with the samples' means and covariances, [N, D] both (Dowson and Landau 1982)."""
    means, roots = [], []
    for samples in (a.double(), b.double()):
        centred = (samples - samples.mean(0)) / (len(samples) - 1) ** 0.5
        means.append(samples.mean(0))
        roots.append(torch.linalg.qr(centred)[1])  # the covariance is R^T R
    traces = sum(root.square().sum() for root in roots)
    return ((means[0] - means[1]).square().sum() + traces - 2 * torch.linalg.svdvals(roots[0] @ roots[1].T).sum()).item()


class Distances:
    """Frechet distances to the true pictures, of what the text model's autoencoder sees in 128x128 pictures: its
    latents averaged to 4x4, as emoji_study has it, and each latent by itself, in which blur shows."""

    def __init__(self, base, target):
        self.base = base
        self.true = self.features(target)

    def features(self, pictures):
        latents = self.base.encode(to_bytes(pictures))
        side = latents.shape[-1] // 4
        return F.avg_pool2d(latents, side).flatten(1), latents.permute(0, 2, 3, 1).flatten(0, 2)

    def __call__(self, pictures):
        pairs = zip(self.features(pictures), self.true)
        return "Frechet {:.3f} (4x4), {:.4f} (each)".format(*(frechet_distance(a, b) for a, b in pairs))


@torch.no_grad()
def evaluate(options):
    """Mean PSNR over held-out pictures and Frechet distances, of the stage and of Lanczos enlargement."""
    large, small, reconstructed, _ = read(options)
    which = held_out(len(large)).nonzero()[:: options.every, 0]
    module = trained(options)
    target = large[which]
    distances = Distances(Base(options.model), target)
    for name, source in (("pictures", small[which]), ("reconstructions", reconstructed[which])):
        lanczos = to_unit(data.enlarged(to_bytes(source), LARGE))
        print(f"{name}: Lanczos {psnr(lanczos, target).mean():.2f} dB, {distances(lanczos)}", flush=True)
        for steps in options.try_steps:
            for level in options.try_levels:
                generator = torch.Generator().manual_seed(options.seed)
                parts = [upscaler.sample(module, part, LARGE, steps, level, generator) for part in source.split(8)]
                made = torch.cat(parts)
                quality = f"{psnr(made, target).mean():.2f} dB, {distances(made)}"
                print(f"  {steps} steps, noise level {level}: {quality}", flush=True)
        shown = [small_pictures(source)[:8], to_bytes(lanczos)[:8], to_bytes(made)[:8], to_bytes(target)[:8]]
        contact_sheet(np.stack(shown), path(options, f"{name}.png"))


def small_pictures(source):
    """As they are, pixel by pixel, at the large size."""
    return to_bytes(F.interpolate(source, size=(LARGE, LARGE), mode="nearest"))


def export(options):
    folder = path(options, "emoji-upscaler")
    module = trained(options)
    files.write_model(os.path.join(folder, "unet"), upscaler.CONFIG, module)
    files.write_json(os.path.join(folder, "scheduler", "scheduler_config.json"), upscaler.SCHEDULER)
    noising = os.path.join(folder, "image_noising_scheduler", "scheduler_config.json")
    files.write_json(noising, upscaler.NOISING_SCHEDULER)
    files.write_json(
        os.path.join(folder, "model_index.json"),
        {
            "_class_name": "IFSuperResolutionPipeline",
            "_diffusers_version": "0.31.0",
            "feature_extractor": [None, None],
            "image_noising_scheduler": ["diffusers", "DDPMScheduler"],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "text_encoder": [None, None],
            "tokenizer": [None, None],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "watermarker": [None, None],
        },
    )
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")
