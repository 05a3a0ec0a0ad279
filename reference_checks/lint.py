"""Specs held against themselves: everything that is wrong, at once, with its place.

A check here is a function from a paper to problems, and none needs a network, a model
or anything but the spec.  Each message says the way out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from reference_checks import printed
from reference_checks.load import Paper, Problem, SpecError, Where, load
from reference_checks.notation import (
    POOLS,
    Block,
    Branches,
    Item,
    NotationError,
    Step,
    flat,
    leaving,
    nearest,
    parse,
    size,
)
from reference_checks.spec import (
    MEASURED,
    RECORDED,
    Claim,
    Row,
    Spec,
    Table,
    Variant,
)

AT_A_ROW = ("channels", "activation_bytes")
AMEND = "correct one, or name what accounts for it under 'erratum'"


def lint(paths: Iterable[Path]) -> list[Problem]:
    """All problems of the specs at `paths`, sorted by place."""
    problems: list[Problem] = []
    papers: list[Paper] = []
    for path in dict.fromkeys(map(Path, paths)):
        try:
            papers.append(load(path))
        except SpecError as error:
            problems.extend(error.problems)
    for paper in papers:
        for check in CHECKS:
            problems.extend(check(paper))
    problems.extend(variants_of_all(papers))
    return sorted(set(problems))


def _problem(paper: Paper, where: Where, message: str) -> Problem:
    return Problem(paper.path, *paper.mark(*where), message)


def _unknown(
    paper: Paper, where: Where, what: str, name: str | None, known: Iterable[str]
) -> Iterator[Problem]:
    """A problem if `name` is given and is none of those that are known."""
    known = list(known)
    if name is not None and name not in known:
        yield _problem(paper, where, f"unknown {what} {name!r}{nearest(name, known)}")


def _claims(spec: Spec) -> Iterator[tuple[Where, Claim]]:
    """All claims, with their places."""
    lists: dict[Where, Sequence[Claim]] = {}
    for name, table in spec.tables.items():
        lists["tables", name, "totals"] = table.totals
        for row, entry in table.rows.items():
            lists["tables", name, "rows", row, "claims"] = entry.claims
    for name, variant in spec.variants.items():
        lists["variants", name, "claims"] = variant.claims
    for name, claims in spec.others.items():
        lists["others", name] = claims
    for where, claims in lists.items():
        for index, claim in enumerate(claims):
            yield (*where, index), claim


def numbers(paper: Paper) -> Iterator[Problem]:
    """Printed numbers read, and claims say what is needed to measure them."""
    for where, claim in _claims(paper.spec):
        recorded = claim.quantity in RECORDED
        try:
            printed.read(claim.printed, claim.unit, remark=recorded)
        except ValueError as error:
            yield _problem(paper, (*where, "printed"), str(error))
            continue
        if recorded:
            for key in ("erratum", "relative_to", "minus", "counts"):
                if getattr(claim, key):
                    message = (
                        f"{claim.quantity} is not measured here; leave {key!r} out"
                    )
                    yield _problem(paper, (*where, key), message)
            continue
        percent = claim.unit == "percent" or claim.printed.rstrip().endswith("%")
        if percent and claim.relative_to is None:
            message = "percent of what? name the variant under 'relative_to'"
            yield _problem(paper, (*where, "printed"), message)
        if claim.relative_to is not None and claim.minus is not None:
            message = "a ratio or a difference; leave 'relative_to' or 'minus' out"
            yield _problem(paper, (*where, "minus"), message)
        if claim.at is not None:
            yield from _readable_size(paper, (*where, "at"), claim.at)
        if claim.quantity in AT_A_ROW and "rows" not in where and claim.row is None:
            message = f"{claim.quantity} of which row? name it under 'row'"
            yield _problem(paper, where, message)


def references(paper: Paper) -> Iterator[Problem]:
    """Tables, columns, deviations, errata and variants that are named exist."""
    spec = paper.spec
    for where, claim in _claims(spec):
        yield from _unknown(
            paper, (*where, "erratum"), "erratum", claim.erratum, spec.errata
        )
    for name, table in spec.tables.items():
        for row, entry in table.rows.items():
            where = ("tables", name, "rows", row, "erratum")
            yield from _unknown(paper, where, "erratum", entry.erratum, spec.errata)
    for name, variant in spec.variants.items():
        where = ("variants", name)
        yield from _unknown(
            paper, (*where, "table"), "table", variant.table, spec.tables
        )
        table = spec.tables.get(variant.table)
        for index, claim in enumerate(variant.claims):
            at = (*where, "claims", index, "row")
            yield from _unknown(
                paper, at, "row", claim.row, table.rows if table else ()
            )
        for index, official in enumerate(variant.official):
            for place, deviation in enumerate(official.deviations):
                at = (*where, "official", index, "deviations", place)
                yield from _unknown(paper, at, "deviation", deviation, spec.deviations)
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
            yield from _unknown(paper, at, "quantity", quantity, MEASURED)
    for name in spec.others.keys() & spec.variants.keys():
        message = f"{name!r} is a variant of this paper; move it to its claims"
        yield _problem(paper, ("others", name), message)


def _per_variant(
    paper: Paper, where: Where, value: object, known: Iterable[str]
) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        for name in value:
            yield from _unknown(paper, (*where, name), "variant", name, known)


def columns(paper: Paper) -> Iterator[Problem]:
    """Each column of a table is some variant's, and each variant's column is there."""
    for name, table in paper.spec.tables.items():
        used = {k: v for k, v in paper.spec.variants.items() if v.table == name}
        present = {key for row in table.rows.values() for key in row.columns} - {"all"}
        for variant, entry in used.items():
            where = ("variants", variant, "column")
            known = sorted(present - used.keys())
            yield from _unknown(paper, where, "column", entry.column, known)
            if (
                entry.column is None
                and entry.printed
                and known
                and variant not in present
            ):
                message = f"say the column of table {name!r}{nearest(variant, known)}"
                yield _problem(paper, where, message)
        keys = {"all", *used, *(entry.column for entry in used.values())} - {None}
        for row, cells in table.rows.items():
            for field in ("columns", "shortcut") if used else ():
                for key in getattr(cells, field):
                    where = ("tables", name, "rows", row, field, key)
                    yield from _unknown(paper, where, "column", key, sorted(keys))


def unused(paper: Paper) -> Iterator[Problem]:
    """What is defined is used: nothing stands in a spec unchecked."""
    spec = paper.spec
    rows = [row for table in spec.tables.values() for row in table.rows.values()]
    errata = {claim.erratum for _, claim in _claims(spec)} | {
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
                yield _problem(paper, (key, name), message)
    for name, table in spec.tables.items():
        cells = [cell for row in table.rows.values() for cell in row.columns.values()]
        cells += [module.notation for module in table.modules.values()]
        words = set(re.findall(r"[\w.]+", " ".join(cells)))
        for module in table.modules.keys() - words:
            message = f"no cell names {module!r}; name it there or leave it out"
            yield _problem(paper, ("tables", name, "modules", module), message)


def officials(paper: Paper) -> Iterator[Problem]:
    """A paper has official models or says why there are none."""
    found = any(variant.official for variant in paper.spec.variants.values())
    if not found and paper.spec.no_official is None:
        message = "no variant has an 'official' model; say why under 'no_official'"
        yield _problem(paper, ("variants",), message)
    if found and paper.spec.no_official is not None:
        message = "there are official models; leave 'no_official' out"
        yield _problem(paper, ("no_official",), message)


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
        yield _problem(paper, ("deviations", name), message)


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
                yield _problem(paper, where, message)
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
                yield _problem(paper, where, message)


def sizes(paper: Paper) -> Iterator[Problem]:
    """Sizes read, and what leaves a row enters the next."""
    for name, table in paper.spec.tables.items():
        before: tuple[str, Row] | None = None
        for row, entry in table.rows.items():
            where = ("tables", name, "rows", row)
            for key in ("input", "output"):
                text = getattr(entry, key)
                if text is not None:
                    yield from _readable_size(paper, (*where, key), text)
            if before and not (entry.erratum or before[1].erratum):
                enters, left = _size(entry.input), _size(before[1].output)
                if any(a != b for a, b in zip(enters, left, strict=False)):
                    message = (
                        f"{entry.input} enters, but {before[1].output} leaves"
                        f" {before[0]!r}; {AMEND}"
                    )
                    yield _problem(paper, (*where, "input"), message)
            before = row, entry


def _readable_size(paper: Paper, where: Where, text: str) -> Iterator[Problem]:
    try:
        size(text)
    except NotationError as error:
        yield _problem(paper, where, error.message)


def _size(text: str | None) -> tuple[int, ...]:
    """A printed size, or () if there is none that reads."""
    try:
        return size(text) if text is not None else ()
    except NotationError:
        return ()


def cells(paper: Paper) -> Iterator[Problem]:
    """Cells are in the notation and lead from the size printed before to that after."""
    for name, table in paper.spec.tables.items():
        done = set()
        for variant, entry in paper.spec.variants.items():
            if entry.table != name or not entry.printed:
                continue
            keys = (variant, entry.column)
            way = [
                (row, _key(cells.columns, keys), _key(cells.shortcut, keys))
                for row, cells in table.rows.items()
            ]
            which = repr((way, sorted(entry.symbols.items()), entry.input[-1]))
            if which not in done:
                done.add(which)
                yield from _way(paper, name, table, way, entry)


def _key(cells: Mapping[str, str], keys: Iterable[str | None]) -> str | None:
    """Where the variant's cell stands: under its own name, its column's, or "all"."""
    return next((key for key in (*keys, "all") if key in cells), None)


def _way(
    paper: Paper,
    name: str,
    table: Table,
    way: Iterable[tuple[str, str | None, str | None]],
    variant: Variant,
) -> Iterator[Problem]:
    """A variant's way down a table, with the channels on it."""
    modules = {key: module.notation for key, module in table.modules.items()}
    rows = [(row, table.rows[row], keys) for row, *keys in way if keys[0] is not None]
    channels: int | None = variant.input[-1]
    before: tuple[int, ...] = ()
    for (row, entry, keys), after in zip(rows, [*rows[1:], None], strict=True):
        where = ("tables", name, "rows", row)
        enters = _size(entry.input)
        if len(enters) == 3:
            if channels not in (None, enters[2]) and entry.erratum is None:
                message = f"{entry.input} enters, but with {channels} channels; {AMEND}"
                yield _problem(paper, (*where, "input"), message)
            channels = enters[2]
        parsed: list[tuple[Item, ...] | None] = []
        for field, key in zip(("columns", "shortcut"), keys, strict=True):
            text = getattr(entry, field).get(key, "")
            try:
                items = parse(
                    text,
                    symbols={**variant.symbols, **entry.symbols},
                    modules=modules,
                    # After an error above, k means nothing, but the rest is read.
                    channels=channels or 1,
                )
            except NotationError as error:
                items = None
                if key is not None:
                    place = paper.inside((*where, field, key), text, error.column)
                    yield Problem(paper.path, *place, error.message)
            parsed.append(items)
        text = entry.output or (after[1].input if after else None)
        leaves = _size(text)
        items = parsed[0] if channels else None
        channels = leaving(items, channels) if items else None
        if items and leaves and entry.erratum is None:
            problem = _misfit(items, enters or before, leaves, channels)
            if problem:
                at = (
                    (*where, "output") if entry.output else (*where, "columns", keys[0])
                )
                yield _problem(paper, at, f"{problem}, printed is {text}; {AMEND}")
        if len(leaves) == 3:
            channels = leaves[2]
        before = leaves


