"""The census: catalogue, model and region to objects and report, as a resumable run."""

from __future__ import annotations

import math
import re
import shlex
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask.system import CPU_COUNT
from shapely import box

from areca.catalog import (
    assumed_names,
    has_collections,
    normalise_acquisitions,
    read_aoi,
    redact,
    search,
)
from areca.errors import InputError, RecipeError
from areca.features import FeatureStack
from areca.inference import PredictOptions, with_tile
from areca.models.handle import load_model
from areca.runs import (
    AskedGrid,
    RunFolder,
    RunRequest,
    run_census,
    with_kept_batch,
)
from areca.runtime import open_client
from areca.tiles import ground_pixel_m
from areca_pipelines.masking import quality_masks
from areca_pipelines.recipe import PACKAGE, CensusRecipe, read_recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from shapely.geometry.base import BaseGeometry

    from areca.catalog import Scene
    from areca.catalog.aoi import Aoi
    from areca.models.handle import Model
    from areca.runs import Progress, RunResult

METRES_PER_DEGREE = 111_320.0
MOST_ON_A_GPU = 8
"""Processes of a local cluster that share one GPU: so many were measured
(benchmarks/README.md), and each has a CUDA context of some 0.5 GB there."""
OBJECT_STORE = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""An address with a scheme; one slash, as a path has lost the other."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Which imagery, and which part of it."""

    catalog: str | Path | None = None
    """STAC API, catalogue, folder, GeoTIFF or Zarr cube; the recipe's when left out."""
    aoi: Aoi | None = None
    """Area of interest: `W,S,E,N`, a vector file, or a geometry in EPSG:4326."""
    datetime: str | None = None
    """STAC datetime or range, such as `2024-01-01/2024-06-30`."""


