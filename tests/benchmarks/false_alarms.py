"""How far correct evaluations of one network differ: what K is set from.

    python tests/benchmarks/false_alarms.py [--seeds 10] [--jax PYTHON] [NETWORK…]

Every network has random, calibrated weights, once for each seed, and is evaluated in
several ways, all of them right.  Each evaluation's error to float64 is held against the
largest of those that the check takes as its floor, itself left out: a ratio over K would
be a false alarm.  The errors go to false_alarms.json beside this file, network by network
(one that is there is left as it is; delete the file to begin anew), and the summary is
printed as JSON.  Evaluations that need other kernels run in processes of their own:
TensorFlow without oneDNN, and JAX where an interpreter that has it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.metadata import version
from math import ceil, log2
from pathlib import Path
from typing import Any

import keras
import numpy as np

from reference_checks import equivalence, models
from reference_checks.equivalence.comparison import ROUNDOFF
from reference_checks.equivalence.reevaluations import as_built, reevaluations
from reference_checks.equivalence.subject import Subject
from reference_checks.graph import Values
from reference_checks.load import load_all

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EVIDENCE = HERE / "false_alarms.json"
FLOOR = ("whole", "one by one", "graph")
"""The evaluations that the check itself takes."""
NETWORKS = {  # and the side of the pictures
    "keras:MobileNetV2,alpha=0.35": 64,
    "keras:MobileNetV3Small": 64,
    "keras:EfficientNetB0": 64,
    "keras:MobileNet,alpha=0.5": 64,
    "keras:ResNet50": 64,
    "keras:DenseNet121": 64,
    "keras:VGG16": 32,
    "keras:ConvNeXtTiny": 64,
    "keras:EfficientNetV2B0": 64,
    "keras:ResNet50V2": 64,
    "keras:Xception": 71,
    "keras:InceptionV3": 75,
    "keras:MobileNetV3Large": 64,
}
COMPILED = ("keras:MobileNetV2,alpha=0.35", "keras:MobileNetV3Small", "keras:VGG16")
"""Those that XLA compiles in seconds: TensorFlow's and JAX's."""
WORKING = ("float32", "bfloat16", "float16")
"""In these K times the floor is the budget; of float64 it is a report."""
FEW = 2
"""Seeds for which float64 and sixteen bits are evaluated too."""


# What the evidence says --------------------------------------------------------------


def ratios(errors: Mapping[str, float], least: float) -> Iterator[tuple[str, float]]:
    """Each evaluation's error over the largest of the floor's others."""
    for name, error in errors.items():
        floor = [errors[other] for other in FLOOR if other != name and other in errors]
        yield name, error / max(least, *floor)


def summary(networks: Mapping[str, Any]) -> dict[str, Any]:
    """Counts, the largest ratio and the tail, by precision; and K."""
    found: dict[str, list[tuple[float, str, str]]] = {}
    for network, by_precision in networks.items():
        for precision, by_seed in by_precision.items():
            for seed, errors in by_seed.items():
                if precision == "float64":  # against what float32 predicts of it
                    floor = [by_precision["float32"][seed][name] for name in FLOOR]
                    least = equivalence.in_float64(floor)
                    ratio = {name: error / least for name, error in errors.items()}
                else:
                    ratio = dict(ratios(errors, ROUNDOFF[precision]))
                found.setdefault(precision, []).extend(
                    (value, network, f"{network}, seed {seed}, {name}")
                    for name, value in ratio.items()
                )
    result = {}
    for precision, all_of_it in found.items():
        values = [value for value, _, _ in all_of_it]
        largest, _, where = max(all_of_it)
        result[precision] = {
            "evaluations": len(values),
            "networks": len({network for _, network, _ in all_of_it}),
            "median": round(float(np.quantile(values, 0.5)), 3),
            "99 %": round(float(np.quantile(values, 0.99)), 3),
            "largest": round(largest, 3),
            "at": where,
        }
    largest = max(r["largest"] for p, r in result.items() if p in WORKING)
    return {"K": factor(largest), **result}


def factor(largest: float) -> int:
    """K: twice the largest ratio that was seen, rounded up to a power of two."""
    return 2 ** ceil(log2(2 * largest))


def bound(evaluations: int, confidence: float = 0.95) -> float:
    """The largest rate of alarms with which to see none is not yet unlikely.

    Clopper and Pearson's interval for 0 of n; three in n for 95 %.
    """
    return 1 - (1 - confidence) ** (1 / evaluations)


def others(networks: Mapping[str, Any]) -> dict[str, int]:
    """How many of the evaluations in float32 other rules would reject, all wrongly."""
    found = [e for by in networks.values() for e in by["float32"].values()]
    errors = [error for evaluation in found for error in evaluation.values()]
    return {
        "1e-6, relative": sum(error > 1e-6 for error in errors),
        "1e-5, relative": sum(error > 1e-5 for error in errors),
        "the error of one run": sum(e > v["whole"] for v in found for e in v.values()),
        "twice the error of one run": sum(
            e > 2 * v["whole"] for v in found for e in v.values()
        ),
    }


def table(networks: Mapping[str, Any]) -> list[str]:
    """The lines of docs/tolerance.md."""
    said = summary(networks)
    k, single = said.pop("K"), said["float32"]["evaluations"]
    working = [said[precision] for precision in WORKING]
    count = sum(line["evaluations"] for line in working)
    seeds = sum(len(network["float32"]) for network in networks.values())
    largest = max(working, key=lambda line: line["largest"])
    lines = [
        "| precision | evaluations | networks | median ratio | 99 % | largest |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for precision, line in said.items():
        cells = [str(v) for name, v in line.items() if name != "at"]
        lines.append(f"| {precision} | {' | '.join(cells)} |")
    lines += [
        "",
        f"The largest in a working precision is {largest['largest']} ({largest['at']}).",
        f"Doubled, and rounded up to a power of two: K = {k}.",
        "",
        f"With it 0 of {count:,} evaluations in working precisions are alarms: with 95 %"
        f" confidence fewer than {bound(count):.2%} of such evaluations are, or"
        f" {bound(seeds):.1%} if each of the {seeds} sets of weights counts once.",
        "",
        f"| budget in float32 | correct evaluations that it rejects, of {single:,} |",
        "|---|--:|",
        *(f"| {rule} | {rejected:,} |" for rule, rejected in others(networks).items()),
        f"| {k} times the largest of the others | 0 |",
    ]
    return lines


# The measurement ---------------------------------------------------------------------


def build(network: str) -> keras.Model:
    side = NETWORKS[network]
    shape = {"input_shape": (side, side, 3), "classes": 10}
    return models.build(network, load_all(ROOT / "papers"), **shape)


def folded(subject: Subject, values: Values) -> dict[int, np.ndarray]:
    """The weights of the same network, with its norms' factors in the kernels before."""
    found, graph = dict(values), subject.graph
    for index, op in enumerate(graph.ops):
        before = graph.ops[op.inputs[0]] if op.inputs else op
        kernel = before.weight("kernel")
        alone = op.inputs and graph.consumers[op.inputs[0]] in ([index], (index,))
        if op.kind != "batch_norm" or kernel is None or not alone:
            continue
        epsilon, variance = op.attrs["epsilon"], op.weight("variance")
        factor = 1 / np.sqrt(variance.read(values) + epsilon)
        gamma = op.weight("gamma")
        if gamma is not None:
            factor = factor * gamma.read(values)
            found |= gamma.write(np.ones(gamma.shape))
        found |= variance.write(np.full(variance.shape, 1 - epsilon))
        mean = op.weight("mean")
        for weight in (kernel, mean, before.weight("bias")):
            if weight is not None:
                found |= weight.write(weight.read(values) * factor)
    return found


