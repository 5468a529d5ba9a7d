"""Films of the program daguerre as Pillow reads them, and Pillow's as the program reads them.

    films_pillow_test.py DAGUERRE MODEL WORK

Ends with status 77 where there is no Pillow.
"""

import json
import pathlib
import shutil
import subprocess
import sys

try:
    from PIL import Image, ImageChops, ImageSequence, ImageStat, features
except ImportError:
    sys.exit(77)

daguerre, model, work = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)


def run(*arguments):
    return subprocess.run([daguerre, *arguments], cwd=work, check=True, capture_output=True, text=True).stdout


def frames_of(path):
    with Image.open(work / path) as film:
        return [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]


def farthest(a, b):
    return max(high for _, high in ImageChops.difference(a, b).getextrema())


files = ["frames", "film.png", "film.gif"]
has_webp = features.check("webp_anim") and "webp" in run("txt2vid", "--help")
for name in files + (["film.webp"] if has_webp else []):
    run("txt2vid", "--model", model, "--prompt", "wäves", "--width", "64", "--height", "32", "--frames", "9", "--steps", "2",
        "--guidance", "1", "--threads", "1", "--seed", "3", "--fps", "12.5", "--quality", "100", "--quiet", "--out", name)
true = [Image.open(path).convert("RGB") for path in sorted((work / "frames").glob("*.png"))]
assert len(true) == 9
settings = Image.open(work / "frames/00000.png").info["parameters"]
assert settings.startswith("wäves\nSteps: 2"), settings

for name in ["film.png"] + (["film.webp"] if has_webp else []):
    found = frames_of(name)
    assert len(found) == 9, name
    assert all(farthest(a, b) == 0 for a, b in zip(found, true)), name
found = frames_of("film.gif")
assert len(found) == 9
for a, b in zip(found, true):
    error = ImageStat.Stat(ImageChops.difference(a, b)).rms
    assert max(error) < 12, error

with Image.open(work / "film.png") as film:
    assert film.info["parameters"] == settings and film.info["duration"] == 80
with Image.open(work / "film.gif") as film:
    assert film.info["comment"].decode() == settings and film.info["duration"] == 80 and film.info["loop"] == 0
if has_webp:
    with Image.open(work / "film.webp") as film:
        comment = film.getexif().get_ifd(0x8769)[0x9286]
        assert comment[:8] == b"UNICODE\0" and comment[8:].decode("utf-16-be") == settings

for name in ["other.png", "other.gif"] + (["other.webp"] if has_webp else []):
    true[0].save(work / name, save_all=True, append_images=true[1:], duration=40)
    info = json.loads(run("inspect", "--json", name))
    assert (info["width"], info["height"], info["frames"], info["frame_rate"]) == (64, 32, 9, 25.0), (name, info)
