"""The layer-table notation reads what papers print and tells rows apart."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference_checks.notation import (
    ACTIVATIONS,
    Block,
    Branches,
    NotationError,
    Path,
    Residual,
    Step,
    Sum,
    Wiring,
    difference,
    flat,
    leaving,
    parse,
    render,
    size,
)

BOTTLENECK = {
    "bottleneck": "1x1, t*k, relu6; 3x3 depthwise, stride s, relu6; 1x1, c, linear"
}


def conv(kernel: int, units: int, stride: int | None = None) -> Step:
    return Step("conv", (kernel, kernel), units, stride)


A, B, C = conv(1, 64), conv(3, 64), conv(1, 256)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7x7, 64, stride 2", Step("conv", (7, 7), 64, stride=2)),
        ("1x7, 64", Step("conv", (1, 7), 64)),
        ("7×7, 64", Step("conv", (7, 7), 64)),
        (
            "5x5, 256, ReLU, groups 2",
            Step("conv", (5, 5), 256, groups=2, activation="relu"),
        ),
        ("3x3 depthwise, stride 2", Step("depthwise", (3, 3), stride=2)),
        (
            "3x3 depthwise, hard-swish",
            Step("depthwise", (3, 3), activation="hard-swish"),
        ),
        ("3x3 max pool, stride 2", Step("max pool", (3, 3), stride=2)),
        ("3x3 average pool, stride 2", Step("average pool", (3, 3), stride=2)),
        ("average pool", Step("average pool")),
        ("1000-d fc", Step("dense", units=1000)),
        ("84-d fc, tanh", Step("dense", units=84, activation="tanh")),
        ("10-d rbf", Step("rbf", units=10)),
        (
            "2x2 sub-sampling, stride 2, tanh",
            Step("sub-sampling", (2, 2), stride=2, activation="tanh"),
        ),
        ("maps 0 1 2", Step("maps", maps=(0, 1, 2))),
        ("LRN", Step("lrn")),
        ("softmax", Step("softmax")),
        ("squeeze-excite", Step("squeeze-excite")),
        ("squeeze-excite 16", Step("squeeze-excite", squeeze=16)),
    ],
)
def test_a_step_is_read_and_written(text, expected) -> None:
    """Each kind of step, with its options in any order and in the papers' capitals."""
    assert (expected,) == parse(text)
    assert (expected,) == parse(render([expected], activations=True))


@pytest.mark.parametrize(
    ("vgg", "ours"),
    [
        ("conv3-64", "3x3, 64"),
        ("conv1-512", "1x1, 512"),
        ("maxpool", "2x2 max pool, stride 2"),
        ("FC-4096", "4096-d fc"),
        ("soft-max", "softmax"),
    ],
)
def test_vgg_spelling_is_read(vgg, ours) -> None:
    """VGG's Table 1 can be copied as it stands."""
    assert parse(ours) == parse(vgg)


def test_sequences_blocks_and_branches() -> None:
    """ResNet's brackets and GoogLeNet's branches."""
    assert (Block((A, B, C), 3),) == parse("[1x1, 64; 3x3, 64; 1x1, 256] x3")
    assert (Block((B, B), 4, 2),) == parse("[3x3, 64; 3x3, 64] x4, stride 2")
    assert (Block((B,), 1),) == parse("[3x3, 64]")
    assert (Branches(((A,), (A, B))), C) == parse(
        "{1x1, 64 | 1x1, 64; 3x3, 64}; 1x1, 256"
    )


def test_identity_is_nothing_at_all() -> None:
    """As a cell of its own; between steps it is a misspelt one."""
    assert () == parse(" identity ")
    with pytest.raises(NotationError):
        parse("identity; softmax")


def test_a_wiring_is_named_sums() -> None:
    """NASNet's Figure 4: blocks of what enters, of a tensor from before, and of blocks."""
    one = Sum("a", (Path("h", (A, B)), Path("g")))
    two = Sum("b", (Path("a", (B,)), Path("h")))
    text = "(a = h; 1x1, 64; 3x3, 64 + g | b = a; 3x3, 64 + h) {g | a | b}; 1x1, 256"
    assert (Wiring((one, two), ("g", "a", "b")), C) == parse(text)
    assert text == render(parse(text))


