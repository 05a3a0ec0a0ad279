"""A ResNet-50 as it is often written: the README holds it against the paper."""

import keras
from keras import layers


def block(x, width, stride):
    y = layers.Conv2D(width, 1)(x)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.Conv2D(width, 3, stride, padding="same")(y)
    y = layers.ReLU()(layers.BatchNormalization()(y))
    y = layers.BatchNormalization()(layers.Conv2D(4 * width, 1)(y))
    if stride != 1 or x.shape[-1] != 4 * width:
        x = layers.BatchNormalization()(layers.Conv2D(4 * width, 1, stride)(x))
    return layers.ReLU()(layers.Add()([x, y]))


def build(input_shape=(224, 224, 3), classes=1000):
    x = inputs = keras.Input(input_shape)
    x = layers.Conv2D(64, 7, 2, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for width, repeats in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for i in range(repeats):
            x = block(x, width, 2 if i == 0 and width > 64 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
