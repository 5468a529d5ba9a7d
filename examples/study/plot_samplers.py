#!/usr/bin/python3
"""Draws and prints what `daguerre eval model --json` (tables of samplers and steps) and `emoji_study convergence` measured. Needs Debian's python3-matplotlib.

    plot_samplers.py --out samplers.png --table "title of a panel=RESULTS.json[,RESULTS.json ...]" ...

A panel for each title: steps against distance, both logarithmic, with 95 % intervals."""

import argparse
import json

import matplotlib
import matplotlib.ticker

matplotlib.use("Agg")
import matplotlib.pyplot as pyplot

LABELS = {"ddpm": "DDPM", "ddim": "DDIM", "dpm++2m": "DPM-Solver++ (2M)", "dpm++2m-karras": "… with Karras' noise levels"}
REFERENCES = {"training pictures": "training pictures", "reconstructed pictures": "decoded from their latents"}
MEASURE = "latent Fréchet distance (emoji autoencoder, 4×4×4)"
# colour, marker, and a shift to the side, so that intervals do not cover one another
STYLES = {
    "ddpm": ("#c44e52", "s", 0.95),
    "ddim": ("#4c72b0", "o", 1.0),
    "dpm++2m": ("#55a868", "^", 1.05),
    "dpm++2m-karras": ("#8172b2", "v", 1.0),
}


def load(name):
    """What a file holds: a list of cells from eval model, lines of cells from emoji_study floor, or the study's object."""
    with open(name, encoding="utf-8") as file:
        text = file.read()
    if text.startswith("["):
        cells = []
        for cell in json.loads(text):
            figure = cell["report"]["figures"][0]
            keys = {"distance": figure["value"], "low": figure["low"], "high": figure["high"]}
            cells.append({"sampler": cell["sampler"], "steps": cell["steps"], **keys})
        return {"measure": MEASURE, "settings": None, "cells": cells}
    if text.startswith('{"sampler"'):
        cells = [{"steps": 0, **json.loads(line)} for line in text.splitlines()]
        return {"measure": MEASURE, "settings": None, "cells": cells}
    return json.loads(text)


def read(argument):
    """The title and the results; those of several files must be of the same settings."""
    title, _, names = argument.rpartition("=")
    joined = None
    for name in names.split(","):
        results = load(name)
        if joined is None:
            joined = results
            continue
        if results["settings"] != joined["settings"] or results["measure"] != joined["measure"]:
            raise SystemExit(f"{name} has other settings than the files before it")
        known = {(cell["sampler"], cell["steps"]) for cell in joined["cells"]}
        joined["cells"] += [cell for cell in results["cells"] if (cell["sampler"], cell["steps"]) not in known]
    return title, joined


def cells_of(results, sampler):
    return sorted((cell for cell in results["cells"] if cell["sampler"] == sampler), key=lambda cell: cell["steps"])


def draw(panel, title, results):
    for sampler, (colour, marker, shift) in STYLES.items():
        cells = cells_of(results, sampler)
        if not cells:
            continue
        steps, values = [cell["steps"] for cell in cells], [cell["distance"] for cell in cells]
        below = [cell["distance"] - cell["low"] for cell in cells]
        above = [cell["high"] - cell["distance"] for cell in cells]
        panel.errorbar(
            [step * shift for step in steps], values, [below, above],
            color=colour, marker=marker, markersize=5, capsize=3, linewidth=1.4, label=LABELS[sampler],
        )
    for name, label in REFERENCES.items():
        for cell in cells_of(results, name):
            style = "--" if name == "training pictures" else ":"
            panel.axhline(cell["distance"], color="grey", linestyle=style, linewidth=1, label=label)
    every = sorted({cell["steps"] for cell in results["cells"] if cell["steps"] > 0})
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xticks(every, [str(step) for step in every])
    panel.minorticks_off()
    ticks = matplotlib.ticker.LogLocator(subs=(1, 2, 5))
    panel.yaxis.set_major_locator(ticks)
    panel.yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
    panel.set_xlabel("steps (model evaluations)")
    panel.set_ylabel(results["measure"], fontsize=8)
    panel.set_title(title, fontsize=10)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)


def interval(cell):
    return f"{cell['distance']:.3f} ({cell['low']:.3f} to {cell['high']:.3f})"


def table(results):
    """Steps by sampler, as Markdown."""
    samplers = [name for name in STYLES if cells_of(results, name)]
    print("| steps | " + " | ".join(LABELS[name] for name in samplers) + " |")
    print("|---|" + "---|" * len(samplers))
    for step in sorted({cell["steps"] for cell in results["cells"] if cell["steps"] > 0}):
        found = []
        for name in samplers:
            cell = next((cell for cell in cells_of(results, name) if cell["steps"] == step), None)
            found.append(interval(cell) if cell else "")
        print(f"| {step} | " + " | ".join(found) + " |")
    for name in REFERENCES:
        for cell in cells_of(results, name):
            print(f"{name}: {interval(cell)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", nargs="+", help="title=FILE.json")
    parser.add_argument("--out", help="PNG file to write")
    parser.add_argument("--table", action="store_true", help="print a table in Markdown of each file")
    options = parser.parse_args()
    panels = [read(argument) for argument in options.results]
    if options.table:
        for title, results in panels:
            print(title)
            table(results)
    if options.out:
        figure, axes = pyplot.subplots(1, len(panels), figsize=(5.6 * len(panels), 4.4), squeeze=False)
        for axis, (title, results) in zip(axes[0], panels):
            draw(axis, title, results)
        figure.tight_layout()
        figure.savefig(options.out, dpi=100)


if __name__ == "__main__":
    main()