def test_symbols_stand_for_integers() -> None:
    """Filters, kernels, strides, repeats and products of them; k is what enters."""
    symbols = {"n": 2, "f": 3, "c": 8}
    assert parse("[3x3, 16] x2") == parse("[fxf, 2*c] xn", symbols=symbols)
    assert parse("3x3, 12; 1x1, 12") == parse("3x3, 4*k; 1x1, k*4", channels=3)
    assert parse("8-d fc") == parse("c-d fc", symbols=symbols)
    assert parse("8-d fc") == parse("k-d fc", channels=8)
    assert parse("squeeze-excite 4") == parse("squeeze-excite r_1", symbols={"r_1": 4})


def test_mobilenet_v2_row_expands_by_the_rules_of_its_caption() -> None:
    """The stride belongs to the first repetition, and k follows the channels."""
    symbols = {"t": 6, "c": 24, "n": 3, "s": 2}
    items = parse("[bottleneck] xn", symbols=symbols, modules=BOTTLENECK, channels=16)
    first = parse("1x1, 96, relu6; 3x3 depthwise, stride 2, relu6; 1x1, 24, linear")
    other = parse("1x1, 144, relu6; 3x3 depthwise, stride 1, relu6; 1x1, 24, linear")
    assert (Block(first, 1), Block(other, 2)) == items
    assert 24 == leaving(items, 16)


def test_a_stride_in_digits_holds_in_every_repetition() -> None:
    """Only a symbol's stride is the first repetition's."""
    assert (2, 2) == tuple(s.stride for s in flat(parse("[3x3, 8, stride 2] x2")))
    items = parse("[3x3, 8, stride s] x2", symbols={"s": 2})
    assert (2, 1) == tuple(s.stride for s in flat(items))
    kept = parse("[3x3, k, stride s] x3", symbols={"s": 2}, channels=8)
    assert (2, 1, 1) == tuple(s.stride for s in flat(kept))


def test_k_is_what_enters_each_repetition() -> None:
    """Also after what leaves the channels as they are."""
    assert (4, 8, 16) == tuple(
        s.units for s in flat(parse("[1x1, 2*k] x3", channels=2))
    )
    assert parse("LRN; [1x1, 6]") == parse("LRN; [1x1, k]", channels=6)
    for text in ("{1x1, 8 | [1x1, %s]}", "(a = h; 1x1, 8 | b = h; [1x1, %s] + a) {b}"):
        assert parse(text % 6) == parse(text % "k", channels=6)


def test_groups_are_those_of_every_repetition() -> None:
    """Unlike a stride, which a symbol gives to the first alone."""
    items = parse("[3x3, 8, groups c] x2", symbols={"c": 4})
    assert (4, 4) == tuple(s.groups for s in flat(items))


