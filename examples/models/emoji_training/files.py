"""Writes a folder that diffusers (and this library) can load, and reads weights back."""

import json
import os
import struct

import numpy as np
import torch


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(value, indent=2) + "\n")


def write_safetensors(path, state, metadata=()):
    """float16 tensors: the header's length, the header (JSON), then the numbers, little endian."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    arrays = {n: t.detach().cpu().contiguous().numpy().astype("<f2") for n, t in sorted(state.items())}
    header, start = {"__metadata__": {"format": "pt", **dict(metadata)}}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": "F16", "shape": list(array.shape), "data_offsets": [start, start + array.nbytes]}
        start += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(np.ascontiguousarray(array).tobytes())


def read_safetensors(path):
    """The float16 tensors of a file, as float32."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header, numbers = json.loads(file.read(length)), file.read()
    header.pop("__metadata__", None)
    state = {}
    for name, entry in header.items():
        array = np.frombuffer(numbers[slice(*entry["data_offsets"])], "<f2").astype(np.float32)
        state[name] = torch.from_numpy(array).reshape(entry["shape"])
    return state


def write_model(folder, config, module, name="diffusion_pytorch_model"):
    write_json(os.path.join(folder, "config.json"), config)
    write_safetensors(os.path.join(folder, f"{name}.safetensors"), module.state_dict())


def size_of(folder):
    return sum(os.path.getsize(os.path.join(path, name)) for path, _, names in os.walk(folder) for name in names)
