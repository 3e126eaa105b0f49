"""`help` of every public object of options says what each field is."""

from dataclasses import fields

import pytest

import areca

OPTIONS = [name for name in areca.__all__ if name.endswith("Options")]


@pytest.mark.parametrize("name", [*OPTIONS, "CountCalibration", "Mask"])
def test_each_field_is_explained(name):
    options = getattr(areca, name)
    _, _, attributes = options.__doc__.partition("    Attributes:\n")

    names = [field.name for field in fields(options)]
    assert [n for n in names if f"        {n}: " not in attributes] == []
