"""The application: the `areca` command, its flows, recipes and demo data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from areca_pipelines.census import plan, run
    from areca_pipelines.recipe import demo_catalog, list_recipes
    from areca_pipelines.train import train

_HOMES = {
    "demo_catalog": "areca_pipelines.recipe",
    "list_recipes": "areca_pipelines.recipe",
    "plan": "areca_pipelines.census",
    "run": "areca_pipelines.census",
    "train": "areca_pipelines.train",
}

__all__ = ["demo_catalog", "list_recipes", "plan", "run", "train"]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    message = f"module 'areca_pipelines' has no attribute {name!r}"
    raise AttributeError(message)
