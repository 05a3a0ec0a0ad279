"""A first spec and implementation of a paper: what to replace says so.

Both are whole: the network of the example rows is built and checked like any other, and
`paperspec lint` lists what is still to do, each with its place.
"""

from __future__ import annotations

import json
import keyword
import re
from pathlib import Path

from reference_checks.errors import InputError
from reference_checks.load import STEM, load
from reference_checks.problems import SpecError, shown

ARXIV = re.compile(r"(\d\d)\d\d\.\d{4,5}(v\d+)?")
LONGEST = 50  # letters of a name, which stands in file names, test ids and URLs

SPEC = """\
# yaml-language-server: $schema=schema.json
# Transcribe from the PDF, digit for digit, before anything is measured.  What begins with TODO is
# still to do, and so are the example rows; lines like this one go when they have been read.
title: {title}
authors: ["TODO: all of them, in the paper's order"]
year: {year}
venue: "TODO: where it appeared, or arXiv"
{where}
idea: "TODO: what was new, in one sentence of your own"
limits: "TODO: what it does not solve, in one sentence of your own"
no_official: "TODO: why no library ships it; or leave this out and name the models under 'official'"

# What the paper counts as a parameter; multiply_adds likewise, if it prints any.
conventions:
  params: {{counts: [kernel, bias], source: "TODO: where it says so, or which number shows it"}}

# What the paper leaves open: padding, activations, epsilon, where a stride is.
silent:
  - {{what: "TODO: what it does not say", chosen: "what you choose", source: "the authors' code, a later paper"}}

# The layer table, row by row, in the paper's order and by its names.  A cell is in the layer-table
# notation: python -m pydoc reference_checks.notation
tables:
  table_1:
    source: "TODO: Table 1, once the rows are the paper's"
    rows:
      conv1:
        input: 224x224x3
        output: 112x112x32
        columns: {{all: "3x3, 32, stride 2, relu"}}
        # What the table prints for the row: claims: [{{quantity: params, printed: "896", source: Table 1}}]
      conv2: {{output: 112x112x64, columns: {{all: "3x3, 64, relu"}}}}
      fc: {{columns: {{all: "average pool; 1000-d fc; softmax"}}}}

variants:
  {stem}:
    name: "TODO: what the paper calls the network"
    table: table_1
    claims:
      - {{quantity: top1_error, printed: "0", source: "TODO: every number that the paper prints, in quotes, with its table"}}
    # official: [{{model: "keras:Name", deviations: [conv-bias]}}]

# What an official model does differently, with its exact cost:
# deviations:
#   conv-bias: {{what: "…", absorbed_by: bias into norm, attribute: bias, params: 26560, source: "a link to its code"}}
# Where the paper contradicts itself, for the claim or row that names it:
# errata:
#   total: {{what: "…", source: Table 1, measured: 659272, tried: ["what you computed, and what came out"]}}
"""

IMPLEMENTATION = '''\
"""TODO: the network's name.

TODO: authors, "{title}", {year}; ROWS mirrors TODO: the table.

Silent in the paper, chosen from TODO: where the choices come from.
"""

from keras import Input, Model, layers

# fmt: off
ROWS = (  # filters, kernel, stride
    ("conv1", 32,    3,      2),
    ("conv2", 64,    3,      1),
)
# fmt: on


def conv(x, filters, kernel, stride, name):
    """TODO: the paper's block, with the section or figure that defines it."""
    return layers.Conv2D(
        filters, kernel, stride, padding="same", activation="relu", name=name
    )(x)


def build(variant="{stem}", *, input_shape=(224, 224, 3), classes=1000):
    """TODO: which table; ends in class probabilities."""
    x = inputs = Input(input_shape)
    for row, filters, kernel, stride in ROWS:
        x = conv(x, filters, kernel, stride, row)  # a layer's name starts with its row
    x = layers.GlobalAveragePooling2D(name="fc_pool")(x)
    x = layers.Dense(classes, name="fc")(x)
    x = layers.Softmax(name="fc_softmax")(x)
    return Model(inputs, x, name=variant)
'''


def scaffold(
    papers: Path,
    stem: str,
    title: str | None = None,
    arxiv: str | None = None,
    year: int | None = None,
) -> tuple[Path, Path]:
    """Write `papers/STEM.yaml` and the implementation beside it; the two paths.

    The year is that of the arXiv number, if none is given.

    Raises:
        InputError: the name, number or year is none, a file is there already or cannot be
            written.
    """
    check_name(papers, stem)
    number = arxiv and ARXIV.fullmatch(arxiv)
    if arxiv and not number:
        raise InputError(
            f"{arxiv}: write the arXiv number as 1602.07360 or 1602.07360v4"
        )
    if year is None and number is None:
        raise InputError("say --year, or --arxiv, whose number begins with it")
    year = year if year is not None else 2000 + int(number[1])
    if not 1900 <= year <= 2100:
        raise InputError(f"{year}: no year of a paper")
    title = title or "TODO: as the paper prints it"
    if not title.isprintable():
        raise InputError("the title must be one line of text")
    where = f'arxiv: "{arxiv}"' if arxiv else 'url: "TODO: where to read it"'
    quoted = json.dumps(title, ensure_ascii=False)
    plain = title.replace("\\", "/").replace('"', "'")
    texts = {
        papers / f"{stem}.yaml": SPEC.format(
            title=quoted, year=year, where=where, stem=stem
        ),
        papers.parent / "implementations" / f"{stem}.py": IMPLEMENTATION.format(
            title=plain, year=year, stem=stem
        ),
    }
    for path in texts:
        if path.exists():
            raise InputError(f"{shown(path)} is there already; nothing was written")
    for path, text in texts.items():
        try:
            path.parent.mkdir(exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{shown(path)} cannot be written: {reason}") from error
    return tuple(texts)


def check_name(papers: Path, stem: str) -> None:
    """Refuse what cannot name a spec, a module and a variant at once.

    Raises:
        InputError: with the way out.
    """
    if not STEM.fullmatch(stem) or len(stem) > LONGEST:
        raise InputError(
            f"{stem!r} is no name for a paper: small letters, digits and _, a letter first,"
            f" at most {LONGEST}, as in mobilenet_v2"
        )
    if keyword.iskeyword(stem) or stem == "index":
        owner = "the reports' first page" if stem == "index" else "a word of Python"
        raise InputError(f"{stem!r} is {owner}; choose another name")
    for path in sorted(papers.glob("*.yaml")):
        try:
            variants = load(path).spec.variants
        except SpecError:
            continue  # `paperspec lint` says what is wrong with it
        if stem in variants and path.stem != stem:
            raise InputError(
                f"{stem!r} is a variant of {shown(path)}; choose another name"
            )
