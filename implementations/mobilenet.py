"""MobileNet.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam, "MobileNets: Efficient
Convolutional Neural Networks for Mobile Vision Applications", 2017; ROWS mirrors Table 1.

The last depthwise convolution has stride 1: the s2 of Table 1 contradicts its input sizes, the
printed 569 million multiply-adds and the authors' code (TF-Slim).  Silent in the paper, chosen
from that code: "same" padding; convolutions have no bias, the last layer
has one; batch norm's epsilon 1e-3 and momentum 0.9997; dropout 0.001.
"""

from keras import Input, Model, layers

# fmt: off
ROWS = (  # Conv dw stride  filter shape          input size
    ("dw_1",  "conv_1",  1,    64),             # 112 x 112 x 32
    ("dw_2",  "conv_2",  2,   128),             # 112 x 112 x 64
    ("dw_3",  "conv_3",  1,   128),             # 56 x 56 x 128
    ("dw_4",  "conv_4",  2,   256),             # 56 x 56 x 128
    ("dw_5",  "conv_5",  1,   256),             # 28 x 28 x 256
    ("dw_6",  "conv_6",  2,   512),             # 28 x 28 x 256
    *((f"five_{i}_dw", f"five_{i}", 1, 512) for i in range(1, 6)),  # 14 x 14 x 512
    ("dw_12", "conv_12", 2,  1024),             # 14 x 14 x 512
    ("dw_13", "conv_13", 1,  1024),             # 7 x 7 x 1024
)
WIDTH = {
    "mobilenet": 1.0,
    "mobilenet_0.75": 0.75,
    "mobilenet_0.5": 0.5,
    "mobilenet_0.25": 0.25,
    "conv_mobilenet": 1.0,     # Table 4
    "shallow_mobilenet": 1.0,  # Table 5
}
# fmt: on


def norm(x, name, activation):
    x = layers.BatchNormalization(epsilon=1e-3, momentum=0.9997, name=name + "_norm")(x)
    return layers.Activation(activation, name=name + "_" + activation)(x)


def conv(x, filters, kernel, stride, name, activation):
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, activation)


def depthwise(x, stride, name, activation):
    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=name)(x)
    return norm(x, name, activation)


def build(variant, *, input_shape=(224, 224, 3), classes=1000, activation="relu"):
    """Table 1 at a width, or a network of Section 4.1; ends in class probabilities."""
    width = WIDTH[variant]
    x = inputs = Input(input_shape)
    x = conv(x, int(32 * width), 3, 2, "conv_0", activation)
    for dw, pointwise, stride, filters in ROWS:
        filters = int(filters * width)
        if variant == "conv_mobilenet":
            x = conv(x, filters, 3, stride, pointwise, activation)
        elif variant != "shallow_mobilenet" or not dw.startswith("five"):
            x = depthwise(x, stride, dw, activation)
            x = conv(x, filters, 1, 1, pointwise, activation)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    x = layers.Dropout(0.001, name="fc_dropout")(x)
    x = layers.Dense(classes, name="fc")(x)
    x = layers.Softmax(name="softmax")(x)
    return Model(inputs, x, name=variant)
