"""Which storage the settings mean."""

from pathlib import Path

from ..config import Settings
from ..storage_url import s3_address
from .disk import DiskStore
from .keys import INCOMING
from .s3 import S3Store
from .staging import Staging
from .store import Store


def store_for(url: str) -> Store:
    """The store at a storage URL. Raises ValueError for what is none; nothing is asked of it yet."""
    address = s3_address(url)
    return S3Store.at(address) if address else DiskStore(Path(url))


def staging_for(settings: Settings) -> Staging:
    """Where files wait: beside the objects, so that they need only be renamed; else in the data directory."""
    directory = settings.data_dir if s3_address(settings.storage_url) else Path(settings.storage_url)
    return Staging(directory / INCOMING, settings.files.reserve_bytes)
