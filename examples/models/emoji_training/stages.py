"""What each stage of train_emoji.py does."""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from . import autoencoder, data, diffusion, dit, files, text_model, unet
from .tokenizer import Tokenizer, learn_merges
from .trainer import Trainer, load_averaged


def path(options, name):
    return os.path.join(options.work_dir, name)


def to_unit(pictures):
    """uint8 [N, H, W, 3] to float [N, 3, H, W] in [-1, 1]"""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(pictures):
    """The way back, as numpy."""
    return ((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def load(options, name, module, weights="ema"):
    return load_averaged(module, torch.load(path(options, name), map_location="cpu")[weights])


def write_pictures(options):
    """The training set as files: names.txt, a name on each line, keywords.txt, its keywords, with commas,
    classes.txt, its subgroup, and 0000.png, 0001.png, ... in that order."""
    pictures, emojis = data.load(options)
    folder = path(options, "pictures")
    os.makedirs(folder, exist_ok=True)
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(os.path.join(folder, f"{i:04d}.png"))
    with open(os.path.join(folder, "names.txt"), "w", encoding="utf-8") as file:
        file.writelines(emoji.name + "\n" for emoji in emojis)
    with open(os.path.join(folder, "keywords.txt"), "w", encoding="utf-8") as file:
        file.writelines(", ".join(emoji.keywords) + "\n" for emoji in emojis)
    with open(os.path.join(folder, "classes.txt"), "w", encoding="utf-8") as file:
        file.writelines(emoji.subgroup + "\n" for emoji in emojis)
    print(f"{folder}: {len(emojis)} pictures")


# ---------------------------------------------------------------------------------------------------------
# Autoencoder


def reconstruction_loss(output, target):
    """Absolute differences of pixels and of their neighbours' differences (edges), on three scales."""
    loss = 0.0
    for scale in range(3):
        loss = loss + F.l1_loss(output, target)
        for axis in (2, 3):
            loss = loss + F.l1_loss(output.diff(dim=axis), target.diff(dim=axis)) * 0.5**scale
        output, target = F.avg_pool2d(output, 2), F.avg_pool2d(target, 2)
    return loss


def train_autoencoder(options):
    pictures = to_unit(data.load(options)[0])
    share_size = 4  # many small steps help more here than few large ones

    def loss_of(module, share, generator):
        chosen = torch.randint(len(pictures), (share_size,), generator=generator)
        target = pictures[chosen]
        mean, log_variance = module.encode(target.to(module.dtype))
        mean, log_variance = mean.float(), log_variance.float().clamp(-12, 4)
        noise = torch.randn(mean.shape, generator=generator)
        output = module.decode((mean + noise * (0.5 * log_variance).exp()).to(module.dtype)).float()
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        return reconstruction_loss(output, target) + options.kl * divergence

    module = autoencoder.Autoencoder()
    trainer = Trainer(module, loss_of, options, shares=2, learning_rate=options.learning_rate, ema=0.995)
    trainer.run(path(options, "vae.pt"))


@torch.no_grad()
def normalised_autoencoder(options):
    """The trained autoencoder, its latents scaled to mean 0 and deviation 1, and the training set's latents
    (posterior means). A decoder that was trained for longer takes the place of the first one."""
    module = load(options, "vae.pt", autoencoder.Autoencoder())
    pictures = to_unit(data.load(options)[0])
    latents = torch.cat([module.encode(part)[0] for part in pictures.split(128)])
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    module.normalise(mean, std)
    if os.path.exists(path(options, "decoder.pt")):
        module.post_quant_conv, module.decoder = (
            load(options, "decoder.pt", nn.ModuleList([module.post_quant_conv, module.decoder]))
        )
    return module, ((latents - mean[:, None, None]) / std[:, None, None]).contiguous()


def train_decoder(options):
    """Decoder alone, with noise on the latents that grows it a tolerance for the denoiser's errors."""
    module, latents = normalised_autoencoder(options)
    pictures = to_unit(data.load(options)[0])
    share_size, noise_level = 4, 0.05

    def loss_of(module, share, generator):
        chosen = torch.randint(len(latents), (share_size,), generator=generator)
        z = latents[chosen]
        z = z + noise_level * torch.randn(z.shape, generator=generator)
        return reconstruction_loss(module[1](module[0](z.to(module.dtype))).float(), pictures[chosen])

    module = nn.ModuleList([module.post_quant_conv, module.decoder])
    trainer = Trainer(module, loss_of, options, shares=2, learning_rate=options.learning_rate, ema=0.998)
    trainer.run(path(options, "decoder.pt"))


def psnr(output, target):
    return -10 * ((output.clamp(-1, 1) - target) / 2).square().mean((1, 2, 3)).log10()


# ---------------------------------------------------------------------------------------------------------
# Text


def make_tokenizer(emojis, options):
    """Merges are learnt once and kept in the working folder."""
    kept = path(options, f"merges_{options.merges}.json")
    if not os.path.exists(kept):
        texts = [emoji.name for emoji in emojis] * 3 + [word for emoji in emojis for word in emoji.keywords]
        files.write_json(kept, learn_merges(texts, options.merges))
    with open(kept, encoding="utf-8") as file:
        merges = [tuple(pair) for pair in json.load(file)]
    return Tokenizer(merges, text_model.CONFIG["max_position_embeddings"])


class TextTeacher(nn.Module):
    """The text encoder with two heads that are thrown away later: the picture's principal components, and
    which picture it is. Every position from the end of the text on has to know, because the U-Net attends to
    all of them."""

    def __init__(self, config, components, pictures):
        super().__init__()
        self.encoder = text_model.TextModel(config)
        self.components = nn.Linear(config["hidden_size"], components)
        self.which = nn.Linear(config["hidden_size"], pictures)


def picture_components(pictures, count):
    """Principal components [N, count] of the pictures at a quarter of their size, scaled as one."""
    x = F.avg_pool2d(to_unit(pictures), 4).flatten(1)
    x = x - x.mean(0)
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    components = u[:, :count] * s[:count]
    return components / components.std()


def caption_ids(emojis, tokenizer, variants, seed):
    """[pictures, variants, length]: the bare name first, then captions drawn at random."""
    rows = []
    for i, emoji in enumerate(emojis):
        texts = [emoji.name] + [data.caption(emoji, data.random_of(seed, i, k)) for k in range(1, variants)]
        rows.append([tokenizer.window(text) for text in texts])
    return torch.tensor(rows)


def train_text(options):
    pictures, emojis = data.load(options)
    tokenizer = make_tokenizer(emojis, options)
    ids = caption_ids(emojis, tokenizer, 24, options.seed)
    empty = torch.tensor(tokenizer.window(""))
    targets = picture_components(pictures, 160)
    share_size = 32

    def loss_of(module, share, generator):
        chosen = torch.randint(len(ids), (share_size,), generator=generator)
        variant = torch.randint(ids.shape[1], (share_size,), generator=generator)
        tokens, target = ids[chosen, variant], targets[chosen]
        tokens[:2], target[:2] = empty, 0.0
        hidden = module.encoder(tokens)
        after = torch.cumsum(tokens == tokenizer.end, 1) > 0
        guess = module.components(hidden[after]).float()
        row = after.nonzero()[:, 0]
        loss = (guess - target[row]).square().mean()
        last = module.which(hidden[:, -1]).float()
        return loss + 0.03 * F.cross_entropy(last[2:], chosen[2:])

    module = TextTeacher(text_model.config_for(tokenizer), targets.shape[1], len(emojis))
    trainer = Trainer(module, loss_of, options, shares=2, learning_rate=options.learning_rate, ema=0.995)
    trainer.run(path(options, "text.pt"))


def load_text(options, emojis):
    tokenizer = make_tokenizer(emojis, options)
    config = text_model.config_for(tokenizer)
    return tokenizer, config, load(options, "text.pt", TextTeacher(config, 160, len(emojis))).encoder


@torch.no_grad()
def encode_text(module, ids):
    return torch.cat([module(part) for part in ids.split(512)])


# ---------------------------------------------------------------------------------------------------------
# U-Net


def train_unet(options):
    """The text encoder stays as it is, so that its output is computed once for all captions."""
    _, emojis = data.load(options)
    _, latents = normalised_autoencoder(options)
    tokenizer, _, text = load_text(options, emojis)
    variants = 12
    ids = caption_ids(emojis, tokenizer, variants, options.seed)
    states = encode_text(text, ids.flatten(0, 1)).bfloat16().unflatten(0, (len(emojis), variants))
    empty = encode_text(text, torch.tensor([tokenizer.window("")]))[0].bfloat16()
    share_size = 16

    def loss_of(module, share, generator):
        chosen = torch.randint(len(latents), (share_size,), generator=generator)
        # every other caption is the bare name
        variant = torch.randint(2 * variants, (share_size,), generator=generator)
        variant = torch.where(variant < variants, variant, torch.zeros_like(variant))
        context = states[chosen, variant]
        context[torch.rand(share_size, generator=generator) < 0.1] = empty
        noisy, times, target = diffusion.noised(latents[chosen], generator)
        noisy = noisy.to(module.dtype).contiguous(memory_format=torch.channels_last)
        return F.mse_loss(module(noisy, times, context.to(module.dtype)).float(), target)

    trainer = Trainer(
        unet.UNet(), loss_of, options, shares=2, learning_rate=options.learning_rate, ema=0.9985
    )
    trainer.run(path(options, "unet.pt"))


# ---------------------------------------------------------------------------------------------------------
# Evaluation and export


@torch.no_grad()
def generate(module, context, empty, noise, options):
    """Latents for text states [N, L, C], with classifier-free guidance."""
    module = module.to(torch.bfloat16)
    both = torch.cat([empty.expand_as(context), context]).bfloat16()

    def predict(x, t):
        x = torch.cat([x, x]).bfloat16().contiguous(memory_format=torch.channels_last)
        without, with_text = module(x, torch.full((len(x),), t), both).float().chunk(2)
        return without + options.guidance * (with_text - without)

    return diffusion.sample(predict, noise, options.sampling_steps)


def contact_sheet(rows, name):
    """`rows` of equally many pictures, uint8."""
    Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).save(name)


@torch.no_grad()
def evaluate(options):
    """Names drawn at random, a picture of each: is the nearest training picture (Euclidean distance of the
    autoencoder's latents) the right one?"""
    pictures, emojis = data.load(options)
    autoencoder_, latents = normalised_autoencoder(options)
    tokenizer, _, text = load_text(options, emojis)
    quality = psnr(autoencoder_.decode(latents[::8]), to_unit(pictures[::8]))
    print(f"autoencoder: {quality.mean():.2f} dB")
    chosen = sorted(data.random_of("eval", options.seed).sample(range(len(emojis)), options.prompts))
    ids = torch.tensor([tokenizer.window(text_) for text_ in [""] + [emojis[i].name for i in chosen]])
    states = encode_text(text, ids)
    noise = torch.randn(len(chosen), *latents.shape[1:], generator=torch.Generator().manual_seed(options.seed))
    module = load(options, "unet.pt", unet.UNet(), options.weights)
    made = []
    for part in range(0, len(chosen), 25):
        some = slice(part, part + 25)
        z = generate(module, states[1:][some], states[:1], noise[some], options)
        made.append(autoencoder_.decode(z))
    made = torch.from_numpy(to_bytes(torch.cat(made)))
    features = autoencoder_.encode(to_unit(made.numpy()))[0]
    distances = torch.cdist(features.flatten(1), latents.flatten(1))
    ranks = (distances < distances[range(len(chosen)), chosen][:, None]).sum(1)
    right, near = (ranks == 0).sum().item(), (ranks < 5).sum().item()
    print(f"nearest is right: {right} of {len(chosen)}, among the nearest five: {near}")
    wrong = [(emojis[i].name, emojis[j].name) for i, j in zip(chosen, distances.argmin(1).tolist()) if i != j]
    print("wrong:", "; ".join(f"{a} -> {b}" for a, b in wrong[:20]))
    rows = []
    for part in range(0, len(chosen) - 19, 20):
        rows += [pictures[chosen[part : part + 20]], made[part : part + 20].numpy()]
    contact_sheet(rows, path(options, "eval.png"))


def export(options):
    _, emojis = data.load(options)
    module, _ = normalised_autoencoder(options)
    tokenizer, config, text = load_text(options, emojis)
    folder = path(options, "export")
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.31.0",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", diffusion.SCHEDULER["_class_name"]],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    files.write_json(os.path.join(folder, "model_index.json"), index)
    files.write_json(os.path.join(folder, "scheduler", "scheduler_config.json"), diffusion.SCHEDULER)
    tokenizer.save(os.path.join(folder, "tokenizer"))
    files.write_model(os.path.join(folder, "text_encoder"), config, text, "model")
    files.write_model(os.path.join(folder, "vae"), autoencoder.CONFIG, module)
    module = load(options, "unet.pt", unet.UNet(), options.weights)
    files.write_model(os.path.join(folder, "unet"), unet.CONFIG, module)
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")


