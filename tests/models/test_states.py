"""Weights go to disk and back for every family; a checkpoint can run no code."""

import os
import pickle
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
import torch
from model_families import (
    DETECTORS,
    SEGMENTERS,
    drawn_network,
    drawn_tiles,
    family_card,
)

from areca.errors import ModelError
from areca.models.adapter import load_network
from areca.models.handle import Model, load_model
from areca.models.states import fit_state
from areca.models.weights import load_weights, save_model


def checkpoint(card, folder, content):
    """Return the handle of a model whose weights are what torch.save wrote."""
    folder.mkdir(exist_ok=True)
    path = folder / "weights.pth"
    torch.save(content, path)
    digest = sha256(path.read_bytes()).hexdigest()
    card = replace(card, format="state-dict", weights=path.name, sha256=digest)
    return Model(card, folder)


@pytest.fixture(scope="module")
def network():
    return drawn_network(family_card("unet"))


# Not ssd300: 24 million numbers, and on disk no other than ssd.
@pytest.mark.parametrize("name", sorted({*DETECTORS, *SEGMENTERS} - {"ssd300"}))
def test_every_family_survives_the_disk(name, tmp_path):
    card = family_card(name)
    written = drawn_network(card)
    saved = save_model(written, card, tmp_path)
    loaded = load_network(load_model(tmp_path))
    assert loaded.card == saved.card
    assert loaded.contract == card.contract
    state = load_weights(saved).state_dict()
    assert state.keys() == written.state_dict().keys()
    for key, value in written.state_dict().items():
        assert torch.equal(state[key], value)


def test_tied_weights_are_written_for_each_name(tmp_path):
    card = family_card("unet")
    tied = drawn_network(card)
    last = tied.decoder.blocks[-1]
    last.twin = last.conv1
    with pytest.raises(ModelError, match="unexpected"):  # the card's has no twin
        load_weights(save_model(tied, card, tmp_path))
    one = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    one[1].weight = one[0].weight
    saved = save_model(one, card, tmp_path / "tied")
    assert saved.weights_path.stat().st_size > 2 * 9 * 4


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 7},
        lambda state: {"model": state},
        lambda state: {f"module.{name}": value for name, value in state.items()},
        # A TorchGeo task: the network under `model`, beside its loss.
        lambda state: {
            "state_dict": {f"model.{name}": value for name, value in state.items()}
            | {"criterion.weight": torch.ones(3)},
            "hyper_parameters": {"model": "unet", "lr": 1e-3},
        },
        lambda state: {
            name: value
            for name, value in state.items()
            if not name.endswith("num_batches_tracked")
        },
    ],
    ids=["plain", "lightning", "nested", "parallel", "torchgeo", "old"],
)
def test_a_checkpoint_of_a_trainer_gives_the_answer_of_its_network(
    wrap, network, tmp_path
):
    card = family_card("unet")
    tiles = drawn_tiles(card, 1)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tiles)).numpy()
    given = load_network(checkpoint(card, tmp_path, wrap(network.state_dict())))
    logits = given.forward(tiles)["logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_what_is_missing_and_unexpected_is_told_in_one_line(network, tmp_path):
    state = dict(network.state_dict())
    state["neck.weight"] = state.pop("segmentation_head.0.weight")
    state["segmentation_head.0.bias"] = torch.zeros(2)
    with pytest.raises(ModelError) as caught:
        load_network(checkpoint(family_card("unet"), tmp_path, state))
    said = str(caught.value)
    assert "\n" not in said
    assert "1 tensors missing (segmentation_head.0.weight)" in said
    assert "1 unexpected (neck.weight)" in said
    assert "1 of another shape (segmentation_head.0.bias (2,) for (3,))" in said


def test_the_auxiliary_head_of_deeplab_is_not_needed():
    wanted = drawn_network(family_card("deeplabv3"))
    options = {"backbone": "mobilenet", "aux_loss": True}
    given = drawn_network(family_card("deeplabv3", options)).state_dict()
    assert any(name.startswith("aux_classifier") for name in given)
    fit_state(wanted, given, "it")
    for name, value in wanted.state_dict().items():
        assert torch.equal(value, given[name])


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_planted_pickle_does_not_run(network, tmp_path, zipped):
    marker = tmp_path / "ran"
    content = {"state_dict": dict(network.state_dict()), "extra": Planted(marker)}
    model = checkpoint(family_card("unet"), tmp_path / "model", {})
    torch.save(content, model.weights_path, _use_new_zipfile_serialization=zipped)
    digest = sha256(model.weights_path.read_bytes()).hexdigest()
    with pytest.raises(ModelError, match=r"more than numbers.*trust=true") as error:
        load_network(Model(replace(model.card, sha256=digest), model.folder))
    # One line of our own: none of torch's advice, and none of its colours.
    assert len(str(error.value).splitlines()) == 1
    assert "\x1b" not in str(error.value)
    assert "weights_only" not in str(error.value)
    assert not marker.exists()
    # The trap works: whoever does unpickle it springs it.
    pickle.loads(pickle.dumps(Planted(marker)))  # noqa: S301
    assert marker.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [([1, 2], "a list"), ({"epoch": 3}, "no named tensors"), (torch.ones(3), "Tensor")],
)
def test_a_checkpoint_without_named_tensors_is_refused(tmp_path, content, said):
    with pytest.raises(ModelError, match=said):
        load_network(checkpoint(family_card("unet"), tmp_path, content))


@pytest.mark.parametrize("data", [b"", b"no checkpoint", b"PK\x03\x04 broken"])
@pytest.mark.parametrize("file_format", ["state-dict", "safetensors"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, data, file_format):
    (tmp_path / "w").write_bytes(data)
    card = family_card(
        "ssd", format=file_format, weights="w", sha256=sha256(data).hexdigest()
    )
    with pytest.raises(ModelError, match=r"is no|more than numbers"):
        load_network(Model(card, tmp_path))
