"""Canonical form: rewrites between spellings of the same function.

Two correct implementations of one architecture differ in spelling.  Each rewrite is a
small local rule with its justification; where it changes weights it gives the adapter
that transfer uses, in both directions.  What it takes out of an op it records there as
`Absorbed`, so that nothing vanishes without being compared: an epsilon, a redundant bias
or a dropout rate is equal on both sides or a recorded deviation.

`canonical` applies all rules until none applies; each of them removes something, so that
it ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

from reference_checks.graph import Graph
from reference_checks.rewrites.convolution import (
    dense_is_1x1,
    grouped_convolution,
    whole_map_kernel,
)
from reference_checks.rewrites.layers import layer_norm, layer_scale
from reference_checks.rewrites.normalisation import (
    bias_into_norm,
    folded_norm,
    input_prefix,
    local_response_norm,
    norm_constants,
)
from reference_checks.rewrites.padding import (
    explicit_padding,
    merged_padding,
    pooling_spelling,
    unread_padding,
)
from reference_checks.rewrites.rule import Replacements, Rule, sweep
from reference_checks.rewrites.spelling import (
    activation_spelling,
    associative,
    inference_identity,
    selection,
)

__all__ = ["RULES", "Replacements", "Rule", "canonical", "folded_norm", "sweep"]

RULES: dict[str, Rule] = {
    "inference identity": inference_identity,
    "input prefix": input_prefix,
    "explicit padding": explicit_padding,
    "merged padding": merged_padding,
    "unread padding": unread_padding,
    "pooling spelling": pooling_spelling,
    "associative": associative,
    "selection": selection,
    "activation spelling": activation_spelling,
    "local response norm": local_response_norm,
    "bias into norm": bias_into_norm,
    "norm constants": norm_constants,
    "layer norm": layer_norm,
    "layer scale": layer_scale,
    "dense is 1x1": dense_is_1x1,
    "whole-map kernel": whole_map_kernel,
    "grouped convolution": grouped_convolution,
}
"""The rules by name, in the order in which they are worth reading."""


def canonical(graph: Graph, rules: Sequence[Rule] | None = None) -> Graph:
    """The graph with all rules applied until none applies; the order does not matter."""
    rules = tuple(RULES.values()) if rules is None else rules
    used, unchanged = set(), 0
    for rule in cycle(rules):
        swept = sweep(graph, rule)
        unchanged += 1
        if swept is not graph:
            graph, unchanged = swept, 0
            used.add(rule)
        if unchanged == len(rules):
            break
    names = tuple(name for name, rule in RULES.items() if rule in used)
    return replace(graph, rewritten=names) if names else graph
