"""The parts that take, keep and give files, put together."""

from collections.abc import Callable
from dataclasses import dataclass

from .config import Settings
from .db.database import Database
from .images.workshop import Workshop
from .services.assembly import Assembly
from .services.file_check import FileCheck
from .services.file_signatures import FileSignatures
from .services.file_sweeps import FileSweeps
from .services.files import Files
from .services.incoming import Incoming
from .services.keeping import Keeping
from .services.pictures import Pictures
from .services.quotas import Quotas
from .services.resumable import Resumable
from .services.turns import Turns
from .storage.staging import Staging
from .storage.storages import staging_for
from .storage.store import Store

UPLOADS_AT_ONCE = 3


@dataclass(frozen=True)
class FileParts:
    store: Store
    staging: Staging
    signatures: FileSignatures
    files: Files
    pictures: Pictures
    resumable: Resumable
    turns: Turns
    sweeps: FileSweeps
    check: FileCheck


def build_files(settings: Settings, database: Database, store: Store, wake: Callable[[], None]) -> FileParts:
    """The parts, not yet running. `wake`: called after a COMMIT that left the outbox something to do."""
    limits, staging = settings.files, staging_for(settings)
    incoming = Incoming(staging, Workshop(limits.image_megapixels), limits)
    keeping, quotas = Keeping(database, store, wake), Quotas(limits.quota_bytes)
    files = Files(database, incoming, keeping, quotas)
    return FileParts(
        store=store,
        staging=staging,
        signatures=FileSignatures(settings.signing_key, limits.link_seconds),
        files=files,
        pictures=Pictures(database, store, incoming, keeping, wake),
        resumable=Resumable(
            database=database,
            staging=staging,
            keeping=keeping,
            quotas=quotas,
            assembly=Assembly(database, staging, store, files, wake),
            settings=limits,
            wake=wake,
        ),
        turns=Turns(UPLOADS_AT_ONCE if settings.rate_limits == "on" else None),
        sweeps=FileSweeps(database, staging, limits.kept_unsent, wake),
        check=FileCheck(database, store),
    )
