"""Items that show one acquisition twice: the newest processing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pystac

_PLACES = (
    ("grid:code",),
    ("s2:mgrs_tile",),
    ("mgrs:utm_zone", "mgrs:latitude_band", "mgrs:grid_square"),
    ("landsat:wrs_path", "landsat:wrs_row"),
)
_PROCESSED = ("processing:datetime", "s2:generation_time", "updated", "created")


def without_duplicates(
    items: Sequence[pystac.Item],
) -> tuple[list[pystac.Item], list[pystac.Item]]:
    """Tell items from their duplicates.

    Duplicates have one collection, platform, moment and tile of a grid (`grid:code`,
    MGRS or WRS); or one id and collection. The one that was processed last is kept, of
    equals the last id. An item that does not tell its tile is no duplicate.

    Args:
        items: Any order.

    Returns:
        Those kept, in the order given, and those left out.
    """
    best: dict[tuple[object, ...], pystac.Item] = {}
    for item in items:
        key = _key(item)
        if key not in best or _age(item) > _age(best[key]):
            best[key] = item
    kept = {id(item) for item in best.values()}
    return (
        [item for item in items if id(item) in kept],
        [item for item in items if id(item) not in kept],
    )


def _key(item: pystac.Item) -> tuple[object, ...]:
    fields = item.properties
    for names in _PLACES:
        place = tuple(str(fields[name]) for name in names if fields.get(name))
        if len(place) == len(names) and item.datetime is not None:
            moment = item.datetime.isoformat()
            return item.collection_id, str(fields.get("platform")), moment, *place
    return item.collection_id, item.id


def _age(item: pystac.Item) -> tuple[str, str]:
    told = (item.properties.get(name) for name in _PROCESSED)
    return next((str(text) for text in told if text), ""), item.id
