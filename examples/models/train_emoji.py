#!/usr/bin/python3
"""Trains the small text-to-image model of examples/models/emoji on Noto's emoji, in stages:

    vae      the autoencoder (pictures to latents and back)
    decoder  its decoder alone, for longer (optional, at any time after vae)
    text     the text encoder, taught to foretell a picture's latents
    unet     the denoiser
    dit      a class-conditional denoiser on the same latents
    export, export-dit   write the model folders
    eval     generates pictures of 100 names and counts the right ones
    pictures writes the training set as PNG files, for examples/study

Each stage goes on from its checkpoint in --work-dir; a longer --steps extends a finished one."""

import argparse
import os
import time

import torch

from emoji_training import stages

STAGES = {
    # steps, learning rate, warm-up
    "vae": (stages.train_autoencoder, 3000, 2e-3, 50),
    "decoder": (stages.train_decoder, 1500, 1e-3, 50),
    "text": (stages.train_text, 3000, 1.5e-3, 100),
    "unet": (stages.train_unet, 3300, 1.5e-3, 200),
    "dit": (stages.train_dit, 4000, 1e-3, 200),
    "export": (stages.export, 0, 0, 0),
    "export-dit": (stages.export_dit, 0, 0, 0),
    "eval": (stages.evaluate, 0, 0, 0),
    "pictures": (stages.write_pictures, 0, 0, 0),
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    unicode = "/usr/share/unicode/"
    add = parser.add_argument
    add("stage", choices=STAGES)
    add("--work-dir", required=True, help="checkpoints and exported folders")
    add("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    add("--emoji-test", default=unicode + "emoji/emoji-test.txt")
    add("--annotations", default=unicode + "cldr/common/annotations/en.xml")
    add("--size", type=int, default=64, help="pixels of a picture's side")
    add("--merges", type=int, default=1000, help="merges of the tokenizer")
    add("--steps", type=int, help="length of the learning rate's decay; training ends there")
    add("--warmup", type=int)
    add("--learning-rate", type=float)
    add("--kl", type=float, default=5e-4, help="weight of the autoencoder's divergence")
    add("--seed", type=int, default=0)
    add("--workers", type=int, default=2, help="processes of one thread each")
    add("--save-every", type=float, default=180, help="seconds")
    add("--tell-every", type=float, default=20, help="seconds")
    add("--prompts", type=int, default=100, help="eval: how many names")
    add("--sampling-steps", type=int, default=20, help="eval")
    add("--guidance", type=float, default=3.0, help="eval")
    add("--weights", choices=["ema", "master"], default="ema", help="eval, export: which of the U-Net")
    options = parser.parse_args()
    function, steps, learning_rate, warmup = STAGES[options.stage]
    options.steps = options.steps or steps
    options.learning_rate = options.learning_rate or learning_rate
    options.warmup = options.warmup or warmup
    os.makedirs(options.work_dir, exist_ok=True)
    torch.manual_seed(options.seed)
    began = time.time()
    function(options)
    print(f"{options.stage}: {(time.time() - began) / 60:.1f} min")


if __name__ == "__main__":
    main()