def test_channels_are_tracked_through_everything() -> None:
    """Branches add up, maps select, pooling and depthwise convolutions keep."""
    inception = "{1x1, 64 | 1x1, 96; 3x3, 128 | 3x3 max pool; 1x1, 32 | 3x3 max pool}"
    assert 64 + 128 + 32 + 192 == leaving(parse(inception), 192)
    assert None is leaving(parse(inception), None)
    assert 2 == leaving(parse("maps 0 4; 3x3 depthwise"), 6)
    assert None is leaving(parse("3x3 conv"), 6)
    assert 64 == leaving([residual(A)], 6)
    assert 6 == leaving([residual(Step("max pool", (3, 3)))], 6)
    # Concatenating what enters with 32 more, three times over (DenseNet).
    assert 64 + 3 * 32 == leaving(parse("[{3x3, 32 | 1x1 max pool}] x3"), 64)
    # g is made to fit h.
    cell = "(a = h; 1x1, 7 + g; 1x1, 7 | b = a; 3x3 depthwise + a) {g | a | b}"
    assert 5 + 7 + 7 == leaving(parse(cell), 5)
    assert None is leaving(parse(cell), None)
    # k in a branch is still what entered the block.
    assert parse("{1x1, 8; 3x3, 6 | 1x1, 6}") == parse(
        "{1x1, 8; 3x3, k | 1x1, k}", channels=6
    )


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("3x3 depthwse", 4, "unknown word 'depthwse'; did you mean depthwise"),
        ("1x1, 8; botlneck", 8, "unknown word 'botlneck'; did you mean bottleneck"),
        ("3x3, 64, strid 2", 9, "unknown option 'strid'; did you mean stride"),
        ("3x3, 64, rleu", 9, "unknown option 'rleu'; did you mean relu"),
        ("3x3, tt*8", 5, "'tt' is no number and no symbol; did you mean t"),
        ("3x3, 64, group 2", 9, "unknown option 'group'; did you mean groups"),
        ("3xq, 64", 0, "unknown word '3xq'"),
        ("qx3, 64", 0, "unknown word 'qx3'"),
        ("3x3 q", 4, "unknown word 'q'"),
        ("3x3, ", 4, "expected a number, found the end"),
        ("[[3x3, 8] x2, stride 2; 1x1, 8], stride 2", 31, "the stride is said twice;"),
        ("kx3, 64", 0, "k is not known here;"),
        ("3x3, k", 5, "k is not known here; print the row's input with its channels"),
        ("[3x3, 64", 8, "expected ']', found the end"),
        ("{1x1, 64 | }", 11, "expected a step, found '}'"),
        ("", 0, "expected a step, found the end"),
        ("(a = h + b) {a}", 9, "'b' names no tensor; known: g, h"),
        ("(a = h | b = aa) {b}", 13, "'aa' names no tensor; did you mean a?"),
        ("(a = h | a = g) {a}", 9, "'a' cannot be a new name"),
        ("(h = g) {h}", 1, "'h' cannot be a new name"),
        ("(a = h) {a | b}", 13, "'b' names no tensor"),
        ("(a = h; 3x3, 8)", 15, "expected '{', found the end"),
        ("(a = h; 3x3, 8 {a}", 15, "expected ')', found '{'"),
        ("(a) {a}", 2, "expected '=', found ')'"),
        ("3x3, 64;", 8, "expected a step, found the end"),
        ("64", 2, "expected '-d', found the end"),
        ("64-d cf", 5, "expected 'fc' or 'rbf', found 'cf'"),
        ("average 3x3", 8, "expected 'pool', found '3x3'"),
        ("LRN, relu", 3, "expected ';' or the end, found ','"),
        ("3x3, 64 ! 3", 8, "unexpected '!'"),
        ("3x3 max pool, relu", 14, "'relu' does not go with max pool"),
        ("3x3, 64, stride 2, stride 2", 19, "the stride is said twice"),
        ("[3x3, 64, stride 2], stride 2", 19, "the stride is said twice; leave it out"),
        ("3x3, 0", 5, "not between 1 and 1,000,000"),
        ("0x3, 1", 0, "not between 1 and 1,000,000"),
        ("3x3, 1000*1001", 5, "not between 1 and 1,000,000"),
        ("3x3, 9" + "9" * 5000, 5, "not between 1 and 1,000,000"),
        ("[3x3, 64] x10001", 10, "more than 10,000 steps"),
        ("[[3x3, 64] x101] x100", 17, "more than 10,000 steps"),
        ("[" * 17 + "1x1, 1" + "]" * 17, 16, "nested more than 16 deep"),
        ("[LRN]; " * 9 + "[" * 17 + "LRN" + "]" * 17, 79, "nested more than 16 deep"),
        ("1x1, 8; loop", 8, "in module 'loop', column 1: nested more than 16 deep"),
        ("wrong", 0, "in module 'wrong', column 6: 'q' is no number and no symbol"),
        ("bomb", 0, "in module 'bomb9', column 2: more than 10,000 steps"),
    ],
)  # fmt: skip
def test_errors_say_where_and_what_to_do(text, column, message) -> None:
    """The column is that of the offending word; the nearest known word is named."""
    bombs = {f"bomb{n}": f"bomb{n + 1}; bomb{n + 1}" for n in range(9)}
    modules = {
        **BOTTLENECK, "loop": "loop; loop", "wrong": "3x3, q", **bombs,
        "bomb": "bomb0; bomb0", "bomb9": "[3x3, 8] x100",
    }  # fmt: skip
    with pytest.raises(NotationError) as caught:
        parse(text, modules=modules, symbols={"t": 6})
    assert column == caught.value.column
    assert caught.value.message.startswith(message)


def test_limits_are_allowed() -> None:
    """The largest number, and so many brackets within each other."""
    assert (10**6, 10**6) == parse("1000000x1000000, 1")[0].kernel
    assert parse("[" * 16 + "LRN" + "]" * 16)


