"""What each stage of train_judge.py does."""

import os

import numpy as np
import torch
import torch.nn.functional as F

from . import clip, data, files
from .stages import caption_ids, load, path
from .steering import Base
from .trainer import Trainer

SHARE, CAPTIONS = 128, 16


def views(pictures, base, options):
    """uint8 [N, views, H, W, 3]: each picture, and what the autoencoder makes of it with noise on its latents, as a
    denoiser's errors leave it. Kept in the working folder."""
    kept = path(options, f"views_{options.views}_{options.seed}.npy")
    if not os.path.exists(kept):
        latents, made = base.encode(pictures), [pictures]
        generator = torch.Generator().manual_seed(options.seed)
        for number in range(options.views - 1):
            level = options.noise * torch.rand(len(latents), 1, 1, 1, generator=generator)
            # Coarse noise, too: what a denoiser gets wrong has a size.
            coarse = F.interpolate(torch.randn(len(latents), 4, 4, 4, generator=generator), scale_factor=4)
            noise = torch.randn(latents.shape, generator=generator) + 0.5 * coarse
            made.append(base.decode(latents + level * noise))
        np.save(kept, np.stack(made, 1))
    return np.load(kept)


def shifted(pictures, generator, reach=3):
    """Each picture moved by up to `reach` pixels, white coming in."""
    size = pictures.shape[1]
    wide = np.pad(pictures, ((0, 0), (reach, reach), (reach, reach), (0, 0)), constant_values=255)
    rows, columns = torch.randint(2 * reach + 1, (2, len(pictures)), generator=generator).tolist()
    return np.stack([p[r : r + size, c : c + size] for p, r, c in zip(wide, rows, columns)])


def train(options):
    """Radford et al. 2021: of a batch's pictures and captions, which belong together?"""
    pictures, emojis = data.load(options)
    base = Base(options.model, torch.float32)
    seen = views(pictures, base, options)
    ids = caption_ids(emojis, base.tokenizer, CAPTIONS, options.seed)
    config = clip.config_for(base.tokenizer)

    def loss_of(module, share, generator):
        chosen = torch.randperm(len(ids), generator=generator)[:SHARE]
        # every other caption is the bare name
        caption = torch.randint(2 * CAPTIONS, (SHARE,), generator=generator)
        caption = torch.where(caption < CAPTIONS, caption, torch.zeros_like(caption))
        view = torch.randint(seen.shape[1], (SHARE,), generator=generator)
        pixels = clip.pixel_values(shifted(seen[chosen.numpy(), view.numpy()], generator))
        brightness = 1 + 0.15 * torch.randn(SHARE, 1, 1, 1, generator=generator)
        pixels = (pixels * brightness).to(module.dtype)
        a, b = module.embed_pictures(pixels), module.embed_texts(ids[chosen, caption])
        logits = a @ b.T * module.logit_scale.float().clamp(max=4.6).exp()
        own = torch.arange(SHARE)
        return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))

    trainer = Trainer(
        clip.Clip(config), loss_of, options, shares=1, learning_rate=options.learning_rate, ema=0.995
    )
    trainer.run(path(options, "judge.pt"))


def trained(options, base):
    config = clip.config_for(base.tokenizer)
    return config, load(options, "judge.pt", clip.Clip(config), options.weights)


@torch.no_grad()
def evaluate(options):
    """All pictures against all names: how often is a picture's best name its own, and a name's best picture?"""
    pictures, emojis = data.load(options)
    base = Base(options.model, torch.float32)
    _, module = trained(options, base)
    ids = torch.tensor([base.tokenizer.window(emoji.name) for emoji in emojis])
    names = torch.cat([module.embed_texts(part) for part in ids.split(256)])
    own = torch.arange(len(ids))
    for number, view in enumerate(views(pictures, base, options).transpose(1, 0, 2, 3, 4)):
        shown = torch.cat([module.embed_pictures(clip.pixel_values(part)) for part in np.array_split(view, 12)])
        cosines = shown @ names.T
        names_right = (cosines.argmax(1) == own).float().mean().item()
        pictures_right = (cosines.argmax(0) == own).float().mean().item()
        print(f"view {number}: {names_right:.1%} of the names, {pictures_right:.1%} of the pictures")


def export(options):
    base = Base(options.model, torch.float32)
    config, module = trained(options, base)
    folder = path(options, "export-judge")
    files.write_model(folder, config, module, "model")
    files.write_json(os.path.join(folder, "preprocessor_config.json"), clip.PREPROCESSOR)
    base.tokenizer.save(folder)
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")
