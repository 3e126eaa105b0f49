"""The light handle of a model: its card and its folder. No weights are read here."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from areca.errors import ModelError
from areca.models.card_file import CARD_NAME, read_card

if TYPE_CHECKING:
    from areca.models.card import ModelCard

BUILTIN = Path(__file__).parent / "builtin"
"""Folder of the models that come with areca."""
_NAMED = 5
"""So many files of a folder are told."""


@dataclass(frozen=True, repr=False)
class Model:
    """A model on disk: small, picklable, and safe to keep in a graph."""

    card: ModelCard
    """What the model is."""
    folder: Path
    """Where the card and the weights lie."""

    @override
    def __repr__(self) -> str:
        """Return one line; the card has it all."""
        card = self.card
        return (
            f"Model({card.name!r}, version {card.version!r}, finds "
            f"{', '.join(card.labels)} in {', '.join(card.bands)} at "
            f"{card.resolution_m:g} m)"
        )

    @property
    def weights_path(self) -> Path:
        """The weights file.

        Raises:
            ModelError: the card names a file outside the model's folder.
        """
        name = self.card.weights
        if Path(name).name != name:
            raise ModelError(
                f"the card of {self.card.name!r} names the weights {name!r}; they must "
                "lie in the model's own folder, so give a bare file name"
            )
        return self.folder / name

    def verify(self) -> None:
        """Check the weights against the card, without loading them."""
        self.checked_weights()

    def checked_weights(self) -> bytes:
        """Return the weights file, once it is known to be the one of the card.

        Raises:
            ModelError: The weights are missing or are not the file the card names.
        """
        try:
            data = self.weights_path.read_bytes()
        except OSError as error:
            raise ModelError(
                f"the weights {self.weights_path} of {self.card.name!r} cannot be read "
                f"({error.strerror})"
            ) from error
        seen = hashlib.sha256(data).hexdigest()
        if not self.card.sha256:
            raise ModelError(
                f"the card of {self.card.name!r} has no sha256, so nothing says that "
                f"{self.weights_path} is its file; areca.pack_model(card, weights, "
                f"folder) writes both, or set sha256 to {seen}"
            )
        if seen != self.card.sha256:
            raise ModelError(
                f"{self.weights_path} has SHA-256 {seen}, the card expects "
                f"{self.card.sha256}; the file is damaged or belongs to "
                "another card: copy the model's folder again"
            )
        return data


def list_models() -> list[str]:
    """Return the names of the built-in models, sorted."""
    return sorted(path.parent.name for path in BUILTIN.glob(f"*/{CARD_NAME}"))


def load_model(name_or_path: str | Path) -> Model:
    """Return the handle of a built-in model (by name) or of a model folder.

    Args:
        name_or_path: A built-in name, a folder, or the path of its model.json. What
            has no path separator and is no folder is taken as a name.

    Raises:
        ModelError: there is no such model; the nearest name is given.
    """
    text = str(name_or_path)
    if text in list_models():
        return Model(read_card(BUILTIN / text / CARD_NAME), BUILTIN / text)
    path = Path(name_or_path)
    folder = path.parent if path.name == CARD_NAME else path
    if (folder / CARD_NAME).is_file():
        return Model(read_card(folder / CARD_NAME), folder.resolve())
    if folder.is_dir():
        held = sorted(entry.name for entry in folder.iterdir())
        raise ModelError(
            f"the folder {str(folder)!r} has no {CARD_NAME}, the card of the model; it "
            f"holds {', '.join(held[:_NAMED]) or 'nothing'}"
            f"{', …' * (len(held) > _NAMED)}. "
            "areca.pack_model(card, weights, folder) writes card and weights"
        )
    if path.name != text:
        raise ModelError(
            f"there is no model {text!r}: no such folder. A model is a folder with "
            f"{CARD_NAME} and its weights, or one of {', '.join(list_models())}"
        )
    near = difflib.get_close_matches(text, list_models(), n=1, cutoff=0.4)
    hint = f"did you mean {near[0]!r}?" if near else "give a name or a model folder."
    raise ModelError(
        f"there is no model {text!r}; {hint} "
        f"Built-in models: {', '.join(list_models()) or '(none)'}"
    )
