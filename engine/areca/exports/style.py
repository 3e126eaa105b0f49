"""QGIS styles: classes by colour, or scores by colour, and the legend of a raster.

Only what QGIS 3 needs to draw is written (the `Symbology` category of a .qml file);
everything else of a layer keeps the user's defaults.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import numpy as np

from areca.runs.class_map import PALETTE
from areca.runs.legend import SCORE_RAMP, colours_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

Colour = tuple[int, int, int]

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_VERSION = "3.22.0"
SCORE_STEPS = 5
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document may hold; a label with one would spoil it all."""
OTHER_GREY = (128, 128, 128)
"""Objects without a label or a score."""
FILL_ALPHA, LINE_ALPHA = 60, 255
LINE_MM = "0.46"


def class_colours(count: int) -> list[Colour]:
    """Return the colours of classes, in the order of their names or numbers."""
    return [PALETTE[number % len(PALETTE)] for number in range(count)]


def label_style(labels: Sequence[str], kind: str) -> str:
    """Return the style that draws each label in its colour.

    Args:
        labels: Values of the column `label`, in the order of the colours.
        kind: Kind of geometry of the layer, such as "Polygon".

    Returns:
        A QML document.
    """
    root, renderer = _renderer("categorizedSymbol", "label")
    categories = ET.SubElement(renderer, "categories")
    colours = [*class_colours(len(labels)), OTHER_GREY]
    for number, label in enumerate([*labels, ""]):
        ET.SubElement(
            categories,
            "category",
            value=label,
            label=label or "no label",
            symbol=str(number),
            render="true",
            type="string",
        )
    _symbols(renderer, colours, kind)
    return _text(root)


def score_style(kind: str) -> str:
    """Return the style that draws scores from 0 to 1 in a ramp of colours.

    Args:
        kind: Kind of geometry of the layer, such as "Polygon".

    Returns:
        A QML document.
    """
    root, renderer = _renderer("graduatedSymbol", "score")
    renderer.set("graduatedMethod", "GraduatedColor")
    ranges = ET.SubElement(renderer, "ranges")
    edges = np.linspace(0, 1, SCORE_STEPS + 1)
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        ET.SubElement(
            ranges,
            "range",
            lower=f"{low:.15f}",
            upper=f"{high:.15f}",
            label=f"{low:g} - {high:g}",
            symbol=str(number),
            render="true",
        )
    middle = (edges[1:] + edges[:-1]) / 2
    _symbols(renderer, colours_of(middle, (0.0, 1.0), SCORE_RAMP), kind)
    return _text(root)


def plain_style(kind: str) -> str:
    """Return the style of objects that have neither labels nor scores."""
    root, renderer = _renderer("singleSymbol", None)
    _symbols(renderer, class_colours(1), kind)
    return _text(root)


def raster_style(names: Sequence[str]) -> str:
    """Return the style of a class raster, with the names of its classes.

    Args:
        names: Names of the classes 0, 1, ...

    Returns:
        A QML document.
    """
    root = ET.Element("qgis", version=_VERSION, styleCategories="Symbology")
    pipe = ET.SubElement(root, "pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity="1",
        alphaBand="-1",
        nodataColor="",
    )
    palette = ET.SubElement(renderer, "colorPalette")
    for number, (name, colour) in enumerate(
        zip(names, class_colours(len(names)), strict=True)
    ):
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(number),
            label=name,
            color="#{:02x}{:02x}{:02x}".format(*colour),
            alpha="255",
        )
    return _text(root)


def _renderer(kind: str, attribute: str | None) -> tuple[Element, Element]:
    root = ET.Element("qgis", version=_VERSION, styleCategories="Symbology")
    renderer = ET.SubElement(root, "renderer-v2", type=kind, symbollevels="0")
    if attribute is not None:
        renderer.set("attr", attribute)
    return root, renderer


def _symbols(renderer: Element, colours: Sequence[Colour], kind: str) -> None:
    """Write the symbol of each colour: its outline, over a shade of it."""
    symbols = ET.SubElement(renderer, "symbols")
    for number, (red, green, blue) in enumerate(colours):
        line = f"{red},{green},{blue},{LINE_ALPHA}"
        fill = f"{red},{green},{blue},{FILL_ALPHA}"
        what, layer, properties = _symbol(kind, line, fill)
        symbol = ET.SubElement(
            symbols,
            "symbol",
            name=str(number),
            type=what,
            alpha="1",
            clip_to_extent="1",
            force_rhr="0",
        )
        drawn = ET.SubElement(
            symbol,
            "layer",
            {"class": layer, "pass": "0", "locked": "0", "enabled": "1"},
        )
        for key, value in properties.items():
            ET.SubElement(drawn, "prop", k=key, v=value)


def _symbol(kind: str, line: str, fill: str) -> tuple[str, str, dict[str, str]]:
    """Return the kind of a symbol, its layer and its properties."""
    if kind.endswith("Point"):
        return "marker", "SimpleMarker", {
            "name": "circle", "color": line, "outline_color": "0,0,0,255",
            "outline_style": "solid", "outline_width": "0.2",
            "outline_width_unit": "MM",
            "size": "2", "size_unit": "MM",
        }  # fmt: skip
    if kind.endswith("LineString"):
        return "line", "SimpleLine", {
            "line_color": line, "line_style": "solid", "line_width": LINE_MM,
            "line_width_unit": "MM",
        }  # fmt: skip
    return "fill", "SimpleFill", {
        "color": fill, "style": "solid", "outline_color": line,
        "outline_style": "solid", "outline_width": LINE_MM, "outline_width_unit": "MM",
        "joinstyle": "round",
    }  # fmt: skip


def _text(root: Element) -> str:
    """Return a document; ElementTree escapes what is markup, not what XML forbids."""
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return _DOCTYPE + _FORBIDDEN.sub("\ufffd", text) + "\n"
