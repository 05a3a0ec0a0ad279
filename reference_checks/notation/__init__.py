"""The layer-table notation: what a cell of a layer table says, checkably.

One notation serves all papers.  A cell is a sequence of steps:

    7x7, 64, stride 2                 convolution: kernel, filters
    5x5, 256, groups 2, relu          … in groups, with its activation
    5x5 conv                          … its filters are not printed
    3x3 depthwise, stride 2           one filter for each channel
    3x3 max pool, stride 2            also `average pool`
    average pool                      over the whole map
    2x2 sub-sampling, stride 2, tanh  pooling with a trainable coefficient and bias
    1000-d fc                         dense; `84-d fc, tanh`
    10-d rbf                          radial basis functions (LeNet-5)
    maps 0 1 2                        goes on with these channels alone
    LRN                               local response normalisation
    squeeze-excite 8                  gate of Hu et al. 2018, 8 wide: means, two dense layers,
                                      times the map; the width may be left out
    softmax
    identity                          nothing at all, as a cell of its own: a shortcut that
                                      adds what entered

`stride N`, `groups N` and an activation (relu, relu6, tanh, sigmoid, swish, hard-swish,
gelu, linear) follow in any order, where they make sense.  VGG's spelling is read too:
`conv3-64`, `maxpool`, `FC-4096`, `soft-max`.  `×` is read as `x`.  Not in the notation:
normalisation, dropout and additions, which layer tables leave out.

Steps are put together:

    a; b                              one after the other
    [a; b] x3                         repeated
    [a; b] x3, stride 2               … with stride 2 somewhere in the first repetition
    {a; b | c}                        branches, concatenated in order
    (s = h; a + g; b | t = s; a + h) {s | t}
                                      sums of paths from named tensors, some concatenated:
                                      h is what enters, g comes from farther back

The grammar, where `n` is an integer, a symbol, a product (`t*k`) or a quotient, rounded
down (`k/2`, DenseNet's compression):

    cell    = "identity" | item { ";" item }
    item    = step | module | "[" cell "]" [ "x" n ] [ ", stride" n ]
            | "{" cell { "|" cell } "}"
            | "(" sum { "|" sum } ")" "{" name { "|" name } "}"
    sum     = name "=" path { "+" path }
    path    = name { ";" item }
    step    = n "x" n "," n { option }
            | n "x" n ( "conv" | "depthwise" | "max pool" | "average pool" | "sub-sampling" )
              { option }
            | n "-d" ( "fc" | "rbf" ) { option }
            | "average pool" | "LRN" | "softmax" | "maps" n { n }
            | "squeeze-excite" [ n ]
    option  = "," ( "stride" n | "groups" n | activation )

A module is a name for a cell.  Symbols (t, c, n, s …) are the table's columns of
numbers.  The symbol k is reserved: the channels that enter the block, the module or the
row.  A stride that a symbol gives inside a repeated block belongs to the first
repetition, the others have stride 1 (MobileNetV2, caption of Table 2).

g is made to fit h, with as many channels; where g comes from is not said, nor, if more
than one path starts from it, how it is made to fit.

What a cell does not say, such as an activation, agrees with anything.  Only a stride is
said by silence: it is 1, except for pooling.
"""

from __future__ import annotations

from reference_checks.notation.comparing import difference
from reference_checks.notation.items import (
    ACTIVATIONS,
    MAX_INTEGER,
    MAX_NESTING,
    MAX_STEPS,
    POOLS,
    Block,
    Branches,
    Item,
    NotationError,
    Path,
    Residual,
    Step,
    Sum,
    Wiring,
    flat,
    leaving,
    size,
)
from reference_checks.notation.reading import parse
from reference_checks.notation.writing import render

__all__ = [
    "ACTIVATIONS",
    "MAX_INTEGER",
    "MAX_NESTING",
    "MAX_STEPS",
    "POOLS",
    "Block",
    "Branches",
    "Item",
    "NotationError",
    "Path",
    "Residual",
    "Step",
    "Sum",
    "Wiring",
    "difference",
    "flat",
    "leaving",
    "parse",
    "render",
    "size",
]
