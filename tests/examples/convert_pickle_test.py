#!/usr/bin/env python3
"""convert_pickle.py on an archive as torch.save writes it, made without torch, and on a pickle that would run a program.

    convert_pickle_test.py CONVERTER FOLDER

Ends with status 77 where there is no numpy."""

import json
import os
import pickle
import struct
import subprocess
import sys
import types
import zipfile

try:
    import numpy  # noqa: F401
except ImportError:
    sys.exit(77)

converter, folder = sys.argv[1:]
os.makedirs(folder, exist_ok=True)
torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
FloatStorage = type("FloatStorage", (), {"__module__": "torch"})


def _rebuild_tensor_v2(*arguments):
    pass


_rebuild_tensor_v2.__module__ = "torch._utils"
torch.FloatStorage, utils._rebuild_tensor_v2 = FloatStorage, _rebuild_tensor_v2
sys.modules.update({"torch": torch, "torch._utils": utils})


class Storage:
    pass


class Tensor:
    def __reduce__(self):  # the transpose of [[0, 1, 2], [3, 4, 5]]
        return _rebuild_tensor_v2, (Storage(), 0, (3, 2), (1, 3), False, {})


class Program:
    def __reduce__(self):
        return os.system, (f"touch {folder}/ran",)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", FloatStorage, "0", "cpu", 6) if isinstance(value, Storage) else None


def convert(contents):
    path = os.path.join(folder, "model.pth")
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump(contents)
        archive.writestr("archive/data/0", struct.pack("<6f", *range(6)))
    return subprocess.run([sys.executable, converter, path, os.path.join(folder, "model.safetensors")],
                          capture_output=True, text=True, check=False)


result = convert({"params_ema": {"module.w": Tensor()}, "step": 3})
assert result.returncode == 0, result.stderr
with open(os.path.join(folder, "model.safetensors"), "rb") as file:
    header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    values = struct.unpack("<6f", file.read())
assert header == {"w": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}, header
assert values == (0, 3, 1, 4, 2, 5), values

result = convert({"w": Tensor(), "more": Program()})
assert result.returncode == 1 and result.stderr.count("\n") == 1 and "system" in result.stderr, result.stderr
assert not os.path.exists(os.path.join(folder, "ran"))


class Repeated:
    def __reduce__(self):  # one element, shown four thousand million times
        return _rebuild_tensor_v2, (Storage(), 0, (1 << 16, 1 << 16), (0, 0), False, {})


result = convert({"w": Repeated()})
assert result.returncode == 1 and "more than its storage" in result.stderr, result.stderr
