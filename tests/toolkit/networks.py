"""Small networks as op graphs: built by hand, or drawn, and spelt in many ways."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import settings
from hypothesis import strategies as st

from reference_checks.graph import Graph, Op, Variable, Weight


def examples(number: int) -> settings:
    """So many examples, in a profile that tries a hundred as Hypothesis itself does."""
    scaled = max(1, number * settings.default.max_examples // 100)
    return settings(max_examples=scaled, deadline=None)


class Network:
    """An op graph under construction; every method returns the number of the new op."""

    def __init__(self, *shape: int, name: str = "network") -> None:
        self.ops: list[Op] = []
        self.variables: list[Variable] = []
        self.name = name
        if shape:
            self.input = self.add("input", (), shape, "input")

    def add(self, kind, inputs, shape, layer="", weights=(), **attrs) -> int:
        inputs = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        layer = layer or f"{kind}_{len(self.ops)}"
        self.ops.append(Op(kind, inputs, tuple(shape), attrs, tuple(weights), layer))
        return len(self.ops) - 1

    def weight(self, role: str, shape: Sequence[int], layer: str = "") -> Weight:
        self.variables.append(Variable(f"{layer}/{role}", tuple(shape), True))
        return Weight.of(role, len(self.variables) - 1, self.variables[-1])

    def shape(self, x: int) -> tuple[int, ...]:
        return self.ops[x].shape

    def conv(
        self, x, filters, kernel=3, stride=1, padding=None, bias=True, groups=1,
        layer="", dilation=1,
    ) -> int:  # fmt: skip
        """`padding`: a number, or ((before, after), (before, after)); half the kernel."""
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding is None:
            padding = tuple((k // 2, k // 2) for k in kernel)
        elif isinstance(padding, int):
            padding = ((padding, padding), (padding, padding))
        *size, channels = self.shape(x)
        layer = layer or f"conv_{len(self.ops)}"
        weights = [self.weight("kernel", (*kernel, channels // groups, filters), layer)]
        weights += [self.weight("bias", (filters,), layer)] if bias else []
        spread = [(k - 1) * dilation + 1 for k in kernel]
        return self.add(
            "conv", x, (*_out(size, spread, stride, padding), filters), layer, weights,
            strides=(stride, stride), padding=padding, dilation=(dilation, dilation),
            groups=groups,
        )  # fmt: skip

    def norm(
        self, x, layer="", epsilon=1e-3, gamma=True, beta=True, momentum=0.9
    ) -> int:
        layer = layer or f"norm_{len(self.ops)}"
        roles = ["gamma"] * gamma + ["beta"] * beta + ["mean", "variance"]
        channels = self.shape(x)[-1:]
        weights = [self.weight(role, channels, layer) for role in roles]
        return self.add(
            "batch_norm", x, self.shape(x), layer, weights, epsilon=epsilon,
            momentum=momentum,
        )  # fmt: skip

    def layer_norm(
        self, x, layer="", epsilon=1e-6, gamma=True, beta=True, axes=(-1,)
    ) -> int:
        layer = layer or f"norm_{len(self.ops)}"
        shape = [self.shape(x)[axis] for axis in axes]
        roles = ["gamma"] * gamma + ["beta"] * beta
        return self.add(
            "layer_norm", x, self.shape(x), layer,
            [self.weight(role, shape, layer) for role in roles], axes=axes, epsilon=epsilon,
        )  # fmt: skip

    def written_norm(
        self,
        x,
        epsilon=1e-6,
        gamma=True,
        beta=True,
        axes=(-1,),
        root=False,
        square=True,
    ) -> int:
        """Layer normalisation as its formula."""

        def mean(y: int) -> int:
            at = tuple(axis + len(self.shape(y)) for axis in axes)
            kept = [1 if k in at else n for k, n in enumerate(self.shape(y))]
            return self.add("mean", y, kept, axes=at, keepdims=True)

        centred = self.add("add", (x, self.scale(mean(x), -1.0)), self.shape(x))
        squares = self.power(centred, 2) if square else self.times(centred, centred)
        shifted = self.shift(mean(squares), epsilon)
        factor = (
            self.power(self.power(shifted, 0.5), -1)
            if root
            else self.power(shifted, -0.5)
        )
        y = self.times(centred, factor)
        y = self.weigh(y, axes=axes) if gamma else y
        return self.weigh(y, "shift", axes) if beta else y

    def weigh(self, x, kind="scale", axes=(-1,), layer="") -> int:
        """A weight that scales or shifts, of the shape of the axes."""
        shape = [self.shape(x)[axis] for axis in axes]
        return self.add(
            kind, x, self.shape(x), layer, [self.weight("by", shape, layer)]
        )

    def act(self, x, function="relu", layer="", **attrs) -> int:
        if function == "softmax":
            attrs.setdefault("axis", -1)
        if function == "gelu":
            attrs.setdefault("approximate", False)
        return self.add(
            "activation", x, self.shape(x), layer, function=function, **attrs
        )

    def dense(self, x, units, layer="", bias=True) -> int:
        *rest, channels = self.shape(x)
        layer = layer or f"dense_{len(self.ops)}"
        weights = [self.weight("kernel", (channels, units), layer)]
        weights += [self.weight("bias", (units,), layer)] if bias else []
        return self.add("dense", x, (*rest, units), layer, weights)

    def pool(self, x, window=2, stride=2, mode="max", padding=0, layer="") -> int:
        if isinstance(padding, int):
            padding = ((padding, padding), (padding, padding))
        *size, channels = self.shape(x)
        window = (window, window) if isinstance(window, int) else tuple(window)
        return self.add(
            "pool", x, (*_out(size, window, stride, padding), channels), layer, mode=mode,
            window=window, strides=(stride, stride), padding=padding,
        )  # fmt: skip

    def pad(self, x, padding, value=0.0, layer="") -> int:
        """`padding` of height and width as pairs, or of all axes."""
        padding = tuple(padding) + ((0, 0),) * (len(self.shape(x)) - len(padding))
        shape = [n + a + b for n, (a, b) in zip(self.shape(x), padding, strict=True)]
        return self.add("pad", x, shape, layer, padding=padding, value=value)

    def slice(self, x, start, stop, layer="") -> int:
        """Channels from `start` to `stop`."""
        *size, _ = self.shape(x)
        ranges = (*((0, n) for n in size), (start, stop))
        return self.add("slice", x, (*size, stop - start), layer, ranges=ranges)

    def take(self, x, indices, layer="") -> int:
        *size, _ = self.shape(x)
        return self.add(
            "take",
            x,
            (*size, len(indices)),
            layer,
            axis=len(size),
            indices=tuple(indices),
        )

    def mean(self, x, keepdims=False, kind="mean", layer="") -> int:
        *size, channels = self.shape(x)
        shape = (*(1 for _ in size), channels) if keepdims else (channels,)
        return self.add(kind, x, shape, layer, axes=(0, 1), keepdims=keepdims)

    def reshape(self, x, *shape, layer="") -> int:
        return self.add("reshape", x, shape, layer)

    def concat(self, xs, layer="") -> int:
        *size, _ = self.shape(xs[0])
        channels = sum(self.shape(x)[-1] for x in xs)
        return self.add("concat", xs, (*size, channels), layer, axis=len(size))

    def plus(self, *xs, layer="") -> int:
        return self.add("add", xs, self.shape(xs[0]), layer)

    def times(self, *xs, layer="") -> int:
        return self.add("multiply", xs, self.shape(xs[0]), layer)

    def scale(self, x, by, layer="") -> int:
        return self.add("scale", x, self.shape(x), layer, by=by)

    def shift(self, x, by, layer="") -> int:
        return self.add("shift", x, self.shape(x), layer, by=by)

    def power(self, x, exponent, layer="") -> int:
        return self.add("power", x, self.shape(x), layer, exponent=float(exponent))

    def drop(self, x, rate=0.5, layer="") -> int:
        return self.add("dropout", x, self.shape(x), layer, rate=rate)

    def graph(self, *outputs: int) -> Graph:
        outputs = outputs or (len(self.ops) - 1,)
        return Graph(tuple(self.ops), outputs, tuple(self.variables), self.name)


def _out(size, window, stride, padding) -> list[int]:
    return [
        (n + a + b - w) // stride + 1
        for n, w, (a, b) in zip(size, window, padding, strict=True)
    ]


def odd_network() -> Network:
    """Everything that random networks lack."""
    net = Network(12, 10, 4)
    x = net.conv(net.input, 8, (3, 2), 2, ((1, 0), (0, 1)), groups=2, dilation=2)
    x = net.conv(x, 8, 3, groups=8)
    net.ops[x] = net.ops[x].but(attrs={"strides": (1, 2)}, shape=(*_half(net, x), 8))
    x = net.add("lrn", x, net.shape(x), size=5, alpha=1e-2, beta=0.75, k=2.0)
    x = net.pool(x, 3, 2, "average", 1)
    x = net.pool(x, 2, 1, "max", ((0, 1), (1, 0)))
    x = net.power(net.act(x, "sigmoid"), 0.5)
    x = net.add("transpose", x, _turned(net, x), axes=(2, 0, 1))
    x = net.take(x, (1, 0))
    x = net.act(x, "gelu", approximate=True)
    x = net.scale(net.shift(x, 0.5), 2.0)
    x = net.reshape(x, math.prod(net.shape(x)))
    net.dense(x, 3)
    return net


def _half(net: Network, x: int) -> tuple[int, int]:
    height, width, _ = net.shape(x)
    return height, (width + 1) // 2


def _turned(net: Network, x: int) -> tuple[int, int, int]:
    height, width, channels = net.shape(x)
    return channels, height, width


# Networks as data, and their spellings ------------------------------------------------


@dataclass(frozen=True)
class Conv:
    """Convolution, normalised or biased, and an activation."""

    filters: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    padded: bool = True
    normed: bool = True
    activation: str = "relu"


@dataclass(frozen=True)
class Pool:
    mode: str = "max"


@dataclass(frozen=True)
class Residual:
    """A sum of the input and of a bottleneck of it (or, dropped, the bottleneck)."""

    hidden: Conv
    shortcut: bool = True


@dataclass(frozen=True)
class Inverted:
    """A sum of the input and of depthwise, layer norm, dense, GELU, dense (Liu et al. 2022)."""

    kernel: int = 3
    expansion: int = 2
    gamma: bool = True


@dataclass(frozen=True)
class Branches:
    """A concatenation of convolutions of one input."""

    branches: tuple[Conv, ...]


@dataclass(frozen=True)
class Architecture:
    blocks: tuple[Conv | Pool | Residual | Inverted | Branches, ...]
    classes: int = 5
    size: int = 16


ACTIVATIONS = ("relu", "relu6", "silu", "hard_silu", "tanh", "gelu")
convs = st.builds(
    Conv, st.sampled_from([4, 8]), st.sampled_from([1, 3]), groups=st.sampled_from([1, 2]),
    padded=st.booleans(), normed=st.booleans(), activation=st.sampled_from(ACTIVATIONS),
)  # fmt: skip
inner = st.builds(
    Conv, st.sampled_from([4, 8]), st.sampled_from([1, 3]), normed=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
)  # fmt: skip
branches = st.lists(inner, min_size=2, max_size=3, unique=True).map(
    lambda convs: Branches(tuple(convs))
)
inverted = st.builds(
    Inverted, st.sampled_from([3, 5]), st.sampled_from([1, 2]), st.booleans()
)
blocks = st.one_of(convs, st.builds(Residual, inner), inverted, branches)
architectures = st.builds(
    lambda stem, before, pool, after: Architecture((stem, *before, pool, *after)),
    convs.map(lambda c: replace(c, groups=1)),
    st.lists(blocks, max_size=2),
    st.builds(Pool, st.sampled_from(["max", "average"])),
    st.lists(blocks, max_size=2),
)


class Spelling:
    """How a network is written down; without a source of randomness, plainly."""

    def __init__(self, random: Random | None = None) -> None:
        self.random = random

    def either(self) -> bool:
        return self.random is not None and self.random.random() < 0.5

    def shuffled(self, items: Sequence[int]) -> list[int]:
        items = list(items)
        if self.random is not None:
            self.random.shuffle(items)
        return items

    def build(self, architecture: Architecture, name: str = "network") -> Graph:
        net = Network(architecture.size, architecture.size, 4, name=name)
        x = net.input
        for number, block in enumerate(architecture.blocks):
            x = self._block(net, x, block, f"block{number}")
            if self.either():
                x = net.drop(x, 0.25)
        x = self._head(net, x, architecture.classes)
        return net.graph(x)

    def _block(self, net: Network, x: int, block, layer: str) -> int:
        match block:
            case Conv():
                return self.conv(net, x, block, layer)
            case Pool():
                return net.pool(x, mode=block.mode, layer=layer)
            case Residual():
                y = self.conv(net, x, block.hidden, layer + "_hidden")
                last = Conv(net.shape(x)[-1], 1, activation="linear")
                y = self.conv(net, y, last, layer + "_last")
                sum_ = self.shuffled([x, y])
                return net.plus(*sum_, layer=layer + "_add") if block.shortcut else y
            case Inverted():
                return self.inverted(net, x, block, layer)
            case Branches():
                arms = [
                    self.conv(net, x, one, f"{layer}_{one}") for one in block.branches
                ]
                if len(arms) > 2 and self.either():
                    arms = [net.concat(arms[:2]), *arms[2:]]
                return net.concat(arms, layer=layer + "_concat")
        raise TypeError(block)

    def conv(self, net: Network, x: int, conv: Conv, layer: str) -> int:
        grouped = conv.groups > 1 and net.shape(x)[-1] % conv.groups == 0
        padding = conv.kernel // 2 if conv.padded else 0
        if padding and self.either():
            first = ((0, padding), (padding, 0))
            x = net.pad(x, first)
            if self.either():
                rest = ((padding, 0), (0, padding))
                x = net.pad(x, rest)
                padding = 0
            else:
                padding = ((padding, 0), (0, padding))
        bias = not conv.normed or self.either()
        options = {"kernel": conv.kernel, "stride": conv.stride, "padding": padding}
        if grouped and self.either():
            size = net.shape(x)[-1] // conv.groups
            arms = []
            for g in range(conv.groups):
                channels = range(g * size, (g + 1) * size)
                part = (
                    net.take(x, channels) if self.either()
                    else net.slice(x, channels[0], channels[-1] + 1)
                )  # fmt: skip
                filters = conv.filters // conv.groups
                arms.append(net.conv(part, filters, bias=bias, **options))
            x = net.concat(arms)
        else:
            groups = conv.groups if grouped else 1
            x = net.conv(
                x,
                conv.filters,
                bias=bias,
                groups=groups,
                layer=layer + "_conv",
                **options,
            )
        if conv.normed:
            if self.either():
                x = net.add("identity", x, net.shape(x))
            epsilon = 1e-5 if self.either() else 1e-3
            gamma = not self.either()
            x = net.norm(x, layer + "_norm", epsilon, gamma)
        return self.activation(net, x, conv.activation, layer + "_activation")

    def inverted(self, net: Network, x: int, block: Inverted, layer: str) -> int:
        channels = net.shape(x)[-1]

        def dense(y: int, units: int, name: str) -> int:
            """1x1, as the authors of ConvNeXt write it or as Keras does."""
            if self.either():
                return net.dense(y, units, layer + name)
            return net.conv(y, units, 1, layer=layer + name)

        y = net.conv(x, channels, block.kernel, groups=channels, layer=layer + "_depth")
        if self.either():
            root, square = self.either(), self.either()
            y = net.written_norm(y, gamma=block.gamma, root=root, square=square)
        else:
            gamma = block.gamma
            y = net.layer_norm(y, layer + "_norm", gamma=gamma, beta=not self.either())
        y = dense(y, block.expansion * channels, "_expand")
        y = self.activation(net, y, "gelu", layer + "_gelu")
        y = dense(y, channels, "_project")
        if self.either():
            y = net.weigh(y, layer=layer + "_scale")
        if self.either():
            y = net.drop(y, 0.25)
        return net.plus(*self.shuffled([x, y]), layer=layer + "_add")

    def activation(self, net: Network, x: int, function: str, layer: str) -> int:
        match function:
            case "linear":
                return x
            case "silu" if self.either():
                return net.times(*self.shuffled([x, net.act(x, "sigmoid")]))
            case "hard_silu" if self.either():
                gate = net.act(net.shift(x, 3.0), "relu6")
                if self.either():
                    return net.scale(net.times(gate, x), 1 / 6)
                return net.times(*self.shuffled([x, net.scale(gate, 1 / 6)]))
            case "gelu" if self.either():
                gate = net.shift(net.act(net.scale(x, math.sqrt(0.5)), "erf"), 1.0)
                return net.times(net.scale(x, 0.5), gate)
        return net.act(x, function, layer)

    def _head(self, net: Network, x: int, classes: int) -> int:
        height, width, channels = net.shape(x)
        if self.either():
            if self.either():
                x = net.pool(x, (height, width), 1, "average")
            else:
                total = net.mean(x, keepdims=True, kind="sum")
                x = net.scale(total, 1 / (height * width))
            if self.either():
                x = net.conv(x, classes, 1, layer="classes")
                x = net.reshape(x, classes)
                return net.act(x, "softmax", "softmax", axis=1)
            x = net.reshape(x, channels)
        else:
            x = net.mean(x, layer="mean")
        return net.act(net.dense(x, classes, "classes"), "softmax", "softmax")