def test_k_cannot_be_redefined() -> None:
    """A symbol called k would silently change what modules mean."""
    with pytest.raises(NotationError, match=r"^k is reserved .*; rename the symbol$"):
        parse("3x3, k", symbols={"k": 3})


@settings(deadline=None)
@given(st.text("[]{}()|;,*-=+xkd0123 poolmaxstridefcgh", max_size=40))
def test_any_text_parses_or_is_refused(text) -> None:
    """Nothing but NotationError, with a column inside the text."""
    column = 0
    try:
        parse(text, channels=3)
    except NotationError as error:
        column = error.column
    assert 0 <= column <= len(text)


def test_sizes() -> None:
    """Height and width, perhaps channels, and nothing else."""
    assert (112, 112) == size("112x112")
    assert (224, 224, 3) == size("224x224x3")
    for text in ("112", "112x", "112×112", "1x2x3x4", "-1x2", "x", "1234567x1"):
        with pytest.raises(NotationError, match="is no size; write '112x112'"):
            size(text)


# Round trip


def sequences(items):
    return st.lists(items, min_size=1, max_size=4).map(tuple)


numbers = st.integers(1, 1000)
kernels = st.tuples(st.integers(1, 11), st.integers(1, 11))
# A convolution's stride 1 is left out in writing; a pool's is not.
strides = st.none() | st.integers(2, 4)
words = st.none() | st.sampled_from(ACTIVATIONS)
steps = st.one_of(
    st.builds(
        Step, st.just("conv"), kernels, numbers, strides,
        st.none() | st.integers(2, 8), words,
    ),
    st.builds(Step, st.just("depthwise"), kernels, stride=strides, activation=words),
    st.builds(
        Step, st.sampled_from(["max pool", "average pool"]), kernels,
        stride=st.none() | st.integers(1, 3),
    ),
    st.builds(Step, st.just("sub-sampling"), kernels, stride=strides, activation=words),
    st.builds(Step, st.just("dense"), units=numbers, activation=words),
    st.builds(Step, st.just("rbf"), units=numbers),
    st.builds(Step, st.just("maps"), maps=sequences(st.integers(0, 99))),
    st.sampled_from([Step("lrn"), Step("softmax"), Step("average pool")]),
)  # fmt: skip


@st.composite
def wirings(draw, items) -> Wiring:
    """Sums of paths from h, g and the sums before."""
    known, sums = ["h", "g"], []
    for name in draw(st.sampled_from(["a", "ab", "abc"])):
        first, *sources = draw(st.lists(st.sampled_from(known), min_size=1, max_size=3))
        paths = [Path(first, draw(sequences(items)))]
        paths += [Path(s, draw(st.just(()) | sequences(items))) for s in sources]
        sums.append(Sum(name, tuple(paths)))
        known.append(name)
    # Every sum is needed.
    read = {path.source for total in sums for path in total.paths}
    ends = tuple(total.name for total in sums if total.name not in read)
    return Wiring(tuple(sums), draw(st.sampled_from([ends, ("g", *ends)])))


rows = sequences(
    st.recursive(
        steps,
        lambda items: st.one_of(
            st.builds(Block, sequences(items), st.integers(1, 3)),
            st.builds(Branches, sequences(sequences(items))),
            wirings(items),
        ),
        max_leaves=12,
    )
)  # fmt: skip


@settings(deadline=None)
@given(rows)
def test_what_is_written_is_read_back(items) -> None:
    """Reading is the inverse of writing, up to how repetitions are put in brackets."""
    again = parse(render(items, activations=True))
    assert flat(items) == flat(again)
    assert leaving(items, 5) == leaving(again, 5)
    assert render(items, activations=True) == render(again, activations=True)


@settings(deadline=None)
@given(rows)
def test_a_row_agrees_with_itself(items) -> None:
    """No row differs from itself, written or not."""
    assert None is difference(items, items)
    assert None is difference(parse(render(items)), items)


