"""What a draft names, held against what there is: whom it goes to, mentions, quotes and shows."""

from collections.abc import Mapping, Sequence
from typing import Literal
from uuid import UUID

from ..db.rows import Row
from ..db.sends import Place, Quote
from ..db.views import user_view
from ..errors import Blocked, FieldError, Gone, Invalid
from ..schemas.drafts import MessageDraft
from ..schemas.messages import ReplyTo
from .audiences import Audience


def check_partner(audience: Audience) -> None:
    """Raise Blocked or Gone where the partner of a direct room cannot be written to."""
    if audience.barred:
        raise Blocked
    if audience.gone:
        raise Gone("This person has deleted their account.")


def check_mentions(draft: MessageDraft, audience: Audience) -> None:
    """Raise Invalid where others than members are mentioned."""
    if not audience.first_seqs.keys() >= {*draft.mentions}:
        raise Invalid(errors=[FieldError("mentions", "not_a_member", "must be members of this room")])


def quoted(draft: MessageDraft, room_id: UUID, first_seq: int, quotes: Mapping[UUID, Quote]) -> Quote | None:
    """The line that the draft answers, which its sender may read from `first_seq` on. Raises Invalid."""
    if draft.reply_to is None:
        return None
    quote = quotes.get(draft.reply_to)
    mine = quote is not None and quote.room_id == room_id and quote.seq >= first_seq
    if quote is None or not mine or quote.deleted or quote.sender is None:
        raise Invalid(errors=[FieldError("reply_to", "not_quotable", "must be a message of this room")])
    return quote


def reply_to(quote: Quote) -> ReplyTo:
    """The line as a message shows it that answers it."""
    return ReplyTo(
        id=quote.id, seq=quote.seq, sender=user_view(quote.sender) if quote.sender else None, text=quote.text
    )


def attachments_of(draft: MessageDraft, place: Place, found: Mapping[UUID, Row]) -> list[Row]:
    """The rows of the draft's files, in its order. `found`: those that there are.

    Raises Invalid where one is another's, of another room, or gone: alike, so that nobody learns of others' files.
    """
    files = [found.get(file_id) for file_id in draft.file_ids]
    if odd := [number for number, file in enumerate(files) if not _is_sendable(file, place)]:
        sentence = "must be a file that you have uploaded into this room"
        raise Invalid(errors=[FieldError(f"file_ids.{number}", "not_a_file", sentence) for number in odd])
    return [file for file in files if file]


def kind_of(files: Sequence[Row]) -> Literal["text", "image", "file"]:
    """What a message with these files is called: an image if all of them are."""
    if not files:
        return "text"
    return "image" if all(file.kind == "image" for file in files) else "file"


def _is_sendable(file: Row | None, place: Place) -> bool:
    return file is not None and (file.uploader_id, file.room_id) == (place.sender_id, place.room_id)
