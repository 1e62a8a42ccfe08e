"""The name by which services call what a repository gives them."""

from typing import Any

from sqlalchemy import Row as _Row

Row = _Row[Any]
