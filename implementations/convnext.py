"""ConvNeXt.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", 2022; ROWS mirrors
Table 9, HIERARCHICAL the list in Section 3, ISOTROPIC Section 3.3.

Silent in the paper, chosen from the authors' code: epsilon of layer normalisation is 1e-6;
GELU is exact; every convolution has a bias; padding is half the kernel; layer scale comes
before stochastic depth, whose rate grows linearly from 0; isotropic networks have a stem of
16x16 patches and no normalisation after it.  The rates are those of ImageNet-1K, for
ConvNeXt-XL of ImageNet-22K (Table 5).
"""

from keras import Input, Model, initializers, layers

# fmt: off
ROWS = (  # what makes the map smaller, and the blocks on it
    ("stem", "res2"), ("res3_down", "res3"), ("res4_down", "res4"), ("res5_down", "res5"),
)
HIERARCHICAL = {  #  C                         B            stochastic depth
    "convnext_t":  ((96, 192, 384, 768),     (3, 3, 9, 3),  0.1),
    "convnext_s":  ((96, 192, 384, 768),     (3, 3, 27, 3), 0.4),
    "convnext_b":  ((128, 256, 512, 1024),   (3, 3, 27, 3), 0.5),
    "convnext_l":  ((192, 384, 768, 1536),   (3, 3, 27, 3), 0.5),
    "convnext_xl": ((256, 512, 1024, 2048),  (3, 3, 27, 3), 0.2),
}
ISOTROPIC = {  #        C    B   stochastic depth, layer scale
    "convnext_s_iso": (384,  18, 0.1, False),
    "convnext_b_iso": (768,  18, 0.2, False),
    "convnext_l_iso": (1024, 36, 0.5, True),
}
# fmt: on


class LayerScale(layers.Layer):
    """A weight for each channel, 1e-6 at first (Touvron et al. 2021)."""

    def build(self, shape):
        small = initializers.Constant(1e-6)
        self.gamma = self.add_weight(name="gamma", shape=shape[-1:], initializer=small)

    def call(self, x):
        return x * self.gamma


def norm(x, name):
    return layers.LayerNormalization(epsilon=1e-6, name=name + "_norm")(x)


def block(x, rate, scaled, name):
    """Figure 4, right: d7x7, LN, 1x1 to four times the channels, GELU, 1x1 back."""
    channels = x.shape[-1]
    y = layers.DepthwiseConv2D(7, padding="same", name=name + "_depthwise")(x)
    y = norm(y, name)
    y = layers.Conv2D(4 * channels, 1, name=name + "_expand")(y)
    y = layers.Activation("gelu", name=name + "_gelu")(y)
    y = layers.Conv2D(channels, 1, name=name + "_project")(y)
    if scaled:
        y = LayerScale(name=name + "_scale")(y)
    if rate:
        y = layers.Dropout(rate, noise_shape=(None, 1, 1, 1), name=name + "_drop")(y)
    return layers.Add(name=name + "_add")([x, y])


def build(variant, *, input_shape=None, classes=1000):
    """Table 9, with the channels and blocks of the variant; ends in class probabilities."""
    x = inputs = Input(input_shape or (224, 224, 3))
    if variant in HIERARCHICAL:
        widths, repeats, rate = HIERARCHICAL[variant]
        rows, patch, scaled = ROWS, 4, True
    else:
        width, repeat, rate, scaled = ISOTROPIC[variant]
        widths, repeats, rows, patch = (width,), (repeat,), (("stem", "blocks"),), 16
    step, last = 0, sum(repeats) - 1
    for (down, row), width, repeat in zip(rows, widths, repeats):
        if down == "stem":
            x = layers.Conv2D(width, patch, patch, name="stem")(x)
            x = norm(x, "stem") if variant in HIERARCHICAL else x
        else:
            x = layers.Conv2D(width, 2, 2, name=down)(norm(x, down))
        for i in range(1, repeat + 1):
            x = block(x, rate * step / last, scaled, f"{row}_{i}")
            step += 1
    x = norm(layers.GlobalAveragePooling2D(name="head_pool")(x), "head")
    x = layers.Softmax(name="head_softmax")(layers.Dense(classes, name="head_fc")(x))
    return Model(inputs, x, name=variant)
