"""A network whole in its file answers as before; a file that runs code needs trust."""

import os
import pickle
import zipfile
from dataclasses import replace
from hashlib import sha256

import numpy as np
import onnx
import pytest
import torch
from model_families import drawn_tiles, family_card
from onnx import TensorProto, helper

from areca.errors import ModelError, PredictError
from areca.models.adapter import load_network
from areca.models.handle import Model

EDGE = 128


class Tiny(torch.nn.Module):
    """Three classes of four bands by one convolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(6)
        self.conv = torch.nn.Conv2d(4, 3, 3, padding=1)

    def forward(self, x):
        return self.conv(x)


def file_model(folder, name, kind, contract="logits", **change):
    data = (folder / name).read_bytes()
    card = family_card(
        "unet" if contract == "logits" else "maskrcnn",
        {"contract": contract, "phase_px": 4},
        architecture="file",
        format=kind,
        weights=name,
        task={
            "logits": "semantic-segmentation",
            "boxes": "object-detection",
            "masks": "instance-segmentation",
            "heatmap": "object-detection",
        }[contract],
        sha256=sha256(data).hexdigest(),
        **change,
    )
    return Model(card, folder)


def write_onnx(folder, *, bands=4, edge=EDGE, batch="n"):
    """Write Tiny as a graph, node by node."""
    conv = Tiny().conv
    arrays = {"w": conv.weight.detach().numpy(), "b": conv.bias.detach().numpy()}
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], pads=[1, 1, 1, 1])
    shape = [batch, bands, edge, edge]
    graph = helper.make_graph(
        [node],
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 3, edge, edge])],
        [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9),
              folder / "net.onnx")  # fmt: skip


def write_pt2(folder):
    size = torch.export.Dim("n", min=1, max=64)
    program = torch.export.export(
        Tiny().eval(), (torch.zeros(2, 4, EDGE, EDGE),), dynamic_shapes=({0: size},)
    )
    torch.export.save(program, folder / "net.pt2")


def write_callable(folder):
    torch.save(Tiny().state_dict(), folder / "numbers.pth")
    (folder / "net.py").write_text(
        "import torch\n"
        "def load(folder, device):\n"
        "    conv = torch.nn.Conv2d(4, 3, 3, padding=1).to(device)\n"
        "    state = torch.load(folder / 'numbers.pth')\n"
        "    conv.load_state_dict({k[5:]: v for k, v in state.items()})\n"
        "    def run(batch):\n"
        "        with torch.inference_mode():\n"
        "            return conv(torch.from_numpy(batch).to(device)).cpu().numpy()\n"
        "    return run\n"
    )


def write_torchscript(folder):
    torch.jit.trace(Tiny().eval(), torch.zeros(1, 4, EDGE, EDGE)).save(
        folder / "net.ts"
    )


KINDS = {
    "onnx": ("net.onnx", write_onnx),
    "pt2": ("net.pt2", write_pt2),
    "torchscript": ("net.ts", write_torchscript),
    "callable": ("net.py", write_callable),
}


@pytest.fixture
def model_of(tmp_path):
    def build(kind):
        name, write = KINDS[kind]
        write(tmp_path)
        return file_model(tmp_path, name, kind)

    return build


torchscript_is_old = pytest.mark.filterwarnings(
    "ignore:`torch.jit:DeprecationWarning", "ignore:.*jit.*:FutureWarning"
)


@torchscript_is_old
@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_answers_as_its_network(kind, model_of):
    loaded = load_network(model_of(kind), trust=True)
    tiles = drawn_tiles(loaded.card, 2)
    with torch.inference_mode():
        expected = Tiny()(torch.from_numpy(tiles)).numpy()
    logits = loaded.forward(tiles)["logits"]
    assert loaded.contract == "logits"
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, atol=1e-4)


@torchscript_is_old
@pytest.mark.parametrize("kind", ["pt2", "torchscript", "callable"])
def test_a_file_that_can_run_code_needs_trust(kind, model_of):
    with pytest.raises(ModelError, match="with trust only"):
        load_network(model_of(kind))


def test_onnx_needs_no_trust(model_of):
    assert load_network(model_of("onnx")).contract == "logits"


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def test_a_pickle_planted_in_an_archive_of_torch_export_does_not_run(tmp_path):
    marker = tmp_path / "ran"
    write_pt2(tmp_path)
    with (
        zipfile.ZipFile(tmp_path / "net.pt2") as clean,
        zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad,
    ):
        names = [n for n in clean.namelist() if "sample_inputs" in n]
        assert names
        for name in clean.namelist():
            data = clean.read(name)
            if name in names:
                data = pickle.dumps(Planted(marker))
            bad.writestr(name, data)
    model = file_model(tmp_path, "bad.pt2", "pt2")
    with pytest.raises(ModelError, match="can run code"):
        load_network(model)
    assert not marker.exists()


def test_a_python_file_does_not_run_without_trust(tmp_path):
    marker = tmp_path / "ran"
    code = f"open({str(marker)!r}, 'w').close()\ndef load(f, d): return lambda x: x\n"
    (tmp_path / "net.py").write_text(code)
    model = file_model(tmp_path, "net.py", "callable")
    with pytest.raises(ModelError, match="can run code"):
        load_network(model)
    assert not marker.exists()
    load_network(model, trust=True)
    assert marker.exists()


def test_a_whole_file_that_was_changed_is_refused(model_of):
    model = model_of("onnx")
    path = model.weights_path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="SHA-256"):
        load_network(model)


def test_row_24_a_graph_for_other_tiles_is_refused_when_it_is_loaded(tmp_path):
    write_onnx(tmp_path, edge=64)
    with pytest.raises(ModelError, match=r"'n', 4, 64, 64.*\(n, 4, 128, 128\)"):
        load_network(file_model(tmp_path, "net.onnx", "onnx"))


@torchscript_is_old
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("onnx", "no ONNX graph"),
        ("pt2", "no pt2 archive"),
        ("torchscript", "no torchscript archive"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, kind, said):
    (tmp_path / "net").write_bytes(b"no network")
    with pytest.raises(ModelError, match=said):
        load_network(file_model(tmp_path, "net", kind), trust=True)


def test_a_python_file_without_load_is_refused(tmp_path):
    (tmp_path / "net.py").write_text("x = 1\n")
    with pytest.raises(ModelError, match="no function load"):
        load_network(file_model(tmp_path, "net.py", "callable"), trust=True)


def test_a_whole_file_gives_no_heat_map(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot give heatmap"):
        load_network(file_model(tmp_path, "net.onnx", "onnx", "heatmap"))


MASKS = (
    "import numpy as np\n"
    "def load(folder, device):\n"
    "    def run(batch):\n"
    "        n = len(batch)\n"
    "        return {\n"
    "            'boxes': np.tile(np.float32([[10, 20, 30, 50], [0, 0, 0, 0]]), (n, 1, 1)),\n"  # noqa: E501
    "            'scores': np.tile(np.float32([0.8, 0.0]), (n, 1)),\n"
    "            'labels': np.tile([2, 0], (n, 1)),\n"
    "            'masks': np.ones((n, 2, 28, 28), np.float32),\n"
    "        }\n"
    "    return run\n"
)


@pytest.mark.parametrize("contract", ["boxes", "masks"])
def test_boxes_and_masks_of_a_whole_file_are_decoded(tmp_path, contract):
    (tmp_path / "net.py").write_text(MASKS)
    model = file_model(tmp_path, "net.py", "callable", contract)
    loaded = load_network(model, trust=True)
    raw = loaded.forward(drawn_tiles(loaded.card, 3))
    found = loaded.decode(raw, 0.0)
    assert [len(one) for one in found] == [1, 1, 1]
    assert found[1].bounds.tolist() == [[10, 20, 30, 50]]
    assert found[1].label.tolist() == [1]
    assert hasattr(found[1], "mask") == (contract == "masks")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("return {'boxes': [], 'scores': []}", r"\['boxes', 'scores'\].*labels"),
        ("return [np.zeros((1, 0, 4)), np.zeros((1, 0)), np.zeros((1, 0))]", "2 tiles"),
        (
            "return [np.full((2, 1, 4), np.nan), np.ones((2, 1)), np.ones((2, 1))]",
            "8 of 12 outputs",
        ),
        (
            "k = 100_001; return [np.ones((2, k, 4)), *np.ones((2, 2, k))]",
            "100001 boxes",
        ),
    ],
)
def test_row_25_boxes_that_cannot_be_are_refused_with_counts(tmp_path, code, said):
    text = f"import numpy as np\ndef load(f, d):\n    def run(x):\n        {code}\n"
    (tmp_path / "net.py").write_text(text + "    return run\n")
    model = file_model(tmp_path, "net.py", "callable", "boxes")
    loaded = load_network(model, trust=True)
    with pytest.raises(PredictError, match=said):
        loaded.forward(drawn_tiles(loaded.card, 2))


def test_logits_of_a_whole_file_are_not_decoded(model_of):
    with pytest.raises(PredictError, match="no objects"):
        load_network(model_of("onnx")).decode({}, 0.5)


def test_a_card_of_a_file_keeps_its_digest_over_its_contract(model_of):
    card = model_of("onnx").card
    other = replace(card, architecture_options={"contract": "logits", "phase_px": 8})
    assert other.digest != card.digest


def test_a_graph_for_one_tile_says_so_when_it_is_given_two(tmp_path):
    """Its runtime's own errors derive from none that a run would catch."""
    write_onnx(tmp_path, batch=1)
    loaded = load_network(file_model(tmp_path, "net.onnx", "onnx"))
    assert loaded.forward(np.zeros((1, 4, EDGE, EDGE), np.float32))
    with pytest.raises(PredictError, match=r"fails on 2 tiles.*another batch_size"):
        loaded.forward(np.zeros((2, 4, EDGE, EDGE), np.float32))
