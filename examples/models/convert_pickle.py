#!/usr/bin/env python3
"""Writes the tensors of pickle files (.pt, .pth, .ckpt, .bin) as a safetensors file, which Daguerre reads.

    convert_pickle.py IN [IN ...] OUT.safetensors [--key NAME] [--type f16|bf16|f32]

A pickle is a program, and torch.load runs it. This script does not: it goes through the file with an unpickler of its
own that knows how tensors, dictionaries, lists and numbers are made, and refuses everything else with one line. It
needs numpy and no torch. Both of torch's formats are read: the ZIP archive (since 1.6) and the older stream; and of
TorchScript's archives, whose programs are left alone, the tensors of the modules by their places in them (openai's CLIP).

Of what is in the file it takes the tensors of the first of these that is there: `params_ema` and `params` (upscalers),
`state_dict` (checkpoints), `string_to_param` (embeddings, whose tensor becomes `emb_params`), the dictionary itself.
--key takes another. Prefixes that training wrappers add to all names (`module.`) are dropped. Tensors that are views of
others are written as what they show; those with the same elements under two names are written twice. Tensors of several
files come into one, where no two have a name in common.

What OUT was made from is written into it: `source` is the name of IN, `source_sha256` the SHA-256 of its bytes; of several
both in the files' order, separated by commas.
"""

import argparse
import collections
import hashlib
import io
import json
import math
import os
import pickle
import struct
import sys
import zipfile
import zlib

import numpy as np

STORAGES = {  # torch's classes of storages: numpy's type of their elements, safetensors' name
    "DoubleStorage": ("<f8", "F64"), "FloatStorage": ("<f4", "F32"), "HalfStorage": ("<f2", "F16"),
    "BFloat16Storage": ("<u2", "BF16"), "LongStorage": ("<i8", "I64"), "IntStorage": ("<i4", "I32"),
    "ShortStorage": ("<i2", "I16"), "CharStorage": ("i1", "I8"), "ByteStorage": ("u1", "U8"),
    "BoolStorage": ("?", "BOOL"),
}
ZIP_MAGIC = b"PK\x03\x04"
STREAM_MAGIC = 0x1950A86A20F9469CFC6C  # of torch before 1.6
MOST_REPEATED = 1 << 20  # elements of a tensor that shows those of a smaller storage several times
LARGEST_PICKLE = 1 << 28  # bytes of an archive's data.pkl
MOST_ATTRIBUTES = 1 << 17  # of all the modules of a TorchScript archive
DEEPEST_MODULE = 64  # in others
UNWRAPPED = ("params_ema", "params", "state_dict", "string_to_param")


class Refused(Exception):
    """What is wrong with the file, in one line."""


class Sealed:
    """What a pickle cannot change once it is made and checked."""

    def __setstate__(self, state):
        raise Refused("a tensor or storage with a state of its own")


class StorageType(Sealed):
    """A class of storages by its name, as a pickle refers to it."""

    def __init__(self, name):
        self.dtype, self.type = STORAGES[name]


class Storage(Sealed):
    """The elements that tensors are views of; in the older format they come behind the pickles."""

    def __init__(self, kind, size):
        self.dtype, self.type, self.size, self.elements = np.dtype(kind.dtype), kind.type, size, None

    def fill(self, data):
        expected = self.size * self.dtype.itemsize
        if len(data) < expected:
            raise Refused(f"a storage has {len(data)} bytes, expected {expected}")
        self.elements = np.frombuffer(data, self.dtype, self.size)


class Tensor(Sealed):
    """A view of a storage."""

    def __init__(self, storage, offset, shape, strides):
        if not isinstance(storage, Storage):
            raise Refused("a tensor without a storage")
        numbers = (offset, *shape, *strides)
        if len(shape) != len(strides) or any(not isinstance(n, int) or n < 0 for n in numbers):
            raise Refused(f"a tensor of the shape {shape} with the strides {strides}")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides))
        if 0 not in shape and last >= storage.size:
            raise Refused(f"a tensor of the shape {shape} reaches beyond its storage of {storage.size} elements")
        if math.prod(shape) > max(storage.size, MOST_REPEATED):  # a stride of 0 shows an element again and again
            raise Refused(f"a tensor of the shape {shape} shows more than its storage of {storage.size} elements")
        self.storage, self.offset, self.shape, self.strides = storage, offset, tuple(shape), strides

    def array(self):
        width = self.storage.dtype.itemsize
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        view = np.lib.stride_tricks.as_strided(self.storage.elements[self.offset:], self.shape,
                                               [stride * width for stride in self.strides], writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)  # which makes [1] of []