@settings(deadline=None)
@given(rows, st.data())
def test_a_change_anywhere_is_a_difference(items, data) -> None:
    """One more filter, one more step or one less is found, wherever it is planted."""
    measured = list(flat(items))
    printed = tuple(measured)
    at = data.draw(st.integers(0, len(measured) - 1))
    kind = Step("lrn") if measured[at].kind != "lrn" else A
    for wrong in (
        [*measured[:at], kind, *measured[at + 1 :]],
        [*measured, A],
        [*measured[:at], A, A, *measured[at:]],
    ):
        assert difference(printed, wrong) is not None
    if measured[at].units:
        more = replace(measured[at], units=measured[at].units + 1)
        wrong = [*measured[:at], more, *measured[at + 1 :]]
        number = (
            at
            + 1
            - (
                0
                if Step("softmax") in printed
                else measured[:at].count(Step("softmax"))
            )
        )
        assert difference(printed, wrong).startswith(f"step {number}: printed ")


# What is measured


def residual(*main: Step, shortcut: tuple[Step, ...] = ()) -> Residual:
    return Residual(main, shortcut)


PROJECTION = (conv(1, 256, 2),)
FIRST = residual(conv(1, 64, 2), conv(3, 64, 1), conv(1, 256, 1), shortcut=PROJECTION)
OTHER = residual(conv(1, 64, 1), conv(3, 64, 1), conv(1, 256, 1))
PRINTED = parse("[1x1, 64; 3x3, 64; 1x1, 256] x3, stride 2")


def test_additions_are_written_as_layer_tables_do() -> None:
    """A stage reads like the printed cell; what does not fit it is shown."""
    text = "[1x1, 64; 3x3, 64; 1x1, 256]"
    assert f"{text} x3, stride 2" == render([FIRST, OTHER, OTHER])
    plain = replace(OTHER, shortcut=(C,))
    assert f"{text} x3" == render([plain, OTHER, OTHER])
    assert "[1x1, 64; 3x3, 64; 1x1, 256 + (1x1, 256)] x2" == render([plain, plain])
    alone = "[1x1, 64, stride 2; 3x3, 64; 1x1, 256 + (1x1, 256, stride 2)]"
    assert alone == render([FIRST])
    assert f"{alone} x2; {text}" == render([FIRST, FIRST, OTHER])
    # Two strides in a row are not one of the whole.
    twice = [residual(conv(3, 64, 2), conv(3, 64, 2)), residual(B, B)]
    strided = "[3x3, 64, stride 2; 3x3, 64, stride 2]"
    assert f"{strided}; [3x3, 64; 3x3, 64]" == render(twice)
    beside = residual(Branches(((replace(B, stride=2),), (B,))))
    plain = residual(Branches(((B,), (B,))))
    assert f"{render([beside])}; {render([plain])}" == render([beside, plain])
    assert "[3x3, 64] x3" == render([Block((B,)), Block((B,), 2)])
    # Nor is one repetition two.
    more = [residual(Block((replace(B, stride=2),))), residual(Block((B,), 2))]
    assert "[[3x3, 64, stride 2]]; [[3x3, 64] x2]" == render(more)


def test_a_stage_is_written_with_its_activations() -> None:
    """Where they are asked for."""
    step = replace(C, activation="relu")
    first = residual(replace(step, stride=2))
    text = render([first, residual(step)], activations=True)
    assert "[1x1, 256, relu] x2, stride 2" == text
    assert "[1x1, 256, relu]" == render([residual(step)], activations=True)


@pytest.mark.parametrize(
    "around",
    [
        lambda step: Block((step,)),
        lambda step: Branches(((step,), (step,))),
        lambda step: residual(step, shortcut=(step,)),
        lambda step: Wiring(
            (
                Sum(
                    "a",
                    (Path("h", (step,)), Path("g")),
                ),
            ),
            ("a",),
        ),
    ],
)
def test_additions_that_differ_in_the_stride_of_a_part_are_one_stage(around) -> None:
    """However deep in them the strided step is; what else differs is not hidden by it."""
    first, other, wrong = (residual(around(s)) for s in (replace(B, stride=2), B, A))
    assert f"{render([other])} x2, stride 2" == render([first, other])
    assert f"{render([first])}; {render([wrong])}" == render([first, wrong])


def test_the_stride_of_a_repeated_addition_is_said_of_the_whole() -> None:
    """One of its steps has it, in the first repetition."""
    printed = [Block((residual(A, B),), 2, 2)]
    measured = [residual(replace(A, stride=2), B), residual(A, B)]
    assert None is difference(printed, measured)
    assert difference(printed, [residual(A, B)] * 2) is not None


