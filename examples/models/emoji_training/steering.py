"""What each stage of train_steering.py does."""

import json
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

from . import autoencoder, controlnet, data, diffusion, files, lora, text_model, unet
from .edges import canny
from .stages import contact_sheet, encode_text, load, path, to_bytes, to_unit
from .tokenizer import Tokenizer
from .trainer import Trainer


class Base:
    """The shipped model, as its files have it; nothing of it is trained here."""

    def __init__(self, folder, dtype=torch.bfloat16):
        def model(module, name, file="diffusion_pytorch_model", part=""):
            module.load_state_dict(files.read_safetensors(os.path.join(folder, name, f"{file}.safetensors")))
            return module.eval().requires_grad_(False)

        with open(os.path.join(folder, "tokenizer", "merges.txt"), encoding="utf-8") as file:
            merges = [tuple(line.split()) for line in file.read().splitlines()[1:]]
        self.tokenizer = Tokenizer(merges, text_model.CONFIG["max_position_embeddings"])
        self.text = model(text_model.TextModel(text_model.config_for(self.tokenizer)), "text_encoder", "model")
        self.autoencoder = model(autoencoder.Autoencoder(), "vae")
        self.unet = model(unet.UNet(), "unet").to(dtype).to(memory_format=torch.channels_last)
        self.dtype = dtype

    @torch.no_grad()
    def encode(self, pictures):
        """uint8 pictures to latents (posterior means)."""
        return torch.cat([self.autoencoder.encode(part)[0] for part in to_unit(pictures).split(128)])

    @torch.no_grad()
    def decode(self, latents):
        return to_bytes(torch.cat([self.autoencoder.decode(part) for part in latents.split(128)]))

    def states(self, texts):
        return encode_text(self.text, torch.tensor([self.tokenizer.window(text) for text in texts]))

    def sample(self, states, options, predict=None, seed=None):
        """Pictures for text states [N, L, C] with classifier-free guidance; `predict(x, t, states)` takes the
        place of the U-Net."""
        predict = predict or self.unet
        generator = torch.Generator().manual_seed(options.seed if seed is None else seed)
        noise = torch.randn(len(states), 4, 16, 16, generator=generator)
        both = torch.cat([self.states([""]).expand_as(states), states]).to(self.dtype)

        def guided(x, t):
            x = torch.cat([x, x]).to(self.dtype).contiguous(memory_format=torch.channels_last)
            without, with_text = predict(x, torch.full((len(x),), t), both).float().chunk(2)
            return without + options.guidance * (with_text - without)

        return self.decode(diffusion.sample(guided, noise, options.sampling_steps))


def noisy_batch(latents, generator, dtype, skew=0.7, together=1):
    noisy, times, target = diffusion.noised(latents, generator, skew, together)
    return noisy.to(dtype).contiguous(memory_format=torch.channels_last), times, target


# ---------------------------------------------------------------------------------------------------------
# ControlNet


def moved(picture, random):
    """The picture mirrored, turned, scaled and shifted at random, so that its caption does not tell where its
    outlines are."""
    size = picture.shape[0]
    image = Image.fromarray(picture)
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if random.random() < 0.2:
        return np.asarray(image)
    angle, scale = random.gauss(0, 0.25), random.uniform(0.6, 1.1)
    room = max(0.0, 1 - scale) * size / 2 + 2
    c, s = np.cos(angle) / scale, np.sin(angle) / scale
    x, y = (size / 2 + random.uniform(-room, room) for _ in range(2))
    matrix = (c, s, size / 2 - c * x - s * y, -s, c, size / 2 + s * x - c * y)
    white = (255, 255, 255)
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=white))