class Ignored:
    """Something that stands beside tensors, as the training's settings, and is not read."""

    def __init__(self, *arguments, **named):
        pass

    def __setstate__(self, state):
        pass

    def append(self, item):
        pass

    def extend(self, items):
        pass

    def __setitem__(self, key, value):
        pass


class Module:
    """A module of a TorchScript archive: its attributes, of which tensors and other modules are looked at."""

    def __init__(self):
        self.attributes = {}

    def __setstate__(self, state):
        if not isinstance(state, dict):
            raise Refused("a module whose state is no dictionary")
        self.attributes = state

    def tensors(self):
        """By their places: "visual.conv1.weight"."""
        found, waiting, seen = {}, [("", self, 0)], 0
        while waiting:
            prefix, module, depth = waiting.pop()
            if depth > DEEPEST_MODULE:
                raise Refused(f"its modules lie in each other, more than {DEEPEST_MODULE} deep")
            for name, value in module.attributes.items():
                seen += 1
                if seen > MOST_ATTRIBUTES:
                    raise Refused(f"its modules have more than {MOST_ATTRIBUTES} attributes")
                if isinstance(value, Tensor):
                    found[prefix + str(name)] = value
                elif isinstance(value, Module):
                    waiting.append((f"{prefix}{name}.", value, depth + 1))
        return found


def rebuild_tensor(storage, offset, shape, strides, *rest):
    return Tensor(storage, offset, shape, strides)


def rebuild_parameter(tensor, *rest):
    return tensor


KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("collections", "defaultdict"): lambda *arguments: {},
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
    ("torch.nn.parameter", "Parameter"): rebuild_parameter,
    ("torch", "Size"): lambda items=(): tuple(items),
    ("torch", "device"): Ignored,
    ("builtins", "set"): lambda items=(): list(items),
    ("__builtin__", "set"): lambda items=(): list(items),
    ("numpy", "dtype"): Ignored,
    ("numpy.core.multiarray", "scalar"): Ignored,
    ("_codecs", "encode"): Ignored,
    # TorchScript's lists of numbers and tensors, and what says of which type a container is.
    ("torch.jit._pickle", "build_intlist"): list,
    ("torch.jit._pickle", "build_doublelist"): list,
    ("torch.jit._pickle", "build_boollist"): list,
    ("torch.jit._pickle", "build_tensorlist"): list,
    ("torch.jit._pickle", "restore_type_tag"): lambda value, tag: value,
}
# What training code leaves in its checkpoints: made as nothing, never imported.
IGNORED_MODULES = ("pytorch_lightning.", "lightning.", "omegaconf.", "argparse", "pathlib", "torch.optim.")


class Unpickler(pickle.Unpickler):
    """Makes what KNOWN and STORAGES name, and imports nothing."""

    def __init__(self, file, load_storage):
        super().__init__(file, encoding="latin1")
        self.load_storage = load_storage

    def find_class(self, module, name):
        if module in ("torch", "torch.storage") and name in STORAGES:
            return StorageType(name)
        if (module, name) in KNOWN:
            return KNOWN[module, name]
        if module == "__torch__" or module.startswith("__torch__."):
            return Module
        if any((module + ".").startswith(prefix.rstrip(".") + ".") for prefix in IGNORED_MODULES):
            return Ignored
        raise Refused(f"it wants to make a {module}.{name}, which is neither a tensor nor a container of some")

    def persistent_load(self, reference):
        if not isinstance(reference, tuple) or len(reference) < 5 or reference[0] != "storage":
            raise Refused("a reference to something else than a storage")
        kind, key, size = reference[1], reference[2], reference[4]
        if not isinstance(kind, StorageType) or not isinstance(size, int) or size < 0:
            raise Refused("a storage of a kind that is not known")
        return self.load_storage(kind, str(key), size)


def member(archive, name, most):
    """The bytes of an archive's file, which must not become more than expected."""
    size = archive.getinfo(name).file_size
    if size > most:
        raise Refused(f"{name} has {size} bytes, expected {most} at most")
    return archive.read(name)


def read_archive(file):
    """The ZIP archive of torch 1.6 and later: data.pkl, and a file for each storage."""
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1:
            raise Refused("a ZIP archive without one data.pkl")
        folder = pickles[0][:-len("data.pkl")]
        order = folder + "byteorder"
        if order in archive.namelist() and member(archive, order, 16) != b"little":
            raise Refused("its numbers are stored with their highest byte first")
        storages = {}

        def load_storage(kind, key, size):
            if key not in storages:
                storages[key] = Storage(kind, size)
                storages[key].fill(member(archive, f"{folder}data/{key}", size * storages[key].dtype.itemsize))
            return storages[key]

        return Unpickler(io.BytesIO(member(archive, pickles[0], LARGEST_PICKLE)), load_storage).load()


