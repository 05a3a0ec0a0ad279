"""What only training sees: the outputs agree, gradients or statistics do not."""

from __future__ import annotations

import keras
import pytest
from conftest import official_tiny

from reference_checks.record import Verdict

TINY = "tiny/tiny/keras:Tiny"
INFERENCE = ("structure", "transfer", "outputs", "activations")


def altered(change):
    """The tiny official model with one of its layers changed."""

    def build(**options):
        model = official_tiny(**options)
        change(model)
        return model

    return build


def stop_gradient(model):
    """The first activation hands nothing back."""
    layer = model.get_layer("act0")
    honest = layer.call
    layer.call = lambda x: keras.ops.stop_gradient(honest(x))


def quicken(model):
    model.get_layer("bn1").momentum = 0.5


def failing(records):
    return {r.check for r in records if r.verdict is Verdict.CONTRADICTED}


def test_training_agrees(tiny):
    """Gradients to 1e-11, absorbed biases without one, statistics and weights after a step."""
    records = tiny.records(TINY, run=True)
    assert set() == failing(records)
    found = {r.check: r for r in records if r.check in ("coverage", "training step")}
    assert {"coverage", "training step"} == set(found)
    gradients = [r for r in records if r.check == "gradients"]
    assert ["absorbed biases", "batch of 2"] == sorted(
        r.claim.split(", ")[0] for r in gradients
    )
    assert all(r.measured < 1e-11 for r in gradients)


def test_a_path_without_gradient_is_contradicted(tiny, library):
    """Every output agrees; going back, the norm before it is the first not to learn."""
    library(altered(stop_gradient))
    records = tiny.records(TINY, run=True)
    assert {"coverage", "gradients", "training step"} == failing(records)
    (found,) = [r for r in records if r.check == "gradients" and "first" in r.detail]
    assert "first from the outputs stem_norm beta: ours " in found.detail
    assert found.detail.startswith("every operation by itself is within its bound")


def test_another_momentum_is_contradicted(tiny, library):
    """Where no deviation records it: no output sees it, the moving statistics do."""
    library(altered(quicken))
    records = tiny.records(TINY, run=True)
    assert {"deviation", "training step"} == failing(records)
    (step,) = [r for r in records if r.check == "training step"]
    assert "first block_norm mean" in step.detail


@pytest.mark.parametrize("role", ["gamma", "beta"])
def test_swapped_weights_are_contradicted_in_training_too(role, tiny, monkeypatch):
    """Two weights of one shape that change places between the networks."""
    from dataclasses import replace

    from reference_checks import proof_training

    honest = proof_training.transfer

    def swapped(source, target, alignment, values):
        moved = honest(source, target, alignment, values)
        first = next(op for op in target.ops if op.kind == "batch_norm")
        (one,), (other,) = (first.weight(r).variables for r in (role, "variance"))
        changed = dict(moved.values)
        changed[one], changed[other] = changed[other], changed[one]
        return replace(moved, values=changed)

    monkeypatch.setattr(proof_training, "transfer", swapped)
    assert {"outputs", "gradients", "training step"} <= failing(
        tiny.records(TINY, run=True)
    )


def sizes(project):
    """The sizes, batches and details of float64 outputs beside the native ones."""
    found = [r for r in project.records(TINY, run=True) if r.check == "outputs"]
    return {r.claim: r.detail for r in found if "batch of" in r.claim}


def test_two_sizes_and_two_batches_are_compared(tiny):
    """A batch of three at the native size, of two at another."""
    found = sizes(tiny)
    assert ["float64, batch of 2, 40x40"] == list(found)
    assert "one size" not in found["float64, batch of 2, 40x40"]


def flattened(project, library):
    """Both networks with dense weights for each place of the last map."""
    project.plant(
        "implementations/tiny.py",
        'layers.GlobalAveragePooling2D(name="head_pool")',
        'layers.Flatten(name="head_pool")',
    )
    library(altered_head)


def altered_head(weights=None, input_shape=(8, 8, 3), classes=5):
    whole = official_tiny(weights, input_shape, classes)
    x = keras.layers.Flatten()(whole.get_layer("act1").output)
    x = keras.layers.Dense(classes, activation="softmax")(x)
    return keras.Model(whole.inputs, x)


def test_a_network_of_one_size_is_compared_in_two_batches_and_says_why(tiny, library):
    """Flattened maps have weights for each place, as VGG's and AlexNet's."""
    flattened(tiny, library)
    found = sizes(tiny)
    assert ["float64, batch of 1, 8x8"] == list(found)
    assert found["float64, batch of 1, 8x8"].endswith(
        "one size, batches of 3 and 1: it has weights for each place of a map"
    )


def test_a_size_that_a_network_does_not_take_is_said(tiny, library):
    """In the words of what could not be built."""

    def of_one_size(input_shape=(8, 8, 3), **options):
        if input_shape != (8, 8, 3):
            raise ValueError("8x8 and nothing else")
        return official_tiny(input_shape=input_shape, **options)

    library(of_one_size)
    (detail,) = sizes(tiny).values()
    assert "one size, batches of 3 and 1: " in detail
    assert "8x8 and nothing else" in detail
