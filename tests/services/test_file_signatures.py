"""Signed addresses of files: whom they speak for, for how long, and every way in which they are not ours."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID, uuid4

import pytest
import time_machine

from src.errors import Unauthorized
from src.services.file_signatures import FileSignatures

KEY = "a signing key of at least 32 bytes!"
ANNA, BORIS, FILE, OTHER_FILE = uuid4(), uuid4(), uuid4(), uuid4()
MOMENT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SECONDS = 900


@pytest.fixture
def signatures() -> FileSignatures:
    return FileSignatures(KEY, SECONDS)


def signed(signatures: FileSignatures, user_id: UUID = ANNA, moment: datetime = MOMENT) -> dict[str, str]:
    return dict(parse_qsl(signatures.sign(user_id, FILE, moment), strict_parsing=True))


def check(signatures: FileSignatures, query: dict[str, str], file_id: UUID = FILE, after: float = 0) -> UUID:
    with time_machine.travel(MOMENT + timedelta(seconds=after), tick=False):
        return signatures.check(file_id, **query)


def test_an_address_speaks_for_its_person_and_has_nothing_to_escape(signatures: FileSignatures) -> None:
    query = signatures.sign(ANNA, FILE, MOMENT)
    assert list(signed(signatures)) == ["user", "expires", "signature"]
    assert query == "&".join(f"{name}={value}" for name, value in signed(signatures).items())
    assert check(signatures, signed(signatures)) == ANNA
    assert check(signatures, signed(signatures, BORIS)) == BORIS
    assert query == signatures.signer(ANNA, MOMENT)(FILE) == FileSignatures(KEY, SECONDS).sign(ANNA, FILE, MOMENT)


@pytest.mark.parametrize("seconds", [2, 3, 11, 900, 901, 86_400])
def test_it_stays_the_same_for_half_its_life_and_lives_no_longer_than_that(seconds: int) -> None:
    signatures, half = FileSignatures(KEY, seconds), seconds // 2
    begin = datetime.fromtimestamp(int(MOMENT.timestamp()) // half * half, UTC)
    addresses = [signed(signatures, moment=begin + timedelta(seconds=after)) for after in (0, half - 0.001, half)]
    assert addresses[0] == addresses[1] != addresses[2]
    for moment, address in zip((begin, begin + timedelta(seconds=half - 0.001)), addresses[:2], strict=True):
        assert half < int(address["expires"]) - moment.timestamp() <= seconds
    first, begun = addresses[0], (begin - MOMENT).total_seconds()
    assert check(signatures, first, after=begun + 2 * half - 0.001) == ANNA
    with pytest.raises(Unauthorized):
        check(signatures, first, after=begun + 2 * half)


def test_everybody_has_an_address_of_their_own_for_each_file(signatures: FileSignatures) -> None:
    told = {signatures.sign(user_id, file_id, MOMENT)[-32:] for user_id in (ANNA, BORIS) for file_id in (FILE, ANNA)}
    assert len(told) == 4
    assert signatures.sign(ANNA, BORIS, MOMENT)[-32:] != signatures.sign(BORIS, ANNA, MOMENT)[-32:]


def test_it_is_of_one_file_and_one_service(signatures: FileSignatures) -> None:
    with pytest.raises(Unauthorized):
        check(signatures, signed(signatures), OTHER_FILE)
    with pytest.raises(Unauthorized):
        check(FileSignatures(KEY + "!", SECONDS), signed(signatures))


GOOD = signed(FileSignatures(KEY, SECONDS))
EXPIRES, SIGNATURE = int(GOOD["expires"]), GOOD["signature"]
FLIPPED = [SIGNATURE[:n] + ("A" if SIGNATURE[n] != "A" else "B") + SIGNATURE[n + 1 :] for n in range(len(SIGNATURE))]


@pytest.mark.parametrize(
    "change",
    [
        *({"user": each} for each in (
            "", str(BORIS), str(ANNA).upper(), ANNA.hex, f"{{{ANNA}}}", f"urn:uuid:{ANNA}", f" {ANNA}", f"{ANNA}\n",
            "안나", "\ud800", "0" * 100_000, str(ANNA).replace("-", "\u2010"),
        )),
        *({"expires": each} for each in (
            "", "0", str(EXPIRES + 1), str(EXPIRES - 1), f"-{EXPIRES}", f"+{EXPIRES}", f"0{EXPIRES}", f" {EXPIRES}",
            f"{EXPIRES}\n", f"{EXPIRES}.0", f"{EXPIRES}e0", "NaN", "nan", "inf", "-1", "1_000_000_000", "9" * 12,
            "9" * 13, str(2**64), str(2**64 + EXPIRES), "9" * 100_000, "١٧٦٣٧١٧٤٠٠", "²", "\ud800", "0x10",
        )),
        *({"signature": each} for each in (
            "", SIGNATURE[:-1], SIGNATURE + "=", SIGNATURE + "A", SIGNATURE + "\n", SIGNATURE.swapcase(), "안녕",
            "\ud800", "\x00", "A" * 32, "A" * 100_000, *FLIPPED,
        )),
    ],
)  # fmt: skip
def test_whatever_is_changed_is_refused(signatures: FileSignatures, change: dict[str, Any]) -> None:
    with pytest.raises(Unauthorized) as refusal:
        check(signatures, GOOD | change)
    assert type(refusal.value) is Unauthorized
    assert check(signatures, GOOD) == ANNA


def test_a_right_that_has_ended_was_one_until_then(signatures: FileSignatures) -> None:
    left = EXPIRES - MOMENT.timestamp()
    assert check(signatures, GOOD, after=left - 0.001) == ANNA
    for after in (left, left + 1, 10**9):
        with pytest.raises(Unauthorized):
            check(signatures, GOOD, after=after)
