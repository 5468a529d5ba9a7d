#!/usr/bin/python3
"""Trains the judge of the model of examples/models/emoji, a small CLIP:

    train     both towers
    eval      all pictures against all names
    export    writes the folder

The training stage goes on from its checkpoint in --work-dir; a longer --steps extends a finished one."""

from emoji_training import judge, options

STAGES = {
    # steps, learning rate, warm-up
    "train": (judge.train, 2000, 1.5e-3, 100),
    "eval": (judge.evaluate, 0, 0, 0),
    "export": (judge.export, 0, 0, 0),
}


def main():
    made = options.parser(__doc__, STAGES)
    add = made.add_argument
    add("--model", default=options.MODEL, help="the folder of the model whose tokenizer and autoencoder are used")
    add("--views", type=int, default=5, help="of each picture: itself, and so many with noise on its latents")
    add("--noise", type=float, default=0.7, help="the most there is of it")
    options.run(made, STAGES)


if __name__ == "__main__":
    main()
