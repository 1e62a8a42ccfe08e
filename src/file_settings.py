"""What people may send and how it is kept: settings named `CHATTY_FILES__…`."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MIB = 1024 * 1024

Mib = Annotated[float, Field(gt=0, le=1024 * 1024, allow_inf_nan=False)]


class FileSettings(BaseModel):
    """Sizes are in MiB, of one file unless the name says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    max_mib: Mib = 25
    image_max_mib: Mib = 25
    image_megapixels: Annotated[float, Field(gt=0, le=100)] = 40
    quota_mib: Mib = 1024
    reserve_mib: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 512
    banned_types: str = ""
    link_seconds: Annotated[int, Field(ge=10, le=86_400)] = 900
    downloads: Literal["stream", "redirect"] = "stream"
    unsent_hours: Annotated[float, Field(gt=0, le=8760)] = 24

    @property
    def max_bytes(self) -> int:
        """Of one file of any kind."""
        return int(self.max_mib * MIB)

    @property
    def image_max_bytes(self) -> int:
        """Of one image, as it is sent."""
        return int(min(self.image_max_mib, self.max_mib) * MIB)

    @property
    def quota_bytes(self) -> int:
        """Of all that one person has uploaded and nobody has deleted."""
        return int(self.quota_mib * MIB)

    @property
    def reserve_bytes(self) -> int:
        """What must stay free on the disk."""
        return int(self.reserve_mib * MIB)

    @property
    def banned(self) -> frozenset[str]:
        """Extensions without their dot, and media types, in lower case."""
        return frozenset(part.strip().lower().lstrip(".") for part in self.banned_types.split(",") if part.strip())

    @property
    def kept_unsent(self) -> timedelta:
        """For how long a file waits to be sent."""
        return timedelta(hours=self.unsent_hours)
