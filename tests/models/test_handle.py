"""Models are found by name or folder; weights that are not the card's are refused."""

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import torch

from areca.errors import ModelError, PredictError
from areca.models import handle
from areca.models.adapter import HeatmapDetector, load_network
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.handle import list_models, load_model
from areca.models.weights import load_weights, save_model


@pytest.fixture
def card():
    return ModelCard(
        name="disc",
        version="1",
        bands=("red", "green", "blue"),
        resolution_m=0.25,
        tile_px=128,
        context_px=8,
        max_object_px=40,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        labels=("disc",),
        score_threshold=0.4,
        nms_iou=0.3,
        architecture_options={"width": 8, "deep_width": 16, "deep_blocks": 1},
    )


@pytest.fixture
def saved(card, tmp_path):
    torch.manual_seed(3)
    return save_model(build_network(card), card, tmp_path / "disc")


def test_saving_fills_in_digest_and_parameters(saved):
    data = (saved.folder / "weights.safetensors").read_bytes()
    assert saved.card.sha256 == hashlib.sha256(data).hexdigest()
    assert saved.card.parameters > 1000


def test_a_folder_and_its_card_file_load_the_same_model(saved):
    assert load_model(saved.folder).card == saved.card
    assert load_model(saved.folder / "model.json").card == saved.card


def test_saved_weights_come_back(saved, card):
    image = torch.randn(1, 3, 64, 64)
    torch.manual_seed(3)
    expected = build_network(card).eval()(image)
    assert torch.equal(load_weights(saved)(image), expected)


def test_equal_weights_give_equal_files(card, tmp_path):
    for name in ("a", "b"):
        torch.manual_seed(3)
        save_model(build_network(card), card, tmp_path / name)
    for name in ("model.json", "weights.safetensors"):
        first, second = ((tmp_path / x / name).read_bytes() for x in "ab")
        assert first == second


def test_a_handle_is_small_and_survives_pickle(saved):
    data = pickle.dumps(saved)
    assert len(data) < 5_000
    assert pickle.loads(data).card == saved.card  # noqa: S301


def test_one_flipped_bit_is_refused_with_both_digests(saved):
    path = saved.folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    fresh = load_model(saved.folder)
    with pytest.raises(ModelError, match=saved.card.sha256):
        load_network(fresh)


def test_missing_weights_are_named(saved):
    (saved.folder / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(saved.folder).verify()


def test_an_unknown_name_names_the_nearest(saved, tmp_path, monkeypatch):
    shutil.copytree(saved.folder, tmp_path / "builtin" / "oil-palm")
    monkeypatch.setattr(handle, "BUILTIN", tmp_path / "builtin")
    assert list_models() == ["oil-palm"]
    with pytest.raises(ModelError, match="did you mean 'oil-palm'"):
        load_model("oilpalm")


def test_a_folder_without_a_card_is_told_what_it_lacks(saved, tmp_path):
    (saved.folder / "model.json").unlink()
    with pytest.raises(
        ModelError, match=r"no model\.json.*weights\.safetensors"
    ) as bad:
        load_model(saved.folder)
    assert "did you mean" not in str(bad.value)
    with pytest.raises(ModelError, match="no such folder") as bad:
        load_model(tmp_path / "oil-plam")
    assert "did you mean" not in str(bad.value)


@pytest.mark.parametrize("name", list_models())
def test_every_built_in_model_is_whole_and_small(name):
    model = load_model(name)
    model.verify()
    assert model.card.name == name
    assert sum(path.stat().st_size for path in model.folder.iterdir()) < 10e6
    assert model.card.license
    assert model.card.data


class Planned(torch.nn.Module):
    """Stands in for the network: returns what the test drew."""

    def __init__(self, out):
        super().__init__()
        self.out = torch.nn.Parameter(out)
        self.classes = out.shape[1] - 3

    def fold(self):
        self.eval()

    def forward(self, _x):
        return self.out.clone()


def test_a_drawn_peak_decodes_to_its_circle(card):
    out = torch.full((1, 4, 8, 8), -6.0)
    out[:, 1:] = 0.0
    out[0, 0, 2, 5] = 2.0
    out[0, 0, 2, 6] = 1.0  # a lower neighbour is no second peak
    out[0, :, 6, 1] = torch.tensor([0.5, 0.25, -0.5, np.log(9.0)])
    detector = HeatmapDetector(Planned(out), card)
    raw = detector.forward(np.zeros((1, 3, 32, 32), np.float32))
    (found,) = detector.decode(raw, 0.4)
    np.testing.assert_allclose(found.x, [22.0, (1.5 + 0.25) * 4], rtol=1e-6)
    np.testing.assert_allclose(found.y, [10.0, (6.5 - 0.5) * 4], rtol=1e-6)
    np.testing.assert_allclose(found.radius, [1.0, 9.0], rtol=1e-6)
    np.testing.assert_allclose(found.score, 1 / (1 + np.exp([-2.0, -0.5])), rtol=1e-6)
    assert found.label.tolist() == [0, 0]
    assert len(detector.decode(raw, 0.7)[0]) == 1
    assert len(found.take(found.score > 0.7)) == 1


def test_an_output_that_is_not_finite_is_counted(card):
    out = torch.zeros(1, 4, 8, 8)
    out[0, 2, 0, :3] = torch.nan
    detector = HeatmapDetector(Planned(out), card)
    with pytest.raises(PredictError, match="3 of 256"):
        detector.forward(np.zeros((1, 3, 32, 32), np.float32))


def test_a_batch_predicts_what_its_tiles_predict(saved):
    loaded = load_network(saved)
    batch = np.random.default_rng(0).normal(size=(3, 3, 64, 64)).astype(np.float32)
    together = loaded.forward(batch)
    for index in range(3):
        alone = loaded.forward(batch[index : index + 1])
        for name, values in together.items():
            np.testing.assert_allclose(values[index], alone[name][0], atol=1e-5)


def test_a_worker_checks_the_file_it_has_not_what_the_client_saw(saved):
    saved.verify()
    sent = pickle.loads(pickle.dumps(saved))  # noqa: S301 - our own bytes
    path = saved.weights_path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)

    with pytest.raises(ModelError, match="SHA-256"):
        load_weights(sent)
