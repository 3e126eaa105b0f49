"""A card and a file become a model folder by one call, whatever the format."""

from dataclasses import replace
from hashlib import sha256

import numpy as np
import onnx
import pytest
import torch
from model_families import drawn_tiles, family_card
from onnx import TensorProto, helper

import areca
from areca.errors import ModelError, PredictError
from areca.models.adapter import load_network
from areca.models.architectures import build_network
from areca.models.card_file import read_card, write_card

EDGE = 128


def file_card(kind, **change):
    return family_card(
        "unet", {"contract": "logits"}, architecture="file", format=kind, **change
    )


def write_graph(path, *, classes=3):
    """Write a graph whose logits are the first bands of its input."""
    shape = ["n", 4, EDGE, EDGE]
    out = ["n", classes, EDGE, EDGE]
    node = helper.make_node("Slice", ["x", "from", "to", "axis"], ["y"])
    numbers = {"from": [0], "to": [classes], "axis": [1]}
    graph = helper.make_graph(
        [node],
        "first bands",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [onnx.numpy_helper.from_array(np.int64(v), k) for k, v in numbers.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


def test_a_whole_network_is_copied_hashed_and_answers(tmp_path):
    path = write_graph(tmp_path / "net.onnx")

    model = areca.pack_model(file_card("onnx"), path, tmp_path / "new" / "model")

    assert model.card.sha256 == sha256(path.read_bytes()).hexdigest()
    assert model.card.weights == "net.onnx"
    loaded = areca.load_model(tmp_path / "new" / "model")
    assert loaded == model
    tiles = drawn_tiles(model.card, 2)
    assert np.array_equal(load_network(loaded).forward(tiles)["logits"], tiles[:, :3])


def test_a_checkpoint_is_taken_as_it_is_and_its_parameters_are_counted(tmp_path):
    card = family_card("unet", {"encoder": "resnet18"}, format="state-dict")
    network = build_network(card)
    torch.save(network.state_dict(), tmp_path / "last.pth")

    model = areca.pack_model(card, tmp_path / "last.pth", tmp_path / "model")

    assert model.card.parameters == sum(p.numel() for p in network.parameters())
    assert model.weights_path.read_bytes() == (tmp_path / "last.pth").read_bytes()


def test_a_card_that_does_not_fit_is_refused_and_leaves_no_model(tmp_path):
    path = write_graph(tmp_path / "net.onnx", classes=2)
    with pytest.raises(ModelError, match=r"\(1, 2, 128, 128\), the card says \(1, 3,"):
        areca.pack_model(file_card("onnx"), path, tmp_path / "model")
    assert not list((tmp_path / "model").iterdir())
    labels = ("palm", "shrub")
    areca.pack_model(file_card("onnx", labels=labels), path, tmp_path / "model")

    other = write_graph(tmp_path / "other.onnx")
    with pytest.raises(ModelError, match="has a model already"):
        areca.pack_model(file_card("onnx"), other, tmp_path / "model")
    with pytest.raises(ModelError, match="no file of weights"):
        areca.pack_model(file_card("onnx"), tmp_path / "no.onnx", tmp_path / "second")


def test_a_file_of_code_is_tried_only_with_trust(tmp_path):
    (tmp_path / "net.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "import numpy as np\n"
        "def load(folder, device):\n"
        "    numbers = np.load(folder / 'numbers.npy')\n"
        "    return lambda batch: batch[:, :3] * numbers\n"
    )
    np.save(tmp_path / "numbers.npy", np.float32(2))
    card = file_card("callable")

    # The file lies in its folder already, beside what it loads.
    model = areca.pack_model(card, tmp_path / "net.py", tmp_path)
    assert not (tmp_path / "ran").exists()
    assert areca.pack_model(card, tmp_path / "net.py", tmp_path, trust=True) == model
    assert (tmp_path / "ran").exists()


def test_a_fault_of_a_file_of_code_is_told_as_its_own(tmp_path):
    (tmp_path / "net.py").write_text(
        "def load(folder, device):\n    return lambda batch: {}['crowns']\n"
    )
    with pytest.raises(ModelError, match=r"net\.py.*on 1 tiles: KeyError: 'crowns'"):
        areca.pack_model(
            file_card("callable"), tmp_path / "net.py", tmp_path / "m", trust=True
        )
    model = areca.pack_model(file_card("callable"), tmp_path / "net.py", tmp_path / "n")
    with pytest.raises(PredictError, match="KeyError"):
        load_network(model, trust=True).forward(drawn_tiles(model.card, 1))


def test_a_card_without_sha256_is_not_called_damaged(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    write_card(replace(file_card("onnx"), weights="net.onnx"), tmp_path)  # a folder

    assert read_card(tmp_path) == read_card(tmp_path / "model.json")
    with pytest.raises(ModelError, match=r"has no sha256.*areca\.pack_model") as error:
        areca.load_model(tmp_path).verify()
    assert "damaged" not in str(error.value)
    card = areca.load_model(tmp_path).card
    areca.pack_model(card, path, tmp_path).verify()


def test_a_graph_with_its_weights_in_a_second_file_is_told_how_to_export(
    tmp_path, monkeypatch
):
    """Also from the folder of that file: no SHA-256 would cover its numbers."""
    monkeypatch.chdir(tmp_path)
    values = onnx.numpy_helper.from_array(np.ones((3, 4, 32, 32), np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, EDGE, EDGE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, 97, 97])],
        [values],
    )
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True)
    with pytest.raises(ModelError, match="external_data=False"):
        areca.pack_model(file_card("onnx"), tmp_path / "net.onnx", tmp_path / "model")


def test_a_file_of_the_same_name_is_left_as_it_is(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    mine = tmp_path / "mine" / "net.onnx"
    mine.parent.mkdir()
    mine.write_bytes(b"a network of another day")
    with pytest.raises(ModelError, match=r"has another file net\.onnx already"):
        areca.pack_model(file_card("onnx"), path, mine.parent)
    assert mine.read_bytes() == b"a network of another day"


def test_weights_behind_a_link_in_the_folder_are_taken_where_they_lie(tmp_path):
    path = write_graph(tmp_path / "net.onnx")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "net.onnx").symlink_to(path)
    assert areca.pack_model(file_card("onnx"), folder / "net.onnx", folder)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def load(folder, device:", "SyntaxError"),
        ("import no_such_module", "ModuleNotFoundError"),
        ("def load(folder, device):\n    raise KeyError(folder)", "KeyError"),
        ("def load(folder, device):\n    raise ValueError", "ValueError"),
        (
            "def load(folder, device): raise OSError('https://a.b/c?sig=SECRET gone')",
            "OSError: https://a.b/c",
        ),
    ],
)
def test_a_file_that_fails_when_it_is_loaded_is_named_and_not_kept(
    tmp_path, code, says
):
    (tmp_path / "net.py").write_text(code)
    with pytest.raises(ModelError, match=says) as error:
        areca.pack_model(
            file_card("callable"), tmp_path / "net.py", tmp_path / "model", trust=True
        )
    assert "SECRET" not in str(error.value)
    assert [*(tmp_path / "model").iterdir()] == []
