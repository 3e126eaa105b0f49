"""Zip files from others, such as Esri's .dlpk: read with limits, never unpacked.

A package is checked as a whole before anything of it is read: names that point out of
it, members that swell, and sizes that no model has are refused. Members are copied one
by one to a path that the caller names, so a name in the package places nothing.
"""

from __future__ import annotations

import re
import shutil
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from areca.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_MEMBERS = 10_000
LARGEST_BYTES = 16 * 2**30
"""All members together, unpacked."""
MOST_SWELL = 100
"""A member that is so many times larger unpacked is a bomb: weights shrink by a tenth,
text to a tenth."""
_SMALL_BYTES = 2**20
"""Members up to this may swell as they like."""
_OUTSIDE = re.compile(r"^/|^[A-Za-z]:|(^|/)\.\.(/|$)")
_ENCRYPTED = 0x1
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Of these a reader unpacks no more than it asks for; bz2 and LZMA unpack at once."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
)


class Package:
    """The members of a zip file that was found sound."""

    def __init__(self, file: zipfile.ZipFile, source: str) -> None:
        """Look through the list of members; none is read.

        Raises:
            ModelError: The package should not be opened.
        """
        self._file, self._source = file, source
        members = [info for info in file.infolist() if not info.is_dir()]
        self._members = {_plain(info.filename): info for info in members}
        if fault := _fault(members, len(self._members)):
            raise ModelError(f"{source} {fault}; it was not opened")

    @property
    def names(self) -> list[str]:
        """Paths of the members in the package, with /."""
        return sorted(self._members)

    def read(self, name: str, *, most: int) -> bytes:
        """Return a small member.

        Args:
            name: One of `names`.
            most: How many bytes it may have.

        Raises:
            ModelError: It is larger, or damaged.
        """
        size = self._members[name].file_size
        if size > most:
            raise ModelError(
                f"{self._source}: {name} has {size:,} bytes; more than {most:,} are no "
                "model definition"
            )
        try:
            with self._file.open(self._members[name]) as member:
                return member.read(size)  # no more, whatever the list of members says
        except _DAMAGED as error:
            raise ModelError(f"{self._source}: {name} is damaged: {error}") from error

    def copy(self, name: str, path: Path) -> None:
        """Copy a member to a file, and check its sum.

        Args:
            name: One of `names`.
            path: The file to write.

        Raises:
            ModelError: The member is damaged.
        """
        try:
            with self._file.open(self._members[name]) as member, path.open("xb") as out:
                shutil.copyfileobj(member, out)
        except _DAMAGED as error:
            raise ModelError(
                f"{self._source}: {name} cannot be copied to {path}: {error}"
            ) from error


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Open a zip file for the time of a `with` block.

    Args:
        path: The file.

    Yields:
        The package.

    Raises:
        ModelError: It is no zip file, or one that should not be opened.
    """
    try:
        file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise ModelError(f"{path} cannot be opened as a package: {error}") from error
    with file:
        yield Package(file, str(path))


def _plain(name: str) -> str:
    return re.sub(r"^(\./)+", "", name.replace("\\", "/"))


def _fault(members: list[zipfile.ZipInfo], names: int) -> str:
    """Return why a package should not be opened; empty when it may."""
    if len(members) > MOST_MEMBERS:
        return f"has {len(members):,} members, more than {MOST_MEMBERS:,}"
    if names < len(members):
        return "has two members of one name"
    total = sum(info.file_size for info in members)
    if total > LARGEST_BYTES:
        return f"unpacks to {total:,} bytes, more than {LARGEST_BYTES:,}"
    for info in members:
        name = _plain(info.filename)
        if _OUTSIDE.search(name):
            return f"has a member named {info.filename!r}, which points out of it"
        if info.compress_type not in _PACKED:
            return f"has a member {name!r} that is packed other than by deflate"
        if info.flag_bits & _ENCRYPTED:
            return f"has a member {name!r} that is encrypted"
        swell = info.file_size > MOST_SWELL * max(info.compress_size, 1)
        if swell and info.file_size > _SMALL_BYTES:
            return (
                f"has a member {name!r} that swells from {info.compress_size:,} to "
                f"{info.file_size:,} bytes, as no weights do"
            )
    return ""
