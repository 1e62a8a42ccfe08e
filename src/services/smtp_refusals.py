"""What an SMTP server's refusal says: of the mail, of the address, or only of this moment."""

import re
from typing import TYPE_CHECKING

from .outcomes import Undeliverable

if TYPE_CHECKING:
    from aiosmtplib import SMTPResponseException

CLOSING = 421

_ENHANCED = re.compile(r"(?<![\d.])[45]\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
# RFC 3463 and RFC 7505: no such mailbox or domain, none that can be; moved, takes no mail; shut.
_OF_ADDRESS = frozenset({(1, 0), (1, 1), (1, 2), (1, 3), (1, 6), (1, 10), (2, 1)})
_BARE_OF_ADDRESS = (550, 551, 553)
# Where a server gives no further code, 550 is also what it says of us; and all our people's addresses would be bad.
_OF_US = re.compile(r"relay|polic|spam|block|black ?list|dnsbl|reputation|authenticat|log ?in|sender", re.IGNORECASE)


class AddressRefused(Undeliverable):
    """There is nobody at this address: no other mail will be taken for it either."""


def explained(error: "SMTPResponseException") -> Exception:
    """What to make of a refusal: Undeliverable for a final one, AddressRefused where it is about the address.

    The sender refused, and whatever concerns the connection, is for whoever runs the service to mend: that is tried
    again.
    """
    from aiosmtplib import SMTPDataError, SMTPRecipientRefused

    if error.code < 500 or not isinstance(error, SMTPDataError | SMTPRecipientRefused):
        return error
    enhanced = _ENHANCED.search(error.message)
    what = " ".join([type(error).__name__, str(error.code), *([enhanced[0]] if enhanced else [])])
    if isinstance(error, SMTPRecipientRefused) and _is_of_address(error, enhanced):
        return AddressRefused(what)
    return Undeliverable(what)


def _is_of_address(error: "SMTPResponseException", enhanced: re.Match[str] | None) -> bool:
    if enhanced:
        return (int(enhanced[1]), int(enhanced[2])) in _OF_ADDRESS
    return error.code in _BARE_OF_ADDRESS and not _OF_US.search(error.message)
