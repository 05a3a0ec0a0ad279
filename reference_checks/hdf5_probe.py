"""Read what an HDF5 file, or a .keras file with one in it, says of itself.

`python FILE PATH SECONDS`: the HDF5 library never returns from some damaged files, and dies
of others; it is C, which nothing in the same process interrupts.  So a process of its own
tries first (model_files).  The seconds are the processor's: a busy machine or a slow disk
makes no file a damaged one.
"""

import io
import sys
import zipfile
from contextlib import suppress
from typing import IO

import h5py


def read(path: str) -> None:
    """Every attribute, every dataset's form, and the data of those of no fixed size."""
    if not zipfile.is_zipfile(path):
        with h5py.File(path) as file:
            walk(file)
        return
    with zipfile.ZipFile(path) as archive:
        for item in archive.infolist():
            if item.filename.endswith(".h5"):
                with (
                    archive.open(item) as inside,
                    h5py.File(whole(inside, item)) as file,
                ):
                    walk(file)


def whole(inside: IO[bytes], item: zipfile.ZipInfo) -> IO[bytes]:
    """HDF5 goes back and forth, for which zipfile reads from the start every time.

    What Keras writes is stored, and read once here; what is compressed may be a bomb.
    """
    stored = item.compress_type == zipfile.ZIP_STORED
    return io.BytesIO(inside.read()) if stored else inside


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

        seconds = int(sys.argv[2])
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with suppress(Exception):  # the reader says better what is wrong
        read(sys.argv[1])
