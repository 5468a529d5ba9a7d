#!/usr/bin/python3
"""Trains the motion adapter (AnimateDiff) of the model of examples/models/emoji, which itself stays as it is:

    motion    the motion modules, and the LoRA that goes with them
    show      films, as a sheet
    export    writes the folder

The films are the font's pictures, moved by the rule that the prompt's word names: "red apple, bouncing" (or
spinning, growing, sliding). Each stage goes on from its checkpoint in --work-dir; a longer --steps extends a
finished one."""

from emoji_training import films, options

STAGES = {
    # steps, learning rate, warm-up
    "motion": (films.train, 3000, 1e-3, 50),
    "show": (films.show, 0, 0, 0),
    "export": (films.export, 0, 0, 0),
}


def main():
    made = options.parser(__doc__, STAGES)
    add = made.add_argument
    add("--model", default=options.MODEL, help="the folder of the model that learns to move")
    add("--frames", type=int, default=8, help="of a film")
    add("--films", type=int, default=2, help="motion: films a step")
    add("--only", help="motion: name, ... of the emoji that move; all whose prompts have room")
    add("--rank", type=int, default=4, help="of the LoRA")
    add("--prompts", default="red apple,house,snail", help="show: name, ...")
    options.run(made, STAGES)


if __name__ == "__main__":
    main()
