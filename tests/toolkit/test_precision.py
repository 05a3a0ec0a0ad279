"""Float64 is float64 on every backend, and what is not is found out."""

from contextlib import suppress

import keras
import numpy as np
import pytest
from keras import layers

from reference_checks import equivalence, precision


def network():
    """The two layers whose result Keras demotes off TensorFlow, and a dense one."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.BatchNormalization(name="n")(layers.Conv2D(4, 3, name="c")(x))
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


def run():
    subject = equivalence.subject(network)
    subject.assign(equivalence.random_values(subject.graph, 1))
    return subject.run(equivalence.inputs((16, 16, 3), 1))[0]


def test_counterfeit_float64_is_detected():
    """Values that float32 can all hold were computed in it."""
    true = np.random.default_rng(0).standard_normal(10)
    assert not precision.counterfeit(true)
    assert precision.counterfeit(true.astype(np.float32).astype(np.float64))
    assert precision.counterfeit(true.astype(np.float32))


def test_float64_is_true():
    """On the backend that the tests run on, whichever it is."""
    output = run()
    assert np.float64 == output.dtype
    assert not precision.counterfeit(output)


@pytest.mark.skipif(
    keras.config.backend() == "tensorflow", reason="TensorFlow has float64 by itself"
)
def test_what_keras_demotes_is_counterfeit(monkeypatch):
    """The planted error of the test above: Keras' table as it comes."""
    from keras.src.backend.common import dtypes

    run()
    monkeypatch.setattr(precision, "_mend", lambda: None)
    monkeypatch.setitem(getattr(dtypes, precision.TABLE), "float64", "float32")
    assert precision.counterfeit(run())


def test_the_precision_is_put_back():
    """Even after an error."""
    before = keras.config.floatx(), keras.config.dtype_policy().name
    with suppress(ZeroDivisionError), precision.floatx("float64"):
        assert "float64" == keras.config.floatx()
        raise ZeroDivisionError
    assert before == (keras.config.floatx(), keras.config.dtype_policy().name)
