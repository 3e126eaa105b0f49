"""Recipes: a run or a training as constants in TOML, checked before use."""

from __future__ import annotations

import difflib
import tomllib
from difflib import SequenceMatcher
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypeGuard,
    TypeVar,
    get_args,
    get_origin,
)

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)
from pydantic_core import PydanticCustomError

from areca.errors import RecipeError
from areca_pipelines.lists import split_words

if TYPE_CHECKING:
    from collections.abc import Mapping

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes that come with areca."""
PACKAGE = Path(__file__).parent
IMAGES = frozenset({".tif", ".tiff", ".jp2", ".vrt", ".png", ".jpg", ".jpeg"})
"""How files end that are imagery and no recipe, in lower case."""


def _batch_size(value: object) -> object:
    """Return a batch size; not a union, whose message would name its parts.

    Raises:
        PydanticCustomError: It is none.
    """
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if value != "auto" and not is_count:
        words = 'give a number of 1 or more, or "auto"'
        raise PydanticCustomError("batch_size", words)
    return value


def _as_list(value: object) -> object:
    """Return one text as a list of it: its commas are its own."""
    return [value] if isinstance(value, str) else value


class CensusOptions(BaseModel):
    """How to run the model; the fields of `areca.PredictOptions`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threshold: float | None = Field(None, ge=0, le=1)
    """Lowest score of a detection; the model card's when left out."""
    nms_overlap: float | None = Field(None, ge=0, le=1)
    """Overlap above which the weaker of two boxes falls; the card's when left out."""
    batch_size: Annotated[int | Literal["auto"], PlainValidator(_batch_size)] = 1
    """Tiles in one forward pass; "auto" is measured at the start of a run."""
    block_tiles: int = Field(4, ge=1)
    """Tiles along each side of a block."""
    torch_threads: int = Field(1, ge=1)
    """Threads of one forward pass on the CPU."""
    device: str = "cpu"
    """Torch device of the forward passes; the cluster `cuda` sets it."""
    tile_px: int | None = Field(None, ge=1)
    """Edge of the model tile; the card's when left out."""
    augment: Literal["none", "flips", "d4"] = "none"
    """Test-time augmentation: 4 (flips) or 8 (d4) views of each tile."""
    merge_policy: Literal["mean", "max", "min"] | None = None
    """How views, and tiles that fade into each other, become one; "mean" for
    segmentations and "max" for detectors when left out."""
    blend_px: int = Field(0, ge=0)
    """Segmentation: pixels over which a tile fades into its neighbours."""
    confidence: tuple[Literal["top1", "margin", "entropy", "score"], ...] = ()
    """Rasters of confidence to write."""
    classes: tuple[str, ...] | None = None
    """Labels of the objects wanted; all when left out."""
    predict_background: bool = True
    """Segmentation: whether a pixel may be background."""
    connectivity: Literal[4, 8] = 4
    """Segmentation: whether corners join the pixels of one object."""
    trust: bool = False
    """Whether the model's file may run code of whoever made it."""


class CensusRecipe(BaseModel):
    """Find, count and measure the objects of a region."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["census"]
    title: str
    """Heading of the report."""
    about: str = ""
    """One sentence for `areca recipes`."""
    model: str
    """Built-in name or folder of the model."""
    collections: tuple[str, ...] = ()
    """STAC collections to search; not used when the catalogue is a folder or a file."""
    names: tuple[str, ...] = ()
    """Names of all bands of GeoTIFFs without a catalogue, in their order, in place of
    those that the files tell."""
    dates: str | None = None
    """How a date stands in the names of such files: `%Y%m%d` in farm_20240601.tif."""
    catalog: str | None = None
    """Catalogue when the command names none; `package:` stands for this package."""
    crs: str | None = Field(None, coerce_numbers_to_str=True)
    """CRS of the pixel grid, such as `EPSG:32648`; the imagery's own when left out, or
    a UTM zone where it has several grids."""
    resolution: float | None = Field(None, gt=0, allow_inf_nan=False)
    """Edge of a pixel of that grid, CRS units; that of the finest imagery when left
    out."""
    mask: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)
    """What quality bands must not show, as `areca cube --mask`: `scl:cloud,shadow`.
    Masked ground of an item is missing, and the next item shows it."""
    workers: int | None = Field(None, ge=1)
    """Worker processes of a local cluster; the number of processors when left out, and
    at most 8 where they share a GPU."""
    threads: int | None = Field(None, ge=1)
    """Blocks that each worker process has in work side by side; when left out 2, and 3
    with `--cluster threads`."""
    options: CensusOptions = CensusOptions()


def demo_catalog() -> str:
    """Return the catalogue of the image that comes with areca."""
    return str(PACKAGE / "demo" / "catalog.json")


AnyRecipe = TypeVar("AnyRecipe", bound=BaseModel)


def list_recipes() -> list[str]:
    """Return the names of the recipes that come with areca, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def recipe_path(name_or_path: str) -> Path:
    """Return the file of a recipe.

    Args:
        name_or_path: A built-in name, or the path of a TOML file.

    Returns:
        The path.

    Raises:
        RecipeError: There is no such recipe, and the nearest name is given; or it is
            imagery.
    """
    built_in = RECIPES / f"{name_or_path}.toml"
    if name_or_path in list_recipes():
        return built_in
    path = Path(name_or_path)
    known = f"Recipes: {', '.join(list_recipes())}"
    if path.suffix.lower() in IMAGES:
        raise RecipeError(
            f"{name_or_path} is an image, and the recipe comes first: areca run RECIPE "
            f"--catalog {name_or_path}. {known}"
        )
    if path.is_file():
        return path
    if path.is_dir():
        raise RecipeError(
            f"{name_or_path} is a folder, and the recipe comes first: areca run RECIPE "
            f"--catalog {name_or_path}. {known}"
        )
    begun = [name for name in list_recipes() if name.startswith(name_or_path)]
    near = begun or difflib.get_close_matches(
        name_or_path, list_recipes(), n=1, cutoff=0.4
    )
    hint = f"did you mean {near[0]}?" if near else "give a name or a TOML file."
    raise RecipeError(f"there is no recipe {name_or_path!r}; {hint} {known}")


