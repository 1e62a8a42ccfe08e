"""How schemathesis calls the service: as Anna, who knows some people and has a room.

Loaded by schemathesis in its own process; tests/controllers/test_schemathesis.py gives the environment.
"""

import os
import unicodedata
from typing import Any

import requests
import schemathesis

from tests.pictures import picture

SERVICE = os.environ["CHATTY_TEST_URL"]
LOGIN = {"email": os.environ["CHATTY_TEST_EMAIL"], "password": os.environ["CHATTY_TEST_PASSWORD"], "session": "token"}
KNOWN = {
    "user_id": os.environ["CHATTY_TEST_USERS"].split(","),
    "room_id": [os.environ["CHATTY_TEST_ROOM"]],
    "message_id": os.environ["CHATTY_TEST_MESSAGES"].split(","),
    "file_id": os.environ["CHATTY_TEST_FILES"].split(","),
    "key": [os.environ["CHATTY_TEST_PICTURE"]],
    "upload_id": os.environ["CHATTY_TEST_UPLOADS"].split(","),
}
QUIET = {"from": "22:00", "to": "07:30", "time_zone": "Asia/Seoul"}
SIGNS_OUT = "/api/v1/auth/logout"
BROWSER = {
    "endpoint": "https://push.example.com/a-browser",
    "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": "BTBZMqHH6r4Tts7J_aSIgg",
    },
}
FILLERS = "\u115f\u1160\u3164\uffa0\u2800"
POSITIONS = ("before_seq", "after_seq", "around_seq")


# How much may be sent, how much is here, and what words there are in Base64, no schema can say.
TUS = {"Upload-Length": "100000", "Upload-Offset": "0", "Upload-Metadata": "filename bGV0dGVyLnR4dA==,private"}


@schemathesis.serializer("application/offset+octet-stream")
def as_it_is(context: schemathesis.SerializationContext, value: Any) -> bytes:
    data = getattr(value, "data", value)
    return data if isinstance(data, bytes) else str(data).encode()


def signed_in() -> str:
    response = requests.post(f"{SERVICE}/api/v1/auth/login", json=LOGIN, timeout=10)
    return str(response.json()["access_token"])


@schemathesis.auth().skip_for(path=SIGNS_OUT)
class AsAnna:
    def get(self, case: schemathesis.Case, context: schemathesis.AuthContext) -> str:
        return signed_in()

    def set(self, case: schemathesis.Case, data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.auth(refresh_interval=None).apply_to(path=SIGNS_OUT)
class AsAnnaAnewEachTime(AsAnna):
    """Logging out ends the session: each call of it has one of its own, so that the others go on."""


@schemathesis.hook
def filter_body(context: schemathesis.HookContext, body: Any) -> bool:
    """Lengths count after normalising and trimming: leave out texts that this makes longer or shorter."""
    return not isinstance(body, dict) or all(_keeps_its_length(value) for value in body.values())


@schemathesis.hook
def filter_query(context: schemathesis.HookContext, query: Any) -> bool:
    return not isinstance(query, dict) or all(_keeps_its_length(value) for value in query.values())


def _keeps_its_length(value: Any) -> bool:
    return not isinstance(value, str) or len(unicodedata.normalize("NFKC", value).strip()) == len(value)


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
    """Of cases meant to be valid: keep the rules that JSON Schema cannot say, and let most ids be known ones."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query = dict(case.query or {})
    query.pop("cursor", None)  # a cursor is opaque: only the service makes valid ones
    for position in [name for name in POSITIONS if name in query][1:]:
        del query[position]
    case.query = {name: _plain(value) for name, value in query.items()}
    case.path_parameters = {name: _known(name, value) for name, value in (case.path_parameters or {}).items()}
    for name in [name for name in TUS if name in (case.headers or {})]:
        case.headers[name] = TUS[name]
    if isinstance(case.body, dict):
        if "profile" in case.body:
            case.body["profile"] = picture("PNG")  # what is a picture no schema can say
        for name in ("mentions", "reply_to", "file_ids"):
            case.body.pop(name, None)  # only members, only a message of that room, only files uploaded into it
        if "keys" in case.body or "endpoint" in case.body:
            case.body |= BROWSER  # what is an endpoint, and a point of the curve, no schema can say
        if "client_id" in case.body:
            case.body["text"] = case.body.get("text") or "without files there must be a text"
        if case.body.get("notice_id"):
            case.body["notice_id"] = None  # only a message of that room can be pinned
        if case.body.get("quiet_hours"):
            case.body["quiet_hours"] = QUIET  # no schema says what is a time zone, nor that two times differ
        case.body = {name: _hard_to_guess(name, _plain(_known(name, value))) for name, value in case.body.items()}


def _known(name: str, value: Any) -> Any:
    """Somebody or something that Anna knows, and now and then what was generated: nobody and nothing."""
    if name == "emoji":
        return "👍"  # what is one emoji no schema can say
    choices = [*KNOWN.get(name, []), value]
    return choices[ord(str(value)[0]) % len(choices)] if name in KNOWN else value


def _hard_to_guess(name: str, value: Any) -> Any:
    return value[:200] + "~강릉" if name in ("password", "new_password") and isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Without what we refuse: in text control and direction characters, and nothing to be seen."""
    if isinstance(value, float) and value.is_integer():
        return int(value)  # 7.0 is an integer to JSON Schema, and to no strict reader
    if not isinstance(value, str):
        return value
    return "".join("x" if unicodedata.category(char)[0] in "CMZ" or char in FILLERS else char for char in value)
