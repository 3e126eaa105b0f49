"""Small drawn worlds and models that many tests share."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pandas as pd
import rasterio
import torch
from affine import Affine

import areca
from areca.catalog import normalise_items
from areca.inference import Predictor, block, detect
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.handle import Model
from areca.models.weights import save_model
from areca.runs import RunRequest
from areca.tiles import as_floats

PIXEL = 0.2
"""m."""


def draw_ground(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """Return (3, height, width) uint8: smooth ground with discs all over it."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 160, (3, height // 8 + 2, width // 8 + 2))
    ground = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    rows, cols = np.mgrid[:height, :width]
    for _ in range(height * width // 900):
        row, col = rng.uniform(0, height), rng.uniform(0, width)
        radius = rng.uniform(4, 10)
        disc = (rows - row) ** 2 + (cols - col) ** 2 < radius**2
        ground[:, disc] = rng.uniform(0, 255, (3, 1))
    return ground.astype(np.uint8)


def write_scene(
    path: Path,
    pixels: np.ndarray,
    *,
    origin: tuple[float, float] = (700_000.0, 240_000.0),
    crs: str = "EPSG:32648",
    nodata: float | None = None,
) -> Path:
    """Write a tiled GeoTIFF of `PIXEL` metres with its upper left corner at origin."""
    band, height, width = pixels.shape
    profile = {
        "driver": "GTiff", "count": band, "height": height, "width": width,
        "dtype": pixels.dtype, "crs": crs, "nodata": nodata, "tiled": True,
        "blockxsize": 128, "blockysize": 128, "photometric": "rgb",
        "transform": Affine(PIXEL, 0, origin[0], 0, -PIXEL, origin[1]),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(pixels)
    return path


def noisy_model(
    folder: Path, *, bands: tuple[str, ...] = ("red", "green", "blue")
) -> Model:
    """Write a model with random weights that sees very many overlapping things.

    A trained model would leave most borders between tiles empty. This one puts
    candidates on every border and corner, in long chains of rivals: the hard case.
    """
    torch.manual_seed(3)
    card = ModelCard(
        name="noisy",
        version="1",
        architecture_options={
            "width": 16,
            "deep_width": 16,
            "deep_blocks": 1,
            "radius_px": 7.0,
        },
        bands=bands,
        resolution_m=PIXEL,
        tile_px=128,
        context_px=14,
        margin_px=4,
        max_object_px=28,
        mean=(110.0,) * len(bands),
        std=(60.0,) * len(bands),
        labels=("thing",),
        score_threshold=0.5,
        nms_iou=0.2,
    )
    network = build_network(card)
    with torch.no_grad():
        network.head.weight[0].mul_(3000)
        network.head.weight[-1].mul_(300)
        network.head.bias[0] = 0.0
    return save_model(network.eval(), card, folder)


CLASSES = ("ground", "crown", "water", "roof")
MUTATIONS = ("ownership off", "halo 0", "no seam step")


def mutate(monkeypatch, name: str, caller) -> None:
    """Break one of the three things that exactness rests on.

    Args:
        name: One of `MUTATIONS`.
        caller: The module that calls `predict_block`.
    """
    if name == "ownership off":
        monkeypatch.setattr(
            detect, "centred_in", lambda rows, _window: np.ones(len(rows), bool)
        )
    elif name == "halo 0":
        real = block.predict_block

        def blind(array, window, tiles, predictor):
            edge = predictor.halo_px
            array = as_floats(array)
            array[:, :edge] = array[:, -edge:] = np.nan
            array[:, :, :edge] = array[:, :, -edge:] = np.nan
            return real(array, window, tiles, predictor)

        monkeypatch.setattr(caller, "predict_block", blind)
    else:
        monkeypatch.setattr(Predictor, "reach_px", property(lambda _self: -1e9))


def noisy_segmenter(folder: Path, *, labels: tuple[str, ...] = CLASSES) -> Model:
    """Write a segmentation model with random weights: a patchwork of all classes.

    Its regions are of all sizes and shapes, cross every border and corner of blocks,
    and have holes, which a trained model would rarely do on so little ground.
    """
    torch.manual_seed(5)
    card = ModelCard(
        name="patchwork",
        version="1",
        task="semantic-segmentation",
        architecture="unet",
        architecture_options={
            "encoder": "resnet18",
            "decoder_channels": [32, 16, 16, 8, 8],
        },
        bands=("red", "green", "blue"),
        resolution_m=PIXEL,
        tile_px=128,
        context_px=32,
        margin_px=0,
        max_object_px=0,
        mean=(110.0,) * 3,
        std=(60.0,) * 3,
        labels=labels,
        background=0,
        score_threshold=0.5,
        nms_iou=0.5,
    )
    network = build_network(card).eval()
    head = network.segmentation_head[0]
    tile = (torch.from_numpy(draw_ground(128, 128)).float() - 110) / 60
    with torch.no_grad():
        seen = network(tile[None])[0]
        head.bias.sub_(seen.flatten(1).median(dim=1).values)
        head.weight.mul_(2 / seen.std())
        head.bias.mul_(2 / seen.std())
    return save_model(network, card, folder)


def predicted(cube, model, *, workers=2, **options):
    """Objects by id, and rasters, of a lazy prediction that threads compute."""
    out = areca.predict(cube, model, options=areca.PredictOptions(**options))
    # Dask does not compute a table and arrays in one call; their parts it does.
    parts = out.objects.to_delayed()
    with dask.config.set(scheduler="threads", num_workers=workers):
        tables, rasters = dask.compute(parts, out.rasters)
    objects = pd.concat([table for table in tables if len(table)] or tables[:1])
    return objects.sort_values("object_id", ignore_index=True), rasters


def run_request(source: Path, model: Model, *, aoi=None, **options) -> RunRequest:
    """Return a run over all imagery of a file or a folder."""
    return RunRequest(
        recipe="test",
        title="Test",
        command="areca run test",
        scenes=tuple(normalise_items(areca.search(source), catalog_href=source)),
        model=model,
        options=areca.PredictOptions(**options),
        aoi=aoi,
    )


def quiet(*_args, **_kwargs) -> None:
    """Take no note of progress."""


def merged_by_hand(table, last, views: int, overlap: float, smallest: bool):
    """Objects that the views of a tile show: (row of the best candidate, score).

    What `areca.objects.merge_views` says in words, without any index or tree.
    """
    left = sorted(
        (bool(out), -row.score, row.y, row.x, row.label, number, row)
        for (number, row), out in zip(
            enumerate(table.itertuples()), last, strict=True
        )
    )  # fmt: skip
    left = [entry[-1] for entry in left]
    objects = []
    while left:
        best = left.pop(0)
        scores = {best.view: best.score}
        for view in range(views):
            near = [
                row
                for row in left
                if row.view == view != best.view
                and row.label == best.label
                and _share(row, best) > overlap
            ]
            if near:
                # `left` stands in order, and max takes the first of equal ones.
                partner = max(near, key=lambda row: _share(row, best))
                scores[view] = partner.score
                left = [row for row in left if row.Index != partner.Index]
        every = [scores.get(view, 0.0) for view in range(views)]
        objects.append((best.Index, min(every) if smallest else sum(every) / views))
    return objects


def _share(one, other) -> float:
    width = min(one.x_max, other.x_max) - max(one.x_min, other.x_min)
    height = min(one.y_max, other.y_max) - max(one.y_min, other.y_min)
    common = max(width, 0) * max(height, 0)
    areas = [(b.x_max - b.x_min) * (b.y_max - b.y_min) for b in (one, other)]
    return common / (sum(areas) - common)
