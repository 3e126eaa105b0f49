"""The run folder: what lies where, and writes that are whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from areca.tiles import Block


@dataclass(frozen=True)
class RunFolder:
    """A run on the local file system."""

    path: Path
    """The folder; made when the run starts."""

    @property
    def request(self) -> Path:
        """What was asked for; written once."""
        return self.path / "run.json"

    @property
    def batch(self) -> Path:
        """What was measured for the batch size "auto"; nothing depends on it."""
        return self.path / "batch.json"

    @property
    def objects(self) -> Path:
        """Folder of the published GeoParquet files."""
        return self.path / "objects"

    @property
    def staging(self) -> Path:
        """Where the published files are written before they take their place."""
        return self.path / "objects.partial"

    @property
    def rasters(self) -> Path:
        """Zarr group of class and confidence rasters, where the model gives any."""
        return self.path / "rasters.zarr"

    @property
    def oversize(self) -> Path:
        """What was too large to be counted, with its outline."""
        return self.path / "oversize.geojson"

    @property
    def holes(self) -> Path:
        """Ground that could not be read or predicted."""
        return self.path / "holes.geojson"

    @property
    def manifest(self) -> Path:
        """Files, state and timing; written last."""
        return self.path / "manifest.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    def block(self, block: Block) -> Path:
        """Return the folder of one block.

        Args:
            block: A block of the run.
        """
        return self.path / "blocks" / block.name

    def quicklook(self, block: Block) -> Path:
        """Return the small picture of one block.

        Args:
            block: A block of the run.
        """
        return self.block(block) / "quicklook.bmp"

    def claim(self, request: dict[str, Any]) -> None:
        """Write down what this folder is for, once it is clear that it is for that.

        Args:
            request: The request as plain data.
        """
        self.check(request)
        if not self.request.exists():
            write_json(self.request, request)

    def check(self, request: dict[str, Any]) -> None:
        """Check that this folder is free, or that it is for a request; writes nothing.

        Args:
            request: The request as plain data.

        Raises:
            InputError: The folder holds something else, or can be no folder.
        """
        if not self.request.exists():
            if any(path for path in self._entries() if not _is_partial(path)):
                raise InputError(
                    f"{self.path} is not empty and holds no run; give a new folder "
                    "with --out"
                )
            return
        before = json.loads(self.request.read_text(encoding="utf-8"))
        # Both go through JSON, so that tuples and lists compare alike.
        changed = differences(before, json.loads(json.dumps(request)))
        if changed:
            raise InputError(
                f"{self.path} holds a run of another request. Different: "
                f"{'; '.join(changed[:5])}. Repeat that request, with that software, "
                "to resume it, or give a new folder with --out"
            )

    def _entries(self) -> list[Path]:
        try:
            return list(self.path.iterdir()) if self.path.exists() else []
        except OSError as error:
            raise InputError(
                f"{self.path} cannot be a run folder ({error.strerror}); give a folder "
                "with --out"
            ) from error


def _is_partial(path: Path) -> bool:
    """Return whether a killed call left this file half-written."""
    return path.name.startswith(".") and path.name.endswith(".partial")


def differences(before: object, now: object, where: str = "") -> list[str]:
    """Return what differs between two JSON values, one line a difference.

    Args:
        before: What was written.
        now: What is asked now.
        where: Path of keys to the two values.
    """
    if isinstance(before, dict) and isinstance(now, dict):
        lines: list[str] = []
        for key in sorted({*before, *now}):
            path = f"{where}.{key}" if where else str(key)
            lines += differences(before.get(key), now.get(key), path)
        return lines
    if before == now:
        return []
    short = [
        text if len(text) <= 60 else f"{text[:57]}..."
        for text in map(str, (before, now))
    ]
    return [f"{where} was {short[0]}, now {short[1]}"]


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file beside its place and move it there when it is whole.

    A reader, or a run that resumes after a kill or a power loss, sees the old file,
    the new one, or none.

    Args:
        path: Where the file shall be; its folder is made.
        write: Writes the file at the path that it is given.

    Raises:
        InputError: The folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the folder {path.parent} cannot be made ({error.strerror}); give one "
            "that can be written with --out"
        ) from error
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file atomically, with sorted keys.

    Args:
        path: Where the file shall be.
        value: Plain data.
    """
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    write_atomically(path, lambda partial: write_text(partial, text))


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Args:
        path: The file.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8.

    Args:
        path: Where.
        text: What.
    """
    path.write_text(text, encoding="utf-8")
