"""SqueezeNet.

Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer, "SqueezeNet: AlexNet-level accuracy with 50x
fewer parameters and <0.5MB model size", 2016; TABLE_1 mirrors Table 1, the bypasses Figure 2.

Silent in the paper, chosen from the authors' code: no padding but for the 3x3 of the fire
modules, ReLU after conv1 and conv10 too.  Bypasses are added without an activation.  The
input is 227x227: the printed 224 does not lead to the printed 111.
"""

from keras import Input, Model, layers

# fmt: off
TABLE_1 = (  # s1x1, e1x1, e3x3
    ("fire2", 16,   64,   64),
    ("fire3", 16,   64,   64),
    ("fire4", 32,   128,  128),
    ("maxpool4",),
    ("fire5", 32,   128,  128),
    ("fire6", 48,   192,  192),
    ("fire7", 48,   192,  192),
    ("fire8", 64,   256,  256),
    ("maxpool8",),
    ("fire9", 64,   256,  256),
)
VARIANTS = {  #                 squeeze ratio, bypass
    "squeezenet":                (0.125,       None),
    "squeezenet_simple_bypass":  (0.125,       "simple"),
    "squeezenet_complex_bypass": (0.125,       "complex"),
    "squeezenet_sr_0.5":         (0.5,         None),
    "squeezenet_sr_0.75":        (0.75,        None),
}
# fmt: on


def conv(x, filters, kernel, name, stride=1, padding="valid"):
    return layers.Conv2D(filters, kernel, stride, padding, activation="relu", name=name)(x)


def fire(x, squeeze, expand_1x1, expand_3x3, name):
    """Section 3.2: 1x1 filters squeeze the channels, 1x1 and 3x3 filters expand them."""
    x = conv(x, squeeze, 1, name + "_squeeze")
    a = conv(x, expand_1x1, 1, name + "_expand_1x1")
    b = conv(x, expand_3x3, 3, name + "_expand_3x3", padding="same")
    return layers.Concatenate(name=name)([a, b])


def around(x, y, bypass, name):
    """Section 6: what entered is added where the channels agree, or behind a 1x1."""
    if x.shape[-1] != y.shape[-1]:
        if bypass != "complex":
            return y
        x = layers.Conv2D(y.shape[-1], 1, name=name + "_bypass")(x)
    return layers.Add(name=name + "_add")([x, y])


def build(variant="squeezenet", *, input_shape=(227, 227, 3), classes=1000):
    """Table 1, with the squeeze ratios of Section 5 and the bypasses of Section 6."""
    ratio, bypass = VARIANTS[variant]
    x = inputs = Input(input_shape)
    x = conv(x, 96, 7, "conv1", stride=2)
    x = layers.MaxPooling2D(3, 2, name="maxpool1")(x)
    for row, *widths in TABLE_1:
        if not widths:
            x = layers.MaxPooling2D(3, 2, name=row)(x)
            continue
        squeeze, *expand = widths
        y = fire(x, int(squeeze * ratio / 0.125), *expand, row)
        x = around(x, y, bypass, row) if bypass else y
    x = layers.Dropout(0.5, name="fire9_dropout")(x)
    x = conv(x, classes, 1, "conv10")
    x = layers.AveragePooling2D(x.shape[1:3], 1, name="avgpool10")(x)
    x = layers.Flatten(name="avgpool10_flat")(x)
    x = layers.Softmax(name="avgpool10_softmax")(x)
    return Model(inputs, x, name=variant)
