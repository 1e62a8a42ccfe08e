"""`chatty files check`, for whoever runs the service: looks, mends if asked to, and says what it found."""

import asyncio

from rich.console import Console

from .config import Settings
from .file_settings import MIB
from .parts import build
from .services.file_check import FileCheck, Findings

SHOWN = 20


def report(settings: Settings, repair: bool) -> bool:
    """Print what was found. True if rows and storage agree, in the end."""
    return asyncio.run(_report(settings, repair))


async def _report(settings: Settings, repair: bool) -> bool:
    parts = build(settings)
    try:
        findings = await _checked(parts.files.check, repair)
    finally:
        await parts.files.store.close()
        await parts.database.close()
    return findings.sound


async def _checked(check: FileCheck, repair: bool) -> Findings:
    findings = await check.check()
    _say(findings)
    if repair and not findings.sound:
        findings = await check.repair(findings)
        Console().print("Mended what can be mended. Now:")
        _say(findings)
    return findings


def _say(findings: Findings) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"{findings.objects} objects are stored, {findings.bytes / MIB:.1f} MiB.")
    _list(console, findings.missing, "are missing: the service answers `gone` for them")
    _list(console, findings.differ, "are not as long as they were")
    _list(console, findings.orphans, "belong to nothing")
    if findings.sound:
        console.print("Rows and storage agree.")


def _list(console: Console, keys: list[str], what: str) -> None:
    if keys:
        console.print(f"{len(keys)} {what}:")
        for key in keys[:SHOWN]:
            console.print(f"  {key}", markup=False)
        if len(keys) > SHOWN:
            console.print(f"  … and {len(keys) - SHOWN} more")
