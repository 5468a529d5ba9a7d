#!/usr/bin/python3
"""Trains what steers the model of examples/models/emoji, which itself stays as it is:

    controlnet       a ControlNet on Canny's edges
    lora             a LoRA that makes pixel art
    embedding        textual inversion of a picture that the model has never seen
    show-...         pictures with and without it, as a sheet
    export-...       writes the file

Each stage goes on from its checkpoint in --work-dir; a longer --steps extends a finished one."""

import argparse
import os
import time

import torch

from emoji_training import steering

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
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    unicode = "/usr/share/unicode/"
    add = parser.add_argument
    add("stage", choices=STAGES)
    add("--work-dir", required=True, help="checkpoints and exported files")
    add("--model", default=os.path.join(here, "emoji"), help="the folder of the model that is steered")
    add("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    add("--emoji-test", default=unicode + "emoji/emoji-test.txt")
    add("--annotations", default=unicode + "cldr/common/annotations/en.xml")
    add("--size", type=int, default=64, help="pixels of a picture's side")
    add("--steps", type=int, help="length of the learning rate's decay; training ends there")
    add("--warmup", type=int)
    add("--learning-rate", type=float)
    add("--variants", type=int, default=6, help="controlnet: pictures made of each emoji")
    add("--seed", type=int, default=0)
    add("--workers", type=int, default=1, help="processes of one thread each")
    add("--save-every", type=float, default=180, help="seconds")
    add("--tell-every", type=float, default=20, help="seconds")
    add("--rank", type=int, default=8, help="lora")
    add("--vectors", type=int, default=4, help="embedding")
    add("--word", default="smiling star", help="embedding: the vectors start as its")
    add("--prompts", default=PROMPTS, help="show-lora: name, ...")
    add("--pairs", default=PAIRS, help="show-controlnet: outline/prompt, ...")
    add("--sampling-steps", type=int, default=20, help="show-...")
    add("--guidance", type=float, default=3.0, help="show-...")
    add("--weights", choices=["ema", "master"], default="ema", help="show-..., export-...")
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
