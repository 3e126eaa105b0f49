"""Where a Zarr array lies: coordinates, CF, and the Zarr conventions for it.

Readers differ in what they look for, so all of it is written: xarray and rioxarray want
coordinates and `spatial_ref`; GDAL and the tools of GeoZarr the conventions `proj` and
`spatial` (https://github.com/zarr-conventions).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pyproj import CRS
from zarr_cm import proj, spatial

if TYPE_CHECKING:
    import zarr
    from numpy.typing import NDArray
    from odc.geo.geobox import GeoBox

GRID_MAPPING = "spatial_ref"
"""The array whose attributes hold the CRS, as rioxarray names it."""


def write_place(
    group: zarr.Group, geobox: GeoBox, x: NDArray[Any], y: NDArray[Any]
) -> None:
    """Write where the arrays of a group lie.

    Args:
        group: A group whose arrays have the dimensions y and x.
        geobox: Their place.
        x: Shape (width,): pixel centres, CRS units.
        y: Shape (height,): pixel centres, CRS units.
    """
    crs = CRS.from_user_input(str(geobox.crs))
    group.attrs.update(_conventions(geobox, crs))
    for name, values in (("x", x), ("y", y)):
        axis = group.create_array(
            name,
            shape=values.shape,
            dtype="float64",
            dimension_names=(name,),
            overwrite=True,
        )
        axis[:] = values
    facts = json.loads(json.dumps(crs.to_cf(), default=float))
    facts["GeoTransform"] = " ".join(map(repr, geobox.affine.to_gdal()))
    # Last: where it is, all of the place is.
    group.create_array(GRID_MAPPING, shape=(), dtype="int64", attributes=facts)


def _conventions(geobox: GeoBox, crs: CRS) -> dict[str, Any]:
    """Return the attributes of a group whose arrays lie in a place."""
    authority = crs.to_authority()
    told = proj.create(
        code=None if authority is None else ":".join(authority),
        wkt2=crs.to_wkt() if authority is None else None,
    )
    box = geobox.boundingbox
    ground = spatial.create(
        dimensions=["y", "x"],
        bbox=[box.left, box.bottom, box.right, box.top],
        transform_type="affine",
        transform=[float(value) for value in tuple(geobox.affine)[:6]],
        shape=[int(size) for size in geobox.shape],
        registration="pixel",
    )
    return dict(spatial.insert(proj.insert({}, told), ground))