def compiled(model: keras.Model) -> Any:
    """The model as one program of XLA."""
    if keras.config.backend() == "jax":
        import jax

        def run(trainable, others, x):
            return model.stateless_call(trainable, others, x, training=False)[0]

        program = jax.jit(run)

        def call(x):
            parts = model.trainable_variables, model.non_trainable_variables
            return program(*([v.value for v in part] for part in parts), x)

        return call
    import tensorflow as tf

    return tf.function(lambda x: model(x, training=False), jit_compile=True)


class Evaluator:
    """A network in one precision, evaluated in every way for one seed after the other."""

    def __init__(self, network: str, precision: str) -> None:
        self.subject = equivalence.subject(lambda: build(network), precision)
        self.compiled = compiled(self.subject.model) if network in COMPILED else None

    def all(self, values: Values, x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        subject = self.subject
        subject.assign(values)
        # The graph has constants to all digits; TensorFlow's layers have some of them, the
        # square root in erf GELU say, by way of float32: 5e-9 in ConvNeXt's outputs.
        ways = as_built if subject.dtype == "float64" else reevaluations
        yield from ways(subject, x)
        if self.compiled is not None and subject.dtype == "float32":
            yield "compiled", keras.ops.convert_to_numpy(self.compiled(subject.feed(x)))
        other = folded(subject, values)
        if any(other[i] is not values[i] for i in other):
            subject.assign(other)
            yield "norms in kernels", subject.run(x)[0]


class Elsewhere:
    """A process with other kernels, which is given weights and gives outputs back."""

    def __init__(self, python: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [python, __file__, "--serve"], text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.folder = tempfile.TemporaryDirectory()

    def all(
        self, network: str, precision: str, values: Values, x: np.ndarray
    ) -> Iterator[tuple[str, np.ndarray]]:
        path = Path(self.folder.name) / "values.npz"
        np.savez(path, x=x, **{str(i): v.astype(precision) for i, v in values.items()})
        print(
            json.dumps([network, precision, str(path)]),
            file=self.process.stdin, flush=True,
        )  # fmt: skip
        for line in self.process.stdout:  # native libraries may print too
            if line.startswith("served "):
                break
        with np.load(line.split()[1]) as found:
            yield from found.items()


def serve() -> None:
    """Answers the lines that `Elsewhere` writes, until there are no more."""
    known: dict[tuple[str, str], Evaluator] = {}
    for line in sys.stdin:
        network, precision, path = json.loads(line)
        if (network, precision) not in known:
            known.clear()
            known[network, precision] = Evaluator(network, precision)
        evaluator = known[network, precision]
        with np.load(path) as found:
            values = {int(i): found[i] for i in found if i != "x"}
            evaluator.subject.assign(values)
            if keras.config.backend() == "jax":  # one by one its layers take minutes
                fed = evaluator.subject.feed(found["x"])
                program = evaluator.compiled(fed)
                results = {"compiled": keras.ops.convert_to_numpy(program)}
            else:  # XLA has its own kernels, with oneDNN or without
                results = {"whole": evaluator.subject.run(found["x"])[0]}
        np.savez(Path(path).with_name("results.npz"), **results)
        print("served", Path(path).with_name("results.npz"), flush=True)


def distinct(results: Mapping[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """Those that are not another's, bit for bit; the floor's are, whatever they are."""
    seen: list[np.ndarray] = []
    for name, outputs in results.items():
        if name in FLOOR or not any(np.array_equal(outputs, other) for other in seen):
            yield name, outputs
        seen.append(outputs)


def measure(network: str, seeds: int, elsewhere: Mapping[str, Elsewhere]) -> dict:
    """Errors by precision, seed and evaluation."""
    double = Evaluator(network, "float64")
    others = {p: Evaluator(network, p) for p in WORKING}
    found: dict[str, dict] = {
        p: {} for p in ("float32", "float64", "bfloat16", "float16")
    }
    size = (NETWORKS[network], NETWORKS[network], 3)
    for seed in range(1, seeds + 1):
        x = equivalence.inputs(size, seed)
        subject = double.subject
        subject.assign(equivalence.random_values(subject.graph, seed))
        equivalence.calibrate(subject, x, seed)
        values = dict(subject.values)
        reference = subject.run(x)[0]

        for precision, evaluator in {"float64": double, **others}.items():
            if precision != "float32" and seed > FEW:
                continue
            results = dict(evaluator.all(values, x))
            for where, other in elsewhere.items():
                # oneDNN has no float64.
                some = ("float32", "float64") if where == "JAX" else ("float32",)
                if precision in some and (where != "JAX" or network in COMPILED):
                    for name, outputs in other.all(network, precision, values, x):
                        results[f"{where}, {name}"] = outputs
            errors = {
                name: float(f"{equivalence.distance(outputs, reference):.3g}")
                for name, outputs in distinct(results)
                if precision != "float64" or name != "whole"  # which is the reference
            }
            found[precision][str(seed)] = errors
        print(network, seed, found["float32"][str(seed)], file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="*", metavar="NETWORK", default=[*NETWORKS])
    parser.add_argument("--seeds", type=int, default=14)
    parser.add_argument(
        "--jax", metavar="PYTHON", help="an interpreter with Keras, JAX"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve()
        return
    elsewhere = {"no oneDNN": Elsewhere(sys.executable, TF_ENABLE_ONEDNN_OPTS="0")}
    if arguments.jax:
        elsewhere["JAX"] = Elsewhere(arguments.jax, KERAS_BACKEND="jax")
    evidence = json.loads(EVIDENCE.read_text()) if EVIDENCE.exists() else {}
    networks = evidence.get("networks", {})
    for network in arguments.networks:
        if network in networks:
            continue
        networks[network] = measure(network, arguments.seeds, elsewhere)
        keras.backend.clear_session()
        evidence = {
            "date": str(date.today()),
            "machine": platform.machine(),
            "versions": {n: version(n) for n in ("keras", "numpy", "tensorflow")},
            "summary": summary(networks),
            "networks": networks,
        }
        EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n")
    for other in elsewhere.values():
        other.process.stdin.close()
        other.process.wait()
    print(json.dumps(evidence["summary"], indent=1))
    print("\n".join(table(networks)), file=sys.stderr)


if __name__ == "__main__":
    main()
