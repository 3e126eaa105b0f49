"""Models of Esri (.emd, or a package .dlpk with one) to model folders of areca.

Numbers are taken over, code is not: the Python of an `InferenceFunction` is neither
copied nor run. The weights must be those of an architecture that areca knows, or an
ONNX graph; that they fit is tried on an empty tile before the folder appears.
"""

from __future__ import annotations

import difflib
import hashlib
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError
from areca.models.card import ModelCard
from areca.models.card_file import write_card
from areca.models.emd import LARGEST_EMD_BYTES, Definition, parse_emd, read_emd
from areca.models.handle import Model
from areca.models.pack import tried
from areca.models.packages import open_package

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LISTS = ("bands", "mean", "std", "labels")


def import_esri(path: Path, folder: Path, given: Mapping[str, Any]) -> Model:
    """Write the folder of a model that Esri's tools have packed.

    Args:
        path: A .dlpk, or an .emd that lies beside its weights.
        folder: Where the model goes; must not be there yet.
        given: What the definition does not say, by the names of the card's fields. It
            goes before what the definition says. `architecture` is not needed for an
            ONNX graph; `bands` are all bands of the imagery, of which `ExtractBands`
            takes some. A list may be text with commas.

    Returns:
        The model; its weights are those of the file.

    Raises:
        ModelError: The file cannot be read or should not be opened, something is
            missing (all of it is named), the weights do not fit, or the folder is
            there.
    """
    if folder.exists():
        raise ModelError(
            f"{folder} is there already; give a new folder for the model with --out"
        )
    given = _checked(given)
    with _opened(path) as (definition, copy):
        card = definition.card(given)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".import") as place:
            made = Path(place) / "model"
            made.mkdir()
            copy(made / card.weights)
            with (made / card.weights).open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            model = tried(Model(replace(card, sha256=sha256), made))
            write_card(model.card, made)
            made.rename(folder)
    return Model(model.card, folder.resolve())


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Definition, Callable[[Path], object]]]:
    """Open a file of Esri's for the time of a `with` block.

    Yields:
        Its definition, and what copies its weights to a path.

    Raises:
        ModelError: There is no definition, or it names weights that are not there.
    """
    if path.suffix.lower() == ".emd":
        definition = read_emd(path)
        weights = path.parent / PurePosixPath(definition.weights).name
        if not weights.is_file():
            raise ModelError(f"{path} names the weights {weights.name}, not beside it")
        yield definition, lambda target: shutil.copyfile(weights, target)
        return
    with open_package(path) as package:
        found = [n for n in package.names if n.lower().endswith(".emd")]
        if len(found) != 1:
            raise ModelError(
                f"{path} holds {len(found)} .emd files ({', '.join(found) or 'none'}); "
                "a package of a model has one"
            )
        text = package.read(found[0], most=LARGEST_EMD_BYTES)
        definition = parse_emd(
            text, f"{path}: {found[0]}", PurePosixPath(found[0]).stem
        )
        beside = str(PurePosixPath(found[0]).parent / definition.weights)
        if beside not in package.names:
            raise ModelError(
                f"{path}: {found[0]} names the weights {definition.weights}, which are "
                f"not in the package: {', '.join(package.names[:5])}, …"
            )
        yield definition, lambda target: package.copy(beside, target)


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was given with lists as tuples.

    Raises:
        ModelError: A name is no field of a card.
    """
    known = [field.name for field in fields(ModelCard)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0)[0]
            raise ModelError(
                f"{name!r} is no field of a model card; the nearest is {near!r}"
            )
    return {n: _listed(n, v) if n in _LISTS else v for n, v in given.items()}


def _listed(name: str, value: Any) -> tuple[Any, ...]:  # noqa: ANN401 - as it was given
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        parts = [parts]
    if name in {"bands", "labels"}:
        return tuple(str(part).strip() for part in parts)
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name} is {value!r}; give one number for each band, with commas"
        ) from error