def test_a_stage_agrees_wherever_its_stride_is() -> None:
    """The table does not say which convolution has it, so that either is right."""
    later = residual(A, conv(3, 64, 2), C, shortcut=PROJECTION)
    for first in (FIRST, later):
        assert None is difference(PRINTED, [first, OTHER, OTHER], PROJECTION)


def test_a_row_may_have_a_shortcut_in_every_block() -> None:
    """ResNet's option C: all shortcuts are projections, the first with the stride."""
    stage = [FIRST, replace(OTHER, shortcut=(C,)), replace(OTHER, shortcut=(C,))]
    assert None is difference(PRINTED, stage, parse("[1x1, 256] x3, stride 2"))
    assert "shortcut, step 3: nothing printed, measured 1x1, 256" == difference(
        PRINTED, stage, parse("[1x1, 256] x2, stride 2")
    )


@pytest.mark.parametrize(
    ("measured", "shortcut", "expected"),
    [
        (  # the stride on two convolutions
            [residual(conv(1, 64, 2), conv(3, 64, 2), C), OTHER, OTHER], (),
            "steps 1 to 3: printed stride 2 once, measured"
            " 1x1, 64, stride 2; 3x3, 64, stride 2; 1x1, 256",
        ),
        (  # no stride at all
            [OTHER, OTHER, OTHER], (),
            "steps 1 to 3: printed stride 2 once, measured 1x1, 64; 3x3, 64; 1x1, 256",
        ),
        (  # the stride in the second block
            [FIRST, replace(FIRST, shortcut=()), OTHER], PROJECTION,
            "steps 4 to 6: printed no stride, measured"
            " 1x1, 64, stride 2; 3x3, 64; 1x1, 256",
        ),
        ([FIRST, OTHER], PROJECTION, "step 7: printed 1x1, 64, nothing measured"),
        (
            [FIRST, OTHER, OTHER, OTHER], PROJECTION,
            "step 10: nothing printed, measured 1x1, 64",
        ),
        (
            [FIRST, OTHER, OTHER], (),
            "shortcut, step 1: nothing printed, measured 1x1, 256, stride 2",
        ),
        (
            [replace(FIRST, shortcut=()), OTHER, OTHER], PROJECTION,
            "shortcut, step 1: printed 1x1, 256, stride 2, nothing measured",
        ),
        (
            [FIRST, OTHER, replace(OTHER, shortcut=(C,))], PROJECTION,
            "shortcut, step 2: nothing printed, measured 1x1, 256",
        ),
        (  # the projection in another block than the first
            [
                residual(A, conv(3, 64, 2), C),
                replace(OTHER, shortcut=PROJECTION), OTHER,
            ],
            PROJECTION,
            "shortcut: printed for the first additions, measured for [2]",
        ),
        (
            [*FIRST.main, *OTHER.main, *OTHER.main], PROJECTION,
            "shortcut, step 1: printed 1x1, 256, stride 2, nothing measured",
        ),
    ],
)  # fmt: skip
def test_planted_errors_in_a_stage_are_named(measured, shortcut, expected) -> None:
    """One line says where the row differs first."""
    assert expected == difference(PRINTED, measured, shortcut)


