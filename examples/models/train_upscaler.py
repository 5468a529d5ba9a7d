#!/usr/bin/python3
"""Trains a super-resolution stage for the model of examples/models/emoji, from 64x64 to 128x128 pixels:

    upscaler    the U-Net (DeepFloyd IF's second stage, small and without the prompt)
    eval        PSNR of held-out pictures, Frechet distances, and sheets
    export      writes the folder

Goes on from its checkpoint in --work-dir; a longer --steps extends a finished training."""

from emoji_training import enlarging, options

STAGES = {
    # steps, learning rate, warm-up
    "upscaler": (enlarging.train, 4000, 2e-3, 100),
    "eval": (enlarging.evaluate, 0, 0, 0),
    "export": (enlarging.export, 0, 0, 0),
}


def main():
    made = options.parser(__doc__, STAGES)
    add = made.add_argument
    add("--model", default=options.MODEL, help="the folder of the model whose pictures are enlarged")
    add("--crop", type=int, default=64, help="upscaler: pixels of a crop's side, of the large picture's 128")
    add("--crops", type=int, default=4, help="upscaler: crops a step")
    add("--every", type=int, default=1, help="eval: every so many of the held-out pictures")
    add("--try-steps", type=int, nargs="+", default=[8], help="eval")
    add("--try-levels", type=int, nargs="+", default=[0, 50], help="eval")
    options.run(made, STAGES)


if __name__ == "__main__":
    main()