def recoloured(picture, other):
    """The picture in the colours of another: brightness and hue are shifted and scaled to the other's mean and
    deviation (Reinhard et al. 2001, in an opponent space), what is white stays so."""
    opponent = np.array([[1, 1, 1], [1, -1, 0], [0.5, 0.5, -1]]) / 3

    def split(x):
        x = x.reshape(-1, 3).astype(np.float32)
        drawn = x.min(1) < 235
        return x @ opponent.T, drawn if drawn.any() else ~drawn

    (a, drawn), (b, drawn_b) = split(picture), split(other)
    mean_a, mean_b = a[drawn].mean(0), b[drawn_b].mean(0)
    ratio = np.minimum(b[drawn_b].std(0) / (a[drawn].std(0) + 1e-3), 1.0)
    changed = ((a - mean_a) * ratio + mean_b) @ np.linalg.inv(opponent).T
    blend = np.clip((255 - picture.reshape(-1, 3).min(1)) / 40.0, 0, 1)[:, None]
    out = changed * blend + picture.reshape(-1, 3) * (1 - blend)
    return np.clip(out, 0, 255).round().astype(np.uint8).reshape(picture.shape)


class ControlPictures:
    """Moved pictures, each made when it is first asked for: latents, edges and whose caption it has. Every
    other one has the colours and the caption of another emoji."""

    def __init__(self, pictures, encode, seed):
        self.pictures, self.encode, self.seed, self.made = pictures, encode, seed, {}

    def picture(self, index):
        variant, i = divmod(index, len(self.pictures))
        random = data.random_of("control", self.seed, variant, i)
        picture = moved(self.pictures[i], random)
        if variant % 2 == 0:
            return picture, i
        other = random.randrange(len(self.pictures))
        return recoloured(picture, self.pictures[other]), other

    def __call__(self, indices):
        new = [index for index in dict.fromkeys(indices) if index not in self.made]
        if new:
            pictures, whose = zip(*(self.picture(index) for index in new))
            pictures = np.stack(pictures)
            self.made |= zip(new, zip(self.encode(pictures), torch.from_numpy(canny(pictures)), whose))
        latents, edges, whose = zip(*(self.made[index] for index in indices))
        return torch.stack(latents), torch.stack(edges), torch.tensor(whose)


def condition_of(edges, dtype=torch.float32):
    """bool [N, H, W] to white lines on black [N, 3, H, W]"""
    return torch.as_tensor(edges)[:, None].expand(-1, 3, -1, -1).to(dtype)


def new_controlnet(base):
    """The U-Net's own weights where there are such."""
    module = controlnet.ControlNet()
    own, given = module.state_dict(), base.unet.float().state_dict()
    module.load_state_dict(own | {name: given[name] for name in own if name in given})
    base.unet.to(base.dtype)
    return module


def train_controlnet(options):
    base = Base(options.model)
    pictures, emojis = data.load(options)
    count = len(pictures) * options.variants
    drawn = ControlPictures(pictures, base.encode, options.seed)
    states = base.states([emoji.name for emoji in emojis]).to(base.dtype)
    empty = base.states([""])[0].to(base.dtype)
    share_size = 8

    def loss_of(module, share, generator):
        chosen = torch.randint(count, (share_size,), generator=generator).tolist()
        latents, edges, whose = drawn(chosen)
        context = states[whose]
        context[torch.rand(share_size, generator=generator) < 0.25] = empty
        noisy, times, target = noisy_batch(latents, generator, module.dtype, skew=0.6)
        condition = condition_of(edges, module.dtype).contiguous(memory_format=torch.channels_last)
        return F.mse_loss(controlnet.steered(base.unet, module, noisy, times, context, condition).float(), target)

    trainer = Trainer(
        new_controlnet(base), loss_of, options, shares=1, learning_rate=options.learning_rate, ema=0.995
    )
    trainer.run(path(options, "controlnet.pt"))


@torch.no_grad()
def show_controlnet(options):
    """Outlines of some emoji with the prompts of others: outline, without, with the ControlNet."""
    base = Base(options.model)
    pictures, emojis = data.load(options)
    module = load(options, "controlnet.pt", controlnet.ControlNet(), options.weights).to(base.dtype)
    names = [emoji.name for emoji in emojis]
    pairs = [pair.split("/") for pair in options.pairs.split(",")]
    shapes = np.stack([pictures[names.index(outline)] for outline, _ in pairs])
    edges = canny(shapes)
    condition = condition_of(np.concatenate([edges, edges]), base.dtype)
    states = base.states([prompt for _, prompt in pairs])
    predict = lambda x, t, context: controlnet.steered(base.unet, module, x, t, context, condition)
    without, with_control = base.sample(states, options), base.sample(states, options, predict)
    lines = np.repeat(edges[..., None], 3, 3).astype(np.uint8) * 255
    contact_sheet([shapes, lines, without, with_control], path(options, "controlnet.png"))