@pytest.mark.parametrize(
    ("printed", "measured", "expected"),
    [
        ("3x3, 64", "3x3, 65", "step 1: printed 3x3, 64, measured 3x3, 65"),
        ("3x3, 64", "5x5, 64", "step 1: printed 3x3, 64, measured 5x5, 64"),
        ("1x7, 64", "7x1, 64", "step 1: printed 1x7, 64, measured 7x1, 64"),
        (
            "3x3, 64", "3x3, 64, stride 2",
            "step 1: printed 3x3, 64, measured 3x3, 64, stride 2",
        ),
        ("3x3, 64, stride 1", "3x3, 64", None),
        ("3x3, 64", "3x3, 64, groups 2, relu", None),
        (
            "3x3, 64, groups 2", "3x3, 64",
            "step 1: printed 3x3, 64, groups 2, measured 3x3, 64",
        ),
        (
            "3x3, 64, relu", "3x3, 64, relu6",
            "step 1: printed 3x3, 64, relu, measured 3x3, 64, relu6",
        ),
        ("3x3, 64, linear", "3x3, 64", None),
        ("3x3 max pool", "3x3 max pool, stride 2", None),
        (
            "3x3 max pool, stride 1", "3x3 max pool, stride 2",
            "step 1: printed 3x3 max pool, stride 1, measured 3x3 max pool, stride 2",
        ),
        (
            "3x3 max pool", "3x3 average pool",
            "step 1: printed 3x3 max pool, measured 3x3 average pool",
        ),
        ("8-d fc", "8-d fc; softmax", None),
        ("8-d fc; softmax", "8-d fc", "step 2: printed softmax, nothing measured"),
        ("3x3, 8; LRN", "3x3, 8", "step 2: printed LRN, nothing measured"),
        ("3x3, 8", "3x3, 8; LRN", "step 2: nothing printed, measured LRN"),
        ("maps 0 1", "maps 0 2", "step 1: printed maps 0 1, measured maps 0 2"),
        (
            "1x1, 8; {1x1, 4 | 1x1, 8; 3x3, 6}", "1x1, 8; {1x1, 4 | 1x1, 8; 3x3, 7}",
            "step 2, branch 2, step 2: printed 3x3, 6, measured 3x3, 7",
        ),
        (
            "{1x1, 4 | 3x3, 6}", "{3x3, 6 | 1x1, 4}",
            "step 1, branch 1, step 1: printed 1x1, 4, measured 3x3, 6",
        ),
        (
            "{1x1, 4 | 3x3, 6}", "{1x1, 4 | 3x3, 6 | 1x1, 4}",
            "step 1: printed 2 branches, measured 3",
        ),
        (
            "{1x1, 4 | 3x3, 6}", "1x1, 4",
            "step 1: printed {1x1, 4 | 3x3, 6}, measured 1x1, 4",
        ),
        # A strided block of branches has its stride once on each path.
        (
            "[{3x3, 4 | 1x1, 2; 3x3, 2}], stride 2",
            "{3x3, 4, stride 2 | 1x1, 2; 3x3, 2, stride 2}", None,
        ),
        (
            "[{3x3, 4 | 1x1, 2; 3x3, 2}], stride 2",
            "{3x3, 4, stride 2 | 1x1, 2; 3x3, 2}",
            "steps 1 to 1: printed stride 2 once, measured"
            " {3x3, 4, stride 2 | 1x1, 2; 3x3, 2}",
        ),
    ],
)  # fmt: skip
def test_only_what_is_said_is_compared(printed, measured, expected) -> None:
    """Silence agrees with anything, except about strides."""
    assert expected == difference(parse(printed), parse(measured))


CELL = "(a = h; 3x3, 8 + g; 5x5, 8 | b = a; 1x1, 8 + h; 3x3 max pool) {g | a | b}"


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (CELL, None),
        (  # other names, another order of adding
            "(x = g; 5x5, 8 + h; 3x3, 8 | y = h; 3x3 max pool, stride 2 + x; 1x1, 8)"
            " {g | x | y}", None,
        ),
        (  # another kernel
            CELL.replace("5x5", "3x3"),
            "step 1: printed a = h; 3x3, 8 + g; 5x5, 8, measured a = h; 3x3, 8 + g; 3x3, 8",
        ),
        (  # what enters for what was before
            CELL.replace("g; 5x5", "h; 5x5"),
            "step 1: printed a = h; 3x3, 8 + g; 5x5, 8, measured a = h; 3x3, 8 + h; 5x5, 8",
        ),
        (  # the two swapped
            CELL.replace("h; 3x3, 8 + g", "g; 3x3, 8 + h"),
            "step 1: printed a = h; 3x3, 8 + g; 5x5, 8, measured a = g; 3x3, 8 + h; 5x5, 8",
        ),
        (  # a block reads something else
            CELL.replace("b = a", "b = g"),
            "step 1: printed b = a; 1x1, 8 + h; 3x3 max pool,"
            " measured b = g; 1x1, 8 + h; 3x3 max pool",
        ),
        (  # a path more
            CELL.replace("b = a", "b = g + a"),
            "step 1: printed b = a; 1x1, 8 + h; 3x3 max pool,"
            " measured b = g + a; 1x1, 8 + h; 3x3 max pool",
        ),
        (  # not all of them concatenated
            CELL.replace("{g | a", "{a"),
            "step 1: printed 3 tensors concatenated (g, a, b), measured 2 (a, b)",
        ),
        (  # in another order
            CELL.replace("{g | a", "{a | g"),
            "step 1: printed g, measured a = h; 3x3, 8 + g; 5x5, 8",
        ),
        (  # not one block, read twice, but two alike
            "(a = h; 3x3, 8 + g; 5x5, 8 | c = h; 3x3, 8 + g; 5x5, 8"
            " | b = c; 1x1, 8 + h; 3x3 max pool) {g | a | b}",
            "step 1: printed b = a; 1x1, 8 + h; 3x3 max pool,"
            " measured b = c; 1x1, 8 + h; 3x3 max pool",
        ),
        ("3x3, 8", f"step 1: printed {CELL}, measured 3x3, 8"),
    ],
)  # fmt: skip
def test_wirings_agree_whatever_the_names(measured, expected) -> None:
    """Each sum adds the same paths, in any order; what is concatenated is in order."""
    assert expected == difference(parse(CELL), parse(measured))