def run(
    recipe: str,
    *,
    out: str | Path,
    catalog: str | Path | None = None,
    aoi: Aoi | None = None,
    datetime: str | None = None,
    cluster: str = "local",
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> RunResult:
    """Run a recipe over a region; the same call again resumes what was interrupted.

    Args:
        recipe: Built-in name or TOML file.
        out: The run folder.
        catalog: STAC API, catalogue, folder, GeoTIFF or Zarr cube; the recipe's when
            left out.
        aoi: Area of interest; all imagery when left out. It selects objects by their
            centre and never cuts pixels.
        datetime: STAC datetime or range.
        cluster: `local`, `threads`, `cuda`, or the address of a Dask scheduler.
        settings: Recipe values to replace, by key: `{"threshold": 0.4}`.
        progress: Told of every block that ends.
        tell: Told what was assumed of the imagery, a line each, before anything is run.

    Returns:
        How the run ended, with the folder and the counts.

    Raises:
        InputError: The run folder is no local folder.
    """
    ground = Ground(catalog=catalog, aoi=aoi, datetime=datetime)
    if OBJECT_STORE.match(str(out)):
        raise InputError(
            f"--out {redact(str(out))} is an object store; this version writes run "
            "folders to a local disk only. Give a local folder and copy it afterwards"
        )
    if cluster == "local":
        _check_main_guard()
    command = _command(recipe, Path(out), ground, settings or {})
    if cluster == "cuda":
        settings = {"device": "cuda", **(settings or {})}
    request = prepare(recipe, ground, settings, command=command)
    folder = RunFolder(Path(out))
    folder.check(with_kept_batch(request, folder).to_dict())
    for note in (*request.notes, *request.plan.notes):
        (tell or _silent)(note)
    chosen = read_recipe(recipe, CensusRecipe, settings)
    workers = chosen.workers or _processes(cluster, request.options.device)
    with open_client(cluster, workers=workers, threads=chosen.threads) as client:
        return run_census(
            request, Path(out), client=client, progress=progress or _silent
        )


def _processes(cluster: str, device: str) -> int | None:
    """Return how many processes share the GPU of a local cluster; None elsewhere."""
    if cluster != "local" or not device.startswith("cuda"):
        return None
    return min(CPU_COUNT, MOST_ON_A_GPU)


def _check_main_guard() -> None:
    """Refuse a script that worker processes would run again from its first line.

    Raises:
        InputError: The script has no `if __name__ == "__main__":`.
    """
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is None or not Path(script).is_file():
        return
    if b"__name__" not in Path(script).read_bytes():
        raise InputError(
            f'{script} has no `if __name__ == "__main__":`. The workers are processes '
            "that import the script: put the call under that line, or use "
            'cluster="threads"'
        )


def prepare(
    recipe: str,
    ground: Ground,
    settings: Mapping[str, Any] | None = None,
    *,
    command: str = "",
) -> RunRequest:
    """Check a run and lay it out; reads the catalogue, and no pixel.

    Args:
        recipe: Built-in name or TOML file.
        ground: Which imagery, and which part of it.
        settings: Recipe values to replace.
        command: What to type to resume the run.

    Returns:
        A request that can be run: its model is there and whole, its bands are there,
        its imagery comes to one grid and touches the area.
    """
    chosen = read_recipe(recipe, CensusRecipe, settings)
    masks = quality_masks(chosen.mask)
    model = load_model(chosen.model)
    model.verify()
    options = PredictOptions(**chosen.options.model_dump())
    scenes, note = _scenes(
        chosen, ground, with_tile(model, options), [mask.band for mask in masks]
    )
    request = RunRequest(
        recipe=Path(recipe).stem,
        title=chosen.title,
        command=command or f"areca run {recipe}",
        scenes=tuple(scenes),
        model=model,
        options=options,
        aoi=None if ground.aoi is None else read_aoi(ground.aoi),
        grid=AskedGrid(crs=chosen.crs, resolution=chosen.resolution),
        masks=masks,
        notes=(note,) if note else (),
    )
    _ = request.plan  # refuses what cannot be run, before any pixel is read
    return request


@dataclass(frozen=True, kw_only=True)
class PlanSummary:
    """What a run would do."""

    items: list[str]
    """Ids of the items."""
    blocks: int
    tiles: int
    pixels: int
    """Pixels that are predicted, without what is computed twice."""
    twice_share: float
    """Share of the model's pixels that are computed twice, for the halos of tiles."""
    pixel_m: float
    """Edge of a pixel on the ground, m."""
    area_ha: float
    """Ground of the imagery in these blocks, ha."""
    read_bytes: int
    """Pixels to decode, bytes."""
    notes: tuple[str, ...]
    """What was assumed of the imagery, a line each."""


def plan(
    recipe: str, ground: Ground, settings: Mapping[str, Any] | None = None
) -> PlanSummary:
    """Say what a run would do, without reading a pixel.

    Args:
        recipe: Built-in name or TOML file.
        ground: Which imagery, and which part of it.
        settings: Recipe values to replace.

    Returns:
        Items, blocks, tiles and bytes.
    """
    request = prepare(recipe, ground, settings)
    laid_out = request.plan
    windows = [b.window.intersection(laid_out.grid.region) for b in laid_out.blocks]
    pixels = sum(window.size for window in windows if window is not None)
    across, down = ground_pixel_m(laid_out.geobox)
    return PlanSummary(
        items=[one.id for one in laid_out.imagery.found],
        blocks=len(laid_out.blocks),
        tiles=sum(len(laid_out.grid.tiles(block)) for block in laid_out.blocks),
        pixels=pixels,
        twice_share=laid_out.predictor.twice_share,
        pixel_m=math.sqrt(across * down),
        area_ha=pixels * across * down / 10_000,
        read_bytes=laid_out.decoded_bytes(),
        notes=(*request.notes, *laid_out.notes),
    )


def _scenes(
    chosen: CensusRecipe, ground: Ground, model: Model, quality: Iterable[str]
) -> tuple[list[Scene], str]:
    """Return the imagery with its quality bands, and what was assumed of it."""
    catalog = _catalog(chosen, ground)
    collections = chosen.collections if has_collections(catalog) else None
    look = partial(
        search,
        catalog,
        collections=collections or None,
        datetime=ground.datetime,
        names=chosen.names or None,
        dates=chosen.dates,
    )
    found = look(aoi=ground.aoi)
    if ground.aoi is not None:
        # Imagery beyond the area's edge belongs to what the model sees at the edge.
        found = look(aoi=_grown(read_aoi(ground.aoi), model))
    bands = [*dict.fromkeys([*FeatureStack(model.card.bands).inputs, *quality])]
    taken = normalise_acquisitions(found, catalog_href=catalog, bands=bands)
    return [part for one in taken for part in one.parts], assumed_names(found)


def _command(
    recipe: str, out: Path, ground: Ground, settings: Mapping[str, Any]
) -> str:
    """Return what to type to resume a run; query strings, and so secrets, left out."""
    words = ["areca", "run", recipe]
    if ground.catalog is not None:
        words += ["--catalog", redact(str(ground.catalog))]
    if isinstance(ground.aoi, (str, Path)):
        words += ["--aoi", str(ground.aoi)]
    if ground.datetime is not None:
        words += ["--datetime", ground.datetime]
    for key, value in settings.items():
        words += ["--set", f"{key}={redact(str(value))}"]
    return shlex.join([*words, "--out", str(out)])


def _catalog(chosen: CensusRecipe, ground: Ground) -> str:
    if ground.catalog is not None:
        return str(ground.catalog)
    if chosen.catalog is None:
        raise RecipeError(
            f"recipe {chosen.title!r} names no catalogue; give one with --catalog: a "
            "STAC API, a catalog.json, a folder of GeoTIFFs or one GeoTIFF"
        )
    return chosen.catalog.replace("package:", f"{PACKAGE}/")


def _grown(aoi: BaseGeometry, model: Model) -> BaseGeometry:
    """Return the area grown by what its objects can depend on, roughly and amply."""
    card = model.card
    metres = 2 * (card.tile_px + 2 * card.max_object_px) * card.resolution_m
    _, south, _, north = aoi.bounds
    shrink = math.cos(math.radians(min(max(abs(south), abs(north)), 89.0)))
    grown = aoi.buffer(metres / (METRES_PER_DEGREE * shrink))
    return grown.intersection(box(-180, -90, 180, 90))


def _silent(*_: object, **__: object) -> None:
    """Take no note of progress."""