def export_controlnet(options):
    module = load(options, "controlnet.pt", controlnet.ControlNet(), options.weights)
    folder = path(options, "emoji-controlnet")
    files.write_model(folder, controlnet.CONFIG, module)
    print(f"{folder}: {files.size_of(folder) / 1e6:.2f} MB")


# ---------------------------------------------------------------------------------------------------------
# LoRA


def sprite(picture, cells=16, levels=4):
    """The picture as pixel art: square cells of few colours, a cell of the background between drawn ones or one
    of the figure, whose border is dark."""
    side = picture.shape[0] // cells
    blocks = picture.reshape(cells, side, cells, side, 3).transpose(0, 2, 1, 3, 4).reshape(cells, cells, -1, 3)
    drawn = blocks.min(-1, keepdims=True) < 235
    covered = drawn.mean((2, 3)) > 0.4
    colour = (blocks * drawn).sum(2) / np.maximum(drawn.sum(2), 1)
    outside = np.pad(~covered, 1, constant_values=True)
    border = covered & (outside[:-2, 1:-1] | outside[2:, 1:-1] | outside[1:-1, :-2] | outside[1:-1, 2:])
    colour = np.where(border[..., None], 0.45 * colour, colour)
    colour = np.round(colour / 255 * levels) / levels * 255
    colour = np.where(covered[..., None], colour, 255).round().astype(np.uint8)
    return colour.repeat(side, 0).repeat(side, 1)


def train_lora(options):
    base = Base(options.model)
    pictures, emojis = data.load(options)
    latents = base.encode(np.stack([sprite(picture) for picture in pictures]))
    states = base.states([emoji.name for emoji in emojis]).to(base.dtype)
    empty = base.states([""])[0].to(base.dtype)
    share_size = 8
    module = lora.LowRank(base.unet, options.rank)
    lora.attach(base.unet, module)
    print(f"{sum(p.numel() for p in module.parameters())} parameters", flush=True)

    def loss_of(module, share, generator):
        chosen = torch.randint(len(latents), (share_size,), generator=generator)
        context = states[chosen]
        context[torch.rand(share_size, generator=generator) < 0.15] = empty
        noisy, times, target = noisy_batch(latents[chosen], generator, base.dtype)
        return F.mse_loss(base.unet(noisy, times, context).float(), target)

    trainer = Trainer(module, loss_of, options, shares=1, learning_rate=options.learning_rate, ema=0.99)
    trainer.run(path(options, "lora.pt"))


@torch.no_grad()
def show_lora(options):
    """Some emoji without the LoRA, with it at half and at full strength, and what it was to learn."""
    base = Base(options.model)
    pictures, emojis = data.load(options)
    names = [emoji.name for emoji in emojis]
    prompts = options.prompts.split(",")
    module = load(options, "lora.pt", lora.LowRank(base.unet, options.rank), options.weights).to(base.dtype)
    module.scale = 0.0
    lora.attach(base.unet, module)
    rows = []
    for module.scale in (0.0, 0.5, 1.0):
        rows.append(base.sample(base.states(prompts), options))
    rows.append([sprite(pictures[names.index(name)]) for name in prompts])
    contact_sheet(rows, path(options, "lora.png"))


def export_lora(options):
    base = Base(options.model)
    module = load(options, "lora.pt", lora.LowRank(base.unet, options.rank), options.weights)
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(options.rank),
        "ss_network_alpha": str(options.rank),
        "ss_network_args": json.dumps({"conv_dim": options.rank, "conv_alpha": options.rank}),
        "ss_output_name": "emoji-sprites",
        "ss_steps": str(torch.load(path(options, "lora.pt"))["step"]),
    }
    file = path(options, "emoji-lora/emoji-sprites.safetensors")
    files.write_safetensors(file, lora.state_of(module, options.rank), metadata)
    print(f"{file}: {os.path.getsize(file) / 1e6:.2f} MB")


# ---------------------------------------------------------------------------------------------------------
# Textual inversion

PLACES = ["{}", "a {}", "the {}", "a picture of {}", "an emoji of {}"]


