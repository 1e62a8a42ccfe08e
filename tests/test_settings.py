import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from src.config import EXAMPLE_SECRET, Settings
from src.file_settings import FileSettings
from src.notification_settings import NotificationSettings
from src.sign_in_settings import ExchangeSettings, ProviderSettings

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / ".env.example"
SECRET = "한글도 되는 비밀, 서른두 바이트보다 길다"
PRODUCTION = {"CHATTY_ENV": "production", "CHATTY_SECRET_KEY": SECRET, "CHATTY_PUBLIC_URL": "https://chat.example.com"}

GOOGLE = {"CHATTY_PROVIDERS__GOOGLE__CLIENT_ID": "id", "CHATTY_PROVIDERS__GOOGLE__CLIENT_SECRET": "hunter2"}
ACME = {"CHATTY_PROVIDERS__ACME__CLIENT_ID": "id", "CHATTY_PROVIDERS__ACME__ISSUER": "https://acme.example"}
EXCHANGE = {"CHATTY_EXCHANGE__ISSUER": "app", "CHATTY_EXCHANGE__AUDIENCE": "chatty"}

# The others look for the secret while the first one is still making it.
MAKE_A_SECRET_SLOWLY = """
import secrets, sys, time
make = secrets.token_urlsafe
secrets.token_urlsafe = lambda length: time.sleep(0.5) or make(length)
from src.config import Settings
print(Settings(data_dir=sys.argv[1], _env_file=None).signing_key)
"""


