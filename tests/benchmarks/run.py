"""Ratios against the obvious alternative, measured in one run; it never fails on time.

    python tests/benchmarks/run.py [start] [static] [all] [alignment] [equivalence] [--repeat N]

The two sides of each ratio take turns, so that a busy machine slows both; shown are
medians.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

ROOT = Path(__file__).parents[2]
Line = tuple[str, str, str]  # what, goal, measured

OURS = """
from pathlib import Path
from reference_checks.networks import Networks
from reference_checks.load import load_all
from reference_checks.official import check_official
from reference_checks.units import Options, select
papers = load_all(Path("papers"))
(unit,) = [u for u in select(papers, ["resnet50"]) if u.official is not None]
for record in check_official(
    Networks(papers), unit.paper, unit.variant, unit.official, Options()
):
    assert record.verdict != "contradicted", record
    if LAST and record.claim == LAST:
        break
else:
    assert not LAST
"""

BY_HAND = """
import keras, numpy as np
from keras.applications import ResNet50
from implementations import resnet
from skimage import data, transform

def square(picture):
    side = min(picture.shape[:2])
    picture = transform.resize(picture[:side, :side], (224, 224), anti_aliasing=True)
    return 2 * picture - 1

rng = np.random.default_rng(0)
x = np.stack([square(data.astronaut()), square(data.coffee()), rng.standard_normal((224, 224, 3))])

def pair(dtype):
    keras.config.set_dtype_policy(dtype)
    return resnet.build("resnet50", pool_pad=((1, 1), (1, 1))), ResNet50(weights=None)

def name(layer):
    # conv2_block1_0_conv -> conv2_x_1_shortcut
    stage, block, part, kind = layer.name.split("_")
    part = "shortcut" if part == "0" else part
    return f"{stage}_x_{block[5:]}_{part}" + ("_norm" if kind == "bn" else "")

def layers(ours, theirs):
    for layer in theirs.layers:
        if layer.weights and layer.name[:5] not in ("conv1", "predi"):
            yield ours.get_layer(name(layer)), layer
    yield ours.get_layer("conv1"), theirs.get_layer("conv1_conv")
    yield ours.get_layer("conv1_norm"), theirs.get_layer("conv1_bn")
    yield ours.get_layer("fc"), theirs.get_layer("predictions")

def copy(pairs):
    bias = None
    for mine, layer in pairs:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.Conv2D):
            biases[mine.name] = weights.pop()
        elif isinstance(layer, keras.layers.BatchNormalization):
            weights[2] = weights[2] - biases[mine.name.removesuffix("_norm")]
            weights[3] = weights[3] + (layer.epsilon - mine.epsilon)
        mine.set_weights(weights)

biases = {}
ours, theirs = pair("float64")
for w in theirs.weights:
    scale = np.sqrt(2 / np.prod(w.shape[:-1])) if len(w.shape) > 1 else 0.1
    one = w.path.endswith(("gamma", "variance"))
    w.assign(rng.uniform(0.5, 1.5, w.shape) if one else scale * rng.standard_normal(w.shape))
norms = [n for n in theirs.layers if isinstance(n, keras.layers.BatchNormalization)]
for n in norms:
    n.momentum = 0.0
theirs(x, training=True)
copy(sorted(layers(ours, theirs), key=lambda p: isinstance(p[1], keras.layers.BatchNormalization)))
a, b = ours(x, training=False).numpy(), theirs(x, training=False).numpy()
assert np.linalg.norm(a - b) < 1e-12 * np.linalg.norm(b), np.linalg.norm(a - b)
for double, single in zip((ours, theirs), pair("float32")):
    single.set_weights(double.get_weights())
    c = single(x.astype("float32"), training=False).numpy()
    assert np.linalg.norm(c - b) < 1e-3 * np.linalg.norm(b)
for mine, layer in layers(ours, theirs):
    weights = mine.get_weights()
    if isinstance(layer, keras.layers.Conv2D):
        weights.append(np.zeros(layer.filters))
    elif isinstance(layer, keras.layers.BatchNormalization):
        weights[3] = weights[3] - (layer.epsilon - mine.epsilon)
    layer.set_weights(weights)
d = theirs(x[-1:], training=False).numpy()
assert np.linalg.norm(d - a[-1:]) < 1e-12 * np.linalg.norm(d)
"""

TRAINED = """
import tensorflow as tf

keras.config.set_dtype_policy("float64")
size = {"input_shape": (96, 96, 3)}
small = resnet.build("resnet50", pool_pad=((1, 1), (1, 1)), **size), ResNet50(weights=None, **size)
for model, weights in zip(small, (ours, theirs)):
    model.set_weights(weights.get_weights())
pairs = list(layers(*small))
for mine, layer in pairs:
    if isinstance(layer, keras.layers.BatchNormalization):
        weights = mine.get_weights()
        weights[3] = weights[3] - (layer.epsilon - mine.epsilon)
        mine.set_weights(weights)
        mine.epsilon, mine.momentum = layer.epsilon, layer.momentum
y = tf.constant(x[:2, 64:160, 64:160])
direction = rng.standard_normal((2, 1000))

