"""Packages of Esri: numbers are taken over, code is not, and bombs are not opened."""

import io
import json
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from model_families import drawn_network, family_card

from areca.errors import ModelError
from areca.models import packages
from areca.models.adapter import load_network
from areca.models.esri import import_esri
from areca.models.handle import load_model

BANDS = ("red", "green", "blue", "nir")
GIVEN = {
    "architecture": "unet",
    "architecture_options": {"encoder": "resnet18"},
    "bands": "red,green,blue,nir",
    "resolution_m": 0.3,
    "context_px": 32,
    "mean": "100, 90, 80, 70",
    "std": [40, 40, 40, 40],
}
CANARY = "import pathlib; pathlib.Path({!r}).touch()\n"


def definition(**change):
    return {
        "Framework": "PyTorch",
        "ModelConfiguration": "UNet",
        "ModelFile": "cover.pth",
        "ModelType": "ImageClassification",
        "InferenceFunction": "ArcGISImageClassifier.py",
        "ImageHeight": 128,
        "ImageWidth": 128,
        "BatchSize": 64,
        "DataRange": [0, 1],
        "Classes": [
            {"Value": 1, "Name": "palm", "Color": [0, 255, 0]},
            {"Value": 2, "Name": "roof", "Color": [9, 9, 9]},
        ],
    } | change


@pytest.fixture(scope="module")
def network():
    card = family_card("unet", {"encoder": "resnet18"}, bands=BANDS)
    return drawn_network(card)


def checkpoint(network, where="model"):
    data = io.BytesIO()
    torch.save({where: network.state_dict(), "epoch": 7}, data)
    return data.getvalue()


def pack(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def packed(tmp_path, network, *, emd=None, **members):
    code = CANARY.format(str(tmp_path / "ran"))
    files = {
        "cover/cover.emd": json.dumps(emd or definition()),
        "cover/cover.pth": checkpoint(network),
        "cover/ArcGISImageClassifier.py": code,
        "esriinfo/item.pkinfo": "<xml/>",
    }
    return pack(tmp_path / "cover.dlpk", files | members)


def test_a_package_becomes_a_model_that_answers_as_its_network(tmp_path, network):
    path = packed(tmp_path, network)

    made = import_esri(path, tmp_path / "models" / "cover", GIVEN)

    model = load_model(tmp_path / "models" / "cover")
    assert model == made
    assert model.card.labels == ("background", "palm", "roof")
    assert (model.card.bands, model.card.tile_px) == (BANDS, 128)
    assert model.card.mean == (100.0, 90.0, 80.0, 70.0)
    assert model.card.parameters == sum(p.numel() for p in network.parameters())
    names = {file.name for file in model.folder.iterdir()}
    assert names == {"model.json", "cover.pth"}  # and no code
    assert not (tmp_path / "ran").exists()
    tile = np.random.default_rng(0).normal(size=(1, 4, 128, 128)).astype(np.float32)
    with torch.inference_mode():
        expected = network(torch.from_numpy(tile)).numpy()
    found = load_network(model).forward(tile)["logits"]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_definition_beside_its_weights_is_taken_too(tmp_path, network):
    (tmp_path / "cover.emd").write_text(json.dumps(definition(ExtractBands=[3, 0])))
    (tmp_path / "cover.pth").write_bytes(checkpoint(network))
    given = GIVEN | {"mean": "1,2", "std": "1,1"}

    with pytest.raises(ModelError, match="do not fit"):
        import_esri(tmp_path / "cover.emd", tmp_path / "model", given)

    (tmp_path / "cover.emd").write_text(json.dumps(definition()))
    made = import_esri(tmp_path / "cover.emd", tmp_path / "model", GIVEN)
    assert made.card.weights == "cover.pth"


def test_what_a_package_does_not_say_is_asked_for_by_name_in_one_line(
    tmp_path, network
):
    path = packed(tmp_path, network)

    with pytest.raises(ModelError) as asked:
        import_esri(path, tmp_path / "model", {})

    said = str(asked.value)
    assert "\n" not in said
    missing = said.partition("does not say ")[2].partition(";")[0].split(", ")
    assert missing == [
        "architecture", "bands", "resolution_m", "context_px", "mean", "std",
    ]  # fmt: skip
    assert "one of deeplabv3" in said
    assert "score_threshold" not in said
    assert not (tmp_path / "model").exists()
    with pytest.raises(ModelError, match=r"does not say mean, std; give each"):
        import_esri(
            path,
            tmp_path / "model",
            {k: v for k, v in GIVEN.items() if k not in {"mean", "std"}},
        )
    with pytest.raises(ModelError, match=r"'resolution' is no field .* 'resolution_m'"):
        import_esri(path, tmp_path / "model", GIVEN | {"resolution": 1})
    with pytest.raises(ModelError, match="mean is 'bright'; give one number"):
        import_esri(path, tmp_path / "model", GIVEN | {"mean": "bright"})


def test_a_detector_is_also_asked_for_the_size_of_its_objects(tmp_path, network):
    emd = definition(ModelType="ObjectDetection", ModelConfiguration="FasterRCNN")
    path = packed(tmp_path, network, emd=emd)

    with pytest.raises(ModelError) as asked:
        import_esri(path, tmp_path / "model", {"bands": "red,green,blue"})

    said = str(asked.value)
    missing = said.partition("does not say ")[2].partition(";")[0].split(", ")
    assert "architecture" not in missing  # the definition names it
    assert {"max_object_px", "score_threshold", "nms_iou"} <= set(missing)


def test_the_padding_of_a_model_is_its_context(tmp_path, network):
    given = {k: v for k, v in GIVEN.items() if k != "context_px"}
    path = packed(tmp_path, network, emd=definition(ModelPadding=32))

    assert import_esri(path, tmp_path / "model", given).card.context_px == 32


class Planted:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return (exec, (CANARY.format(self.flag),))


def test_a_planted_pickle_does_not_run_and_leaves_no_folder(tmp_path, network):
    flag = str(tmp_path / "planted")
    buffer = io.BytesIO()
    torch.save({"model": Planted(flag)}, buffer)
    data = buffer.getvalue()
    path = packed(tmp_path, network, **{"cover/cover.pth": data})

    with pytest.raises(ModelError):
        import_esri(path, tmp_path / "model", GIVEN)

    assert not (tmp_path / "planted").exists()
    assert not (tmp_path / "model").exists()
    assert not list(tmp_path.glob(".import*"))
    torch.load(io.BytesIO(data), weights_only=False)
    assert (tmp_path / "planted").exists()  # it would have


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../evil.py", "points out of it"),
        ("cover/../../evil.py", "points out of it"),
        ("/etc/evil", "points out of it"),
        ("C:\\evil", "points out of it"),
        ("..\\evil", "points out of it"),
        ("second.emd", "holds 2 .emd files"),
    ],
)
def test_a_package_with_a_bad_name_is_refused(tmp_path, network, name, said):
    path = packed(tmp_path, network, **{name: "x"})

    with pytest.raises(ModelError, match=said):
        import_esri(path, tmp_path / "in" / "model", GIVEN)

    assert not (tmp_path / "in").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_a_bomb_is_not_opened(tmp_path, network):
    path = packed(tmp_path, network, **{"cover/cover.pth": bytes(30_000_000)})

    with pytest.raises(
        ModelError, match=r"'cover/cover.pth' that swells from .* to 30"
    ):
        import_esri(path, tmp_path / "model", GIVEN)


