"""Mutants: single changes of an implementation's graph, and which check sees them.

A verification tool is worth what it would have caught.  Each class of mutations is a
mistake that somebody has made in a port; each mutant is a consistent network with one
of them.  The chain is run on the mutant as if it were our implementation.
"""

from __future__ import annotations

from reference_checks.mutate.convolution import CONVOLUTION
from reference_checks.mutate.layers import LAYERS
from reference_checks.mutate.mutation import Mutation
from reference_checks.mutate.wiring import WIRING

__all__ = ["MUTATIONS", "Mutation"]

MUTATIONS: dict[str, Mutation] = {m.name: m for m in (*CONVOLUTION, *LAYERS, *WIRING)}
"""The classes that structure sees, by name."""