def _misfit(
    items: Sequence[Item],
    enters: tuple[int, ...],
    leaves: tuple[int, ...],
    channels: int | None,
) -> str | None:
    """Why `items` cannot lead from one printed size to the other, or None."""
    if len(leaves) == 3 and channels not in (None, leaves[2]):
        return f"{channels} channels leave"
    for axis, extent in enumerate(enters[:2]):
        reach = _reach(items, (extent, extent), axis)
        if reach and not reach[0] <= leaves[axis] <= reach[1]:
            side = ("height", "width")[axis]
            return f"{side} {extent} leaves between {reach[0]} and {reach[1]}"
    return None


def _reach(
    items: Iterable[Item],
    extent: tuple[int, int],
    axis: int,
    default: int | None = None,
) -> tuple[int, int] | None:
    """The least and most that an extent becomes: without padding, and with "same".

    `default` is the stride of pooling that does not say one; None is not known.
    """
    low, high = extent
    for item in items:
        match item:
            case Step(kind="dense" | "rbf") | Step(kind="average pool", kernel=None):
                low = high = 1
            case Step(kernel=None):
                pass
            case Step(kind=kind, kernel=kernel, stride=stride):
                stride = stride or (default if kind in POOLS else 1)
                if stride is None:
                    return None
                low, high = (
                    max(1, (low - kernel[axis]) // stride + 1),
                    -(-high // stride),
                )
            case Branches(branches):
                ends = [
                    _reach(branch, (low, high), axis, default) for branch in branches
                ]
                if None in ends:
                    return None
                low, high = max(end[0] for end in ends), min(end[1] for end in ends)
            case Block(inner, repeats, stride):
                within = default
                if stride is not None:
                    # At worst the widest kernel has it, before all others.
                    within = 1
                    widest = max((s.kernel or (1, 1))[axis] for s in flat(inner))
                    low, high = max(1, (low - widest) // stride + 1), -(-high // stride)
                for _ in range(repeats):
                    found = _reach(inner, (low, high), axis, within)
                    if found is None:
                        return None
                    if found == (low, high):
                        break  # and so would all others leave it
                    low, high = found
    return low, high


def variants_of_all(papers: Sequence[Paper]) -> Iterator[Problem]:
    """A variant's name is one paper's, and what is compared with is some paper's."""
    owners: dict[str, Paper] = {}
    for paper in papers:
        for name in paper.spec.variants:
            owner = owners.setdefault(name, paper)
            if owner is not paper:
                where = ("variants", name)
                message = f"{name!r} is a variant at {owner.at(*where)} too; rename one"
                yield _problem(paper, where, message)
    known = set(owners)
    beside = False
    for paper in papers:
        for where, claim in _claims(paper.spec):
            for key in ("relative_to", "minus"):
                name = getattr(claim, key)
                if name is None or name in known:
                    continue
                if not beside:
                    known |= _variants_beside(papers)
                    beside = True
                yield from _unknown(
                    paper, (*where, key), "variant", name, sorted(known)
                )


def _variants_beside(papers: Sequence[Paper]) -> set[str]:
    """The variants of the specs in the same folders, where they load."""
    found: set[str] = set()
    for folder in {paper.path.parent for paper in papers}:
        for path in folder.glob("*.yaml"):
            try:
                found.update(load(path).spec.variants)
            except SpecError:
                continue  # its own problems are said when it is linted
    return found


CHECKS = (
    numbers, references, columns, unused, officials, deviations, totals, sizes, cells,
)  # fmt: skip
