"""What the settings say of the storage, who sees it, and the tree that git keeps."""

import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

from src.config import Settings
from src.serve import _banner
from src.storage.disk import DiskStore
from src.storage.s3 import S3Store
from src.storage.storages import staging_for, store_for
from src.storage_url import OPTIONS, s3_address, without_credentials

ROOT = Path(__file__).parents[2]
WITH_KEYS = (
    "s3://AKIA1:hunter2%2F%2B%40@files/a/b?region=ap-northeast-2&endpoint=http://127.0.0.1:9000&session_token=hunter3"
)


def settings(tmp_path: Path, **changes) -> Settings:
    return Settings(_env_file=None, data_dir=tmp_path / "var", **changes)


class TestTheUrl:
    @pytest.mark.parametrize("url", ["uploads", "./uploads", "/srv/chatty/files", "C:\\files", "s3/not-a-bucket"])
    def test_is_a_directory(self, tmp_path: Path, url: str) -> None:
        assert settings(tmp_path, storage_url=url).storage_url == url
        assert isinstance(store_for(url), DiskStore)

    def test_is_a_bucket_with_what_belongs_to_it(self, tmp_path: Path) -> None:
        assert settings(tmp_path, storage_url=WITH_KEYS).storage_url == WITH_KEYS
        assert isinstance(store_for(WITH_KEYS), S3Store)
        address = s3_address(WITH_KEYS)
        assert (address.bucket, address.prefix, address.key_id, address.secret) == (
            "files",
            "a/b",
            "AKIA1",
            "hunter2/+@",
        )
        assert address.options == {
            "region": "ap-northeast-2",
            "endpoint": "http://127.0.0.1:9000",
            "session_token": "hunter3",
        }

    @pytest.mark.parametrize("url", ["s3://files", "s3://files/", "s3://my.files_2?region=eu-west-1"])
    def test_needs_no_keys(self, url: str) -> None:
        address = s3_address(url)
        assert (address.key_id, address.secret, address.prefix) == ("", "", "")

    def test_may_have_a_secret_with_a_plus(self) -> None:
        assert s3_address("s3://k:hunter2+x@files?session_token=a+b").secret == "hunter2+x"
        assert s3_address("s3://k:hunter2+x@files?session_token=a+b").options["session_token"] == "a+b"

    @pytest.mark.parametrize(
        ("url", "what_to_do"),
        [
            ("gs://files", "must be a directory, or begin with s3://"),
            ("http://hunter2", "must be a directory, or begin with s3://"),
            ("s3://", "must name a bucket"),
            ("s3:///hunter2", "must name a bucket"),
            ("s3://a", "must name a bucket"),
            ("s3://files:hunter2", "must name a bucket"),
            ("s3://hunter2@files", "must name both keys"),
            ("s3://:hunter2@files", "must name both keys"),
            ("s3://k:hunter2/x@files", "/ as %2F"),
            ("s3://k:hunter2?x@files", "? as %3F"),
            ("s3://k:hunter2#x@files", "# as %23"),
            ("s3://k:hunter2[@files", "percent-encoded"),
            ("s3://k:hunter2@files/../x", "has a prefix"),
            ("s3://k:hunter2@files/a//b", "has a prefix"),
            ("s3://k:hunter2@files/a%2e", "has a prefix"),
            ("s3://k:hunter2@files?regoin=x", "has 1 unknown options; those that there are: region, endpoint"),
            ("s3://k:hunter2@files?hunter2", "unknown options"),
            ("s3://k:hunter2@files?region=", "has an option without a value"),
            ("s3://k:hunter2@files?endpoint=minio:9000", "has an endpoint that is not like https://"),
            ("s3://k:hunter2@files?endpoint=http://minio:90000", "has an endpoint that is not like https://"),
            ("s3://k:hunter2@files?endpoint=http://k:hunter2%40minio", "has an endpoint that is not like https://"),
            ("s3://k:hunter2@files?disable_bulk_delete=maybe", "neither true nor false"),
        ],
    )
    def test_is_refused_with_what_to_do_and_without_its_secret(self, tmp_path: Path, url: str, what_to_do: str) -> None:
        with pytest.raises(ValidationError) as refusal:
            settings(tmp_path, storage_url=url)
        assert what_to_do in str(refusal.value)
        assert "hunter2" not in str(refusal.value)

    @pytest.mark.parametrize("option", OPTIONS)
    def test_has_options_that_obstore_knows(self, option: str) -> None:
        values = {"endpoint": "https://minio.example.com"}
        value = values.get(option, "true")
        assert store_for(f"s3://k:s@files?{option}={value}")


class TestASecretInIt:
    def test_is_not_shown_when_settings_are_printed(self, tmp_path: Path) -> None:
        made = settings(tmp_path, storage_url=WITH_KEYS)
        assert "hunter" not in repr(made) + str(made)
        assert "hunter" not in repr(s3_address(WITH_KEYS))

    def test_is_not_in_the_banner(self, tmp_path: Path) -> None:
        shown = _banner(settings(tmp_path, storage_url=WITH_KEYS))
        assert "Files: s3://files/a/b " in shown
        assert "hunter" not in shown
        assert "AKIA1" not in shown

    def test_leaves_a_directory_as_it_is(self, tmp_path: Path) -> None:
        assert "Files: uploads " in _banner(settings(tmp_path))
        assert without_credentials("/srv/files") == "/srv/files"


class TestWhereFilesWait:
    def test_is_beside_the_objects_on_the_disk(self, tmp_path: Path) -> None:
        staging = staging_for(settings(tmp_path, storage_url=str(tmp_path / "uploads")))
        assert staging.directory == tmp_path / "uploads" / "incoming"

    def test_is_in_the_data_directory_before_a_bucket(self, tmp_path: Path) -> None:
        staging = staging_for(settings(tmp_path, storage_url=WITH_KEYS))
        assert staging.directory == tmp_path / "var" / "incoming"

    def test_keeps_the_reserve_of_the_settings(self, tmp_path: Path) -> None:
        made = settings(tmp_path, storage_url=str(tmp_path), files={"reserve_mib": 2})
        assert staging_for(made)._reserve == 2 * 1024 * 1024


class TestTheTree:
    KEPT = ("chat/documents/.gitkeep", "chat/images/.gitkeep", "user-profiles/.gitkeep")
    OTHERS = (
        "x",
        ".gitkeep",
        "incoming/a.part",
        "incoming/.gitkeep",
        "chat/x",
        "chat/images/ab/a.webp",
        "chat/images/a",
        "chat/documents/ab/.gitkeep",
        "chat/rooms/.gitkeep",
        "user-profiles/ab/a-192.webp",
    )

    def test_is_kept_by_git_without_what_people_send(self) -> None:
        if not (ROOT / ".git").exists():
            pytest.skip("not a checkout, so nothing says which files are kept")
        assert git("ls-files", "uploads") == [f"uploads/{name}" for name in self.KEPT]
        asked = [f"uploads/{name}" for name in (*self.KEPT, *self.OTHERS)]
        assert git("check-ignore", "--no-index", *asked) == [f"uploads/{name}" for name in self.OTHERS]


def git(*words: str) -> list[str]:
    command = ["git", "-c", "safe.directory=*", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
