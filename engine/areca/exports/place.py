"""Files that take their place when they are whole."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/")


def check_target(target: str | Path, *, overwrite: bool) -> Path:
    """Return a target as a path, once it is clear that it can be written.

    Args:
        target: The file to write.
        overwrite: Whether a file that is there may go.

    Raises:
        InputError: It is there already, is a folder or an address, or its folder is
            not there.
    """
    if _ADDRESS.match(str(target)):
        scheme = str(target).split(":", 1)[0]
        raise InputError(
            f"the target is an address ({scheme}:), and exports are written to a local "
            "disk; give a local file and copy it afterwards"
        )
    path = Path(target)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file to write")
    if path.exists() and not overwrite:
        raise InputError(
            f"{path} exists; give another file, or allow to replace it (--overwrite)"
        )
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent}; make it first")
    return path


@contextmanager
def put_in_place(target: Path, suffix: str) -> Iterator[Path]:
    """Give a path to write to, and move what was written to the target at the end.

    Args:
        target: The file to write. A style that lies beside the one written moves along.
        suffix: What drivers want a file of its format to end in.

    Yields:
        A path of the same stem in a new folder beside the target; nothing is left
        where writing fails.

    Raises:
        InputError: The folder of the target cannot be made.
    """
    folder = target.parent / f".{target.name}.{uuid4().hex[:8]}.partial"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(
            f"{target.parent} cannot be written ({error.strerror}); give another place"
        ) from error
    try:
        written = folder / f"{target.stem}{suffix}"
        yield written
        written.replace(target)
        for beside in sorted(folder.iterdir()):
            beside.replace(target.parent / beside.name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
