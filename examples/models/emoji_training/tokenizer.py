"""CLIP's byte-pair tokenizer and a learner for its merges."""

import collections
import json
import os
import re
import unicodedata

START, END = "<|startoftext|>", "<|endoftext|>"
# letters, single digits, or runs of anything else; CLIP cuts contractions off first
WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+")


def byte_characters():
    """GPT-2's printable stand-ins of the 256 bytes, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def words_of(text):
    return WORDS.findall(re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip().lower())


class Tokenizer:
    def __init__(self, merges, length):
        self.merges, self.length = merges, length
        self.bytes = byte_characters()
        pieces = list(self.bytes.values())
        pieces += [piece + "</w>" for piece in pieces] + [a + b for a, b in merges] + [START, END]
        self.vocabulary = {piece: i for i, piece in enumerate(pieces)}
        self.ranks = {pair: i for i, pair in enumerate(merges)}
        self.start, self.end = self.vocabulary[START], self.vocabulary[END]

    def symbols(self, word):
        symbols = [self.bytes[byte] for byte in word.encode("utf-8")]
        return symbols[:-1] + [symbols[-1] + "</w>"]

    def encode(self, text):
        ids = []
        for word in words_of(text):
            symbols = self.symbols(word)
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda pair: self.ranks.get(pair, len(self.ranks)))
                if best not in self.ranks:
                    break
                symbols = merged(symbols, best)
            ids += [self.vocabulary[symbol] for symbol in symbols]
        return ids

    def window(self, text):
        """Start, as much as fits, end, and more ends up to the encoder's length."""
        ids = [self.start] + self.encode(text)[: self.length - 2]
        return ids + [self.end] * (self.length - len(ids))

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)

        def write(name, text):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)

        special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
        write("vocab.json", json.dumps(self.vocabulary, ensure_ascii=False))
        write("merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in self.merges))
        write("special_tokens_map.json", json.dumps(special, indent=2) + "\n")
        config = {
            "add_prefix_space": False,
            "do_lower_case": True,
            "errors": "replace",
            "model_max_length": self.length,
            "tokenizer_class": "CLIPTokenizer",
            **special,
        }
        write("tokenizer_config.json", json.dumps(config, indent=2) + "\n")


def merged(symbols, pair):
    out, i = [], 0
    while i < len(symbols):
        both = tuple(symbols[i : i + 2]) == pair
        out.append("".join(pair) if both else symbols[i])
        i += 2 if both else 1
    return out


def learn_merges(texts, count):
    """The `count` most frequent merges, found greedily (Sennrich et al. 2016); ties go to the smaller pair."""
    alphabet = Tokenizer([], 2)
    words = collections.Counter(word for text in texts for word in words_of(text))
    entries = [(alphabet.symbols(word), number) for word, number in words.items()]
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for symbols, number in entries:
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += number
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        entries = [(merged(symbols, best) if best[0] in symbols else symbols, n) for symbols, n in entries]
    return merges
