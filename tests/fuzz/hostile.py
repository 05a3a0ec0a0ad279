"""Hostile and broken input, from a seed: specs, results, model files, and short texts."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
SPECS = [
    (ROOT / "papers" / f"{stem}.yaml").read_bytes() for stem in ("lenet5", "alexnet")
]
CANARY = "a file that only code could make"

TOKENS = [
    b"&a ", b"*a", b"<<: *a", b"!!python/object/apply:os.system ['touch CANARY']",
    b"!!python/name:os.system", b"---\n", b"...\n", b"? ", b": ", b"- ", b"{", b"}", b"[",
    b"]", b"|\n", b">-\n", b"'", b'"', b"\t", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"#",
    b"%YAML 9.9\n", b"!!binary ", b"=", b"~", b"null", b"no", b"012", b"1:30", b".inf",
    b".nan", b"1e999", b"0x1F", b"\xe2\x80\xa8", b"\xc2\x85", b"\r", b"[" * 400, b"{a: " * 400,
    b"- " * 400, b"x" * 5000, b"9" * 5000,
]  # fmt: skip

TEXTS = [
    "", " ", "<script>alert(1)</script>", "]]>", "{{ 7 * 7 }}", "{% raw %}", "${HOME}", "%s%n",
    "../../../../tmp/CANARY", "/etc/passwd", "C:\\\\x", "a\nb", "a\u2028b", "\u202e", "\ufeff",
    "10^999999999", "1e999999999", "9" * 400, "1" + "0" * 400, "0x10^9999", "1.8x10^400000000",
    "-0", "~5", "1,2,3", "1..2", ".5", "5.", "NaN", "inf", "1/0", "3x3, 64", "3x3, " + "9" * 30,
    "[3x3, 64] x99999999", "[3x3, 64] x" + "9" * 40, "[" * 300, "[1x1, 1; " * 200, "((((",
    "3x3, 64 | 3x3, 64 |", "0x0, 0", "-1x-1, -1", "99999999x99999999, 1", "1000000x1000000x1000000",
    "__import__('os').system('touch CANARY')", "file:CANARY", "python:os:system", "paper:" + "x" * 300,
    "keras:__class__", "keras:ResNet50,weights=CANARY", "\u0660\u0661", "²", "10⁹", "１２",
]  # fmt: skip

VALUES: list[Any] = [
    None, True, False, 0, -1, 10**18, 10**400, 1.5, 1e308, float("inf"), float("nan"), [], {},
    [[]], [None], {"": ""}, {"a": {"b": {"c": {}}}}, [0] * 2000,
]  # fmt: skip


def _broken(data: bytes, rng: random.Random) -> bytes:
    """Bytes with a few places changed."""
    for _ in range(rng.randint(1, 6)):
        at, end = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 1:
                data = data[: min(at, end)] + data[max(at, end) :] if rng.random() < 0.3 else data[:at] + data[at + 9 :]  # fmt: skip
            case 2:
                data = data[:at] + rng.choice(TOKENS) + data[at:]
            case 3:
                data = data[:at]
            case 4:
                data = data[:at] + data[end : end + 200] + data[at:]
            case 5:
                data = data[:at] + rng.choice(TEXTS).encode() + data[at:]
    return data


def _places(tree: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """All (container, key) in a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        found.append((tree, key))
        if isinstance(value, dict | list):
            _places(value, found)
    return found