def slopes(model, training):
    with tf.GradientTape() as tape:
        tape.watch(y)
        loss = tf.reduce_sum(direction * model(y, training=training))
    return tape.gradient(loss, [y, *(w.value for w in model.trainable_weights)])

def agree(a, b, relative):
    a, b = np.asarray(a), np.asarray(b)
    assert np.linalg.norm(a - b) <= relative * np.linalg.norm(b)

def of(layer):
    return [w for w in layer.trainable_weights if "bias" not in w.path or "predictions" in w.path or "fc" in w.path]

found = []
for model in small:
    first, *rest = slopes(model, False)
    found.append((first, {w.path: g for w, g in zip(model.trainable_weights, rest)}))
agree(found[0][0], found[1][0], 1e-11)
for mine, layer in pairs:
    for a, b in zip(of(mine), of(layer), strict=True):
        agree(found[0][1][a.path], found[1][1][b.path], 1e-11)
for model in small:
    optimizer = keras.optimizers.SGD(1e-4)
    optimizer.apply(slopes(model, True)[1:], model.trainable_weights)
for mine, layer in pairs:
    for a, b in zip(of(mine), of(layer), strict=True):
        agree(a, b, 1e-11)
    if isinstance(layer, keras.layers.BatchNormalization):
        agree(mine.moving_variance, layer.moving_variance, 1e-11)
"""

EAGER = """
import gc
from pathlib import Path
from reference_checks import models
from reference_checks.load import load_all

papers = load_all(Path("papers"))
for paper in papers.values():
    for variant in paper.spec.variants.values():
        size = {"input_shape": tuple(variant.input), "classes": variant.classes}
        for official in variant.official:
            if official.model.startswith("keras:"):
                models.build(official.model, papers, **size).count_params()
                gc.collect()
