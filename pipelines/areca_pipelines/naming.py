"""Messages of the engine in the words of the command."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from areca.errors import ArecaError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def said_as(words: Mapping[str, str]) -> Iterator[None]:
    """Let errors name the options of the command in place of Python's arguments.

    Args:
        words: Argument to option, such as `{"size_m": "--cells"}`.

    Raises:
        ArecaError: What was raised within, of the same type, in other words.
    """
    names = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in words))
    try:
        yield
    except ArecaError as error:
        text = names.sub(lambda found: words[found[0]], str(error))
        if text == str(error):
            raise
        raise type(error)(text) from error
