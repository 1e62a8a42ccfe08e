"""What digests say, in Korean and in English. Everything that goes into a sentence is one line already."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Protocol

from .mail_texts import Language

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Words(Protocol):
    """`zone`: of those whose own is not known."""

    zone: tzinfo
    somebody: str
    others: str
    open_room: str
    open_chatty: str
    why: str
    unsubscribe: str

    def greeting(self, nickname: str) -> str: ...

    def subject(self, messages: int, notices: int, room: str, more_rooms: int) -> str:
        """`room`: "" where no names are to be said."""

    def lead(self, messages: int, rooms: int, notices: int) -> str: ...

    def counts(self, messages: int, mentions: int) -> str: ...

    def earlier(self, messages: int) -> str: ...

    def more_rooms(self, rooms: int, messages: int) -> str: ...

    def more_others(self, notices: int) -> str: ...

    def other(self, kind: str, actor: str, room: str, emoji: str) -> str:
        """One notification; "" for a kind that has no sentence of its own."""

    def time(self, at: datetime) -> str: ...


class Korean:
    zone: tzinfo = timezone(timedelta(hours=9), "KST")
    somebody = "알 수 없는 사용자"
    others = "그 밖의 알림"
    open_room = "대화방 열기"
    open_chatty = "Chatty 열기"
    why = "확인하지 않은 소식이 있을 때 Chatty에서 보내 드리는 메일입니다. 알림은 설정에서 바꾸실 수 있습니다."
    unsubscribe = "메일 그만 받기"

    def greeting(self, nickname: str) -> str:
        return f"{nickname}님, 안녕하세요." if nickname else "안녕하세요."

    def subject(self, messages: int, notices: int, room: str, more_rooms: int) -> str:
        if not messages:
            return f"[Chatty] 확인하지 않은 알림 {notices:,}개"
        where = f" · {room}" if room else ""
        return (
            f"[Chatty] 읽지 않은 메시지 {messages:,}개{where}{f' 외 {more_rooms:,}곳' if where and more_rooms else ''}"
        )

    def lead(self, messages: int, rooms: int, notices: int) -> str:
        where = f"대화방 {rooms:,}곳에 " if rooms > 1 else ""
        unread = f"읽지 않은 메시지가 {messages:,}개"
        unseen = f"확인하지 않은 알림이 {notices:,}개"
        if not messages:
            return f"{unseen} 있습니다."
        return f"{where}{unread} 있고, {unseen} 있습니다." if notices else f"{where}{unread} 있습니다."

    def counts(self, messages: int, mentions: int) -> str:
        mentioned = f" · 회원님을 언급한 메시지 {mentions:,}개" if mentions else ""
        return f"읽지 않은 메시지 {messages:,}개{mentioned}"

    def earlier(self, messages: int) -> str:
        return f"이전 메시지 {messages:,}개"

    def more_rooms(self, rooms: int, messages: int) -> str:
        return f"그 밖의 대화방 {rooms:,}곳에도 읽지 않은 메시지가 {messages:,}개 있습니다."

    def more_others(self, notices: int) -> str:
        return f"이 밖에도 알림이 {notices:,}개 더 있습니다."

    def other(self, kind: str, actor: str, room: str, emoji: str) -> str:
        where = f"‘{room}’ 대화방" if room else "대화방"
        reacted = f"{emoji} 반응을" if emoji else "반응을"
        sentences: Mapping[str, str] = {
            "friend_request": f"{actor}님이 친구 요청을 보냈습니다.",
            "friend_accepted": f"{actor}님이 회원님의 친구 요청을 수락했습니다.",
            "room_invite": f"{actor}님이 회원님을 {where}에 초대했습니다.",
            "reaction": f"{actor}님이 회원님의 메시지에 {reacted} 남겼습니다.",
            "mention": f"{actor}님이 {where}에서 회원님을 언급했습니다.",
        }
        return sentences.get(kind, "")

    def time(self, at: datetime) -> str:
        half = "오전" if at.hour < 12 else "오후"
        return f"{at.month}월 {at.day}일 {half} {at.hour % 12 or 12}:{at.minute:02}"


class English:
    zone: tzinfo = UTC
    somebody = "somebody"
    others = "Other notifications"
    open_room = "Open the conversation"
    open_chatty = "Open Chatty"
    why = (
        "Chatty sends this when there is something that you have not seen. What you get by mail is up to your settings."
    )
    unsubscribe = "Get no more of these mails"

    def greeting(self, nickname: str) -> str:
        return f"Hello {nickname}," if nickname else "Hello,"

    def subject(self, messages: int, notices: int, room: str, more_rooms: int) -> str:
        if not messages:
            return f"[Chatty] {_some(notices, 'notification')} you have not seen"
        more = f" and {more_rooms:,} more" if more_rooms else ""
        return f"[Chatty] {_some(messages, 'unread message')}{f' in {room}{more}' if room else ''}"

    def lead(self, messages: int, rooms: int, notices: int) -> str:
        where = f" in {rooms:,} conversations" if rooms > 1 else ""
        unread = f"{_some(messages, 'unread message')}{where}"
        unseen = f"{_some(notices, 'notification')} that you have not seen"
        return f"You have {' and '.join([*([unread] if messages else []), *([unseen] if notices else [])])}."

    def counts(self, messages: int, mentions: int) -> str:
        mentioned = f" · {mentions:,} of them {'mentions' if mentions == 1 else 'mention'} you" if mentions else ""
        return f"{_some(messages, 'unread message')}{mentioned}"

    def earlier(self, messages: int) -> str:
        return _some(messages, "earlier message")

    def more_rooms(self, rooms: int, messages: int) -> str:
        verb = "is" if messages == 1 else "are"
        return f"There {verb} {_some(messages, 'unread message')} in {_some(rooms, 'more conversation')}."

    def more_others(self, notices: int) -> str:
        return f"And {_some(notices, 'more notification')}."

    def other(self, kind: str, actor: str, room: str, emoji: str) -> str:
        where = f"“{room}”" if room else "a conversation"
        sentences: Mapping[str, str] = {
            "friend_request": f"{actor} would like to be your friend.",
            "friend_accepted": f"{actor} has accepted your friend request.",
            "room_invite": f"{actor} has invited you to {where}.",
            "reaction": f"{actor} has reacted{f' with {emoji}' if emoji else ''} to your message.",
            "mention": f"{actor} has mentioned you in {where}.",
        }
        return sentences.get(kind, "")

    def time(self, at: datetime) -> str:
        return f"{_MONTHS[at.month - 1]} {at.day}, {at.hour % 12 or 12}:{at.minute:02} {'AM' if at.hour < 12 else 'PM'}"


def _some(count: int, thing: str) -> str:
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


WORDS: Mapping[Language, Words] = {"ko": Korean(), "en": English()}
