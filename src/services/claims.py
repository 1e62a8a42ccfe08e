"""What others say of a person, made fit for us or left out: nobody could be asked to correct it."""

import secrets
import unicodedata
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..schemas.auth import Email
from ..schemas.common import BIDI_CONTROLS, Nickname

MAX_NICKNAME = 50
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
_NICKNAME: TypeAdapter[str] = TypeAdapter(Nickname)
_UNFIT = ("Cc", "Cs")


def usable_email(claimed: str | None) -> str | None:
    """An e-mail address as we write it, or None."""
    return _read(_EMAIL, claimed)


def usable_nickname(claimed: str | None) -> str | None:
    """A name by the rules of nicknames, shortened and without what they refuse; None if nothing remains to be seen."""
    if claimed is None:
        return None
    shown = "".join(char for char in claimed if unicodedata.category(char) not in _UNFIT and char not in BIDI_CONTROLS)
    return _read(_NICKNAME, unicodedata.normalize("NFC", shown).strip()[:MAX_NICKNAME])


def made_up_nickname(language: str) -> str:
    """A name for who has none."""
    return f"{'User' if language == 'en' else '사용자'} {secrets.randbelow(10_000):04d}"


def _read(adapter: TypeAdapter[str], claimed: Any) -> str | None:
    try:
        return adapter.validate_python(claimed)
    except ValidationError:
        return None