def read_recipe(
    name_or_path: str, form: type[AnyRecipe], settings: Mapping[str, Any] | None = None
) -> AnyRecipe:
    """Read a recipe and check every key and value of it.

    Args:
        name_or_path: A built-in name, or the path of a TOML file.
        form: What the recipe must be.
        settings: Values that replace those of the file, by key (`workers`), or by
            dotted key (`options.threshold`).

    Returns:
        The recipe.

    Raises:
        RecipeError: The file is no TOML, or a key or value cannot be; the message
            names the file, the key and the nearest key that there is.
    """
    path = recipe_path(name_or_path)
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name} is no TOML file: {error}") from error
    _check_kind(path, data, form)
    given = {_full(key, form): value for key, value in (settings or {}).items()}
    for key, value in given.items():
        _put(data, key, _split(value, _annotation(key, form)))
    try:
        return form.model_validate(data)
    except ValidationError as error:
        fault = ".".join(map(str, error.errors()[0]["loc"]))
        is_given = any(
            f"{fault}.".startswith(f"{key}.") or key.startswith(f"{fault}.")
            for key in given
        )
        source = "--set" if is_given else path.name
        raise RecipeError(f"{source}: {_explain(error, form)}") from error


def _check_kind(path: Path, data: Mapping[str, Any], form: type[BaseModel]) -> None:
    """Refuse a recipe for another verb.

    Raises:
        RecipeError: A training recipe is to be run, or a census to be trained.
    """
    verbs = {"census": "areca run", "train": "areca train"}
    wanted = form.model_fields["kind"].annotation
    kind = data.get("kind")
    if kind in verbs and kind not in get_args(wanted):
        raise RecipeError(
            f"{path.name} is a recipe of the kind {kind!r}; use `{verbs[kind]} "
            f"{path.stem}`"
        )


def parse_setting(text: str) -> tuple[str, Any]:
    """Split `key=value` of the command line; the value is read as TOML, else as text.

    Args:
        text: For example `options.threshold=0.4`.

    Returns:
        Key and value.

    Raises:
        RecipeError: There is no `=`.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip():
        raise RecipeError(f"--set {text!r} is not key=value; for example threshold=0.4")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _full(key: str, form: type[BaseModel]) -> str:
    """Return a dotted key; a bare name of an option means `options.<name>`."""
    is_option = key in CensusOptions.model_fields and "options" in form.model_fields
    return f"options.{key}" if is_option else key


def _annotation(key: str, form: type[BaseModel]) -> object:
    """Return the type of a dotted key; None where there is no such key."""
    kind: object = form
    for part in key.split("."):
        fields = kind.model_fields if _is_table(kind) else {}
        kind = fields[part].annotation if part in fields else None
    return kind


def _is_table(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _split(value: object, kind: object) -> object:
    """Return text with commas as a list where a list is wanted."""
    kinds = (kind, *get_args(kind))  # a union has the tuple as its part
    if isinstance(value, str) and any(get_origin(one) is tuple for one in kinds):
        return split_words(value)
    return value


def _put(data: dict[str, Any], key: str, value: object) -> None:
    """Set a dotted key.

    Raises:
        RecipeError: A part of the key is a value and has no keys.
    """
    parts = key.split(".")
    table = data
    for part in parts[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise RecipeError(f"--set {key}: {part} is a value, not a table of keys")
    table[parts[-1]] = value


def _explain(error: ValidationError, form: type[BaseModel]) -> str:
    """Return the first fault as one line."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"the key {where!r} is missing; add it (see `areca recipes`)"
    if first["type"] == "tuple_type":
        return f'{where} is {first["input"]!r}, not a list; write {where} = ["…", "…"]'
    if first["type"] != "extra_forbidden":
        return f"{where} is {first['input']!r}: {first['msg'].lower()}"
    if where in {"aoi", "datetime", "out"}:
        return f"{where!r} is no key of a recipe; give it with --{where}"
    return f"unknown key {where!r}; the nearest is {_nearest(where, form)!r}"


def _nearest(where: str, form: type[BaseModel]) -> str:
    """Return the key that is most like another, first of all by its last name."""

    def likeness(key: str) -> tuple[float, float]:
        last = SequenceMatcher(None, _leaf(where), _leaf(key)).ratio()
        return last, SequenceMatcher(None, where, key).ratio()

    return max(_keys(form), key=likeness)


def _leaf(key: str) -> str:
    return key.rpartition(".")[2]


def _keys(form: type[BaseModel], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name, field in form.model_fields.items():
        inner = field.annotation
        keys.append(f"{prefix}{name}")
        if _is_table(inner):
            keys += _keys(inner, f"{prefix}{name}.")
    return keys
