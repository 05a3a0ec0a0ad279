"""What was made of a spec, kept: taking YAML apart costs more than all else that listing does.

One file for each thing lies in the user's cache folder.  It is data, never code, and has to
fit its type.  It holds for the very text, and for the very sources, that it was made with;
whatever is wrong with it, it is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

HERE = Path(__file__).parent


@cache
def _sources(patterns: tuple[str, ...]) -> bytes:
    """The digest of the toolkit's own files that `patterns` name."""
    paths = [path for pattern in patterns for path in sorted(HERE.glob(pattern))]
    return sha256(b"".join(path.read_bytes() for path in paths)).digest()


class Kept:
    """What the toolkit's `sources` made of the text `data`, under a name."""

    def __init__(self, name: str, sources: Iterable[str], data: bytes) -> None:
        self.digest = sha256(_sources(tuple(sources)) + data).hexdigest()
        self.name = name

    @property
    def path(self) -> Path:
        """Raises RuntimeError where nobody is at home."""
        folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(folder, "paperspec", f"{self.name}.json")

    def get(self, type: Any) -> Any:
        """What is kept, or None."""
        try:
            digest, value = msgspec.json.decode(
                self.path.read_bytes(), type=tuple[str, type]
            )
        except (OSError, RuntimeError, ValueError):
            return None
        return value if digest == self.digest else None

    def put(self, value: Any) -> None:
        """Keep a value, where that can be done."""
        try:
            whole = self.path
            part = whole.with_name(f"{whole.name}.{os.getpid()}")
            whole.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.encode((self.digest, value)))
            part.replace(whole)
        except (OSError, RuntimeError):
            return
