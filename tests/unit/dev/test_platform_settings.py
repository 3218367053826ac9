"""What operator and API are told: complete, usable, and the user's own wishes first."""

import json
import stat
from pathlib import Path

import pytest

from dev import environment, secret_files, services
from dev.layout import Layout
from dev.trouble import Trouble
from moorage import offering, settings
from moorage.model.network import Addresses, Egress

PASSWORD = "secret"
NODE = Addresses(cidr="10.77.0.1/32")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "STORE_ENDPOINT", "DEV_HOST", "DEV_IMAGE", "DEV_AGENT_IMAGE", "LOG_LEVEL"):
        monkeypatch.delenv(f"MOORAGE_{name}", raising=False)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A clone whose server exists already."""
    secret_files.write(tmp_path / "run" / "postgres" / "password", PASSWORD.encode())
    root = Path(__file__).parents[3]
    return Layout(root, tmp_path / "cache", tmp_path / "run", "moorage-test", 20000)


@pytest.fixture
def external(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """The same clone beside a cluster of somebody else."""
    monkeypatch.setenv("MOORAGE_DEV_HOST", "198.51.100.7")
    return Layout(layout.root, layout.cache, layout.run, layout.name, 20000, Path("/etc/other.kubeconfig"))


def _settings(layout: Layout) -> settings.Settings:
    return settings.load(environment.of_programs(layout, "localhost/moorage:1", "localhost/moorage-agent:1"))


def test_every_setting_is_known_and_none_that_is_required_is_missing(layout: Layout) -> None:
    loaded = _settings(layout)
    settings.required(
        loaded,
        *("database_url", "root_key_file", "store_endpoint", "store_access_key", "store_secret_key_file"),
        *("mover_image", "mover_api_url", "mover_api_ca_file", "api_tls_cert_file", "api_tls_key_file"),
    )
    assert [len(key) for key in settings.root_keys(loaded)] == [32]


def test_offer_is_usable_with_the_quickstarts_size_and_runtime(layout: Layout) -> None:
    offer = offering.platform(_settings(layout))
    assert offer.sizes["demo"].rate_picos == 5_000 * 10**6
    assert offer.runtimes == {"chatbot": "localhost/moorage-agent:1"}
    assert offer.allowed_images == ("localhost/",)
    assert offer.mover.api_ca_pem.startswith("-----BEGIN CERTIFICATE-----")


def test_mover_may_reach_the_api_and_the_store_and_nothing_else(layout: Layout) -> None:
    egress = offering.platform(_settings(layout)).mover.egress
    assert set(egress) == {Egress(to=NODE, port=8443), Egress(to=NODE, port=9000)}


def test_secrets_are_made_once_and_only_their_owner_reads_them(layout: Layout) -> None:
    first, second = _settings(layout), _settings(layout)
    assert settings.root_keys(first) == settings.root_keys(second)
    secret = [first.root_key_file, first.store_secret_key_file, first.api_tls_key_file]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in secret if path]
    assert modes == [0o600, 0o600, 0o600]


def test_database_is_reached_inside_by_the_programs_and_through_the_relay_from_the_host(layout: Layout) -> None:
    assert services.database_url(layout, on_host=False) == f"postgresql://moorage:{PASSWORD}@127.0.0.1:5432/moorage"
    assert services.database_url(layout, on_host=True) == f"postgresql://moorage:{PASSWORD}@127.0.0.1:20001/moorage"


def test_users_own_settings_come_first(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_LOG_LEVEL", "DEBUG")
    monkeypatch.setenv("MOORAGE_SIZES", '{"huge": {"cpu": "8", "memory": "8Gi", "pricePerHour": "0.9"}}')
    loaded = _settings(layout)
    assert loaded.log_level == "DEBUG"
    assert list(loaded.sizes) == ["huge"]


def test_users_own_servers_are_used_when_named(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOORAGE_DATABASE_URL", "postgresql://me@db.example.com/moorage")
    monkeypatch.setenv("MOORAGE_STORE_ENDPOINT", "https://s3.example.com")
    monkeypatch.setenv("MOORAGE_STORE_ACCESS_KEY", "mine")
    loaded = _settings(layout)
    assert loaded.database_url == "postgresql://me@db.example.com/moorage"
    assert (loaded.store_endpoint, loaded.store_access_key) == ("https://s3.example.com", "mine")
    # A name may lead anywhere, and a network policy knows addresses only.
    assert Egress(to=Addresses(cidr="0.0.0.0/0"), port=443) in loaded.mover_egress


def test_own_address_in_the_shell_is_not_taken_for_the_users_server(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_DATABASE_URL", services.database_url(layout, on_host=True))
    assert services.brought_database_url(layout) == ""
    assert services.database_url(layout, on_host=False).endswith("@127.0.0.1:5432/moorage")


def test_another_clones_address_in_the_shell_is_the_users_server(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOORAGE_DATABASE_URL", "postgresql://moorage:x@127.0.0.1:20011/moorage")
    assert services.brought_database_url(layout).endswith(":20011/moorage")


def test_changed_program_changes_the_environment_it_is_known_by(layout: Layout, tmp_path: Path) -> None:
    clone = Layout(tmp_path / "clone", layout.cache, layout.run, layout.name, 20000)
    source = clone.root / "operator" / "moorage" / "one.py"
    source.parent.mkdir(parents=True)
    source.write_text("ONE = 1\n")
    before = environment.of_programs(clone, "a", "b")
    assert environment.of_programs(clone, "a", "b") == before
    source.write_text("ONE = 2\n")
    assert environment.of_programs(clone, "a", "b") != before


def test_external_cluster_reaches_the_host_at_the_ports_of_this_clone(external: Layout) -> None:
    loaded = _settings(external)
    assert loaded.mover_api_url == "https://198.51.100.7:20003"
    assert loaded.store_endpoint == "http://198.51.100.7:20002"
    assert loaded.api_listen == ("198.51.100.7", 20003)
    assert loaded.database_url.endswith("@127.0.0.1:20001/moorage")


def test_external_cluster_needs_images_it_can_pull_and_says_how(
    external: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Trouble, match=r"skaffold build.*MOORAGE_DEV_IMAGE"):
        environment.of_programs(external)
    monkeypatch.setenv("MOORAGE_DEV_IMAGE", "registry.example.com/moorage:1")
    monkeypatch.setenv("MOORAGE_DEV_AGENT_IMAGE", "registry.example.com/team/agent:1")
    wanted = environment.of_programs(external)
    assert wanted["MOORAGE_MOVER_IMAGE"] == "registry.example.com/moorage:1"
    assert json.loads(wanted["MOORAGE_ALLOWED_IMAGES"]) == ["localhost/", "registry.example.com/team/"]
