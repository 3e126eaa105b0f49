import geopandas as gpd
import numpy as np
import pytest
import shapely
import torch
from torchvision.ops import batched_nms

from areca.errors import InputError
from areca.objects import drop_duplicates


def crowd(count=400):
    rng = np.random.default_rng(5)
    x, y = rng.uniform(0, 60, (2, count))
    width, height = rng.uniform(2, 8, (2, count))
    columns = {"score": rng.permutation(count) / count, "label": rng.choice(2, count)}
    boxes = shapely.box(x, y, x + width, y + height)
    return gpd.GeoDataFrame(columns, geometry=boxes, crs="EPSG:32648")


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_boxes_are_kept_as_torchvision_keeps_them(overlap):
    objects = crowd()
    keep = batched_nms(
        torch.from_numpy(objects.bounds.to_numpy()),
        torch.from_numpy(objects["score"].to_numpy()),
        torch.from_numpy(objects["label"].to_numpy()),
        overlap,
    )

    kept = drop_duplicates(objects, max_overlap=overlap)

    assert kept.index.tolist() == sorted(keep.tolist())
    assert 0 < len(kept) < len(objects)


def test_outlines_compete_by_the_ground_they_share_and_not_by_their_boxes():
    one = shapely.Polygon([(0, 0), (10, 0), (0, 10)])
    other = shapely.Polygon([(10, 10), (10, 0.5), (0.5, 10)])
    table = gpd.GeoDataFrame({"score": [0.9, 0.8]}, geometry=[one, other], crs=32648)

    assert len(drop_duplicates(table, max_overlap=0.1, label=None)) == 2


def test_bad_input_is_named():
    table = crowd(3)
    with pytest.raises(InputError, match="no column quality"):
        drop_duplicates(table, max_overlap=0.1, score="quality")
    with pytest.raises(InputError, match=r"the overlap is 1\.5"):
        drop_duplicates(table, max_overlap=1.5)
    with pytest.raises(InputError, match="1 values that are no numbers"):
        drop_duplicates(table.assign(score=[0.5, None, 0.1]), max_overlap=0.1)
