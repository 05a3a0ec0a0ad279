"""Mutations of norms, activations, pooling, dropout, and what else has no kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference_checks.mutate.draft import Draft
from reference_checks.mutate.mutation import Mutation, collect

LAYERS: list[Mutation] = []
mutation = collect(LAYERS)
Touched = Sequence[int] | None
NORM = ("gamma", "beta", "mean", "variance")


def dropped(draft: Draft, index: int) -> Sequence[int]:
    """The op's input in its place."""
    (source,) = draft.ops[index].inputs
    draft.read_instead(index, source)
    return [index]


# Norms ------------------------------------------------------------------------------


@mutation("a norm dropped")
def norm_dropped(draft: Draft, index: int) -> Touched:
    norm = draft.ops[index].kind in ("batch_norm", "layer_norm")
    return dropped(draft, index) if norm else None


@mutation("a norm added after a convolution that has none")
def norm_added(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "conv":
        return None
    if any(draft.ops[i].kind == "batch_norm" for i in draft.readers(index)):
        return None
    layer = f"{op.layer}_new"
    weights = [draft.weight(role, op.shape[-1:], layer) for role in NORM]
    return [index, draft.after(index, "batch_norm", weights=weights, epsilon=1e-3, momentum=0.99)]  # fmt: skip


def _epsilon(draft: Draft, index: int, factor: float) -> Touched:
    op = draft.ops[index]
    if "epsilon" not in op.attrs:
        return None
    draft.change(index, epsilon=op.attrs["epsilon"] * factor)
    return [index]


@mutation("epsilon times ten")
def epsilon_tenfold(draft: Draft, index: int) -> Touched:
    return _epsilon(draft, index, 10.0)


@mutation("epsilon larger by 0.1 %")
def epsilon_slightly(draft: Draft, index: int) -> Touched:
    return _epsilon(draft, index, 1.001)


@mutation("another momentum")
def momentum(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if "momentum" not in op.attrs:
        return None
    draft.change(index, momentum=1 - (1 - op.attrs["momentum"]) / 2)
    return [index]


@mutation("no gamma")
def gamma_off(draft: Draft, index: int) -> Touched:
    if draft.ops[index].weight("gamma") is None:
        return None
    draft.without_weight(index, "gamma")
    return [index]


@mutation("no beta")
def beta_off(draft: Draft, index: int) -> Touched:
    if draft.ops[index].weight("beta") is None:
        return None
    draft.without_weight(index, "beta")
    return [index]


# Activations --------------------------------------------------------------------------

OTHER = {
    "relu": "relu6", "relu6": "relu", "silu": "hard_silu", "hard_silu": "silu",
    "sigmoid": "hard_sigmoid", "hard_sigmoid": "sigmoid", "tanh": "sigmoid",
    "leaky_relu": "relu", "elu": "relu",
}  # fmt: skip


@mutation("ReLU ↔ ReLU6, swish ↔ hard-swish, sigmoid ↔ hard sigmoid, erf ↔ tanh GELU")
def activation_replaced(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "activation":
        return None
    if op.attrs["function"] == "gelu":
        draft.change(index, approximate=not op.attrs["approximate"])
        return [index]
    other = OTHER.get(op.attrs["function"])
    if other is None:
        return None
    draft.ops[index] = replace(op, attrs={"function": other})
    return [index]


@mutation("an activation dropped")
def activation_dropped(draft: Draft, index: int) -> Touched:
    return dropped(draft, index) if draft.ops[index].kind == "activation" else None


@mutation("a ReLU added after a norm that has none")
def activation_added(draft: Draft, index: int) -> Touched:
    if draft.ops[index].kind != "batch_norm":
        return None
    if any(draft.ops[i].kind == "activation" for i in draft.readers(index)):
        return None
    return [index, draft.after(index, "activation", function="relu")]


@mutation("an activation before the norm or the sum that it follows")
def activation_moved(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "activation" or op.attrs["function"] == "softmax":
        return None
    (source,) = op.inputs
    before = draft.ops[source]
    if draft.only_reader(source) is None or before.kind not in ("batch_norm", "add"):
        return None
    draft.read_instead(index, source)
    main, *others = before.inputs
    draft.ops[index] = replace(op, inputs=(main,), shape=draft.ops[main].shape)
    draft.ops[source] = replace(before, inputs=(index, *others))
    return [index, source]


# Pooling ------------------------------------------------------------------------------


@mutation("max ↔ average pooling")
def pool_kind(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "pool":
        return None
    draft.change(index, mode="average" if op.attrs["mode"] == "max" else "max")
    return [index]


@mutation("max for mean over the whole map")
def global_pool_kind(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "mean" or op.attrs["axes"] != (0, 1):
        return None
    (source,) = op.inputs
    height, width, channels = draft.ops[source].shape
    pool = draft.add(
        "pool", op.inputs, op.layer, (1, 1, channels), mode="max", window=(height, width),
        strides=(1, 1), padding=((0, 0), (0, 0)),
    )  # fmt: skip
    if op.attrs["keepdims"]:
        draft.read_instead(index, pool)
        return [index, pool]
    flat = draft.add("reshape", (pool,), op.layer, (channels,))
    draft.read_instead(index, flat)
    return [index, pool]


@mutation("a pooling window larger by one, padded at the end")
def pool_size(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "pool":
        return None
    window = tuple(n + 1 for n in op.attrs["window"])
    padding = tuple((a, b + 1) for a, b in op.attrs["padding"])
    draft.change(index, window=window, padding=padding)
    return [index]


@mutation("pooling that counts the padding as zeros")
def pool_padding_counted(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "pool" or not any(a + b for a, b in op.attrs["padding"]):
        return None
    padding = op.attrs["padding"]
    size = [n + a + b for n, (a, b) in zip(draft.ops[op.inputs[0]].shape, padding, strict=False)]  # fmt: skip
    padded = draft.add(
        "pad", op.inputs, op.layer, (*size, op.shape[-1]), padding=(*padding, (0, 0)),
        value=0.0,
    )  # fmt: skip
    draft.ops[index] = replace(op, inputs=(padded,))
    draft.change(index, padding=((0, 0), (0, 0)))
    return [index]


# The rest -----------------------------------------------------------------------------


@mutation("another dropout rate")
def dropout_rate(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "dropout":
        return None
    draft.change(index, rate=op.attrs["rate"] / 2)
    return [index]


@mutation("a dropout dropped")
def dropout_dropped(draft: Draft, index: int) -> Touched:
    return dropped(draft, index) if draft.ops[index].kind == "dropout" else None


@mutation("a dropout added before the classifier")
def dropout_added(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind not in ("mean", "activation") or len(op.shape) != 1:
        return None
    if index in draft.outputs:
        return None
    return [index, draft.after(index, "dropout", rate=0.3)]


@mutation("a map flattened channels first")
def flatten_order(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind != "reshape" or len(op.shape) != 1:
        return None
    (source,) = op.inputs
    shape = draft.ops[source].shape
    if len(shape) != 3 or shape[:2] == (1, 1):
        return None
    turned = draft.add(
        "transpose",
        (source,),
        f"{op.layer}_new",
        (shape[2], *shape[:2]),
        axes=(2, 0, 1),
    )
    draft.ops[index] = replace(op, inputs=(turned,))
    return [index, turned]


def _lrn(name: str, change) -> None:
    def edit(draft: Draft, index: int) -> Touched:
        op = draft.ops[index]
        if op.kind != "lrn":
            return None
        draft.change(index, **{name: change(op.attrs[name])})
        return [index]

    edit.__name__ = f"lrn_{name}"
    mutation(f"another {name} of a local response normalisation")(edit)


_lrn("size", lambda n: n + 2)
_lrn("alpha", lambda n: n * 5)
_lrn("beta", lambda n: n - 0.25)
_lrn("k", lambda n: n + 1)


@mutation("the input scaled by another constant")
def input_scaling(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    if op.kind == "input":
        return [index, draft.after(index, "scale", by=1 / 255)]
    return None


@mutation("a constant of the network 1 % larger")
def constant_changed(draft: Draft, index: int) -> Touched:
    op = draft.ops[index]
    by = op.attrs.get("by")
    if not isinstance(by, float) or by == 0:
        return None
    draft.change(index, by=by * 1.01)
    return [index]
