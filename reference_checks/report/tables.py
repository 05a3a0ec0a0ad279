"""The layer tables of a paper's page: printed | ours | official, with what rows cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from reference_checks.measured import Network, RowCosts
from reference_checks.record import Record
from reference_checks.report.verdicts import tone

SIZES = ("input size", "output size")
CHECKS = ("rows", *SIZES)


@dataclass(frozen=True)
class Row:
    """A row of a layer table: what is printed, each subject's records, sizes, costs.

    Shares are of the network's parameters and multiply-adds, from 0 to 1.
    """

    name: str | None
    printed: str | None
    cells: Sequence[Sequence[Record]]
    sizes: Sequence[Record]
    costs: RowCosts | None
    params_share: float = 0.0
    multiply_adds_share: float = 0.0


@dataclass(frozen=True)
class LayerTable:
    """A variant's table; without `printed` rows the paper prints none for the variant."""

    variant: str
    claim: str | None
    subjects: Sequence[str]
    rows: Sequence[Row]
    network: Network | None

    @property
    def printed(self) -> bool:
        return any(row.printed or any(row.cells) for row in self.rows)

    @property
    def has_sizes(self) -> bool:
        return any(row.sizes for row in self.rows)

    @property
    def differs(self) -> bool:
        """Whether something is contradicted or unexplained in it."""
        records = [
            r for row in self.rows for cell in (*row.cells, row.sizes) for r in cell
        ]
        return any(tone(record.verdict) in ("fail", "open") for record in records)


def layer_tables(
    records: Iterable[Record], networks: Mapping[str, Network]
) -> list[LayerTable]:
    """A table for each variant that has rows; `networks` are by variant."""
    found: dict[str, list[Record]] = {variant: [] for variant in networks}
    for record in records:
        if record.check in CHECKS:
            found.setdefault(record.variant, []).append(record)
    tables = (
        _table(variant, own, networks.get(variant)) for variant, own in found.items()
    )
    return [table for table in tables if table.rows]


def _table(
    variant: str, records: Sequence[Record], network: Network | None
) -> LayerTable:
    # The paper's own records name the rows in order, wherever they stand in the file.
    records = sorted(records, key=lambda record: record.subject != "paper")
    subjects = list(dict.fromkeys(["paper", *(r.subject for r in records)]))
    costs = network.rows if network else {}
    rows = [
        _row(
            name,
            [r for r in records if r.row == name],
            subjects,
            costs.get(name),
            network,
        )
        for name in dict.fromkeys([*(r.row for r in records), *costs])
    ]
    claim = next((record.claim for record in records if record.claim), None)
    return LayerTable(variant, claim, subjects, rows, network)


def _row(
    name: str | None, records: Sequence[Record], subjects: Sequence[str],
    costs: RowCosts | None, network: Network | None,
) -> Row:  # fmt: skip
    steps = [record for record in records if record.check == "rows"]
    return Row(
        name=name,
        printed=next((record.printed for record in steps if record.printed), None),
        cells=[[r for r in steps if r.subject == subject] for subject in subjects],
        sizes=[record for record in records if record.check in SIZES],
        costs=costs,
        params_share=_share(costs, network, "params"),
        multiply_adds_share=_share(costs, network, "multiply_adds"),
    )


def _share(costs: RowCosts | None, network: Network | None, what: str) -> float:
    total = getattr(network, what) if network else 0
    return getattr(costs, what) / total if costs and total else 0.0
