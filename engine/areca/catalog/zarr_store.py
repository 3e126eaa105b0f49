"""A Zarr cube in a folder or an object store: its shards, there or written."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import fsspec
import numpy as np
import zarr

from areca.catalog.hrefs import redact, redact_link
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

ARRAY = "cube"
"""Name of the array that holds the pixels."""
FACTS = "areca:layout"
"""The attribute of its group that says what a stored cube is like."""
_SHARD = re.compile(rf"/{ARRAY}/c/((?:\d+/)*\d+)$")
"""The key of a shard; what a writer that was killed leaves has another ending."""

Shard = tuple[int, ...]
"""Position of a shard: one number a dimension, counted in shards."""


@dataclass(frozen=True)
class ZarrStore:
    """Where a cube is kept. Small; it travels with every task."""

    path: str
    """Folder, or address such as s3://bucket/cube.zarr."""
    storage_options: dict[str, Any] = field(default_factory=dict, repr=False)
    """What fsspec needs to reach it; never printed, it may hold a secret."""

    def create(self, attributes: dict[str, Any]) -> None:
        """Make the group of a cube where nothing is.

        Args:
            attributes: Of the group; they are there as soon as the group is.

        Raises:
            InputError: Something else is there; it is left as it is.
        """
        files, root = self._files()
        with self._told():
            is_taken = files.exists(root) and files.ls(root, detail=False)
        if is_taken:
            raise InputError(
                f"{redact_link(self.path)} is not empty and holds no cube that areca "
                "wrote; give a new path"
            )
        with self._told():
            zarr.create_group(
                self.path,
                zarr_format=3,
                attributes=attributes,
                storage_options=self._options(),
            )

    def exists(self) -> bool:
        """Return whether a group is there."""
        files, root = self._files()
        with self._told():
            return bool(files.exists(f"{root}/zarr.json"))

    def group(self, mode: Literal["r", "r+"] = "r") -> zarr.Group:
        """Return the group of the cube.

        Args:
            mode: To read only, or also to write.
        """
        return zarr.open_group(
            self.path, mode=mode, zarr_format=3, storage_options=self._options()
        )

    def array(self, mode: Literal["r", "r+"] = "r") -> zarr.Array[Any]:
        """Return the pixels.

        Args:
            mode: To read only, or also to write.

        Raises:
            InputError: There is no cube that areca wrote.
        """
        group = self.group(mode) if self.exists() else None
        # Another writer may call an array so too, and leave out what is empty.
        is_ours = group is not None and FACTS in group.attrs
        found = group.get(ARRAY) if group is not None and is_ours else None
        if not isinstance(found, zarr.Array):
            raise InputError(
                f"{redact_link(self.path)} holds no cube that areca wrote; write one "
                "with areca.write_cube, or open other Zarr data with xarray.open_zarr"
            )
        return found

    def written(self) -> set[Shard]:
        """Return the shards that are there; a shard is written whole or not at all."""
        files, root = self._files()
        files.invalidate_cache()
        keys = map(_SHARD.search, files.find(f"{root}/{ARRAY}/c"))
        return {tuple(map(int, key[1].split("/"))) for key in keys if key}

    def missing(self) -> tuple[int, int]:
        """Return how many shards are missing, and of how many.

        Raises:
            InputError: There is no cube that areca wrote.
        """  # noqa: DOC502 - raised by array
        array = self.array()
        wanted = len(shards_of(array.shape, edges_of(array)))
        return wanted - len(self.written()), wanted

    def write(self, shard: Shard, values: NDArray[Any]) -> None:
        """Write one shard, also one that is all nodata: its being there says done.

        Args:
            shard: Which one.
            values: All of its pixels; fewer at the far edges of the array.
        """
        # The array alone: a store of many shards is not looked through for each.
        array = zarr.open_array(
            self.path,
            path=ARRAY,
            mode="r+",
            zarr_format=3,
            storage_options=self._options(),
        ).with_config({"write_empty_chunks": True})
        steps = zip(shard, edges_of(array), np.shape(values), strict=True)
        array[tuple(slice(n * edge, n * edge + size) for n, edge, size in steps)] = (
            values
        )

    def _files(self) -> tuple[fsspec.AbstractFileSystem, str]:
        with self._told():
            files, root = fsspec.core.url_to_fs(self.path, **self.storage_options)
        return files, str(root).rstrip("/")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in one line, without secrets, that a place cannot be used.

        Raises:
            InputError: There is no such place, or a package for it is missing.
        """
        try:
            yield
        except (ImportError, OSError, ValueError) as err:
            reason = " ".join(redact(str(err)).split()) or type(err).__name__
            raise InputError(
                f"cannot use {redact_link(self.path)} for a Zarr cube: {reason}; check "
                "the address, and install what it needs"
            ) from None

    def _options(self) -> dict[str, Any] | None:
        # zarr refuses options for a folder, even empty ones.
        return self.storage_options or None


def edges_of(array: zarr.Array[Any]) -> tuple[int, ...]:
    """Return the size of what is written at a time, along each dimension."""
    return array.shards or array.chunks


def shards_of(shape: tuple[int, ...], edges: tuple[int, ...]) -> list[Shard]:
    """Return all shards of an array, in order.

    Args:
        shape: Of the array.
        edges: Of a shard.
    """
    counts = [-(-size // edge) for size, edge in zip(shape, edges, strict=True)]
    return list(itertools.product(*map(range, counts)))
