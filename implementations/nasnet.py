"""NASNet-A.

Zoph, Vasudevan, Shlens, Le, "Learning Transferable Architectures for Scalable Image
Recognition", 2017; NORMAL and REDUCTION mirror Figure 4, `build` Figure 2, and NETWORKS the
names N @ F of Tables 1 to 3 (N cells in each stage, F filters in the penultimate layer).

Figure 4 concatenates a to e, and c to e; no printed F can come of that.  The authors' code
(TF-Slim) takes g to e, and b to e, which gives each of them.  Silent, chosen from there: the
filters of the first convolution, which is not padded on ImageNet; "same" padding elsewhere,
which averages leave out; how a map is halved to fit; that the first cell reads one map twice;
batch norm's epsilon 1e-3 and momentum 0.9997.  Drop path and auxiliary head only train.
"""

from keras import Input, Model, layers

# fmt: off
NORMAL = "gabcde", (  # concatenated, blocks: each adds two operations
    #      operation  window, on h: the cell before, or g: the one before that
    ("a", ("separable", 5, "h"), ("separable", 3, "g")),
    ("b", ("separable", 5, "g"), ("separable", 3, "g")),
    ("c", ("average",   3, "h"), ("identity",  1, "g")),
    ("d", ("average",   3, "g"), ("average",   3, "g")),
    ("e", ("separable", 3, "h"), ("identity",  1, "h")),
)
REDUCTION = "bcde", (
    ("a", ("separable", 5, "h"), ("separable", 7, "g")),
    ("b", ("max",       3, "h"), ("separable", 7, "g")),
    ("c", ("average",   3, "h"), ("separable", 5, "g")),
    ("d", ("average",   3, "a"), ("identity",  1, "b")),
    ("e", ("separable", 3, "a"), ("max",       3, "h")),
)
NETWORKS = {  #       N  F     filters and stride of the first convolution
    "nasnet_a_6_768":  (6, 768,  96,  1),
    "nasnet_a_7_2304": (7, 2304, 288, 1),
    "nasnet_a_4_1056": (4, 1056, 32,  2),
    "nasnet_a_5_1538": (5, 1538, 96,  2),
    "nasnet_a_7_1920": (7, 1920, 96,  2),
    "nasnet_a_6_4032": (6, 4032, 96,  2),
}
POOLS = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}
# fmt: on


def norm(x, name):
    return layers.BatchNormalization(momentum=0.9997, epsilon=1e-3, name=name + "_norm")(x)


def conv(x, filters, kernel, stride, name, layer=layers.Conv2D):
    """ReLU, convolution, batch norm (Appendix A.4)."""
    x = layers.ReLU(name=name + "_relu")(x)
    x = layer(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name)


def halved(x, filters, name):
    """Half of the filters see every other position, half those next to them, diagonally."""
    x = layers.ReLU(name=name + "_relu")(x)
    y = layers.ZeroPadding2D(((0, 1), (0, 1)), name=name + "_pad")(x)
    halves = [x, layers.Cropping2D(((1, 0), (1, 0)), name=name + "_shift")(y)]
    for i, half in enumerate(halves):
        half = layers.AveragePooling2D(1, 2, name=f"{name}_pick_{i + 1}")(half)
        halves[i] = layers.Conv2D(filters // 2, 1, use_bias=False, name=f"{name}_{i + 1}")(half)
    return norm(layers.Concatenate(name=name)(halves), name)


def fit(x, size, filters, name):
    """The 1x1 convolutions that are inserted as necessary (Appendix A.4)."""
    if x.shape[1] != size:
        return halved(x, filters, name)
    return x if x.shape[-1] == filters else conv(x, filters, 1, 1, name)


def operate(x, operation, kernel, filters, stride, name, padded=None):
    """Separable convolutions are applied twice (Appendix A.4); pools of stride 2 may be padded."""
    if operation == "separable":
        x = conv(x, filters, kernel, stride, name + "_1", layers.SeparableConv2D)
        return conv(x, filters, kernel, 1, name + "_2", layers.SeparableConv2D)
    if operation in POOLS:
        x, padding = (x, "same") if stride == 1 or padded is None else (padded, "valid")
        x = POOLS[operation](kernel, stride, padding=padding, name=name)(x)
    return fit(x, x.shape[1], filters, name + "_fit")


def cell(g, h, kind, filters, name, stride=1, pad_pools=False):
    """Figure 4: blocks of what left the two cells before, and of earlier blocks."""
    leaving, blocks = kind
    g = h if g is h else fit(g, h.shape[1], filters, name + "_g")
    states, padded = {"g": g, "h": conv(h, filters, 1, 1, name + "_h")}, None
    if pad_pools:  # all pools of stride 2 are on h
        edge = (h.shape[1] % 2, 1)
        padded = layers.ZeroPadding2D((edge, edge), name=name + "_pad")(states["h"])
    for block, *pair in blocks:
        sides = []
        for side, (operation, kernel, state) in zip(("left", "right"), pair):
            place, s = f"{name}_{block}_{side}", stride if state in "gh" else 1
            sides.append(operate(states[state], operation, kernel, filters, s, place, padded))
        states[block] = layers.Add(name=f"{name}_{block}")(sides)
    parts = [fit(states[s], sides[0].shape[1], filters, f"{name}_{s}_fit") for s in leaving]
    return layers.Concatenate(name=name)(parts)


def build(variant, *, input_shape=(224, 224, 3), classes=1000, pad_pools=False, skip_reduced=False):
    """Figure 2; ends in class probabilities."""
    repeats, penultimate, first, stride = NETWORKS[variant]
    filters, padding = penultimate // 24, "same" if stride == 1 else "valid"
    inputs = Input(input_shape)
    x = layers.Conv2D(first, 3, stride, padding=padding, use_bias=False, name="conv")(inputs)
    g = h = norm(x, "conv")
    for i in (1, 2) if stride == 2 else ():
        g, h = h, cell(g, h, REDUCTION, filters * i // 4, f"reduction_0_{i}", 2, pad_pools)
    for stage in (1, 2, 3):
        for i in range(1, repeats + 1):
            g, h = h, cell(g, h, NORMAL, filters, f"normal_{stage}_{i}")
        if stage < 3:
            filters *= 2
            reduced = cell(g, h, REDUCTION, filters, f"reduction_{stage}", 2, pad_pools)
            g, h = g if skip_reduced else h, reduced
    x = layers.ReLU(name="softmax_relu")(h)
    x = layers.GlobalAveragePooling2D(name="softmax_pool")(x)
    x = layers.Dropout(0.5, name="softmax_dropout")(x)
    x = layers.Dense(classes, name="softmax_fc")(x)
    return Model(inputs, layers.Softmax(name="softmax")(x), name=variant)
