"""What features cost: each function a megapixel, and indices in front of a model.

    python benchmarks/features.py [--rounds 3] [--edge 1024]

The first table reads a block of a scene as a census does and runs a model over it,
with four bands, and with four bands and four indices, all standardised: the times of
reading, of what lies between, and of the passes. The second times `FeatureStack` on one
padded block in memory: seconds of the processor a megapixel, one thread, median of the
rounds. The third does so for what takes two passes, beside scikit-learn, SciPy and
scikit-image where they do the same or the like, and OpenCV where it is installed
(`uv pip install opencv-python-headless`).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
import torch
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage
from skimage.segmentation import quickshift
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.metrics import pairwise_distances_argmin

from areca.catalog import grid_of, normalise_items, read_mosaic, search
from areca.features import NEIGHBOURHOODS, FeatureStack
from areca.features.clusters import nearest
from areca.features.components import Rule, components
from areca.features.likelihood import MaximumLikelihood
from areca.features.mean_shift import MeanShift
from areca.features.signature import Signature, SignatureClass
from areca.inference.block import _features
from areca.models.architectures import build_network
from areca.models.handle import load_model
from areca.tiles import Lattice, Window, block_array, placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import xarray as xr
    from numpy.typing import NDArray

    from areca.catalog import Scene

INDEX_BANDS = ("ndvi", "gndvi", "savi", "evi")
RGBN = ("red", "green", "blue", "nir")
TILE, CORE = 512, 448


def block_of(edge: int, halo: int) -> xr.DataArray:
    """Return smooth ground with noise, a hundredth of it missing."""
    rng = np.random.default_rng(0)
    size = edge + 2 * halo
    rows, cols = np.mgrid[:size, :size]
    ground = 90 * np.sin(rows / 31) * np.cos(cols / 37) + 128
    pixels = ground + rng.normal(0, 12, (4, size, size))
    pixels[:, rng.random((size, size)) < 0.01] = np.nan
    block = block_array(pixels.clip(1, 255).round().astype(np.float32), RGBN)
    affine = Affine(10, 0, 500_000, 0, -10, 4_000_000)
    lattice = Lattice.of(GeoBox((size, size), affine, "EPSG:32631"), core_px=1)
    return placed(block, lattice, Window(0, 0, size, size))


def cost(work: Callable[[], object], rounds: int) -> float:
    """Return the median time of the processor, s."""
    work()
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return statistics.median(times)


def calls() -> dict[str, str]:
    """Return each function as one would write it, and indices."""
    given = {"low": 0, "high": 255}
    found = {name: name for name in INDEX_BANDS}
    for name, function in NEIGHBOURHOODS.items():
        needed = [f"{k}={v}" for k, v in given.items() if k in function.options]
        found[name] = f"{name}({', '.join(['nir', *needed])})"
    return found


def print_costs(edge: int, rounds: int) -> None:
    print(f"\n| feature | halo, px | s a megapixel ({edge} x {edge}) |\n|---|---|---|")
    groups = {
        "all of terrain": [
            n for n, f in NEIGHBOURHOODS.items() if f.group == "terrain"
        ],
        "all of co-occurrence": [
            "contrast", "dissimilarity", "homogeneity", "correlation", "asm", "energy",
        ],
        "mean, std and range": ["mean", "std", "range"],
    }  # fmt: skip
    texts = calls()
    for name, wanted in (
        {n: [n] for n in texts} | {"four indices": list(INDEX_BANDS)} | groups
    ).items():
        stack = FeatureStack(tuple(texts[each] for each in wanted))
        block = block_of(edge, stack.halo_px)
        seconds = cost(lambda s=stack, b=block: s(b), rounds) / (edge**2 / 1e6)
        print(f"| {name} | {stack.halo_px} | {seconds:.3f} |", flush=True)


def print_two_pass(edge: int, rounds: int) -> None:
    """Time classes and segments of four bands, with 8 classes and windows of 7."""
    shift = MeanShift(bands=RGBN, spectral_radius=40.0, spatial_radius=3, iterations=5)
    block = block_of(edge, shift.halo_px)
    even = shift(block).to_numpy()
    inner = block.isel(
        y=slice(shift.halo_px, -shift.halo_px), x=slice(shift.halo_px, -shift.halo_px)
    )
    pixels = np.nan_to_num(inner.to_numpy().reshape(4, -1).astype(np.float64))
    means = pixels.mean(axis=1) + np.linspace(-60, 60, 8)[:, None]
    label = nearest(pixels, means)
    signature = Signature(bands=RGBN, classes=tuple(_class(pixels, label)))
    fit = MaximumLikelihood(signature=signature, output="class")
    peer = QuadraticDiscriminantAnalysis(priors=[1 / 8] * 8).fit(pixels.T, label)
    rule = Rule(within=20.0, cell_px=None, whole=Window(0, 0, edge, edge))
    work: dict[str, Callable[[], object]] = {
        "ISODATA, one step of all pixels": lambda: nearest(pixels, means),
        "ISODATA, scikit-learn": lambda: pairwise_distances_argmin(pixels.T, means),
        "maximum likelihood": lambda: fit(inner),
        "maximum likelihood, scikit-learn": lambda: peer.predict(pixels.T),
        "mean shift": lambda: shift(block),
        "components": lambda: components(even, rule.whole, rule),
        "label of one mask, SciPy": lambda: ndimage.label(even[0] > 128),
    }
    work |= like_mean_shift(block, shift)
    print(f"\n| two passes | s a megapixel ({edge} x {edge}) |\n|---|---|")
    for name, one in work.items():
        print(f"| {name} | {cost(one, rounds) / (edge**2 / 1e6):.3f} |", flush=True)


def like_mean_shift(
    block: xr.DataArray, shift: MeanShift
) -> dict[str, Callable[[], object]]:
    """Return mean shift of three bands, and what others make of the same pixels.

    OpenCV's moves each pixel in space too, among pixels that stay as they were, and
    takes three bands of 8 bits; scikit-image's quick shift links pixels instead.
    """
    three = block.isel(band=slice(3))
    ours = replace(shift, bands=RGBN[:3])
    picture = np.ascontiguousarray(
        np.moveaxis(np.nan_to_num(three.to_numpy()), 0, -1).astype(np.uint8)
    )
    arms: dict[str, Callable[[], object]] = {
        "mean shift of three bands": lambda: ours(three),
        "quick shift of three bands, scikit-image": lambda: quickshift(
            picture, kernel_size=3, max_dist=6, ratio=1.0, convert2lab=False
        ),
    }
    if find_spec("cv2"):
        import cv2  # noqa: PLC0415

        cv2.setNumThreads(1)
        ends = (cv2.TERM_CRITERIA_COUNT, shift.iterations, 0)
        arms["mean shift of three bands, OpenCV"] = lambda: cv2.pyrMeanShiftFiltering(
            picture, shift.spatial_radius, shift.spectral_radius, None, 0, ends
        )
    return arms


def _class(
    pixels: NDArray[np.float64], label: NDArray[np.int64]
) -> Iterator[SignatureClass]:
    for number in range(8):
        mine = pixels[:, label == number]
        yield SignatureClass(
            value=number + 1,
            name=f"class_{number + 1}",
            count=mine.shape[1],
            mean=tuple(mine.mean(axis=1).tolist()),
            covariance=tuple(map(tuple, (np.cov(mine) + np.eye(4)).tolist())),
        )


def draw_scene(path: Path, edge: int) -> None:
    pixels = block_of(edge, 0).to_numpy()
    with rasterio.open(
        path, "w", driver="GTiff", height=edge, width=edge, count=4, dtype="uint8",
        crs="EPSG:32631", transform=Affine(0.2, 0, 5e5, 0, -0.2, 4e6), nodata=0,
        tiled=True, blockxsize=512, blockysize=512, compress="deflate",
    ) as file:  # fmt: skip
        file.write(np.nan_to_num(pixels).astype(np.uint8))
        file.descriptions = RGBN


def print_census(rounds: int) -> None:
    """Time a block of 4 x 4 tiles with and without indices."""
    torch.set_num_threads(1)
    edge = 4 * CORE + TILE - CORE
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.tif"
        draw_scene(path, edge)
        scenes = normalise_items(search(path), catalog_href=path)
        geobox = grid_of(scenes)
        print("\n| bands | read | features and scaling | passes | together |")
        print("|---|---|---|---|---|")
        for bands in (RGBN, (*RGBN, *INDEX_BANDS)):
            times = [_block(scenes, geobox, bands) for _ in range(rounds + 1)][1:]
            read, made, passed = (
                statistics.median(t) for t in zip(*times, strict=True)
            )
            print(
                f"| {len(bands)} | {read:.3f} s | {made:.3f} s | {passed:.2f} s | "
                f"{read + made + passed:.2f} s |",
                flush=True,
            )


def _block(
    scenes: list[Scene], geobox: GeoBox, bands: tuple[str, ...]
) -> tuple[float, float, float]:
    shipped = load_model("oil-palm").card
    card = replace(
        shipped, bands=bands, mean=(0.5,) * len(bands), std=(0.2,) * len(bands)
    )
    torch.manual_seed(0)
    network = build_network(card).eval()
    # A census lends the arrays of its batches again and again (`Session`).
    stack = np.zeros((16, len(bands), TILE, TILE), np.float32)
    stack.fill(0)
    start = time.thread_time()
    mosaic = read_mosaic(scenes, RGBN, geobox)
    block = block_array(mosaic.pixels, RGBN, mosaic.valid)
    read = time.thread_time()
    features = _features(block, FeatureStack(bands))
    for number in range(16):
        row, col = (part * CORE for part in divmod(number, 4))
        features.put(
            slice(row, row + TILE), slice(col, col + TILE), card, stack[number]
        )
    made = time.thread_time()
    with torch.inference_mode():
        for number in range(16):
            network(torch.from_numpy(stack[number : number + 1]))
    return read - start, made - read, time.thread_time() - made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edge", type=int, default=1024)
    given = parser.parse_args()
    print_census(given.rounds)
    if given.edge:
        print_costs(given.edge, given.rounds)
        print_two_pass(given.edge, given.rounds)


if __name__ == "__main__":
    main()
