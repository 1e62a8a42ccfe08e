"""Sign-up, sign-in, sessions (contract §2)."""

import unicodedata
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from .common import Id, Nickname, Request, Timestamp, View
from .people import Me

SessionKind = Literal["cookie", "token"]

MAX_ADDRESS = 254


def _address(value: Any) -> Any:
    """A syntactically valid address, NFC, as its owner writes it. `localhost` is allowed: development has no DNS."""
    if not isinstance(value, str) or len(value) > MAX_ADDRESS:
        return value
    local, at, domain = value.strip().rpartition("@")
    local_machine = bool(at) and domain.lower() == "localhost"
    try:
        checked = _normalized(f"{local}@{'localhost.example' if local_machine else domain}")
    except ValueError:
        raise PydanticCustomError("email", "must be an e-mail address") from None
    address = checked.removesuffix(".example") if local_machine else checked
    if len(address.casefold()) > MAX_ADDRESS:  # what is compared may be longer than what is written: ß becomes ss
        raise PydanticCustomError("email", "must be an e-mail address")
    return address


def _normalized(address: str) -> str:
    """The address in its one form. Raises ValueError if it is none."""
    import email_validator  # at the first sign-up rather than at every start

    # An intranet's `.local` is somebody's real domain, and a mail to `.invalid` harms nobody.
    email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()
    return email_validator.validate_email(address, check_deliverability=False).normalized


Email = Annotated[
    str,
    BeforeValidator(_address),
    StringConstraints(max_length=MAX_ADDRESS),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_ADDRESS, "examples": ["anna@example.com"]}),
]


def _password(value: Any) -> Any:
    """NFKC, so that the same keys give the same password on every system (NIST SP 800-63B §5.1.1.2)."""
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PydanticCustomError("surrogate", "must be valid Unicode") from None
    if "\x00" in value:
        raise PydanticCustomError("nul", "must not contain NUL")
    return unicodedata.normalize("NFKC", value)


NewPassword = Annotated[str, BeforeValidator(_password), StringConstraints(min_length=8, max_length=256)]
GivenPassword = Annotated[str, BeforeValidator(_password), StringConstraints(min_length=1, max_length=256)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=512)]
AccessToken = Annotated[str, StringConstraints(min_length=1, max_length=4096)]


class Register(Request):
    email: Email
    password: NewPassword
    nickname: Nickname
    session: SessionKind = "cookie"


class Login(Request):
    email: Email
    password: GivenPassword
    session: SessionKind = "cookie"


class Refresh(Request):
    """`refresh_token` for who keeps it (a native client); a browser sends its cookie."""

    refresh_token: Secret | None = None


class PasswordChange(Request):
    """`current_password` is needed where one is set."""

    current_password: GivenPassword | None = None
    new_password: NewPassword


class AccountDeletion(Request):
    """`password` is needed where one is set."""

    password: GivenPassword | None = None


class ForgottenPassword(Request):
    email: Email


class PasswordReset(Request):
    token: Secret
    new_password: NewPassword


class EmailVerification(Request):
    token: Secret


class Session(View):
    """A session begun or renewed. `refresh_token` is there only for who asked for it with `"session":"token"`."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: Annotated[int, Field(description="seconds until the access token ends")]
    user: Me
    refresh_token: str | None = Field(default=None, exclude_if=lambda value: value is None)


class SignInStart(BaseModel):
    """`redirect_to`: where to end, a path of this service or an address of an allowed origin; `/` without one.

    `link=1`: link the provider to who is signed in here, instead of signing in.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    redirect_to: str = "/"
    link: Literal["1"] | None = None


class SignInCallback(BaseModel):
    """What a provider sends a browser back with (RFC 6749 §4.1.2, RFC 9207). Further parameters are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: str | None = None
    code: str | None = None
    error: str | None = None
    iss: str | None = None


class Exchanged(Request):
    """`token`: a JWT of the host application."""

    token: AccessToken
    session: SessionKind = "cookie"


class HostIdentity(Request):
    """`token`: a JWT of the host application."""

    token: AccessToken


class Device(View):
    """A session, as its owner sees it in the list of devices."""

    id: Id
    current: bool
    client: str
    address: str
    created_at: Timestamp
    last_seen_at: Timestamp


class Provider(View):
    name: str
    display_name: str