def _deep(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def _changed(tree: Any, rng: random.Random) -> Any:
    """A tree with a few values of other types, gone, renamed or multiplied."""
    for _ in range(rng.randint(1, 4)):
        container, key = rng.choice(_places(tree, []))
        match rng.randrange(7):
            case 0:
                container[key] = deepcopy(rng.choice(VALUES))  # it may be changed next
            case 1:
                container[key] = rng.choice(TEXTS)
            case 2 if isinstance(container, dict):
                container[rng.choice(TEXTS)] = container.pop(key)
            case 3:
                del container[key]
            case 4:
                container[key] = _deep(rng.choice((5, 30, 90)))
            case 5:
                container[key] = [container[key]] * rng.choice((2, 300))
            case 6 if isinstance(container, dict):
                container[key] = {
                    str(i): container[key] for i in range(rng.choice((1, 40)))
                }
        if not tree:
            break
    return tree


def spec_bytes(rng: random.Random) -> bytes:
    """A spec with broken bytes, or only bytes."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(300))
    return _broken(rng.choice(SPECS), rng)


TREES = [yaml.safe_load(data) for data in SPECS]


def _copy(tree: Any) -> Any:
    return json.loads(json.dumps(tree))


def spec_structure(rng: random.Random) -> bytes:
    """A spec with other structure, as good YAML."""
    tree = _changed(_copy(rng.choice(TREES)), rng)
    return yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False).encode()


def spec_nonsense(rng: random.Random) -> bytes:
    """A spec in which only texts are others: the schema may well allow it."""
    tree = _copy(rng.choice(TREES))
    places = [p for p in _places(tree, []) if isinstance(p[0][p[1]], str)]
    for container, key in rng.sample(places, rng.randint(1, 4)):
        other, name = rng.choice(places)
        taken = other.get(name, "") if isinstance(other, dict) else other[name]
        container[key] = rng.choice(TEXTS) if rng.random() < 0.7 else taken
    return yaml.dump(tree, Dumper=yaml.CSafeDumper, sort_keys=False).encode()


def results(rng: random.Random, good: bytes) -> bytes:
    """A results file, broken, changed, or of another version."""
    if rng.random() < 0.4:
        return _broken(good, rng)
    tree = json.loads(good)
    if rng.random() < 0.1:
        tree["schema"] = rng.choice(VALUES[:10])
    return json.dumps(_changed(tree, rng)).encode()


def kept(rng: random.Random, good: bytes) -> bytes:
    """A kept run, broken, with other arrays, a pickle, or numbers without end."""
    if rng.random() < 0.5:
        return _broken(good, rng)
    source = zipfile.ZipFile(io.BytesIO(good))
    parts = {name: source.read(name) for name in source.namelist()}
    name = rng.choice(sorted(parts))
    how = zipfile.ZIP_STORED
    match rng.randrange(6):
        case 0:
            parts[name] = _broken(parts[name], rng)
        case 1:
            del parts[name]
        case 2:
            parts[name] = parts[rng.choice(sorted(parts))]
        case 3:
            shape = rng.choice(
                ("(3, 4)", "(10000000000,)", "(99999999999999999999,)", "(-1,)")
            )
            parts[name] = _npy(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}")  # fmt: skip
        case 4:
            code = b"cos\nsystem\n(S'touch CANARY'\ntR."
            parts[name] = _npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + code  # fmt: skip
        case 5:
            how = zipfile.ZIP_DEFLATED
            if rng.random() < 0.1:
                header = (
                    "{'descr': '<f8', 'fortran_order': False, 'shape': (8000000,), }"
                )
                parts[name] = _npy(header) + bytes(64 * 10**6)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        for part, data in parts.items():
            archive.writestr(part, data)
    return file.getvalue()


def _npy(header: str) -> bytes:
    """The start of an array in NumPy's format."""
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def model(rng: random.Random, good: dict[str, bytes]) -> tuple[str, bytes]:
    """A model file's name, and what is in it: broken, or with another description."""
    suffix = rng.choice(sorted(good))
    data = good[suffix]
    if suffix != ".keras" or rng.random() < 0.5:
        return suffix, _broken(data, rng)
    source = zipfile.ZipFile(io.BytesIO(data))
    parts = {name: source.read(name) for name in source.namelist()}
    tree = json.loads(parts["config.json"])
    match rng.randrange(4):
        case 0:
            layers = tree["config"]["layers"]
            layer = rng.choice(layers)
            layer["class_name"] = rng.choice(
                ["Lambda", "__lambda__", "Unknown", "Model", "RNN"]
            )
        case 1:
            sizes = [p for p in _places(tree, []) if isinstance(p[0][p[1]], int)]
            for container, key in rng.sample(sizes, 2):
                container[key] = rng.choice([0, -1, 10**6, 10**9, 10**18, True])
        case 2:
            tree = _changed(tree, rng)
        case 3:
            tree["module"] = rng.choice(["os", "builtins", "subprocess", "keras.utils"])
            tree["class_name"] = rng.choice(["system", "eval", "get_file"])
    parts["config.json"] = json.dumps(tree).encode()
    if rng.random() < 0.2:
        parts["../../CANARY"] = b"outside"
    if rng.random() < 0.05:
        parts["config.json"] = b" " * (70 * 2**20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return suffix, file.getvalue()


def text(rng: random.Random) -> str:
    """A printed number, a cell of a table, or a model's name, or none of these."""
    parts = [
        *TEXTS,
        "3.8x10^9",
        "60,000",
        "25.6M",
        "3x3, 64, stride 2",
        "relu",
        ";",
        "x2",
        "keras:",
    ]
    made = "".join(rng.choice(parts) for _ in range(rng.randint(1, 4)))
    if rng.random() < 0.3:
        at = rng.randrange(len(made) + 1)
        made = made[:at] + chr(rng.choice([*range(128), 0x3000, 0x1F600])) + made[at:]
    return made


Maker = Callable[[random.Random], bytes]
SPEC_MAKERS: dict[str, Maker] = {
    "spec bytes": spec_bytes, "spec structure": spec_structure, "spec nonsense": spec_nonsense,
}  # fmt: skip


def _aliases() -> bytes:
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    return "\n".join(lines).encode()


def _rows() -> bytes:
    rows = "".join(f"      row_{n}: {{output: 1x1x1}}\n" for n in range(10**6))
    return SPECS[0] + b"\ntables:\n  more:\n    rows:\n" + rows.encode()


GROWING: dict[str, Callable[[], bytes]] = {
    "rows": _rows,
    "aliases": _aliases,
    "levels": lambda: b"[" * 10**5,
    "maps": lambda: b"{a: " * 10**5,
    "key": lambda: b"x" * 10**7 + b": 1",
}
"""Specs that are small to write and large to read."""