# ---------------------------------------------------------------------------------------------------------
# DiT


def dit_classes(emojis):
    """Unicode's subgroups as classes: (labels [N], names, config)."""
    names = list(dict.fromkeys(emoji.subgroup for emoji in emojis))
    labels = torch.tensor([names.index(emoji.subgroup) for emoji in emojis])
    return labels, names, {**dit.CONFIG, "num_embeds_ada_norm": len(names)}


def train_dit(options):
    _, emojis = data.load(options)
    _, latents = normalised_autoencoder(options)
    labels, names, config = dit_classes(emojis)
    share_size = 16

    def loss_of(module, share, generator):
        chosen = torch.randint(len(latents), (share_size,), generator=generator)
        classes = labels[chosen]
        classes[torch.rand(share_size, generator=generator) < 0.1] = len(names)
        noisy, times, target = diffusion.noised(latents[chosen], generator)
        return F.mse_loss(module(noisy.to(module.dtype), times, classes).float(), target)

    trainer = Trainer(
        dit.DiT(config), loss_of, options, shares=4, learning_rate=options.learning_rate, ema=0.9985
    )
    trainer.run(path(options, "dit.pt"))


def export_dit(options):
    _, emojis = data.load(options)
    _, names, config = dit_classes(emojis)
    folder = path(options, "export-dit")
    index = {
        "_class_name": "DiTPipeline",
        "_diffusers_version": "0.31.0",
        "id2label": {str(i): name for i, name in enumerate(names)},
        "scheduler": ["diffusers", diffusion.SCHEDULER["_class_name"]],
        "transformer": ["diffusers", "DiTTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    files.write_json(os.path.join(folder, "model_index.json"), index)
    files.write_json(os.path.join(folder, "scheduler", "scheduler_config.json"), diffusion.SCHEDULER)
    files.write_model(os.path.join(folder, "vae"), autoencoder.CONFIG, normalised_autoencoder(options)[0])
    module = load(options, "dit.pt", dit.DiT(config), options.weights)
    files.write_model(os.path.join(folder, "transformer"), config, module)
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")
