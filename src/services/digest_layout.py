"""How a digest looks, as text and as HTML. Every string that comes in is one line, and becomes nothing but words."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from .mail_texts import Language

_BODY = "margin:0 auto;padding:24px;max-width:560px;font:16px/1.5 system-ui,-apple-system,sans-serif"
_SECTION = "margin:28px 0 0"
_TITLE = "margin:0;font-size:17px"
_ENTRY = "margin:8px 0 0;padding-left:12px;border-left:3px solid #74c7ae"
_SMALL = "font-size:13px;color:#777777"
_BUTTON = (
    "display:inline-block;padding:10px 18px;border-radius:8px;background:#1f6a57;color:#ffffff;text-decoration:none"
)


class Link(NamedTuple):
    label: str
    address: str


class Entry(NamedTuple):
    """What somebody said, and when; without `who` it is a sentence of our own."""

    who: str
    when: str
    what: str


class Section(NamedTuple):
    """`facts`: beside the title. `more`: what there is besides the entries."""

    title: str
    facts: str
    entries: Sequence[Entry]
    more: str
    link: Link | None


class Page(NamedTuple):
    language: Language
    title: str
    opening: Sequence[str]
    sections: Sequence[Section]
    home: Link
    why: str
    unsubscribe: Link


def as_text(page: Page) -> str:
    """For readers of plain text."""
    footer = f"-- \n{page.why}\n{_plain_link(page.unsubscribe)}\n"
    return "\n\n".join([*page.opening, *map(_plain_section, page.sections), _plain_link(page.home), footer])


def _plain_section(section: Section) -> str:
    return "\n".join(_plain_lines(section))


def _plain_lines(section: Section) -> Iterator[str]:
    if section.title:
        yield f"■ {section.title}{f' — {section.facts}' if section.facts else ''}"
    for who, when, what in section.entries:
        yield f"  {who} ({when}): {what}" if who else f"  • {what}"
    if section.more:
        yield f"  … {section.more}" if section.entries else section.more
    if section.link:
        yield f"  {_plain_link(section.link)}"


def _plain_link(link: Link) -> str:
    return f"{link.label}: {link.address}"


def as_html(page: Page) -> str:
    """For everybody else: no picture, nothing that is fetched, no script."""
    opening = "\n".join(f"<p>{escape(line)}</p>" for line in page.opening)
    sections = "\n".join("\n".join(_html_lines(section)) for section in page.sections)
    return (
        f'<!doctype html>\n<html lang="{page.language}"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">\n'
        f'<title>{escape(page.title)}</title></head>\n<body style="{_BODY}">\n{opening}\n{sections}\n'
        f'<p style="{_SECTION}">{_html_link(page.home, _BUTTON)}</p>\n'
        f'<p style="{_SECTION};{_SMALL}">{escape(page.why)}<br>\n{_html_link(page.unsubscribe, "color:inherit")}</p>\n'
        "</body></html>\n"
    )


def _html_lines(section: Section) -> Iterator[str]:
    yield f'<div style="{_SECTION}">'
    if section.title:
        yield f'<h2 style="{_TITLE}"><bdi>{escape(section.title)}</bdi></h2>'
    if section.facts:
        yield f'<div style="{_SMALL}">{escape(section.facts)}</div>'
    for who, when, what in section.entries:
        by = f'<b><bdi>{escape(who)}</bdi></b> <span style="{_SMALL}">{escape(when)}</span><br>\n' if who else ""
        yield f'<p style="{_ENTRY}">{by}<bdi>{escape(what)}</bdi></p>'
    if section.more:
        yield f'<p style="margin:8px 0 0;{_SMALL}">{escape(section.more)}</p>'
    if section.link:
        yield f'<p style="margin:8px 0 0">{_html_link(section.link, "color:#1f8a6d")}</p>'
    yield "</div>"


def _html_link(link: Link, style: str) -> str:
    return f'<a href="{escape(link.address)}" style="{style}">{escape(link.label)}</a>'
