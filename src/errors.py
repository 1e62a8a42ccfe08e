"""What can go wrong, one class per meaning (contract §1). Anyone may raise them; `controllers/edge.py` renders them."""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One thing wrong with one field: its dotted path, a stable code, and a sentence."""

    field: str
    code: str
    message: str


class ChattyError(Exception):
    """A refusal that the caller is told about.

    `detail` is one plain English sentence; without one the class's own is used. `retry_after_ms`: when to try again.
    """

    code: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    default_detail: ClassVar[str]

    def __init__(
        self, detail: str | None = None, *, errors: Sequence[FieldError] = (), retry_after_ms: int | None = None
    ) -> None:
        self.detail = detail or self.default_detail
        self.errors = tuple(errors)
        self.retry_after_ms = retry_after_ms
        super().__init__(self.detail)


class Malformed(ChattyError):
    code, status, title = "malformed", 400, "Malformed request"
    default_detail = "The request could not be read."


class TooSlow(Malformed):
    code, status, title = "too_slow", 408, "Too slow"
    default_detail = "The body did not arrive in time; a resumable upload may go on where it was cut."


class Unauthorized(ChattyError):
    code, status, title = "unauthorized", 401, "Not signed in"
    default_detail = "Sign in first."


class TokenExpired(Unauthorized):
    code, title = "token_expired", "Token expired"
    default_detail = "The access token has expired; refresh it."


class WrongCredentials(Unauthorized):
    code, title = "wrong_credentials", "Wrong credentials"
    default_detail = "The e-mail address or the password is wrong."


class SignInFailed(Unauthorized):
    code, title = "sign_in_failed", "Sign-in failed"
    default_detail = "What the provider said of you could not be accepted; try again."


class Forbidden(ChattyError):
    code, status, title = "forbidden", 403, "Not allowed"
    default_detail = "You may not do this."


class Blocked(Forbidden):
    code, title = "blocked", "Blocked"
    default_detail = "One of you has blocked the other."


class AccessDenied(Forbidden):
    code, title = "access_denied", "Access denied"
    default_detail = "You did not allow the provider to tell us who you are."


class ReauthenticationRequired(Forbidden):
    code, title = "reauthentication_required", "Sign in again"
    default_detail = "This needs a recent sign-in: sign in again, then repeat it."


class NotFound(ChattyError):
    code, status, title = "not_found", 404, "Not found"
    default_detail = "There is nothing here that you may see."


class UnknownEvent(NotFound):
    code, title = "unknown_event", "Unknown event"
    default_detail = "This namespace takes no such event."


class MethodNotAllowed(ChattyError):
    code, status, title = "method_not_allowed", 405, "Method not allowed"
    default_detail = "This address does not answer that method."


class Conflict(ChattyError):
    code, status, title = "conflict", 409, "Conflict"
    default_detail = "That does not fit with what is already there."


class EmailTaken(Conflict):
    code, title = "email_taken", "E-mail address taken"
    default_detail = "An account with this e-mail address exists."


class EmailOwnedByOtherMethod(Conflict):
    code, title = "email_owned_by_other_method", "E-mail address owned by another sign-in method"
    default_detail = (
        "An account with this address signs in another way: sign in to it, then link this way in its settings."
    )


class IdentityTaken(Conflict):
    code, title = "identity_taken", "Sign-in method taken"
    default_detail = "That sign-in method belongs to another account, or this account has one of its kind already."


class LastSignInMethod(Conflict):
    code, title = "last_sign_in_method", "Last sign-in method"
    default_detail = "Without it nobody could sign in to this account: set a password or link another method first."


class Gone(ChattyError):
    code, status, title = "gone", 410, "Gone"
    default_detail = "This is no longer there."


class SignInExpired(Gone):
    code, title = "sign_in_expired", "Sign-in expired"
    default_detail = "This sign-in took too long, was finished already, or began in another browser; begin again."


class TooLarge(ChattyError):
    code, status, title = "too_large", 413, "Too large"
    default_detail = "The request is larger than allowed."


class QuotaExceeded(TooLarge):
    code, title = "quota_exceeded", "Quota exceeded"
    default_detail = "With this you would have more files here than you may; delete some first."


class PreconditionFailed(ChattyError):
    code, status, title = "precondition_failed", 412, "Precondition failed"
    default_detail = "This service speaks another version of that protocol."


class UnsupportedType(ChattyError):
    code, status, title = "unsupported_type", 415, "Unsupported type"
    default_detail = "Send application/json."


class Invalid(ChattyError):
    code, status, title = "invalid", 422, "Invalid"
    default_detail = "Some of what was sent is not valid."


class UnreadableImage(Invalid):
    code, title = "unreadable_image", "Unreadable image"
    default_detail = "This is no image that can be read: it is damaged, or of a kind that is not shown here."


class RateLimited(ChattyError):
    """`limit`: how many were allowed in the window that is full; the `RateLimit-Limit` header."""

    code, status, title = "rate_limited", 429, "Too many requests"
    default_detail = "Too many requests; wait a little."

    def __init__(
        self, detail: str | None = None, *, retry_after_ms: int | None = None, limit: int | None = None
    ) -> None:
        super().__init__(detail, retry_after_ms=retry_after_ms)
        self.limit = limit


class Unexpected(ChattyError):
    code, status, title = "internal", 500, "Internal error"
    default_detail = "Something went wrong on our side."


class Unavailable(ChattyError):
    code, status, title = "unavailable", 503, "Unavailable"
    default_detail = "The service cannot do this right now; try again."


class StorageFull(ChattyError):
    code, status, title = "storage_full", 507, "Storage full"
    default_detail = "The service has no room for more files right now."


class ProviderUnavailable(Unavailable):
    code, title = "provider_unavailable", "Provider unavailable"
    default_detail = "The provider does not answer as it should; try again, or sign in another way."