def smiling_star(size=64, over=8):
    """A purple star with a face, as no emoji of the font has it."""
    image = Image.new("RGB", (size * over, size * over), "white")
    draw, unit = ImageDraw.Draw(image), size * over / 64

    def star(outer, inner, colour):
        turns = np.arange(10) * np.pi / 5 - np.pi / 2
        reach = np.where(np.arange(10) % 2, inner, outer) * unit
        xs, ys = 32 * unit + reach * np.cos(turns), 34 * unit + reach * np.sin(turns)
        draw.polygon(list(zip(xs, ys)), fill=colour)

    def disc(x, y, radius, colour):
        draw.ellipse([(v - radius) * unit for v in (x, y)] + [(v + radius) * unit for v in (x, y)], fill=colour)

    star(31, 17, (110, 40, 170))
    star(27, 14.5, (170, 85, 230))
    for x in (26, 38):
        disc(x, 31, 2.8, (45, 15, 75))
    draw.chord([25 * unit, 32 * unit, 39 * unit, 45 * unit], 0, 180, fill=(45, 15, 75))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


class Vectors(nn.Module):
    """Embeddings [count, width] of tokens that stand in a prompt for the picture; they start as a word's."""

    def __init__(self, base, count, word):
        super().__init__()
        self.base = [base]  # in a list, so that its weights are not this module's
        ids = base.tokenizer.encode(word)
        self.vectors = nn.Parameter(self.table()[(ids * count)[:count]].clone())

    def table(self):
        return self.base[0].text.text_model.embeddings.token_embedding.weight

    def states(self, texts):
        """Text states [N, L, C] of texts, each with {} for the vectors."""
        tokenizer, rows = self.base[0].tokenizer, []
        for text in texts:
            before, after = ([self.table()[i] for i in tokenizer.encode(part)] for part in text.split("{}"))
            start, end = self.table()[tokenizer.start], self.table()[tokenizer.end]
            row = ([start] + before + list(self.vectors.float()) + after)[: tokenizer.length - 1]
            rows.append(torch.stack(row + [end] * (tokenizer.length - len(row))))
        return self.base[0].text.encode(torch.stack(rows))


def train_embedding(options):
    base = Base(options.model)
    latents = base.encode(smiling_star()[None])
    share_size = 8

    def loss_of(module, share, generator):
        chosen = torch.randint(len(PLACES), (2,), generator=generator).tolist()
        context = module.states([PLACES[i] for i in chosen]).to(base.dtype).repeat(share_size // 2, 1, 1)
        noisy, times, target = noisy_batch(latents.repeat(share_size, 1, 1, 1), generator, base.dtype, skew=0.5)
        return F.mse_loss(base.unet(noisy, times, context).float(), target)

    trainer = Trainer(
        Vectors(base, options.vectors, options.word), loss_of, options, shares=1,
        learning_rate=options.learning_rate, ema=0.98,
    )
    trainer.run(path(options, "embedding.pt"))


@torch.no_grad()
def show_embedding(options):
    """The picture, what words make of it, and what the vectors make of it."""
    base = Base(options.model)
    module = load(options, "embedding.pt", Vectors(base, options.vectors, options.word), options.weights)
    words = ["star", "purple star", "purple smiling star", "glowing star", "purple heart", "grinning face"]
    with_words = base.sample(base.states(words), options)
    with_vectors = base.sample(module.states((PLACES + PLACES)[: len(words)]), options)
    target = smiling_star()
    contact_sheet([[target] * len(words), with_words, with_vectors], path(options, "embedding.png"))
    latents = base.encode(np.concatenate([target[None], with_words, with_vectors])).flatten(1)
    distances = (latents[1:] - latents[0]).norm(dim=1).tolist()
    print("distance of latents:", [f"{d:.1f}" for d in distances])


def export_embedding(options):
    base = Base(options.model)
    module = load(options, "embedding.pt", Vectors(base, options.vectors, options.word), options.weights)
    file = path(options, "emoji-embedding/smiling-star.safetensors")
    files.write_safetensors(file, {"emb_params": module.vectors})
    Image.fromarray(smiling_star()).save(path(options, "emoji-embedding/smiling-star.png"))
    print(f"{file}: {os.path.getsize(file)} bytes")
