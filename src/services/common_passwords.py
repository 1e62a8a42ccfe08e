"""Passwords that are guessed first: the most used ones, the service's name, and the person's own words."""

import importlib.util
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

SERVICE = "chatty"
MIN_LENGTH = 8


@cache
def common_passwords() -> frozenset[str]:
    """The most used passwords and words of at least MIN_LENGTH characters, case-folded; some 40,000.

    Reads zxcvbn's lists without zxcvbn itself, which would keep four times the memory. Takes a fifth of a second once.
    """
    package: Any = importlib.util.find_spec("zxcvbn")
    file = Path(package.origin).with_name("frequency_lists.py")
    spec: Any = importlib.util.spec_from_file_location("_frequency_lists", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lists: Iterable[list[str]] = module.FREQUENCY_LISTS.values()
    return frozenset(word.casefold() for words in lists for word in words if len(word) >= MIN_LENGTH)


def is_derived(password: str, own: Iterable[str | None]) -> bool:
    """Is it one of the person's `own` words (nickname, address), or the service's name with some digits or signs?"""
    folded = password.casefold()
    letters = re.sub(r"[\W\d_]+", "", folded)
    return letters in (SERVICE, SERVICE * 2) or folded in _forms(own)


def _forms(own: Iterable[str | None]) -> set[str]:
    words = {word.casefold() for word in own if word}
    return words | {word.partition("@")[0] for word in words}
