"""Settings, read once from the environment and `.env`. `.env.example` explains each; a test keeps the two alike."""

import re
import secrets
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .file_settings import FileSettings
from .kept_secrets import kept
from .notification_settings import NotificationSettings
from .sign_in_settings import ExchangeSettings, ProviderSettings, has_sound_port, refuse_unsound, without_tls
from .storage_url import s3_address

Private = Annotated[str, Field(repr=False)]

_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
MIN_SECRET_BYTES = 32
SAFE_ROUNDS = 10
EXAMPLE_SECRET = "change-me-change-me-change-me-change-me"  # noqa: S105 - the value that .env.example shows, refused in production


class Settings(BaseSettings):
    """How this process runs. Every field is `CHATTY_<NAME>` in the environment; without any, one node on SQLite."""

    model_config = SettingsConfigDict(
        env_prefix="CHATTY_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )

    env: Literal["development", "production"] = "development"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    public_url: str = ""
    secret_key: Private = ""
    data_dir: Path = Path("var")
    database_url: Private = ""
    redis_url: Private = ""
    storage_url: Private = "uploads"
    smtp_url: Private = ""
    mail_from: str = "Chatty <chatty@localhost>"
    allowed_origins: Annotated[list[str], NoDecode] = []
    trusted_proxies: Annotated[list[str], NoDecode] = []
    rate_limits: Literal["on", "off"] = "on"
    access_token_seconds: Annotated[int, Field(ge=1)] = 900
    session_days: Annotated[int, Field(ge=1)] = 30
    edit_window_hours: Annotated[float, Field(ge=0, le=87_600)] = 24
    presence_grace_seconds: Annotated[float, Field(ge=0, le=20)] = 5
    group_members: Annotated[int, Field(ge=2)] = 1000
    bcrypt_rounds: Annotated[int, Field(ge=4, le=16)] = 12
    providers: dict[str, ProviderSettings] = {}
    exchange: ExchangeSettings | None = None
    files: FileSettings = FileSettings()
    notifications: NotificationSettings = NotificationSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"

    @field_validator("allowed_origins", "trusted_proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for network in value:
            ip_network(network, strict=False)
        return value

    @field_validator("public_url", "allowed_origins")
    @classmethod
    def _web_addresses(cls, value: str | list[str]) -> str | list[str]:
        for address in [value] if isinstance(value, str) else value:
            if address and address != "*" and not _WEB_ADDRESS.fullmatch(address):
                raise ValueError("must be like https://chat.example.com, with http:// or https://")
        return value.rstrip("/") if isinstance(value, str) else [origin.rstrip("/") for origin in value]

    @field_validator("smtp_url", "redis_url")
    @classmethod
    def _service_address(cls, value: str, info: ValidationInfo) -> str:
        schemes = {"smtp_url": ("smtp", "smtps"), "redis_url": ("redis", "rediss", "unix")}[info.field_name or ""]
        if value and (urlsplit(value).scheme not in schemes or not has_sound_port(value)):
            raise ValueError(f"must begin with {schemes[0]}:// or {schemes[1]}:// and name a host")
        return value

    @field_validator("storage_url")
    @classmethod
    def _storage(cls, value: str) -> str:
        s3_address(value)
        return value

    @field_validator("database_url")
    @classmethod
    def _async_driver(cls, value: str) -> str:
        """Accept the URLs that people have (`postgres://`, `postgresql://`, `sqlite:///`); the driver is our affair."""
        scheme, separator, rest = value.partition("://")
        drivers = {"postgres": "postgresql+asyncpg", "postgresql": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}
        if value and (not separator or drivers.get(scheme, scheme) not in drivers.values()):
            raise ValueError("must begin with postgresql:// or sqlite:///")
        if not has_sound_port(value):
            raise ValueError("has a port that is no number")
        return drivers.get(scheme, scheme) + separator + rest.replace("sslmode=", "ssl=")  # asyncpg's word for it

    @model_validator(mode="after")
    def _complete(self) -> "Settings":
        if not self.database_url:
            self.database_url = f"sqlite+aiosqlite:///{self.data_dir / 'chatty.db'}"
        if not self.public_url:
            self.public_url = f"http://localhost:{self.port}"
        self.public_url = self.public_url.rstrip("/")
        refuse_unsound(self.providers)
        if self.env == "production":
            self._refuse_unsafe()
        return self

    def _refuse_unsafe(self) -> None:
        """Raise ValueError, with what to do about it, for a set-up that is not fit for strangers."""
        if not self.secret_key:
            raise ValueError(
                "CHATTY_SECRET_KEY is not set: production needs a secret of its own. Make one with "
                "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'` and set it on every node."
            )
        if len(self.secret_key.encode()) < MIN_SECRET_BYTES or self.secret_key == EXAMPLE_SECRET:
            raise ValueError(
                f"CHATTY_SECRET_KEY is shorter than {MIN_SECRET_BYTES} bytes or the example's: set a random one, "
                f"at least {MIN_SECRET_BYTES} bytes long."
            )
        if any("*" in origin for origin in self.allowed_origins):
            raise ValueError(
                "CHATTY_ALLOWED_ORIGINS has a wildcard: list each origin, such as https://app.example.com."
            )
        vouching = [*self.providers.values(), *([self.exchange] if self.exchange else [])]
        if plain := without_tls([address for each in vouching for address in each.addresses]):
            raise ValueError(f"{plain[0]} is not https://: whoever is on the way could sign in as anybody.")
        if self.is_sqlite and self.redis_url:
            raise ValueError(
                "CHATTY_REDIS_URL joins several nodes, and SQLite serves one: set CHATTY_DATABASE_URL to PostgreSQL, "
                "or leave CHATTY_REDIS_URL empty."
            )

    @property
    def doubts(self) -> list[str]:
        """What a production set-up may well not mean, each with what to do."""
        found = []
        if self.env == "production":
            if not self.secure_cookies:
                found.append("CHATTY_PUBLIC_URL is not https://: cookies are not secure, and mails link to it.")
            if self.rate_limits == "off":
                found.append("CHATTY_RATE_LIMITS is off: anybody may try passwords as fast as they can.")
            if self.bcrypt_rounds < SAFE_ROUNDS:
                found.append(f"CHATTY_BCRYPT_ROUNDS is below {SAFE_ROUNDS}: stolen hashes are cheap to try.")
        return found

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def secure_cookies(self) -> bool:
        return self.public_url.startswith("https://")

    @cached_property
    def origins(self) -> frozenset[str]:
        """Origins whose pages may call this service: its own, and those listed."""
        scheme, _, rest = self.public_url.partition("://")
        own = {f"{scheme}://{rest.split('/')[0]}"}
        if self.env == "development":
            own |= {f"http://localhost:{self.port}", f"http://127.0.0.1:{self.port}"}
        return frozenset(own | set(self.allowed_origins))

    @cached_property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(network, strict=False) for network in self.trusted_proxies)

    @cached_property
    def signing_key(self) -> str:
        """The secret that signs tokens: CHATTY_SECRET_KEY, or one made once and kept in the data directory."""
        return self.secret_key or kept(self.data_dir / "secret_key", lambda: secrets.token_urlsafe(48))
