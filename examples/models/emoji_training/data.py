"""The training set: Noto Color Emoji's pictures with their names and keywords from Unicode's data."""

import io
import random
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image

VARIATION_SELECTOR = "\ufe0f"


@dataclass
class Emoji:
    text: str  # the character
    name: str  # CLDR's short name, lower case
    keywords: list  # CLDR's annotations, lower case, without the name
    group: str
    subgroup: str


def read_annotations(path):
    """CLDR's annotations: {character: name}, {character: [keyword, ...]}."""
    names, keywords = {}, {}
    for item in ElementTree.parse(path).getroot().iter("annotation"):
        character = item.get("cp").replace(VARIATION_SELECTOR, "")
        if item.get("type") == "tts":
            names[character] = item.text.lower()
        else:
            keywords[character] = [word.strip().lower() for word in item.text.split("|")]
    return names, keywords


def read_emoji(emoji_test, annotations):
    """Every emoji of one code point, in the order of emoji-test.txt; skin tones and flags' letters are not
    emoji of one code point there, so they stay out by themselves."""
    names, keywords = read_annotations(annotations)
    found, group, subgroup = [], "", ""
    for line in open(emoji_test, encoding="utf-8"):
        if match := re.match(r"# (sub)?group: (.+)", line):
            if match.group(1):
                subgroup = match.group(2)
            else:
                group = match.group(2)
        match = re.match(r"([0-9A-F ]+); fully-qualified +# \S+ E[0-9.]+ (.+)", line)
        if not match or group == "Component":
            continue
        text = "".join(chr(int(code, 16)) for code in match.group(1).split()).replace(VARIATION_SELECTOR, "")
        if len(text) != 1:
            continue
        name = names.get(text, match.group(2)).lower()
        words = [word for word in keywords.get(text, []) if word != name]
        found.append(Emoji(text, name, words, group, subgroup))
    return found


def read_pictures(font_path, emojis, size):
    """uint8 [count, size, size, 3] on white, and the emoji that the font has."""
    font = TTFont(font_path)
    glyph_of, bitmaps = font.getBestCmap(), font["CBDT"].strikeData[0]
    pictures, kept = [], []
    for emoji in emojis:
        bitmap = bitmaps.get(glyph_of.get(ord(emoji.text)))
        if bitmap is None:
            continue
        drawn = Image.open(io.BytesIO(bitmap.imageData)).convert("RGBA")
        side = max(drawn.size)
        square = Image.new("RGBA", (side, side), (255, 255, 255, 255))
        square.alpha_composite(drawn, ((side - drawn.width) // 2, (side - drawn.height) // 2))
        pictures.append(np.asarray(square.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)))
        kept.append(emoji)
    return np.stack(pictures), kept


def enlarged(pictures, size):
    """uint8 pictures, enlarged by Lanczos' filter."""
    return np.stack([np.asarray(Image.fromarray(p).resize((size, size), Image.Resampling.LANCZOS)) for p in pictures])


def load(options):
    """(pictures as uint8 [count, size, size, 3], list of Emoji)"""
    emojis = read_emoji(options.emoji_test, options.annotations)
    return read_pictures(options.font, emojis, options.size)


def caption(emoji, generator):
    """A caption of an emoji, drawn at random: its name, or the name and some keywords, or keywords alone."""
    kind = generator.random()
    words = list(emoji.keywords)
    generator.shuffle(words)
    if kind < 0.55 or not words:
        return emoji.name
    if kind < 0.70:  # another order of the name's words
        parts = emoji.name.split()
        generator.shuffle(parts)
        return " ".join(parts)
    if kind < 0.85:
        return " ".join([emoji.name] + words[: generator.randint(1, 2)])
    if kind < 0.92 and len(words) >= 2:
        return ", ".join(words[:3])
    return f"{generator.choice(['a', 'an emoji of', 'a picture of', 'the'])} {emoji.name}"


def random_of(*seeds):
    """A generator that depends on nothing but the given numbers."""
    return random.Random(" ".join(map(str, seeds)))
