"""Read what an HDF5 file, or a .keras file with one in it, says of itself: `python FILE PATH`.

The HDF5 library never returns from some damaged files, and dies of others; it is C, which
nothing in the same process interrupts.  So a process of its own tries first (model_files).
"""

import sys
import zipfile
from contextlib import suppress

import h5py

SECONDS = 60
"""Of the processor, at most."""


def read(path: str) -> None:
    """Every attribute, every dataset's form, and the data of those of no fixed size."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path) as file:
            walk(file)
        return
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith(".h5"):
                with archive.open(name) as inside, h5py.File(inside) as file:
                    walk(file)


def walk(group: h5py.Group) -> None:
    look(group)
    group.visititems(lambda _, item: look(item))


def look(item: h5py.Group | h5py.Dataset) -> None:
    for name in item.attrs:
        with suppress(Exception):
            item.attrs[name]
    if isinstance(item, h5py.Dataset) and item.dtype.hasobject:
        with suppress(Exception):
            item[()]


if __name__ == "__main__":
    with suppress(ImportError):  # not on Windows
        import resource

        # Whoever started this may be gone, and nobody else would end it.
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    with suppress(Exception):  # the reader says better what is wrong
        read(sys.argv[1])