def test_a_difference_is_told_where_it_is() -> None:
    """Not where it shows first: e reads a, and a is wrong."""
    printed = "(a = h; 5x5, 8 + g | e = a; 3x3, 8 + h) {e}"
    assert (
        "step 1: printed a = h; 5x5, 8 + g, measured a = h; 3x3, 8 + g"
        == difference(parse(printed), parse(printed.replace("5x5", "3x3")))
    )


def test_a_difference_beyond_what_enters_is_told_where_it_is() -> None:
    """The sum that differs, and not the one that reads it beside what enters."""
    cell = "(a = g; %s | b = h; 1x1, 8 + a; 1x1, 8) {b}"
    found = difference(parse(cell % "3x3, 8"), parse(cell % "5x5, 8"))
    assert "step 1: printed a = g; 3x3, 8, measured a = g; 5x5, 8" == found


def test_what_enters_in_place_of_a_sum_is_a_difference() -> None:
    """A block left out: what it read is concatenated instead."""
    printed = parse("(a = h; 3x3, 8 + g; 5x5, 8) {g | a}")
    expected = "step 1: printed {}, measured {}"
    block = "a = h; 3x3, 8 + g; 5x5, 8"
    measured = parse(f"({block}) {{a | g}}")
    assert expected.format("g", block) == difference(printed, measured)
    assert expected.format(block, "g") == difference(measured, printed)


def test_a_sum_that_nothing_needs_is_a_difference() -> None:
    """All that is printed is measured."""
    printed = parse("(a = h; 3x3, 8 + g | b = h; 5x5, 8 + g) {a}")
    found = difference(printed, parse("(a = h; 3x3, 8 + g) {a}"))
    assert "step 1: printed 2 sums, measured 1" == found


def test_the_strides_of_a_wiring_are_those_of_its_ways() -> None:
    """A Reduction Cell halves the map once on each way from what enters."""
    cell = "[(a = h; 3x3, 8 + g; 5x5, 8 | b = a; 1x1, 8 + h; 3x3, 8) {b}], stride 2"
    once = (
        "(a = h; 3x3, 8, stride 2 + g; 5x5, 8, stride 2"
        " | b = a; 1x1, 8 + h; 3x3, 8, stride 2) {b}"
    )
    assert None is difference(parse(cell), parse(once))
    twice = once.replace("1x1, 8", "1x1, 8, stride 2")
    assert difference(parse(cell), parse(twice)).startswith(
        "steps 1 to 1: printed stride 2 once, measured (a = h; 3x3, 8, stride 2"
    )


def test_a_quotient_rounds_down() -> None:
    """Section 3 of the DenseNet paper: the floor of theta m."""
    assert parse("1x1, 3") == parse("1x1, k/2", channels=7)
    with pytest.raises(NotationError):
        parse("1x1, k/0", channels=7)


def test_a_convolution_may_leave_its_filters_out() -> None:
    """Figures that print kernels alone; any number of filters agrees, no other kernel."""
    measured = parse("3x3, 64")
    assert difference(parse("3x3 conv"), measured) is None
    assert difference(parse("5x5 conv"), measured) is not None
