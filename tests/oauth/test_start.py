"""What signing in through others costs those who do not use it."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import client_of

ROOT = Path(__file__).parents[2]
SLOW = "sorted({'authlib', 'joserfc'} & sys.modules.keys())"


def loaded(code: str) -> str:
    command = [sys.executable, "-c", f"import sys\n{code}\nprint({SLOW})"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_service_without_providers_loads_no_library_for_them() -> None:
    assert loaded("import src.app\nfrom src.oauth.client import OAuthClient\nOAuthClient({}, '')") == "[]"


def test_a_service_with_one_loads_them_at_the_start_and_not_amid_the_traffic() -> None:
    code = (
        "from src.config import Settings\nfrom src.oauth.client import OAuthClient\n"
        "from src.oauth.providers import providers_from\n"
        "OAuthClient(providers_from(Settings(_env_file=None, providers={'kakao': {'client_id': 'x'}})), '')"
    )
    assert loaded(code) == "['authlib', 'joserfc']"


async def test_a_provider_that_is_not_there_is_no_reason_not_to_start() -> None:
    await client_of(gone={"client_id": "x", "issuer": "http://127.0.0.1:9"}).close()


def test_a_host_that_is_none_is_said_at_the_start() -> None:
    with pytest.raises(ValueError, match="a@b is not like"):
        client_of(corp={"client_id": "x", "issuer": "https://id.example", "hosts": "a@b"})
