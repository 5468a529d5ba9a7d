"""What the training scripts' command lines have in common."""

import argparse
import os
import time

import torch

UNICODE = "/usr/share/unicode/"
MODEL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "emoji")


def parser(description, stages):
    """A parser with what every script takes. `stages` is {name: (function, steps, learning rate, warm-up)}."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("stage", choices=stages)
    add("--work-dir", required=True, help="checkpoints and exported files")
    add("--font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    add("--emoji-test", default=UNICODE + "emoji/emoji-test.txt")
    add("--annotations", default=UNICODE + "cldr/common/annotations/en.xml")
    add("--size", type=int, default=64, help="pixels of a picture's side")
    add("--steps", type=int, help="length of the learning rate's decay; training ends there")
    add("--warmup", type=int)
    add("--learning-rate", type=float)
    add("--seed", type=int, default=0)
    add("--workers", type=int, default=1, help="processes of one thread each")
    add("--save-every", type=float, default=180, help="seconds")
    add("--tell-every", type=float, default=20, help="seconds")
    add("--sampling-steps", type=int, default=20, help="where pictures are made")
    add("--guidance", type=float, default=3.0, help="where pictures are made")
    add("--weights", choices=["ema", "master"], default="ema", help="where weights are used or written")
    return made


def run(made, stages):
    """Parses the command line and runs the stage that it names."""
    options = made.parse_args()
    function, steps, learning_rate, warmup = stages[options.stage]
    options.steps = options.steps or steps
    options.learning_rate = options.learning_rate or learning_rate
    options.warmup = options.warmup or warmup
    os.makedirs(options.work_dir, exist_ok=True)
    torch.manual_seed(options.seed)
    began = time.time()
    function(options)
    print(f"{options.stage}: {(time.time() - began) / 60:.1f} min")
