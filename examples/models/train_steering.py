#!/usr/bin/python3
"""Trains what steers the model of examples/models/emoji, which itself stays as it is:

    controlnet       a ControlNet on Canny's edges
    lora             a LoRA that makes pixel art
    embedding        textual inversion of a picture that the model has never seen
    show-...         pictures with and without it, as a sheet
    export-...       writes the file

Each stage goes on from its checkpoint in --work-dir; a longer --steps extends a finished one."""

from emoji_training import options, steering

STAGES = {
    # steps, learning rate, warm-up
    "controlnet": (steering.train_controlnet, 3000, 1e-3, 100),
    "show-controlnet": (steering.show_controlnet, 0, 0, 0),
    "export-controlnet": (steering.export_controlnet, 0, 0, 0),
    "lora": (steering.train_lora, 1500, 2e-3, 50),
    "show-lora": (steering.show_lora, 0, 0, 0),
    "export-lora": (steering.export_lora, 0, 0, 0),
    "embedding": (steering.train_embedding, 500, 1e-2, 20),
    "show-embedding": (steering.show_embedding, 0, 0, 0),
    "export-embedding": (steering.export_embedding, 0, 0, 0),
}
PAIRS = (
    "house/red apple,red heart/green apple,star/red heart,key/frog,green apple/blue book,crescent moon/tomato,"
    "umbrella/orange circle,bell/blue heart,hammer/banana,mushroom/grinning face"
)
PROMPTS = "red apple,grinning face,house,mushroom,green book,cat,red heart,snail,rocket,umbrella"


def main():
    made = options.parser(__doc__, STAGES)
    add = made.add_argument
    add("--model", default=options.MODEL, help="the folder of the model that is steered")
    add("--variants", type=int, default=6, help="controlnet: pictures made of each emoji")
    add("--rank", type=int, default=8, help="lora")
    add("--vectors", type=int, default=4, help="embedding")
    add("--word", default="smiling star", help="embedding: the vectors start as its")
    add("--prompts", default=PROMPTS, help="show-lora: name, ...")
    add("--pairs", default=PAIRS, help="show-controlnet: outline/prompt, ...")
    options.run(made, STAGES)


if __name__ == "__main__":
    main()
