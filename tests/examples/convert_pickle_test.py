#!/usr/bin/env python3
"""convert_pickle.py on archives as torch.save and TorchScript write them, made without torch, and on a pickle that would
run a program.

    convert_pickle_test.py CONVERTER FOLDER

Ends with status 77 where there is no numpy."""

import hashlib
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


class Changed:
    def __reduce__(self):  # checked when it is made, and then another
        return _rebuild_tensor_v2, (Storage(), 0, (3, 2), (1, 3), False, {}), {"shape": (2000,), "strides": (1,)}


class Program:
    def __reduce__(self):
        return os.system, (f"touch {folder}/ran",)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", FloatStorage, "0", "cpu", 6) if isinstance(value, Storage) else None


def save(name, contents, *more):
    path = os.path.join(folder, name)
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("archive/data.pkl", "w") as file:
            Pickler(file, 2).dump(contents)
        archive.writestr("archive/data/0", struct.pack("<6f", *range(6)))
        for other in more:
            archive.writestr(other, b"")
    return path


def convert(*paths):
    return subprocess.run([sys.executable, converter, *paths, os.path.join(folder, "model.safetensors")],
                          capture_output=True, text=True, check=False)


def converted():
    """The header, what it says of the sources, and the numbers."""
    with open(os.path.join(folder, "model.safetensors"), "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return header, header.pop("__metadata__"), struct.unpack(f"<{len(data) // 4}f", data)


def sha256(*paths):
    digests = []
    for path in paths:
        with open(path, "rb") as file:
            digests.append(hashlib.sha256(file.read()).hexdigest())
    return ",".join(digests)


wrapped = save("model.pth", {"params_ema": {"module.w": Tensor()}, "step": 3})
result = convert(wrapped)
assert result.returncode == 0, result.stderr
header, metadata, values = converted()
assert header == {"w": {"dtype": "F32", "shape": [3, 2], "data_offsets": [0, 24]}}, header
assert metadata == {"source": "model.pth", "source_sha256": sha256(wrapped)}, metadata
assert values == (0, 3, 1, 4, 2, 5), values

# Several files become one, unless they disagree.
other = save("other.pth", {"v": Tensor()})
result = convert(wrapped, other)
assert result.returncode == 0, result.stderr
header, metadata, values = converted()
assert set(header) == {"v", "w"} and len(values) == 12, header
assert metadata == {"source": "model.pth,other.pth", "source_sha256": sha256(wrapped, other)}, metadata
result = convert(other, other)
assert result.returncode == 1 and result.stderr.count("\n") == 1 and '"v" is in another' in result.stderr, result.stderr

# TorchScript: modules in modules, whose classes are programs that nobody runs.
script = types.ModuleType("__torch__.net")
script.Net, script.Layer = type("Net", (), {}), type("Layer", (), {})
for made in (script.Net, script.Layer):
    made.__module__ = "__torch__.net"
sys.modules.update({"__torch__": types.ModuleType("__torch__"), "__torch__.net": script})
net, layer = script.Net(), script.Layer()
layer.weight, layer.stride = Tensor(), [1, 2]
net.training, net.layer, net.scale = False, layer, Tensor()
result = convert(save("script.pt", net, "archive/constants.pkl", "archive/code/__torch__/net.py"))
assert result.returncode == 0, result.stderr
assert set(converted()[0]) == {"layer.weight", "scale"}, converted()[0]
layer.outer = net
result = convert(save("script.pt", net, "archive/constants.pkl"))
assert result.returncode == 1 and result.stderr.count("\n") == 1 and "64 deep" in result.stderr, result.stderr

result = convert(save("model.pth", {"w": Tensor(), "more": Program()}))
assert result.returncode == 1 and result.stderr.count("\n") == 1 and "system" in result.stderr, result.stderr
assert not os.path.exists(os.path.join(folder, "ran"))


class Repeated:
    def __reduce__(self):  # one element, shown four thousand million times
        return _rebuild_tensor_v2, (Storage(), 0, (1 << 16, 1 << 16), (0, 0), False, {})


result = convert(save("model.pth", {"w": Repeated()}))
assert result.returncode == 1 and "more than its storage" in result.stderr, result.stderr

# What was checked stays as it is.
result = convert(save("model.pth", {"w": Changed()}))
assert result.returncode == 1 and "a state of its own" in result.stderr, result.stderr
result = subprocess.run([sys.executable, converter, wrapped, other], capture_output=True, text=True, check=False)
assert result.returncode == 1 and "ends in .safetensors" in result.stderr and sha256(other), result.stderr
