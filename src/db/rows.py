"""The name by which services call what a repository gives them."""

from typing import Any, TypeAlias

from sqlalchemy import Row as _Row

Row: TypeAlias = _Row[*tuple[Any, ...]]