def read_stream(file):
    """The older format: pickles of a magic number, a version and the system, the contents, the keys of the storages
    and then their elements, each with its number ahead."""
    storages = {}

    def load_storage(kind, key, size):
        return storages.setdefault(key, Storage(kind, size))

    def load():
        return Unpickler(file, load_storage).load()

    if load() != STREAM_MAGIC:
        raise Refused("it is no file that torch.save has written")
    load(), load()
    contents = load()
    for key in load():
        storage = storages.get(str(key))
        if storage is None:
            raise Refused("the elements of a storage that nobody uses")
        (size,) = struct.unpack("<q", file.read(8))
        if size != storage.size:
            raise Refused(f"a storage of {size} elements, expected {storage.size}")
        storage.fill(file.read(size * storage.dtype.itemsize))
    return contents


def read(path):
    with open(path, "rb") as file:
        start = file.read(4)
        file.seek(0)
        return read_archive(file) if start == ZIP_MAGIC else read_stream(file)


def chosen(contents, key):
    """The dictionary of tensors that is meant."""
    if isinstance(contents, Tensor):
        return {"tensor": contents}
    if isinstance(contents, Module):
        contents = contents.tensors()
    if not isinstance(contents, dict):
        raise Refused("there is no dictionary in it")
    if key is not None:
        if not isinstance(contents.get(key), dict):
            raise Refused(f"there is no dictionary \"{key}\" in it; there are: {', '.join(map(str, contents))}")
        return contents[key]
    for name in UNWRAPPED:
        inner = contents.get(name)
        if isinstance(inner, dict) and any(isinstance(value, Tensor) for value in inner.values()):
            if name == "string_to_param" and len(inner) == 1:
                return {"emb_params": next(iter(inner.values()))}
            return inner
    return contents


def tensors_of(contents, key):
    found = {name: value for name, value in chosen(contents, key).items()
             if isinstance(name, str) and isinstance(value, Tensor)}
    if not found:
        raise Refused("there are no tensors in it")
    if all(name.startswith("module.") for name in found):
        found = {name[len("module."):]: value for name, value in found.items()}
    return found


def as_float32(array, kind):
    if kind == "BF16":
        return (array.astype("<u4") << 16).view("<f4")
    return array.astype("<f4")


def converted(array, kind, to):
    """The elements as another type of floating-point numbers, rounded half to even; others stay."""
    if to is None or kind not in ("F64", "F32", "F16", "BF16") or kind == to:
        return array, kind
    values = as_float32(array, kind)
    if to == "F32":
        return values, to
    if to == "F16":
        return values.astype("<f2"), to
    bits = np.ascontiguousarray(values).view("<u4").astype("<u8")
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype("<u2"), to


def joined(files, key):
    """The tensors of all files."""
    found = {}
    for path in files:
        tensors = tensors_of(read(path), key)
        both = sorted(found.keys() & tensors.keys())
        if both:
            raise Refused(f"tensor \"{both[0]}\" is in another file, too")
        found |= tensors
    return found


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def origin(files):
    return {"source": ",".join(os.path.basename(path) for path in files),
            "source_sha256": ",".join(sha256_of(path) for path in files)}


def one_line(problem):
    """What a file says must not steer a terminal."""
    return "".join(c if c.isprintable() else " " for c in str(problem))


def write(path, tensors, to, metadata):
    header, parts, at = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        if name in header:
            raise Refused(f"a tensor is called {name}")
        tensor = tensors[name]
        array, kind = converted(tensor.array(), tensor.storage.type, to)
        data = array.tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + len(data)]}
        parts.append(data)
        at += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("sources", metavar="IN", nargs="+")
    parser.add_argument("target", metavar="OUT.safetensors")
    parser.add_argument("--key", help="the dictionary in the file that holds the tensors")
    parser.add_argument("--type", choices=["f32", "f16", "bf16"], help="of floating-point tensors, else as they are")
    options = parser.parse_args()
    names = ", ".join(options.sources)
    try:
        if not options.target.endswith(".safetensors"):
            raise Refused(f"{options.target} shall be written: expected a name that ends in .safetensors")
        tensors = joined(options.sources, options.key)
        write(options.target, tensors, options.type and options.type.upper(), origin(options.sources))
    except Refused as problem:
        sys.exit(f"convert_pickle: {names}: {one_line(problem)}")
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, MemoryError,
            pickle.UnpicklingError, zipfile.BadZipFile, struct.error, RecursionError, ArithmeticError,
            RuntimeError, zlib.error) as problem:
        sys.exit(f"convert_pickle: {names}: it is malformed, or no file of tensors: {one_line(problem)}")
    print(f"{options.target}: {len(tensors)} tensors")


if __name__ == "__main__":
    main()
