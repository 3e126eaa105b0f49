"""A model of bright things, and its recipe; a plain module, so tests can import it."""

from hashlib import sha256
from pathlib import Path

from model_families import family_card

from areca.models.card_file import write_card

NETWORK = """
import numpy as np

def load(folder, device):
    def run(batch):
        bright = batch.mean(axis=1)
        return np.stack([128 - bright, bright - 128], axis=1).astype(np.float32)
    return run
"""


def write_bright_recipe(folder: Path) -> None:
    """Write a segmenter of what is brighter than 128, for pixels of 0.2 m.

    The model goes to `model/`, the recipe that runs it to `any.toml`.
    """
    (folder / "model").mkdir()
    (folder / "model" / "net.py").write_text(NETWORK)
    card = family_card(
        "unet", {"contract": "logits"}, architecture="file", format="callable",
        weights="net.py", bands=("red", "green", "blue"), resolution_m=0.2,
        labels=("ground", "disc"), background=0,
        sha256=sha256(NETWORK.encode()).hexdigest(),
    )  # fmt: skip
    write_card(card, folder / "model" / "model.json")
    (folder / "any.toml").write_text(
        f'kind = "census"\ntitle = "Any"\nmodel = "{folder / "model"}"\n'
        "[options]\ntrust = true\n"
    )
