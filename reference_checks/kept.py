"""Specs as they were last read: taking YAML apart costs more than all else that listing does.

One file for each stem lies in the user's cache folder.  It is data, never code, and has to
fit the spec's definition.  It holds for the very text, and for the very reader, that it was
made with; whatever is wrong with it, the text is read again.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import msgspec

from reference_checks.spec import Entry, Spec

READERS = ("spec.py", "spec_yaml.py")
"""The sources that decide what a text means and what is refused."""


class _Kept(Entry):
    digest: str
    spec: Spec


class Kept:
    """The spec that was made of `data`, the text of the spec `stem`."""

    def __init__(self, stem: str, data: bytes) -> None:
        sources = [Path(__file__).with_name(name).read_bytes() for name in READERS]
        self.digest = sha256(b"".join([*sources, data])).hexdigest()
        self.stem = stem

    @property
    def path(self) -> Path:
        """Raises RuntimeError where nobody is at home."""
        folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(folder, "paperspec", f"{self.stem}.json")

    def get(self) -> Spec | None:
        """The spec, or None if it is not kept."""
        try:
            kept = msgspec.json.decode(self.path.read_bytes(), type=_Kept)
        except (OSError, RuntimeError, ValueError):
            return None
        return kept.spec if kept.digest == self.digest else None

    def put(self, spec: Spec) -> None:
        """Keep the spec, where that can be done."""
        try:
            whole = self.path
            part = whole.with_name(f"{whole.name}.{os.getpid()}")
            whole.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.encode(_Kept(self.digest, spec)))
            part.replace(whole)
        except (OSError, RuntimeError):
            return
