"""The language of features: what a name, a formula or a call means, read safely.

A feature is written as one writes it down: `nir`, `ndvi`, `(nir - red) / (nir + red)`,
`ratio = nir / red`, `slope(dem)`, `std(ndvi, 7)`. Python's own parser reads the text,
and only the few kinds of nodes below are let through; nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from areca.errors import BandError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONGEST = 2000
"""Characters of one feature; a longer text is a mistake or an attack."""
DEEPEST = 50
"""Levels of brackets and operators within each other."""

_PLAIN = re.compile(r"[\w. -]+")
_NAMED = re.compile(r"\s*([A-Za-z_]\w*)\s*=(?!=)(.*)", re.DOTALL)
_OPERATORS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}


@dataclass(frozen=True, slots=True)
class Name:
    """A band, or an index by its name."""

    text: str


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function of trees."""

    function: str
    """`+`, `-`, `*`, `/`, `**`, `negative`, or the name of a function."""
    arguments: tuple[Tree, ...]
    options: tuple[tuple[str, float], ...] = ()
    """Arguments given by name, in the order of their names."""


Tree: TypeAlias = Name | Number | Call


@dataclass(frozen=True, slots=True)
class Feature:
    """One band of a stack: what it is called, and what it is."""

    name: str
    tree: Tree


def parse_feature(text: str) -> Feature:
    """Read a feature.

    Args:
        text: A name, a formula, or `name = formula`.

    Returns:
        The feature; its name is what stands before `=`, else the text itself.

    Raises:
        BandError: The text is no formula, or uses more than arithmetic and calls.
    """
    given = _NAMED.fullmatch(text)
    name, formula = (given[1], given[2]) if given else (text.strip(), text)
    if len(text) > LONGEST:
        raise BandError(
            f"the feature {text[:60]!r}… has {len(text)} characters; {LONGEST} are the "
            "most. Split it into several features"
        )
    try:
        parsed = ast.parse(formula.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        if given is None and _PLAIN.fullmatch(name):
            return Feature(name, Name(name))  # a band called `band 1`
        raise BandError(
            f"the feature {text!r} cannot be read: {getattr(error, 'msg', error)}. "
            "Write for example ratio = nir / red"
        ) from error
    tree = _tree(parsed, text, 0)
    if given is None and isinstance(tree, Number):
        return Feature(name, Name(name))  # a band called `1`
    return Feature(name, tree)


def names_in(tree: Tree) -> Iterator[str]:
    """Yield the names of bands and indices in a tree, from left to right."""
    if isinstance(tree, Name):
        yield tree.text
    elif isinstance(tree, Call):
        for argument in tree.arguments:
            yield from names_in(argument)


def with_names(tree: Tree, names: Mapping[str, str]) -> Tree:
    """Return a tree of bands that are called otherwise.

    Args:
        tree: Any.
        names: What bands are to be called; others keep their names.
    """
    if isinstance(tree, Name):
        return Name(names.get(tree.text, tree.text))
    if isinstance(tree, Call):
        arguments = tuple(with_names(each, names) for each in tree.arguments)
        return Call(tree.function, arguments, tree.options)
    return tree


def _tree(node: ast.expr, text: str, depth: int) -> Tree:
    if depth > DEEPEST:
        raise BandError(
            f"the feature {text[:60]!r}… is nested more than {DEEPEST} deep; split it "
            "into several features"
        )
    match node:
        case ast.Name(id=name):
            return Name(name)
        case ast.Attribute():
            return Name(_dotted(node, text))
        case ast.Constant(value=int() | float() as value) if not isinstance(
            value, bool
        ):
            return Number(_number(value, text))
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
            inner = _tree(node.operand, text, depth + 1)
            return Number(-inner.value) if isinstance(inner, Number) else inner
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("negative", (_tree(operand, text, depth + 1),))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _tree(operand, text, depth + 1)
        case ast.BinOp(left=left, op=operator, right=right) if (
            type(operator) in _OPERATORS
        ):
            sides = (_tree(left, text, depth + 1), _tree(right, text, depth + 1))
            return Call(_OPERATORS[type(operator)], sides)
        case ast.Call(func=ast.Name(id=name), args=given, keywords=options):
            arguments = tuple(_tree(each, text, depth + 1) for each in given)
            return Call(name, arguments, _options(options, text))
    raise BandError(
        f"the feature {text!r} uses {ast.unparse(node)!r}; a feature is made of bands, "
        "indices, numbers, + - * / **, brackets and what `areca features --list` names"
    )


def _dotted(node: ast.expr, text: str) -> str:
    """Return a name with dots, as the bands of an asset have (`image.b1`).

    Raises:
        BandError: There is a dot after something else.
    """
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise BandError(
            f"the feature {text!r} has a dot after something that is no name"
        )
    return ".".join([node.id, *reversed(parts)])


def _options(given: list[ast.keyword], text: str) -> tuple[tuple[str, float], ...]:
    """Return options by name.

    Raises:
        BandError: One of them is no number.
    """
    options: dict[str, float] = {}
    for keyword in given:
        value = _tree(keyword.value, text, 0)
        if keyword.arg is None or not isinstance(value, Number):
            raise BandError(
                f"the feature {text!r} needs plain numbers after `=`, for example "
                "gaussian(nir, sigma=2)"
            )
        options[keyword.arg] = value.value
    return tuple(sorted(options.items()))


def _number(value: float, text: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise BandError(f"the feature {text[:60]!r}… has a number too large") from error
