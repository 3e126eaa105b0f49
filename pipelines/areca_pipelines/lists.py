"""Lists as the command takes them: words with commas between."""

from __future__ import annotations


def split_words(text: str) -> list[str]:
    """Return the words of a list, without blanks around them and without empty ones."""
    return [word.strip() for word in text.split(",") if word.strip()]
