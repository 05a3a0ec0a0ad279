"""A spec held against itself: names, printed numbers and sums."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from reference_checks import printed
from reference_checks.errors import nearest
from reference_checks.lint.common import all_claims, unknown, wrong
from reference_checks.lint.tables import AMEND, cells, readable_size, sizes
from reference_checks.load import Paper
from reference_checks.problems import Problem, Where
from reference_checks.spec import MEASURED, RECORDED

AT_A_ROW = ("channels", "activation_bytes")


def numbers(paper: Paper) -> Iterator[Problem]:
    """Printed numbers read, and claims say what is needed to measure them."""
    for where, claim in all_claims(paper.spec):
        recorded = claim.quantity in RECORDED
        try:
            printed.read(claim.printed, claim.unit, remark=recorded)
        except ValueError as error:
            yield wrong(paper, (*where, "printed"), str(error))
            continue
        if recorded:
            for key in ("erratum", "relative_to", "minus", "counts"):
                if getattr(claim, key):
                    message = (
                        f"{claim.quantity} is not measured here; leave {key!r} out"
                    )
                    yield wrong(paper, (*where, key), message)
            continue
        percent = claim.unit == "percent" or claim.printed.rstrip().endswith("%")
        if percent and claim.relative_to is None:
            message = "percent of what? name the variant under 'relative_to'"
            yield wrong(paper, (*where, "printed"), message)
        if claim.relative_to is not None and claim.minus is not None:
            message = "a ratio or a difference; leave 'relative_to' or 'minus' out"
            yield wrong(paper, (*where, "minus"), message)
        if claim.at is not None:
            yield from readable_size(paper, (*where, "at"), claim.at)
        if claim.quantity in AT_A_ROW and "rows" not in where and claim.row is None:
            message = f"{claim.quantity} of which row? name it under 'row'"
            yield wrong(paper, where, message)


def references(paper: Paper) -> Iterator[Problem]:
    """Tables, columns, deviations, errata and variants that are named exist."""
    spec = paper.spec
    for where, claim in all_claims(spec):
        yield from unknown(
            paper, (*where, "erratum"), "erratum", claim.erratum, spec.errata
        )
    for name, table in spec.tables.items():
        for row, entry in table.rows.items():
            where = ("tables", name, "rows", row, "erratum")
            yield from unknown(paper, where, "erratum", entry.erratum, spec.errata)
    for name, variant in spec.variants.items():
        where = ("variants", name)
        yield from unknown(
            paper, (*where, "table"), "table", variant.table, spec.tables
        )
        table = spec.tables.get(variant.table)
        for index, claim in enumerate(variant.claims):
            at = (*where, "claims", index, "row")
            yield from unknown(paper, at, "row", claim.row, table.rows if table else ())
        for index, official in enumerate(variant.official):
            for place, deviation in enumerate(official.deviations):
                at = (*where, "official", index, "deviations", place)
                yield from unknown(paper, at, "deviation", deviation, spec.deviations)
    for name, deviation in spec.deviations.items():
        for key in ("layers", "params", "multiply_adds"):
            at = ("deviations", name, key)
            yield from _per_variant(paper, at, getattr(deviation, key), spec.variants)
    known = {**spec.variants, **spec.others}
    for name, erratum in spec.errata.items():
        yield from _per_variant(
            paper, ("errata", name, "measured"), erratum.measured, known
        )
        for quantity in erratum.cost:
            at = ("errata", name, "cost", quantity)
            yield from unknown(paper, at, "quantity", quantity, MEASURED)
    for name in spec.others.keys() & spec.variants.keys():
        message = f"{name!r} is a variant of this paper; move it to its claims"
        yield wrong(paper, ("others", name), message)


def _per_variant(
    paper: Paper, where: Where, value: object, known: Iterable[str]
) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for name in value:
            yield from unknown(paper, (*where, name), "variant", name, known)


def columns(paper: Paper) -> Iterator[Problem]:
    """Each column of a table is some variant's, and each variant's column is there."""
    for name, table in paper.spec.tables.items():
        used = {k: v for k, v in paper.spec.variants.items() if v.table == name}
        present = {key for row in table.rows.values() for key in row.columns} - {"all"}
        for variant, entry in used.items():
            where = ("variants", variant, "column")
            known = sorted(present - used.keys())
            yield from unknown(paper, where, "column", entry.column, known)
            if (
                entry.column is None
                and entry.printed
                and known
                and variant not in present
            ):
                message = f"say the column of table {name!r}; {nearest(variant, known)}"
                yield wrong(paper, where, message)
        keys = {"all", *used, *(entry.column for entry in used.values())} - {None}
        for row, entry in table.rows.items():
            for field in ("columns", "shortcut") if used else ():
                for key in getattr(entry, field):
                    where = ("tables", name, "rows", row, field, key)
                    yield from unknown(paper, where, "column", key, sorted(keys))


def unused(paper: Paper) -> Iterator[Problem]:
    """What is defined is used: nothing stands in a spec unchecked."""
    spec = paper.spec
    rows = [row for table in spec.tables.values() for row in table.rows.values()]
    errata = {claim.erratum for _, claim in all_claims(spec)} | {
        row.erratum for row in rows
    }
    officials = [o for variant in spec.variants.values() for o in variant.official]
    deviations = {name for official in officials for name in official.deviations}
    tables = {variant.table for variant in spec.variants.values()}
    for key, what, used in (
        ("tables", "variant", tables),
        ("deviations", "official model", deviations),
        ("errata", "claim or row", errata),
    ):
        for name in getattr(spec, key):
            if name not in used:
                message = f"no {what} names {name!r}; name it there or leave it out"
                yield wrong(paper, (key, name), message)
    for name, table in spec.tables.items():
        texts = [cell for row in table.rows.values() for cell in row.columns.values()]
        texts += [module.notation for module in table.modules.values()]
        texts += [
            str(spec.errata[row.erratum].measured)
            for row in table.rows.values()
            if row.erratum in spec.errata
        ]
        words = set(re.findall(r"[\w.]+", " ".join(texts)))
        for module in table.modules.keys() - words:
            message = f"no cell names {module!r}; name it there or leave it out"
            yield wrong(paper, ("tables", name, "modules", module), message)


def officials(paper: Paper) -> Iterator[Problem]:
    """A paper has official models or says why there are none."""
    found = any(variant.official for variant in paper.spec.variants.values())
    if not found and paper.spec.no_official is None:
        message = "no variant has an 'official' model; say why under 'no_official'"
        yield wrong(paper, ("variants",), message)
    if found and paper.spec.no_official is not None:
        message = "there are official models; leave 'no_official' out"
        yield wrong(paper, ("no_official",), message)


def deviations(paper: Paper) -> Iterator[Problem]:
    """A rewrite absorbs a deviation, or the implementation has a knob for it."""
    for name, entry in paper.spec.deviations.items():
        absorbed = entry.absorbed_by is not None and entry.attribute is not None
        some = entry.absorbed_by is not None or entry.attribute is not None
        if absorbed == some and absorbed != (entry.knob is not None):
            continue
        message = (
            f"{name!r} needs either 'absorbed_by' and 'attribute', or 'knob' alone"
        )
        yield wrong(paper, ("deviations", name), message)


def totals(paper: Paper) -> Iterator[Problem]:
    """Printed totals are the sums of what is printed for the rows."""
    for name, table in paper.spec.tables.items():
        for index, claim in enumerate(table.totals):
            where = ("tables", name, "totals", index, "printed")
            parts = [
                part
                for row in table.rows.values()
                for part in row.claims
                if (part.quantity, part.counts) == (claim.quantity, claim.counts)
            ]
            if not parts:
                message = (
                    f"no row prints {claim.quantity}; move it to a variant's claims"
                )
                yield wrong(paper, where, message)
            try:
                terms = [printed.read(part.printed, part.unit) for part in parts]
                total = printed.read(claim.printed, claim.unit)
            except ValueError:
                continue  # said where it stands
            if terms and claim.erratum is None and not printed.adds_up(terms, total):
                found = sum((term.value for term in terms), Fraction(0))
                shown = f"{float(found):,.12g}"
                message = (
                    f"the rows add up to {shown}, printed is {claim.printed}; {AMEND}"
                )
                yield wrong(paper, where, message)


def todos(paper: Paper) -> Iterator[Problem]:
    """Nothing is left of what `paperspec new` writes to be replaced."""
    # Places are noted only when somebody asks for them.
    for where in paper.marks if "TODO" in paper.text else ():
        value: object = paper.spec
        for key in where:
            inside = isinstance(value, (Mapping, list))
            value = value[key] if inside else getattr(value, key)
        if isinstance(value, str) and value.startswith("TODO"):
            yield wrong(paper, where, value)


CHECKS = (
    todos, numbers, references, columns, unused, officials, deviations, totals, sizes, cells,
)  # fmt: skip
