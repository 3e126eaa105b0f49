"""From a finished run to its report: figures, pictures, provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from pyproj import Transformer

from areca.measures import read_objects
from areca.runs.batch import batch_words
from areca.runs.detail import detail_picture
from areca.runs.ledger import workers_of
from areca.runs.manifest import software
from areca.runs.picture import overview
from areca.runs.report import (
    Hole,
    InputItem,
    ModelFacts,
    Picture,
    ReportContext,
    render_report,
)
from areca.tiles import Window, ground_pixel_m

if TYPE_CHECKING:
    from areca.catalog import Scene
    from areca.runs.plan import RunPlan
    from areca.runs.request import RunRequest
    from areca.runs.result import RunResult

MOST_DOTS = 500_000
"""The overview shows no more objects than this."""
LEAST_REGION_PX = 640
"""A region of at most half of this is enlarged, by a whole number, to at most this:
scale bar and key want room."""


def present(result: RunResult, plan: RunPlan, request: RunRequest) -> str:
    """Return the report of a run as one HTML page.

    Args:
        result: How the run ended.
        plan: Its plan.
        request: What it was asked.
    """
    return render_report(_context(result, plan, request))


def _context(result: RunResult, plan: RunPlan, request: RunRequest) -> ReportContext:
    pixel_m = _pixel_m(plan)
    return ReportContext(
        title=request.title,
        state=result.state,
        recipe=request.recipe,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        region=_region(plan, request),
        searched_m2=_searched_m2(result, plan),
        classes_m2={name: n * pixel_m**2 for name, n in result.class_px.items()},
        summary=result.summary,
        resume_command=request.command,
        model=_model(request),
        pictures=_pictures(result, plan),
        inputs=tuple(_input(one.parts[0]) for one in plan.imagery.found),
        holes=_holes(result, plan),
        settings=_settings(result, plan, followed=_followed(plan, request)),
        rasters=tuple(plan.predictor.rasters),
        timings=_timings(result),
        versions=software(),
        oversize=result.oversize,
        seams=result.seams["words"],
        seams_pass=result.seams["passed"],
        largest_m=plan.predictor.model.card.max_object_px * pixel_m,
    )


def _pictures(result: RunResult, plan: RunPlan) -> tuple[Picture, ...]:
    pixel_m = _pixel_m(plan)
    sheet = np.asarray(plan.layout.picture(result.folder))
    zoom = max(1, LEAST_REGION_PX // max(sheet.shape[:2]))
    sheet = sheet.repeat(zoom, axis=0).repeat(zoom, axis=1)
    step = plan.layout.step / zoom
    points, every = _points(result, plan)
    failed = {hole.name for hole in result.holes}
    holes = [
        _ring(block.window, plan.layout.shown, step)
        for block in plan.blocks
        if block.name in failed
    ]
    whole = overview(
        sheet,
        points / step,
        metres_per_pixel=pixel_m * step,
        holes_px=holes,
        weight=float(every),
    )
    dots = "Every dot is an object" if every == 1 else f"One dot for {every} objects"
    caption = f"{dots}; the colour tells how dense they are."
    pictures = [Picture(image=whole, title="The region", caption=caption)]
    detail = detail_picture(result, plan, pixel_m)
    return tuple([detail, *pictures] if detail is not None else pictures)


def _points(result: RunResult, plan: RunPlan) -> tuple[np.ndarray, int]:
    """Return centres in pixels of the region, shape (n, 2), of every k-th object; k."""
    step = -(-result.summary.count // MOST_DOTS) or 1
    parts = [np.empty((0, 2))]
    region, lattice = plan.layout.shown, plan.predictor.lattice
    for file in result.files:
        table = read_objects(file, columns=["center_x", "center_y", "geometry"])
        some = table.iloc[::step]
        col, row = lattice.to_pixels(
            some["center_x"].to_numpy(), some["center_y"].to_numpy()
        )
        parts.append(np.column_stack([col - region.col0, row - region.row0]))
    return np.concatenate(parts), step


def _ring(window: Window, region: Window, step: float) -> np.ndarray:
    inside = window.intersection(region) or window
    cols = np.array([inside.col0, inside.col1, inside.col1, inside.col0]) - region.col0
    rows = np.array([inside.row0, inside.row0, inside.row1, inside.row1]) - region.row0
    return np.column_stack([cols, rows]) / step


def _pixel_m(plan: RunPlan) -> float:
    return math.sqrt(math.prod(ground_pixel_m(plan.geobox)))


def _searched_m2(result: RunResult, plan: RunPlan) -> float:
    """Return the ground that an image shows, in the area and not in a hole."""
    pixels = sum(block.seen_px for block in result.blocks if block.error is None)
    return pixels * _pixel_m(plan) ** 2


def _holes(result: RunResult, plan: RunPlan) -> tuple[Hole, ...]:
    reasons = {hole.name: hole.error or "" for hole in result.holes}
    return tuple(
        Hole(
            block=block.name,
            reason=reasons[block.name],
            area_m2=(block.window.intersection(plan.grid.region) or block.window).size
            * _pixel_m(plan) ** 2,
        )
        for block in plan.blocks
        if block.name in reasons
    )


def _region(plan: RunPlan, request: RunRequest) -> str:
    if request.aoi is not None:
        west, south, east, north = request.aoi.bounds
        words = "an area within"
    else:
        west, south, east, north = _bounds(plan)
        words = "all imagery,"
    return f"{words} {west:.5f}, {south:.5f} to {east:.5f}, {north:.5f} (degrees)"


def _bounds(plan: RunPlan) -> tuple[float, float, float, float]:
    """Return west, south, east, north of all imagery, degrees."""
    to_degrees = Transformer.from_crs(str(plan.geobox.crs), "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(
        *plan.geobox.boundingbox.bbox
    )
    return west, south, east, north


def _input(scene: Scene) -> InputItem:
    when = scene.start if scene.start == scene.end else f"{scene.start}/{scene.end}"
    return InputItem(
        id=scene.id,
        datetime=when or "not known",
        href=scene.bands[0].href,  # the report leaves out what is secret
    )


def _model(request: RunRequest) -> ModelFacts:
    card = request.model.card
    data = card.data
    searched = (
        shapely.box(*_bounds(request.plan)) if request.aoi is None else request.aoi
    )
    if card.footprint is not None and searched.intersects(shapely.box(*card.footprint)):
        data += (
            " The ground of this report overlaps the ground of that training: "
            "elsewhere the model may do worse."
        )
    return ModelFacts(
        name=card.name,
        version=card.version,
        sha256=card.sha256,
        licence=card.license,
        data=data,
        about=card.description,
        scores=_grounds(card.scores),
    )


def _grounds(scores: Mapping[str, Any], name: str = "") -> dict[str, str]:
    """Return one line of words for each ground that a model was scored on."""
    lines: dict[str, str] = {}
    for key, value in scores.items():
        where = f"{name}, {key}" if name else key
        if key == "test disturbed":
            worst = min(value, key=lambda how: value[how]["recall"])
            lines[f"{where} in {len(value)} ways, the worst: {worst}"] = _score_words(
                value[worst]
            )
        elif isinstance(value, Mapping) and "recall" in value:
            lines[where] = _score_words(value)
        elif isinstance(value, Mapping):
            lines |= _grounds(value, where)
        else:
            lines[where] = str(value)
    return lines


def _score_words(score: Mapping[str, Any]) -> str:
    words = [f"recall {score['recall']:.3f}", f"precision {score['precision']:.3f}"]
    if score.get("n_true") is not None:
        words += _found_words(score)
    if score.get("radius_bias") is not None:
        words.append(f"radius bias {score['radius_bias']:+.1%}")
    if score.get("centre_error_median_m") is not None:
        words.append(f"centre error {score['centre_error_median_m']:.2f} m (median)")
    return "; ".join(words)


def _found_words(score: Mapping[str, Any]) -> list[str]:
    """Return which numbers stand behind recall and precision."""
    matched, true, found = (score[name] for name in ("n_matched", "n_true", "n_found"))
    confirmed = round(score["precision"] * found)
    return [
        f"{matched:,} of {true:,} labels found",
        f"{confirmed:,} of {found:,} objects found have a label",
    ]


def _followed(plan: RunPlan, request: RunRequest) -> int:
    """Return how many blocks were done because regions of the area go on in them."""
    return len(plan.blocks) - len(request.plan.blocks)


def _settings(
    result: RunResult, plan: RunPlan, *, followed: int
) -> dict[str, str | float]:
    predictor = plan.predictor
    card, options = predictor.model.card, predictor.options
    return {
        **_choice(plan),
        "tile, px": card.tile_px,
        "halo of a tile, px": card.halo_px,
        "pixels computed twice, %": round(
            100 * (1 - card.core_px**2 / card.tile_px**2)
        ),
        "pixel on the ground, m": round(_pixel_m(plan), 4),
        "block, tiles": f"{options.block_tiles} x {options.block_tiles}",
        "blocks": len(plan.blocks),
        **({"of them outside, where regions go on": followed} if followed else {}),
        "batch, tiles": batch_words(result.measured_batch, options.batch_tiles),
        "worker processes": len({b.worker for b in result.blocks if b.worker}),
        "torch threads of a pass": options.torch_threads,
        "numbers of a pass": result.precision,
    }


def _choice(plan: RunPlan) -> dict[str, str | float]:
    """Return what decides which pixels or candidates are objects."""
    predictor = plan.predictor
    if not predictor.is_dense:
        return {
            "threshold": predictor.threshold,
            "overlap of rivals": predictor.overlap,
        }
    card, options = predictor.model.card, predictor.options
    chosen: dict[str, str | float] = {"class of a pixel": "the best"}
    if card.background is not None:
        background = card.labels[card.background]
        if not options.predict_background:
            chosen["class of a pixel"] = f"the best but {background}"
        if options.threshold is not None:
            chosen[f"below this, {background}"] = options.threshold
    return chosen


def _timings(result: RunResult) -> dict[str, float]:
    good = [block for block in result.blocks if block.error is None]
    busy = sum(worker["busy_s"] for worker in workers_of(good).values())
    return {
        "with blocks in work, all workers": busy,
        "read and decode, all workers": sum(b.read_s for b in good),
        "forward passes, all workers": sum(b.forward_s for b in good),
        "from start to table, with the loading of the model": result.wall_s,
    }
