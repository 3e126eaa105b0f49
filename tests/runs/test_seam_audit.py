import json
import pickle

import numpy as np
import pytest
from scipy import ndimage, stats

from areca.errors import GridError
from areca.runs.seam_audit import audit
from areca.runs.seam_tally import (
    AXES,
    KINDS,
    QUANTITIES,
    SeamTally,
    tally_objects,
    tally_raster,
)
from areca.tiles import BlockGrid, Lattice, Window

WORLDS = ("uniform", "rows of 40 px", "rows of 32 px", "rows at an angle")


def grid_over(region, *, core_px=512, tiles=2):
    lattice = Lattice(
        crs="EPSG:32648", pixel_x=0.2, pixel_y=0.2, origin_x=0, origin_y=0,
        core_px=core_px,
    )  # fmt: skip
    return BlockGrid(
        lattice=lattice, region=region, tiles_down=tiles, tiles_across=tiles
    )


def plantation(kind, seed, *, size=None):
    """Return a grid and the x, y and radius of palms; no palm knows of the lattice."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(2500, 5000, 2) if size is None else size
    row0, col0 = (int(v) for v in rng.integers(-20_000, 20_000, 2))
    if kind == "uniform":
        x, y = rng.uniform(0, 1, (2, height * width // 1600)) * [[width], [height]]
    else:
        period = 32.0 if "32" in kind else 40.0
        angle = rng.uniform(0, 1.5) if "angle" in kind else 0.0
        steps = int(np.hypot(height, width) / period) + 2
        a, b = np.mgrid[-steps:steps, -steps:steps].reshape(2, -1) * period
        jitter = rng.normal(0, 2.0, (2, a.size)) + rng.uniform(0, period, (2, 1))
        x = a * np.cos(angle) - b * np.sin(angle) + jitter[0] + width / 2
        y = a * np.sin(angle) + b * np.cos(angle) + jitter[1] + height / 2
    keep = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    for _ in range(4):  # clearings: density is not the same everywhere
        bare = np.hypot(x - rng.uniform(0, width), y - rng.uniform(0, height))
        keep &= (bare > rng.uniform(200, 900)) | (rng.random(x.size) < 0.4)
    x, y = x[keep] + col0, y[keep] + row0
    radius = 23 + 1.5 * np.sin(x / 700) + rng.normal(0, 1.4, x.size)
    region = Window(row0, col0, row0 + int(height), col0 + int(width))
    return grid_over(region), x, y, radius


def crossed(x, y, reach, every=512):
    return np.minimum(
        *(np.abs(v - np.rint(v / every) * every) - reach for v in (x, y))
    ) < 0  # fmt: skip


def doubled(x, y, radius, seed, every=512):
    """Count 5 % more: crowns cut by a line are counted on both sides of it."""
    rng = np.random.default_rng(seed)
    cut = np.flatnonzero(crossed(x, y, radius, every))
    again = rng.choice(cut, min(len(cut), len(x) // 20), replace=False)
    shift = rng.normal(0, 2, (2, len(again)))
    return (
        np.r_[x, x[again] + shift[0]],
        np.r_[y, y[again] + shift[1]],
        np.r_[radius, radius[again]],
    )


def lost(x, y, radius, _seed):
    keep = ~crossed(x, y, 3)
    return x[keep], y[keep], radius[keep]


def shrunk(x, y, radius, _seed):
    return x, y, np.where(crossed(x, y, radius), 0.9 * radius, radius)


def audit_objects(grid, x, y, radius):
    return audit(tally_objects(x, y, radius, grid=grid, window=grid.region))


def cover(seed, shape):
    """Return a map of three classes in blobs, with a hole of no data."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), 5)
    labels = np.digitize(field, np.quantile(field, [0.4, 0.7])).astype(np.uint8)
    labels[: shape[0] // 4, : shape[1] // 3] = 255
    return labels


@pytest.mark.parametrize("kind", WORLDS)
def test_a_sound_census_passes(kind):
    for seed in range(10):
        found = audit_objects(*plantation(kind, seed))
        assert found.passed, found.words()
        assert all(s.enough for s in found.statistics)


@pytest.mark.parametrize("offset", range(0, 32, 3))
def test_rows_that_beat_with_the_lattice_pass(offset):
    # 16 rows to a core, without jitter: every line lies in the same place of a row.
    y, x = (np.mgrid[:110, :110].reshape(2, -1) * 32.0) + offset + 0.5
    grid = grid_over(Window(0, 0, 3520, 3520))
    found = audit_objects(grid, x, y, np.full(x.size, 12.0))
    assert found.passed, found.words()


@pytest.mark.parametrize("seam", [doubled, shrunk])
@pytest.mark.parametrize("kind", WORLDS[1:])
def test_a_planted_seam_is_found(kind, seam):
    grid, x, y, radius = plantation(kind, 1, size=(4000, 4000))
    found = audit_objects(grid, *seam(x, y, radius, 1))
    wanted = "doubled" if seam is doubled else "mean radius"
    failed = [s for s in found.statistics if not s.passed]
    assert sum(wanted in s.name for s in failed) == 4  # both kinds, both directions
    assert "Seams show" in found.words()
    assert "context_px of the model's card" in found.words()
    assert ("lower nms_overlap" in found.words()) == (seam is doubled)


@pytest.mark.parametrize("kind", ["uniform", "rows at an angle"])
def test_objects_lost_at_the_lines_are_missed(kind):
    grid, x, y, radius = plantation(kind, 2, size=(4000, 4000))
    found = audit_objects(grid, *lost(x, y, radius, 0))
    narrow = [s for s in found.statistics if "objects within 3 px" in s.name]
    assert [s.near for s in narrow] == [0, 0, 0, 0]
    assert not any(s.passed for s in narrow)
    assert all(s.z < -4 and s.ratio_high < 1 for s in narrow)


def test_a_seam_between_blocks_is_blamed_on_block_lines():
    grid, x, y, radius = plantation("rows at an angle", 3, size=(6000, 6000))
    found = audit_objects(grid, *doubled(x, y, radius, 3, every=1024))
    failed = {s.name for s in found.statistics if not s.passed}
    assert {n for n in failed if "doubled" in n} == {
        f"share of doubled objects within 23 px of {axis} block lines" for axis in AXES
    }
    assert not any("tile lines" in name for name in failed)


def test_the_edge_of_the_imagery_is_no_seam():
    # The imagery starts on a line, and what its edge cuts is measured too small.
    _, x, y, radius = plantation("rows at an angle", 4, size=(4096, 4096))
    x, y = x - x.min(), y - y.min()
    radius = np.where((x < 30) | (y < 30), 0.7 * radius, radius)
    found = audit_objects(grid_over(Window(0, 0, 4096, 4096)), x, y, radius)
    assert found.passed, found.words()


def test_any_division_gives_the_same_object_tally():
    grid, x, y, radius = plantation("uniform", 5)
    radius[::7] = np.nan
    whole = tally_objects(x, y, radius, grid=grid, window=grid.region)
    total = SeamTally.empty(grid)
    for block in sorted(grid.blocks(), key=lambda b: (b.col, -b.row)):
        near = block.window.grow(40)  # farther than any radius
        mine = (x >= near.col0) & (x < near.col1) & (y >= near.row0) & (y < near.row1)
        part = tally_objects(
            x[mine], y[mine], radius[mine], grid=grid, window=block.window
        )
        total = pickle.loads(pickle.dumps(part)) + total  # noqa: S301
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert audit(total).to_dict() == audit(whole).to_dict()


def test_objects_are_counted_where_they_lie():
    grid = grid_over(Window(0, 0, 4096, 4096))
    # Just right of block line 1024 and just above tile line 1536; a twin 3 px aside.
    x, y = np.array([1024.0, 1027.2]), np.array([1535.9, 1535.9])
    tally = tally_objects(x, y, np.array([5.5, np.nan]), grid=grid, window=grid.region)
    counts = dict(zip(QUANTITIES, tally.counts, strict=True))
    horizontal, vertical = (AXES.index(a) for a in ("horizontal", "vertical"))
    tile, block = (KINDS.index(k) for k in ("tile", "block"))
    assert counts["objects"][vertical, block, 256] == 1
    assert counts["objects"][vertical, block, 259] == 1
    assert counts["objects"][horizontal, tile, 255] == 2
    assert counts["objects"].sum() == 4
    assert counts["doubled"].sum(axis=(1, 2)).tolist() == [1, 1]  # NaN reaches nothing
    assert counts["radius"].sum(axis=(1, 2)).tolist() == [1408, 1408]
    # An eighth of a core, 64 px, is left out on all sides.
    assert counts["ground"].sum(axis=(1, 2)).tolist() == [(4096 - 128) ** 2] * 2


@pytest.mark.parametrize("step", [64, 100, 1000])
def test_any_division_gives_the_same_raster_tally(step):
    region = Window(-70, 33, 230, 400)
    grid = grid_over(region, core_px=64)
    labels = cover(6, (region.height, region.width))
    whole = tally_raster(labels, region, grid=grid)

    expected = np.zeros_like(whole.counts)  # pixel by pixel
    for axis, (down, right) in enumerate(((1, 0), (0, 1))):
        for row in range(down, region.height):
            for col in range(right, region.width):
                a, b = labels[row - down, col - right], labels[row, col]
                if a == 255 or b == 255:
                    continue
                place = (row + region.row0, col + region.col0)[axis]
                kind = int((place + 32) // 64 % 2 == 0)
                phase = (place + 32) % 64
                expected[QUANTITIES.index("pairs"), axis, kind, phase] += 1
                expected[QUANTITIES.index("changes"), axis, kind, phase] += a != b
    np.testing.assert_array_equal(whole.counts, expected)

    total = SeamTally.empty(grid)
    for row in range(region.row0, region.row1, step):
        for col in range(region.col0, region.col1, step):
            own = Window(row, col, row + step, col + step).intersection(region)
            read = Window(row - 1, col - 1, own.row1, own.col1).intersection(region)
            part = labels[read.slices_in(region)]
            total += tally_raster(part, read, grid=grid, own=own)
    np.testing.assert_array_equal(total.counts, whole.counts)


@pytest.mark.parametrize("seed", range(6))
def test_a_wrong_column_of_a_raster_is_found_and_a_sound_one_passes(seed):
    region = Window(-70, 33, 830, 700)
    grid = grid_over(region, core_px=64)
    labels = cover(seed, (region.height, region.width))
    found = audit(tally_raster(labels, region, grid=grid))
    assert found.passed, found.words()
    assert "No seam shows in 4" in found.words()

    lines = np.flatnonzero(np.arange(region.col0, region.col1) % 64 == 0)
    # Each first column of a tile shows what lies five pixels further right.
    labels[:, lines] = labels[:, lines + 5]
    found = audit(tally_raster(labels, region, grid=grid))
    assert [s.passed for s in found.statistics] == [True, True, False, False]
    assert all("vertical" in s.name and s.z > 4 for s in found.statistics[2:])


def test_a_straight_border_on_a_line_is_no_seam_where_others_lie_elsewhere():
    region = Window(0, 0, 2000, 2000)
    grid = grid_over(region, core_px=256)
    labels = cover(1, (2000, 2000))
    labels[700:1300, 256:300] = 3  # its left border lies on a tile line
    alone = audit(tally_raster(labels, region, grid=grid))
    labels[100:900, 1340:1390] = 3  # fields like it, off the lines
    labels[1000:1800, 1340:1440] = 3
    among_others = audit(tally_raster(labels, region, grid=grid))

    line = [s.name for s in alone.statistics].index(
        "class changes at vertical tile lines"
    )
    assert among_others.statistics[line].z > 4
    assert among_others.passed, among_others.words()
    assert not alone.statistics[line].passed  # the stated limit: nothing to compare


def test_z_equals_a_slow_calculation():
    region = Window(0, 0, 900, 700)
    labels = cover(9, (900, 700))
    tally = tally_raster(labels, region, grid=grid_over(region, core_px=128, tiles=1))
    got = audit(tally).statistics[0]
    assert got.name == "class changes at horizontal block lines"

    changes, pairs = (
        tally.counts[QUANTITIES.index(q), 0, 1].astype(float)
        for q in ("changes", "pairs")
    )
    near = changes[64] / pairs[64]
    zone = [64 + k for k in range(-4, 4)]
    changes[zone] = pairs[zone] = 0

    def flanks(phase):
        at = [(phase + k) % 128 for k in range(-16, 17) if k]
        return changes[at].sum() / pairs[at].sum()

    differences = [
        changes[p] / pairs[p] - flanks(p) for p in range(128) if p not in zone
    ]
    kernel = np.r_[np.full(16, -1 / 32), 1, np.full(16, -1 / 32)]
    rho = [(kernel[: 33 - k] * kernel[k:]).sum() / (kernel**2).sum() for k in range(33)]
    independent = len(differences) / (1 + 2 * np.square(rho[1:]).sum())
    spread = np.std(differences, ddof=1) * np.sqrt(1 + 1 / independent)
    t = (near - flanks(64) - np.mean(differences)) / spread
    z = stats.norm.ppf(stats.t.cdf(t, independent - 1))
    assert got.z == pytest.approx(z, rel=1e-9)
    assert got.ratio == pytest.approx(near / flanks(64), rel=1e-12)


def test_too_little_passes_and_says_so():
    grid = grid_over(Window(0, 0, 3000, 3000))
    empty = audit(SeamTally.empty(grid))
    few = audit_objects(grid, *np.random.default_rng(0).uniform(9, 2900, (3, 12)))
    tiny = audit_objects(grid_over(Window(0, 0, 90, 90)), *np.full((3, 50), 45.0))
    for found in (empty, few, tiny):
        assert found.passed
        assert not any(s.enough for s in found.statistics)
        assert "Not enough" in found.words()
    assert len(few.statistics) == 16


def test_the_report_is_json_without_nan():
    found = audit_objects(*plantation("rows at an angle", 1))
    text = json.dumps(found.to_dict(), allow_nan=False)
    told = json.loads(text)
    assert told["passed"] is True
    assert told["words"] == found.words()
    # No palm of this world is doubled, so there is nothing to divide by.
    shares = [s for s in told["statistics"] if s["interior"] == 0]
    assert all(s["ratio"] is None and s["enough"] for s in shares)


def test_what_does_not_fit_is_named():
    grid = grid_over(Window(0, 0, 3000, 3000))
    other = grid_over(Window(0, 0, 3000, 3000), tiles=3)
    with pytest.raises(GridError, match=r"blocks of \(2, 2\) and \(3, 3\) tiles"):
        SeamTally.empty(grid) + SeamTally.empty(other)
    with pytest.raises(GridError, match=r"labels of shape \(4, 5\) do not fill"):
        tally_raster(np.zeros((4, 5), np.uint8), Window(0, 0, 5, 4), grid=grid)
