import datetime as dt

import pytest

from areca.catalog.dates import parse_interval
from areca.errors import CatalogError


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", "2024-01-01", "2024-12-31T23:59:59.999999"),
        ("2023-02", "2023-02-01", "2023-02-28T23:59:59.999999"),
        ("2024-05-17", "2024-05-17", "2024-05-17T23:59:59.999999"),
        ("2024-05-17T10:00:00Z", "2024-05-17T10:00", "2024-05-17T10:00"),
        ("2024-05-17T10:00:00+02:00", "2024-05-17T08:00", "2024-05-17T08:00"),
        ("2023/2024-03", "2023-01-01", "2024-03-31T23:59:59.999999"),
        ("../2024", "0001-01-01", "2024-12-31T23:59:59.999999"),
        ("2024-05-17/", "2024-05-17", "9999-12-31"),
    ],
)
def test_texts_mean_the_whole_of_what_they_name(text, start, end):
    expected = [
        dt.datetime.fromisoformat(part).replace(tzinfo=dt.UTC) for part in (start, end)
    ]
    assert list(parse_interval(text)) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "2024-13", "2024-02-30", "2024/2023", "1/2/3", "24", "0000"]
)
def test_what_is_no_date_is_shown(text):
    with pytest.raises(CatalogError, match=repr(text)):
        parse_interval(text)