"""

STATIC = """
import sys
from reference_checks.cli import main
assert main(["check", "--static", "--json", "-"]) == 0
"""

PEAK = "\nimport resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"


def fresh(*arguments: str, kept: str | None = None) -> tuple[float, str]:
    """Seconds of a new interpreter with compiled sources, and its last line of output.

    `kept` is the cache folder: an empty one where nothing was read before.
    """
    environment = {
        k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"
    }
    environment |= {
        "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "paperspec-bench"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONPATH": str(ROOT),
    }
    if kept is not None:
        environment["XDG_CACHE_HOME"] = kept
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, text=True,
        capture_output=True,
    )  # fmt: skip
    seconds = perf_counter() - start
    if done.returncode:
        sys.exit(f"{arguments}:\n{done.stderr}")
    return seconds, (done.stdout.splitlines() or [""])[-1]


def taking_turns(
    sides: dict[str, Callable[[], float]], repeat: int
) -> dict[str, float]:
    """The median of each side, after a first round that does not count."""
    rounds = [{name: side() for name, side in sides.items()} for _ in range(repeat + 1)]
    return {name: median(turn[name] for turn in rounds[1:]) for name in sides}


def timed(action: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = perf_counter()
        action()
        return perf_counter() - start

    return run


def start(repeat: int) -> Iterator[Line]:
    """Commands that read specs, against importing the YAML reader."""

    def command(name: str) -> float:
        return fresh("-m", "reference_checks.cli", name, kept=kept.name)[0]

    def first(name: str) -> float:
        with tempfile.TemporaryDirectory() as empty:
            return fresh("-m", "reference_checks.cli", name, kept=empty)[0]

    kept = tempfile.TemporaryDirectory()
    sides = {"yaml": lambda: fresh("-c", "import yaml")[0]}
    for name in ("list", "lint", "claims"):
        sides[name] = lambda name=name: command(name)
        sides[f"{name}, specs never read before"] = lambda name=name: first(name)
    found = taking_turns(sides, 5 * repeat)
    kept.cleanup()
    base = found.pop("yaml")
    for name, seconds in found.items():
        ratio = f"{seconds / base:.2f}x ({seconds:.3f} s against {base:.3f} s)"
        goal = "" if "before" in name else "<= 4x"
        yield f"paperspec {name} / import yaml", goal, ratio


def static(repeat: int) -> Iterator[Line]:
    """All static checks of ResNet-50, against constructing the official model."""
    import keras

    from reference_checks.checks import run_unit
    from reference_checks.load import load_all
    from reference_checks.networks import Networks
    from reference_checks.units import Options, select

    papers = load_all(ROOT / "papers")
    units = select(papers, ["resnet50"])

    def ours() -> None:
        networks = Networks(papers)
        for unit in units:
            run_unit(unit, networks, Options(run=False))

    sides = {
        "ours": timed(ours),
        "eager": timed(lambda: keras.applications.ResNet50(weights=None)),
    }
    found = taking_turns(sides, 2 * repeat)
    ratio = f"{found['ours'] / found['eager']:.2f}x"
    times = f" ({found['ours']:.2f} s against {found['eager']:.2f} s)"
    yield (
        "static checks of resnet50 / constructing keras:ResNet50",
        "< 1x",
        ratio + times,
    )


def everything(repeat: int) -> Iterator[Line]:
    """Static checks of everything, against constructing the official models."""
    check = ("-m", "reference_checks.cli", "check", "--static")
    cores = str(os.cpu_count() or 1)
    sides = {
        "in one process": lambda: fresh(*check)[0],
        f"-n {cores}": lambda: fresh(*check, "-n", cores)[0],
        "eager": lambda: fresh("-c", EAGER)[0],
    }
    found = taking_turns(sides, 1)
    eager = found.pop("eager")
    for how, seconds in found.items():
        ratio = f"{seconds / eager:.2f}x ({seconds:.0f} s against {eager:.0f} s, {how})"
        yield "static checks of all / constructing all of keras:", "< 0.5x", ratio
    peak = int(fresh("-c", STATIC + PEAK)[1]) / 1024**2
    yield (
        "static checks of all in one process: peak memory",
        "< 2 GB",
        f"{peak:.2f} GiB",
    )


def residual_graph(length: int):
    """`length` ops: blocks of convolution, norm, ReLU and a shortcut around them."""
    from reference_checks.graph import Graph, Op, Weight

    rng = random.Random(1998)
    ops = [Op("input", (), (8, 8, 16), layer="input")]
    conv = {
        "strides": (1, 1),
        "padding": ((1, 1), (1, 1)),
        "dilation": (1, 1),
        "groups": 1,
    }
    while len(ops) < length:
        entry = len(ops) - 1
        kernel = rng.choice((1, 3, 5))
        weights = (Weight("kernel", (kernel, kernel, 16, 16), (len(ops),)),)
        norm = tuple(
            Weight(role, (16,), (length * k + len(ops),))
            for k, role in enumerate(("gamma", "beta", "mean", "variance"), 1)
        )
        name = f"layer{entry}"
        ops += [
            Op("conv", (entry,), (8, 8, 16), conv, weights, name),
            Op("batch_norm", (entry + 1,), (8, 8, 16), {}, norm, name),
            Op("activation", (entry + 2,), (8, 8, 16), {"function": "relu"}, (), name),
            Op("add", (entry, entry + 3), (8, 8, 16), {}, (), name),
        ]
    return Graph(tuple(ops), (len(ops) - 1,), name="residual")


def alignment(repeat: int) -> Iterator[Line]:
    """Two graphs of a thousand and of ten thousand ops."""
    from reference_checks.alignment import align

    seconds = {}
    for length in (1_000, 10_000):
        a, b = residual_graph(length), residual_graph(length)
        assert align(a, b).isomorphic
        sides = {"align": timed(lambda a=a, b=b: align(a, b))}
        seconds[length] = taking_turns(sides, repeat)["align"]
    yield "alignment of two 1,000-op graphs", "< 0.2 s", f"{seconds[1_000]:.3f} s"
    growth = seconds[10_000] / seconds[1_000]
    yield (
        "the same with 10,000 ops",
        "~ 10x",
        f"{growth:.1f}x ({seconds[10_000]:.2f} s)",
    )


def equivalence(repeat: int) -> Iterator[Line]:
    """ResNet-50 and the official one, run: against scripts that do the same by hand."""
    moved_back = "float64, weights moved back"
    for what, last, script in (
        ("outputs of resnet50", moved_back, BY_HAND),
        ("all of resnet50, gradients too,", None, BY_HAND + TRAINED),
    ):
        sides = {"ours": f"LAST = {last!r}" + OURS, "hand": script}
        memory: dict[str, list[int]] = {side: [] for side in sides}

        def side(name: str, script: str, memory: Any = memory) -> Callable[[], float]:
            def run() -> float:
                seconds, peak = fresh("-c", script + PEAK)
                memory[name].append(int(peak))
                return seconds

            return run

        found = taking_turns({n: side(n, text) for n, text in sides.items()}, repeat)
        ratio = f"{found['ours'] / found['hand']:.2f}x"
        times = f" ({found['ours']:.1f} s against {found['hand']:.1f} s)"
        yield f"{what} / by hand: time", "<= 1.25x", ratio + times
        ours, hand = (median(peaks[1:]) / 1024**2 for peaks in memory.values())
        ratio = f"{ours / hand:.2f}x ({ours:.2f} GiB against {hand:.2f} GiB)"
        yield f"{what} / by hand: peak memory", "<= 1.15x", ratio


BENCHMARKS = {
    "start": start,
    "static": static,
    "all": everything,
    "alignment": alignment,
    "equivalence": equivalence,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("which", nargs="*", metavar="WHICH", help=", ".join(BENCHMARKS))
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    unknown = set(arguments.which) - set(BENCHMARKS)
    if unknown:
        parser.error(f"{', '.join(unknown)}: choose from {', '.join(BENCHMARKS)}")
    print(f"{'ratio':57}{'goal':10}measured")
    for name in arguments.which or BENCHMARKS:
        for what, goal, measured in BENCHMARKS[name](arguments.repeat):
            print(f"{what:57}{goal:10}{measured}", flush=True)


if __name__ == "__main__":
    main()