@pytest.fixture(autouse=True)
def an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` is there, and what the tests set is gone after them."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def settings_from(monkeypatch: pytest.MonkeyPatch):
    def read(environment: dict[str, str]) -> Settings:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Settings()

    return read


class TestTheExample:
    def test_names_every_setting_once_and_no_other(self) -> None:
        names = [name for name, _ in examples()]
        assert len(names) == len(set(names))
        assert {name.split("__")[0] for name in names} == {f"CHATTY_{field.upper()}" for field in Settings.model_fields}

    def test_names_parts_of_settings_that_there_are(self) -> None:
        parts = [name.split("__")[1:] for name, _ in examples() if "__" in name]
        assert {part[-1].lower() for part in parts if len(part) == 2} <= ProviderSettings.model_fields.keys()
        groups = ExchangeSettings, FileSettings, NotificationSettings
        fields = {name for group in groups for name in group.model_fields}
        assert {part[0].lower() for part in parts if len(part) == 1} <= fields

    @pytest.mark.parametrize("name", FileSettings.model_fields)
    def test_names_every_setting_of_files(self, name: str) -> None:
        assert f"CHATTY_FILES__{name.upper()}" in dict(examples())

    @pytest.mark.parametrize("name", NotificationSettings.model_fields)
    def test_names_every_setting_of_notifications(self, name: str) -> None:
        assert f"CHATTY_NOTIFICATIONS__{name.upper()}" in dict(examples())

    @pytest.mark.parametrize("name", [*ProviderSettings.model_fields, *ExchangeSettings.model_fields])
    def test_leaves_the_rest_to_the_page_on_signing_in(self, name: str) -> None:
        assert f"`{name.upper()}`" in (ROOT / "docs" / "sign-in.md").read_text()

    def test_has_a_sentence_above_every_setting(self) -> None:
        for paragraph in EXAMPLE.read_text().split("\n\n")[1:]:
            *sentence, setting = paragraph.strip().splitlines()
            assert re.fullmatch(r"# CHATTY_[A-Z_]+=.*", setting)
            assert re.fullmatch(r"[A-Z].{20,}\.", " ".join(line.removeprefix("# ") for line in sentence)), setting

    def test_shows_the_defaults(self, settings_from) -> None:
        defaults = Settings()
        shown = settings_from({name: value for name, value in examples() if name != "CHATTY_SECRET_KEY"})
        assert shown == defaults

    def test_shows_a_secret_that_production_refuses(self, settings_from) -> None:
        secret = dict(examples())["CHATTY_SECRET_KEY"]
        assert secret == EXAMPLE_SECRET
        with pytest.raises(ValidationError, match="CHATTY_SECRET_KEY"):
            settings_from(PRODUCTION | {"CHATTY_SECRET_KEY": secret})


class TestProduction:
    def test_accepts_a_set_up_that_is_fit_for_strangers(self, settings_from) -> None:
        settings = settings_from(PRODUCTION | {"CHATTY_ALLOWED_ORIGINS": "https://app.example.com, https://b.example"})
        assert settings.signing_key == SECRET
        assert settings.origins == {"https://chat.example.com", "https://app.example.com", "https://b.example"}

    @pytest.mark.parametrize(
        ("changes", "what_to_do"),
        [
            ({"CHATTY_SECRET_KEY": ""}, "CHATTY_SECRET_KEY is not set.*Make one with"),
            ({"CHATTY_SECRET_KEY": "short"}, "CHATTY_SECRET_KEY is shorter than 32 bytes.*set a random one"),
            ({"CHATTY_SECRET_KEY": EXAMPLE_SECRET}, "CHATTY_SECRET_KEY is .*the example's.*set a random one"),
            ({"CHATTY_ALLOWED_ORIGINS": "*"}, "CHATTY_ALLOWED_ORIGINS has a wildcard.*list each origin"),
            ({"CHATTY_ALLOWED_ORIGINS": "https://*.example.com"}, "CHATTY_ALLOWED_ORIGINS has a wildcard"),
            ({"CHATTY_REDIS_URL": "redis://localhost"}, "SQLite serves one.*set CHATTY_DATABASE_URL to PostgreSQL"),
        ],
    )
    def test_refuses_an_unsafe_one_and_says_what_to_do(self, settings_from, changes, what_to_do) -> None:
        with pytest.raises(ValidationError, match=what_to_do):
            settings_from(PRODUCTION | changes)

    def test_lets_several_nodes_share_a_postgresql(self, settings_from) -> None:
        several = {"CHATTY_REDIS_URL": "redis://localhost", "CHATTY_DATABASE_URL": "postgresql://db/chatty"}
        assert not settings_from(PRODUCTION | several).is_sqlite

    def test_never_shows_a_secret_in_a_refusal(self, settings_from) -> None:
        with pytest.raises(ValidationError) as refusal:
            settings_from(PRODUCTION | {"CHATTY_SECRET_KEY": "hunter2"})
        assert "hunter2" not in str(refusal.value)


class TestWhoVouches:
    def test_is_whoever_is_configured(self, settings_from) -> None:
        settings = settings_from(PRODUCTION | GOOGLE | ACME | EXCHANGE | {"CHATTY_EXCHANGE__SECRET": SECRET})
        assert settings.providers["acme"].issuer == "https://acme.example"
        assert (settings.providers["google"].client_secret, settings.exchange.secret) == ("hunter2", SECRET)
        assert "hunter2" not in repr(settings)

    @pytest.mark.parametrize(
        ("given", "what_to_do"),
        [
            ({"CHATTY_PROVIDERS__ACME__CLIENT_ID": "id"}, "CHATTY_PROVIDERS__ACME__ISSUER is not set"),
            ({"CHATTY_PROVIDERS__GOOGLE__CLIENT_ID": "id"}, "CHATTY_PROVIDERS__GOOGLE__CLIENT_SECRET is not set"),
            ({"CHATTY_PROVIDERS__NAVER__CLIENT_SECRET": "x"}, "providers.naver.client_id"),
            (GOOGLE | {"CHATTY_PROVIDERS__GOOGLE__CLIENTSECRET": "x"}, "providers.google.clientsecret"),
            (ACME | {"CHATTY_PROVIDERS__ACME__ISSUER": "acme.example"}, "must be like https://accounts"),
            (ACME | {"CHATTY_PROVIDERS__ACME__ISSUER": "https://me@acme.example"}, "must be like https://accounts"),
            (ACME | {"CHATTY_PROVIDERS__ACME__ALGORITHMS": "RS256 HS256"}, "HS256 is none of"),
            (ACME | {"CHATTY_PROVIDERS__ACME__ALGORITHMS": "none"}, "none is none of"),
            (ACME | {"CHATTY_PROVIDERS__ACME__HOSTS": "a.example, b.example"}, "a.example, is not like"),
            (ACME | {"CHATTY_PROVIDERS__ACME__HOSTS": "https://a.example"}, "https://a.example is not like"),
            ({name.replace("ACME", "HOST"): value for name, value in ACME.items()}, "and not `host`"),
            ({name.replace("ACME", "A.B"): value for name, value in ACME.items()}, "the name must be letters"),
            (EXCHANGE, "set either CHATTY_EXCHANGE__JWKS_URL or CHATTY_EXCHANGE__SECRET"),
            (EXCHANGE | {"CHATTY_EXCHANGE__SECRET": "short"}, "CHATTY_EXCHANGE__SECRET must be at least 32 bytes"),
            (
                EXCHANGE | {"CHATTY_EXCHANGE__SECRET": SECRET, "CHATTY_EXCHANGE__JWKS_URL": "https://a.example/keys"},
                "and not both",
            ),
        ],
    )
    def test_is_refused_where_it_could_not_work(self, settings_from, given, what_to_do) -> None:
        with pytest.raises(ValidationError, match=re.escape(what_to_do)):
            settings_from(given)

    @pytest.mark.parametrize(
        "given",
        [
            ACME | {"CHATTY_PROVIDERS__ACME__ISSUER": "http://acme.example"},
            GOOGLE | {"CHATTY_PROVIDERS__GOOGLE__TOKEN_URL": "http://127.0.0.1/token"},
            EXCHANGE | {"CHATTY_EXCHANGE__JWKS_URL": "http://app.example/keys"},
        ],
    )
    def test_speaks_through_tls_in_production(self, settings_from, given) -> None:
        assert settings_from(given).env == "development"
        with pytest.raises(ValidationError, match="is not https://"):
            settings_from(PRODUCTION | given)


class TestValues:
    @pytest.mark.parametrize(
        ("given", "understood"),
        [
            ("postgres://u:p@db/chatty", "postgresql+asyncpg://u:p@db/chatty"),
            ("postgresql://u:p@db/chatty", "postgresql+asyncpg://u:p@db/chatty"),
            ("postgresql+asyncpg://db/chatty", "postgresql+asyncpg://db/chatty"),
            ("postgres://db/chatty?sslmode=require", "postgresql+asyncpg://db/chatty?ssl=require"),
            ("sqlite:////data/chatty.db", "sqlite+aiosqlite:////data/chatty.db"),
        ],
    )
    def test_database_urls_are_taken_as_people_have_them(self, settings_from, given: str, understood: str) -> None:
        assert settings_from({"CHATTY_DATABASE_URL": given}).database_url == understood

    @pytest.mark.parametrize("given", ["mysql://db/chatty", "chatty.db", "postgresql+psycopg://db/chatty"])
    def test_other_databases_are_refused(self, settings_from, given: str) -> None:
        with pytest.raises(ValidationError, match="must begin with postgresql:// or sqlite:///"):
            settings_from({"CHATTY_DATABASE_URL": given})

    def test_the_database_lies_in_the_data_directory(self, settings_from) -> None:
        assert settings_from({"CHATTY_DATA_DIR": "/data"}).database_url == "sqlite+aiosqlite:////data/chatty.db"

    def test_a_proxy_that_is_no_network_is_refused(self, settings_from) -> None:
        with pytest.raises(ValidationError, match="does not appear to be an IPv4 or IPv6 network"):
            settings_from({"CHATTY_TRUSTED_PROXIES": "10.0.0.0/8, nginx"})

    def test_an_env_file_is_read_and_the_environment_goes_before_it(self, settings_from) -> None:
        Path(".env").write_text("CHATTY_PORT=9001\nCHATTY_HOST=0.0.0.0\n")
        settings = settings_from({"CHATTY_PORT": "9002"})
        assert (settings.host, settings.port) == ("0.0.0.0", 9002)

    def test_an_empty_variable_is_as_good_as_none(self, settings_from) -> None:
        assert settings_from({"CHATTY_PORT": ""}).port == 8000

    def test_secrets_are_not_shown_when_settings_are_printed(self, settings_from) -> None:
        settings = settings_from({"CHATTY_SECRET_KEY": SECRET, "CHATTY_DATABASE_URL": "postgres://u:hunter2@db/chatty"})
        assert SECRET not in repr(settings)
        assert "hunter2" not in repr(settings)


class TestWebPush:
    KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"

    def test_takes_a_key_as_the_command_prints_it(self, settings_from) -> None:
        settings = settings_from({"CHATTY_NOTIFICATIONS__VAPID_PRIVATE_KEY": f" {self.KEY}="})
        assert settings.notifications.vapid_private_key == f"{self.KEY}="
        assert self.KEY not in repr(settings)

    @pytest.mark.parametrize(
        "given", ["hunter2hunter2", KEY[1:], "A" * 43, "_" * 43, KEY.replace("-", "+"), KEY + "=="]
    )
    def test_refuses_another_one_without_showing_it(self, settings_from, given: str) -> None:
        with pytest.raises(ValidationError, match="32 bytes in base64url, as `chatty vapid-keys` prints") as refusal:
            settings_from({"CHATTY_NOTIFICATIONS__VAPID_PRIVATE_KEY": given})
        assert given not in str(refusal.value)

    def test_knows_its_own_services_by_their_origins(self, settings_from) -> None:
        given = "https://push.example.com/ http://127.0.0.1:9000\thttps://A.example:443"
        settings = settings_from({"CHATTY_NOTIFICATIONS__PUSH_ORIGINS": given})
        assert settings.notifications.origins == {
            "https://push.example.com:443",
            "http://127.0.0.1:9000",
            "https://a.example:443",
        }

    @pytest.mark.parametrize(
        "given", ["push.example.com", "https://push.example.com/v1", "ftp://a.example", "https://me@a.example"]
    )
    def test_says_which_of_them_is_none(self, settings_from, given: str) -> None:
        with pytest.raises(ValidationError, match=re.escape(f"{given} is no origin like https://push.example.com")):
            settings_from({"CHATTY_NOTIFICATIONS__PUSH_ORIGINS": f"https://a.example {given}"})


class TestTheKeptSecret:
    def test_is_made_once_and_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        directory = tmp_path / "not" / "there" / "yet"
        first = Settings(data_dir=directory).signing_key
        assert len(first.encode()) >= 32
        assert Settings(data_dir=directory).signing_key == first
        assert stat.S_IMODE((directory / "secret_key").stat().st_mode) == 0o600
        assert os.listdir(directory) == ["secret_key"]

    def test_is_one_for_all_processes_that_start_at_once(self, tmp_path: Path) -> None:
        start = [sys.executable, "-c", MAKE_A_SECRET_SLOWLY, str(tmp_path)]
        starts = [subprocess.Popen(start, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        keys = {started.communicate()[0] for started in starts}
        assert len(keys) == 1
        assert len(keys.pop()) >= 32


def examples() -> list[tuple[str, str]]:
    """The settings that .env.example shows, with their values."""
    return re.findall(r"^# (CHATTY_[A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)


def test_a_doubtful_production_is_warned_of_with_what_to_do(tmp_path: Path) -> None:
    safe = {"env": "production", "secret_key": "a" * 40, "data_dir": tmp_path, "_env_file": None}
    doubtful = Settings(**safe, rate_limits="off", bcrypt_rounds=4)
    assert [doubt.split()[0] for doubt in doubtful.doubts] == [
        "CHATTY_PUBLIC_URL",
        "CHATTY_RATE_LIMITS",
        "CHATTY_BCRYPT_ROUNDS",
    ]
    assert Settings(**safe, public_url="https://chat.example.com").doubts == []
    assert Settings(data_dir=tmp_path, rate_limits="off", _env_file=None).doubts == []
