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

from emoji_training import options, stages

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
    made = options.parser(__doc__, STAGES)
    add = made.add_argument
    add("--merges", type=int, default=1000, help="merges of the tokenizer")
    add("--kl", type=float, default=5e-4, help="weight of the autoencoder's divergence")
    add("--prompts", type=int, default=100, help="eval: how many names")
    made.set_defaults(workers=2)
    options.run(made, STAGES)


if __name__ == "__main__":
    main()
