"""What pushes say on a lock screen, in Korean and English. Pure."""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from ..db.excerpts import excerpt
from ..schemas.files import File
from ..schemas.notifications import Kind

Language = Literal["ko", "en"]

MAX_NAME: Final = 60
MAX_CONTENT: Final = 160
_NAMELESS: Final = {"ko": "알 수 없음", "en": "Somebody"}
_APP: Final = "Chatty"


class Text(NamedTuple):
    title: str
    body: str


class Told(NamedTuple):
    """What is told. `who`: by whose doing; `room`: what it is called, "" in a direct room and where there is none.

    `content`: of a message, or the emoji of a reaction; `messages`: how many there are, of which this is the one shown.
    """

    kind: Kind
    who: str | None
    room: str
    content: str
    messages: int


def language_of(language: str) -> Language:
    return "en" if language == "en" else "ko"


def content_of(text: str | None, files: Sequence[File], language: Language) -> str:
    """A message in one line: the beginning of its text, or else what it has of pictures or files."""
    if text:
        return excerpt(text, MAX_CONTENT)
    if not files:
        return "새 메시지" if language == "ko" else "A new message"
    if all(file.kind == "image" for file in files):
        return _photos(len(files), language)
    name = excerpt(next(file.name for file in files if file.kind != "image"), MAX_CONTENT // 2)
    if language == "ko":
        return f"파일: {name}" if len(files) == 1 else f"파일 {len(files)}개: {name}"
    return f"File: {name}" if len(files) == 1 else f"{len(files)} files: {name}"


def written(told: Told, language: Language) -> Text:
    """The push about something, for whoever may read it over somebody's shoulder."""
    who = excerpt(told.who, MAX_NAME) if told.who else _NAMELESS[language]
    room = excerpt(told.room, MAX_NAME)
    if told.kind in ("message", "mention"):
        return Text(room or who, _said(told, who, room, language) + _more(told.messages, language))
    return Text(room or who if told.kind != "system" else _APP, _happened(told, who, language))


def hidden(told: Told, language: Language) -> Text:
    """The same for who wants no content shown: how many, and nothing of what, where and by whom."""
    if told.kind in ("message", "mention"):
        if language == "ko":
            return Text(_APP, f"새 메시지 {told.messages}개")
        return Text(_APP, "1 new message" if told.messages == 1 else f"{told.messages} new messages")
    return Text(_APP, "새 알림 1개" if language == "ko" else "1 new notification")


def _photos(count: int, language: Language) -> str:
    if language == "ko":
        return "사진을 보냈습니다." if count == 1 else f"사진 {count}장을 보냈습니다."
    return "Sent a photo." if count == 1 else f"Sent {count} photos."


def _said(told: Told, who: str, room: str, language: Language) -> str:
    if told.kind == "mention":
        by = f"{who}님이 나를 언급했습니다" if language == "ko" else f"{who} mentioned you"
        return f"{by}: {told.content}"
    return f"{who}: {told.content}" if room else told.content


def _more(count: int, language: Language) -> str:
    if count <= 1:
        return ""
    return f" 외 {count - 1}개" if language == "ko" else f" (+{count - 1} more)"


def _happened(told: Told, who: str, language: Language) -> str:
    korean = {
        "reaction": f"{who}님이 {told.content} 반응을 남겼습니다.",
        "friend_request": f"{who}님이 친구 요청을 보냈습니다.",
        "friend_accepted": f"{who}님이 친구 요청을 수락했습니다.",
        "room_invite": f"{who}님이 대화방에 초대했습니다.",
    }
    english = {
        "reaction": f"{who} reacted with {told.content}",
        "friend_request": f"{who} wants to be friends.",
        "friend_accepted": f"{who} accepted your friend request.",
        "room_invite": f"{who} invited you to this room.",
    }
    new = "새 알림이 있습니다." if language == "ko" else "There is something new."
    return (korean if language == "ko" else english).get(told.kind, new)
