"""How GDAL is set up and how files are opened; nothing else here calls it directly."""

from __future__ import annotations

import functools
import logging
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import rasterio
from rasterio.errors import RasterioError

from areca.catalog.hrefs import gdal_path, redact
from areca.catalog.links import final_link, forget_link
from areca.catalog.signing import signed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rasterio.io import DatasetReader

DRIVERS = {".jp2": "JP2OpenJPEG", ".j2k": "JP2OpenJPEG"}
"""The one driver that may open a file, by its ending; GTiff for all others.

A VRT, which could name any other file, is so never opened under any name.
"""

SETTINGS = {
    "CPL_LOG": os.devnull,
    "GDAL_CACHEMAX": "128",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_CONNECTTIMEOUT": "5",
    "GDAL_HTTP_TIMEOUT": "30",
    "GDAL_HTTP_LOW_SPEED_TIME": "10",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.3",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/",
}
"""GDAL options for reading, MB and seconds.

GDAL's own messages go nowhere: they hold whole links, signatures included, and what
matters in them comes back as an exception. `EMPTY_DIR` also keeps GDAL from looking at
side files that could change what a file means. Without the cache across opens, GDAL
forgets a failed request with its handle, so that a second try really asks again
(rasterio#2119).
"""

_LOGGERS = (
    "rasterio",
    "urllib3.connectionpool",
    "urllib3.util.retry",
    *(
        f"rasterio.{part}"
        for part in ("_base", "_env", "_err", "_io", "env", "session")
    ),
)

READ_FAULTS = (RasterioError, OSError)
"""What rasterio raises when a file cannot be opened or read."""


@functools.cache
def configure_gdal() -> None:
    """Set GDAL's options for this process, once; what the user has set stays.

    They are set as environment variables, which GDAL reads from every thread: an
    option of `rasterio.Env` holds for one thread only, and an `Env` around each read
    costs a quarter of the time of a read. Must run before the first read, because
    GDAL fixes the size of its cache then.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    # rasterio logs GDAL's own messages, which hold whole links, and urllib3 its own.
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_redact_record)


def set_gdal(options: Iterable[tuple[str, str]]) -> None:
    """Set options of GDAL for this process; they hold from then on.

    Args:
        options: Names and values; no secrets, which do not belong in a graph.
    """
    os.environ.update(options)


def open_raster(href: str, *, allow_private: bool) -> DatasetReader:
    """Open a file whose link `check_href` has passed.

    Returns:
        An open file; the caller closes it.

    Raises:
        CatalogError: The link or one that it redirects to is at a private address, and
            may not be.
        OSError: The file cannot be opened.
    """  # noqa: DOC502 - raised by final_link and rasterio
    configure_gdal()
    link = signed(href)
    place = link if allow_private else final_link(link)
    driver = DRIVERS.get(
        PurePosixPath(href.split("?", maxsplit=1)[0].lower()).suffix, "GTiff"
    )
    try:
        return rasterio.open(gdal_path(place), driver=driver)
    except READ_FAULTS:
        forget_link(link)
        raise


def fault_text(err: BaseException) -> str:
    """Return what went wrong in one line without secrets, with a hint where known."""
    causes = [err, *filter(None, (err.__cause__, err.__context__))]
    text = redact("; ".join(dict.fromkeys(str(cause) for cause in causes)))
    text = " ".join(text.split())
    if "not recognized" in text:
        text += " (is it a login page, or a format other than GeoTIFF and JPEG 2000?)"
    return text


def _redact_record(record: logging.LogRecord) -> bool:
    """Return True, as a logging filter, once secrets are taken out of a record."""
    record.msg, record.args = redact(record.getMessage()), ()
    return True
