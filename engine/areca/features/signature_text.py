"""Signature files of ArcGIS: `.gsg` text.

As ArcGIS Pro documents it ("How Create Signatures works"): lines of `#` are remarks,
those of `/*` number and name the layers, and the rest is numbers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from areca.errors import BandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_RULE = "# " + "-" * 70


def signature_lines(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a file.

    Args:
        data: Of `Signature.to_dict`.

    Yields:
        Lines without their ends.
    """
    bands, classes = data["bands"], data["classes"]
    count = len(bands)
    yield "# Signatures Produced by Clustering of areca"
    yield f"#   sampling interval={data['sample_interval']}"
    yield "# Number of selected grids"
    yield f"/*  {count}"
    yield "# Layer-Number   Grid-name"
    for number, band in enumerate(bands, 1):
        yield f"/*  {number}   {band}"
    yield "# Type  Number of Classes  Number of Layers  Number of Parametric Layers"
    yield f"  1  {len(classes)}  {count}  {count}"
    for one in classes:
        yield _RULE
        yield "# Class ID  Number of Cells  Class Name"
        yield f"  {one['value']}  {one['count']}  {'_'.join(one['name'].split())}"
        yield f"# Layers   {'  '.join(str(n) for n in range(1, count + 1))}"
        yield "# Means"
        yield f"  {_numbers(one['mean'])}"
        yield "# Covariance"
        for number, row in enumerate(one["covariance"], 1):
            yield f"  {number}  {_numbers(row)}"


def signature_of_lines(lines: Sequence[str], source: str) -> dict[str, Any]:
    """Return what `Signature.from_dict` takes.

    Args:
        lines: Of a file.
        source: What to call it in an error.

    Raises:
        BandError: They are something else, or have no covariances.
    """
    layers = [line[2:].split(maxsplit=1) for line in lines if line.startswith("/*")]
    names = [words[1].strip() for words in layers if len(words) == 2]
    rows = [
        line.split() for line in lines if line.strip() and line[:1] != "#"
        and not line.startswith("/*")
    ]  # fmt: skip
    try:
        count, bands, parametric = (int(word) for word in rows[0][1:4])
        size = bands + 2  # a line of the class, the means, and a line a band
        classes = [_class(rows[at : at + size]) for at in range(1, len(rows), size)]
    except (IndexError, ValueError) as error:
        raise BandError(f"{source} is no signature file ({error})") from error
    if (parametric, len(names), len(rows)) != (bands, bands, 1 + count * size):
        raise BandError(
            f"{source} is no signature file with covariances: {count} classes of "
            f"{bands} layers, {parametric} parametric, {len(names)} named, in "
            f"{len(rows)} lines; in ArcGIS, compute covariance matrices too"
        )
    mark = "sampling interval="
    words = [line.split(mark)[1] for line in lines if mark in line]
    classes.sort(key=lambda one: int(one["value"]))
    return {
        "bands": names,
        "classes": classes,
        "sample_interval": int(words[0]) if words else 1,
    }


def _class(rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    value, count = (int(word) for word in rows[0][:2])
    return {
        "value": value,
        "name": " ".join(rows[0][2:]) or f"class_{value}",
        "count": count,
        "mean": [float(word) for word in rows[1]],
        "covariance": [[float(word) for word in row[1:]] for row in rows[2:]],
    }


def _numbers(values: Sequence[float]) -> str:
    return "  ".join(repr(float(value)) for value in values)
