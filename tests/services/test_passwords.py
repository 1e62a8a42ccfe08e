"""Passwords: what is kept of them, what is refused, and how many may wait."""

import asyncio
import unicodedata

import bcrypt
import pytest

from src.errors import Invalid, Unavailable
from src.services.common_passwords import common_passwords
from src.services.passwords import MAX_WAITING, Passwords


@pytest.fixture
def passwords():
    made = Passwords(rounds=4)
    yield made
    made.close()


@pytest.mark.parametrize("length", [8, 24, 25, 72, 73, 256])
async def test_hangul_of_any_length_counts_to_its_last_syllable(passwords: Passwords, length: int) -> None:
    password = "가" * (length - 1) + "나"
    kept = await passwords.hash(password)
    assert kept.startswith("$bcrypt-sha256$") and len(kept) < 255
    assert (await passwords.verify(password, kept)).matches
    assert not (await passwords.verify(password[:-1] + "다", kept)).matches


async def test_what_follows_the_72nd_byte_counts(passwords: Passwords) -> None:
    kept = await passwords.hash("x" * 72 + "1")
    assert not (await passwords.verify("x" * 72 + "2", kept)).matches
    assert not (await passwords.verify("x" * 72, kept)).matches


@pytest.mark.parametrize("kept", [None, "", "no hash at all", "$2b$"])
async def test_nobody_costs_what_somebody_costs(passwords: Passwords, kept: str | None) -> None:
    compared: list[str] = []
    hasher = passwords._hasher()
    honest, hasher.verify = hasher.verify, lambda given, hash: compared.append(hash) or honest(given, hash)
    assert await passwords.verify("whatever it is", kept) == (False, None)
    assert "r=4$" in compared[-1], "a hash of the usual cost was compared"


@pytest.mark.parametrize("password", ["short enough", "가" * 30, "x" * 100])
async def test_an_old_bcrypt_hash_lets_in_once_and_is_replaced(passwords: Passwords, password: str) -> None:
    old = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
    matches, better = await passwords.verify(password, old)
    assert matches and better and better.startswith("$bcrypt-sha256$")
    assert await passwords.verify(password, better) == (True, None)
    assert await passwords.verify("not it at all", old) == (False, None)


async def test_a_costlier_setting_replaces_cheaper_hashes(passwords: Passwords) -> None:
    kept = await passwords.hash("a cold morning")
    dearer = Passwords(rounds=5)
    matches, better = await dearer.verify("a cold morning", kept)
    assert matches and better and "r=5$" in better
    dearer.close()


@pytest.mark.parametrize(
    "password",
    [
        "password123",
        "PASSWORD123",
        "1q2w3e4r",
        "chatty-2026",
        "Chattychatty!",
        "Anna@Example.com",
        "anna.kim",
        "안나 킴 입니다",
    ],
)
async def test_what_is_guessed_first_is_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        await passwords.refuse_common(
            password, ["anna.kim@example.com", "안나 킴 입니다", "anna@example.com"], "new_password"
        )
    (error,) = refused.value.errors
    assert (error.field, error.code) == ("new_password", "common_password")


@pytest.mark.parametrize(
    "password", ["a cold morning in Gangneung", "한강에서 라면 먹기", "anna likes chatty a lot", "가" * 256]
)
async def test_what_is_not_on_the_list_is_taken(passwords: Passwords, password: str) -> None:
    await passwords.refuse_common(password, ["anna@example.com", "Anna", None], "password")
    assert len(common_passwords()) >= 10_000


async def test_too_many_who_wait_are_asked_to_come_back(passwords: Passwords) -> None:
    loop = asyncio.get_running_loop()
    gate = asyncio.Event()
    release = lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()  # noqa: E731
    waiting = [asyncio.create_task(passwords._run(release)) for _ in range(passwords._workers + MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable) as refused:
        await passwords.hash("one too many")
    assert refused.value.retry_after_ms
    gate.set()
    await asyncio.gather(*waiting)
    assert (await passwords.hash("now there is room")).startswith("$bcrypt-sha256$")


async def test_a_common_one_is_told_though_every_thread_is_taken(passwords: Passwords) -> None:
    loop = asyncio.get_running_loop()
    gate = asyncio.Event()
    release = lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()  # noqa: E731
    waiting = [asyncio.create_task(passwords._run(release)) for _ in range(passwords._workers + MAX_WAITING)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(5):
            with pytest.raises(Invalid):
                await passwords.refuse_common("password123", [], "password")
    finally:
        gate.set()
        await asyncio.gather(*waiting)


async def test_who_gives_up_waiting_still_holds_the_thread(passwords: Passwords) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(passwords._run(lambda: asyncio.run_coroutine_threadsafe(gate.wait(), loop).result()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert passwords._busy == 1
    gate.set()
    while passwords._busy:
        await asyncio.sleep(0.01)


def test_the_same_keys_give_the_same_password_on_every_system() -> None:
    from src.schemas.auth import Login

    composed, decomposed = "강릉의 아침 café", unicodedata.normalize("NFD", "강릉의 아침 café")
    assert composed != decomposed
    logins = [Login(email="anna@example.com", password=written) for written in (composed, decomposed)]
    assert logins[0].password == logins[1].password