def test_absurd_sizes_are_refused_before_anything_is_read(
    tmp_path, network, monkeypatch
):
    path = packed(tmp_path, network)
    monkeypatch.setattr(packages, "LARGEST_BYTES", 1_000_000)
    with pytest.raises(ModelError, match=r"unpacks to .* more than 1,000,000"):
        import_esri(path, tmp_path / "model", GIVEN)
    monkeypatch.setattr(packages, "LARGEST_BYTES", 2**40)
    monkeypatch.setattr(packages, "MOST_MEMBERS", 3)
    with pytest.raises(ModelError, match="has 4 members, more than 3"):
        import_esri(path, tmp_path / "model", GIVEN)
    monkeypatch.setattr(packages, "MOST_MEMBERS", 10)
    big = packed(tmp_path, network, emd=definition(ImageHeight=10**6, ImageWidth=10**6))
    with pytest.raises(ModelError, match="tiles of 1000000 px; give 1 to 8192"):
        import_esri(big, tmp_path / "model", GIVEN)
    wordy = json.dumps(
        definition(Description=np.random.default_rng(0).bytes(600_000).hex())
    )
    with pytest.raises(ModelError, match=r"cover.emd has 1,2.* no model definition"):
        import_esri(
            packed(tmp_path, network, **{"cover/cover.emd": wordy}),
            tmp_path / "model",
            GIVEN,
        )


def test_a_damaged_package_is_named(tmp_path, network):
    path = packed(tmp_path, network)
    with zipfile.ZipFile(path) as file:
        info = file.getinfo("cover/cover.pth")
    data = bytearray(path.read_bytes())
    name, extra = struct.unpack("<HH", data[info.header_offset + 26 :][:4])
    data[info.header_offset + 30 + name + extra + info.compress_size // 2] ^= 0xFF
    path.write_bytes(data)

    with pytest.raises(ModelError, match=r"cover/cover.pth cannot be copied"):
        import_esri(path, tmp_path / "model", GIVEN)
    path.write_bytes(b"no zip")
    with pytest.raises(ModelError, match="cannot be opened as a package"):
        import_esri(path, tmp_path / "model", GIVEN)
    assert not (tmp_path / "model").exists()


def test_weights_that_are_not_there_are_named(tmp_path, network):
    path = packed(tmp_path, network, emd=definition(ModelFile="..\\other.pth"))

    with pytest.raises(ModelError, match="which are not in the package"):
        import_esri(path, tmp_path / "model", GIVEN)


def test_a_folder_that_is_there_is_left_alone(tmp_path, network):
    (tmp_path / "model").mkdir()

    with pytest.raises(ModelError, match="is there already"):
        import_esri(packed(tmp_path, network), tmp_path / "model", GIVEN)

    assert list((tmp_path / "model").iterdir()) == []


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_unpacks_all_at_once_is_refused(tmp_path, kind):
    path = tmp_path / "bomb.dlpk"
    with zipfile.ZipFile(path, "w", kind) as file:
        file.writestr("cover.emd", b" " * 1000)
    with pytest.raises(ModelError, match="packed other than by deflate"):
        import_esri(path, tmp_path / "model", GIVEN)


def test_a_member_larger_than_it_says_is_not_unpacked(tmp_path):
    """Its list of members says 500 bytes for 300 MB of spaces."""
    path = pack(tmp_path / "bomb.dlpk", {"cover.emd": b" " * 300_000_000})
    data = bytearray(path.read_bytes())
    at = data.rfind(b"PK\x01\x02")
    data[at + 24 : at + 28] = (500).to_bytes(4, "little")
    path.write_bytes(data)

    with zipfile.ZipFile(path) as file:
        package = packages.Package(file, "bomb.dlpk")
        tracemalloc.start()
        with pytest.raises(ModelError, match="damaged"):
            package.read("cover.emd", most=1000)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 10_000_000
