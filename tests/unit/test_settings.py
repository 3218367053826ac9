"""Settings: what is wrong is said in one sentence, before anything starts."""

import base64
from pathlib import Path
from typing import Any

import pytest

from moorage import offering, settings
from moorage.model import values


def test_an_unknown_setting_is_refused_by_name() -> None:
    with pytest.raises(settings.SettingsError, match="MOORAGE_TYPO is not a setting"):
        settings.load({"MOORAGE_TYPO": "1"})


def test_what_belongs_to_others_is_left_alone() -> None:
    assert settings.load({"MOORAGE_MOVER_ATTEMPT": "x", "HOME": "/", "MOORAGE_DEV_DIR": "/x"}) == settings.Settings()


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("MOORAGE_WARM_WINDOW_SECONDS", "-1", "must be a whole number"),
        ("MOORAGE_SIZES", "[]", "must be a JSON object"),
        ("MOORAGE_ALLOWED_IMAGES", "{", "must be JSON"),
        ("MOORAGE_API_LISTEN", "8443", "must be host:port"),
        ("MOORAGE_ROOT_KEY_PROVIDER", "vault", "must be one of file, aws-kms"),
        ("MOORAGE_KMS_KEYS", '["alias/moorage"]', "must list ARNs of keys"),
        ("MOORAGE_STORE_KIND", "gcs", "must be one of s3, filesystem"),
        ("MOORAGE_MOVER_EGRESS", '[{"cidr": "10.0.0.1/8", "port": 443}]', "must name ranges"),
    ],
)
def test_an_unusable_value_is_refused_with_its_name(name: str, text: str, sentence: str) -> None:
    with pytest.raises(settings.SettingsError, match=f"{name} {sentence}"):
        settings.load({name: text})


def test_all_missing_settings_are_named_at_once() -> None:
    with pytest.raises(settings.SettingsError, match="MOORAGE_DATABASE_URL, MOORAGE_STORE_ENDPOINT must be set"):
        settings.required(settings.Settings(), "database_url", "store_endpoint")


@pytest.mark.parametrize("content", [base64.b64encode(b"short").decode(), "not base64!", ""])
def test_a_root_key_of_the_wrong_shape_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "root.key"
    file.write_text(content)
    with pytest.raises(settings.SettingsError, match="32 random bytes"):
        settings.root_keys(settings.Settings(root_key_file=file))


def test_a_file_that_cannot_be_read_is_named_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(settings.SettingsError, match="MOORAGE_ROOT_KEY_FILE: the file cannot be read"):
        settings.root_keys(settings.Settings(root_key_file=tmp_path / "absent"))


def test_a_price_that_is_not_exact_per_second_is_refused() -> None:
    sizes = {"odd": {"cpu": "1", "memory": "1Gi", "pricePerHour": "0.000001"}}
    with pytest.raises(settings.SettingsError, match="a price per hour must be a multiple"):
        offering.platform(settings.Settings(sizes=sizes))


def test_an_image_prefix_must_end_at_a_separator() -> None:
    with pytest.raises(settings.SettingsError, match="each prefix must end"):
        offering.platform(settings.Settings(allowed_images=["registry.example/team"]))


def test_the_zone_is_kept_in_its_one_spelling_and_no_tenant_gets_the_name_all_names_lead_to() -> None:
    found = offering.platform(
        settings.Settings(domain_zone="Agents.Example.", domain_target="lb.hosting.example", domain_reserved=["acme"])
    ).domains
    assert found is not None
    assert found.zone == "agents.example"
    assert set(found.reserved) == {"acme", "lb.hosting.example"}


def test_a_zone_that_is_no_host_name_is_refused() -> None:
    with pytest.raises(settings.SettingsError, match="MOORAGE_DOMAIN_ZONE must be a host name"):
        offering.platform(settings.Settings(domain_zone="*.example", domain_target="192.0.2.1"))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("127.0.0.1:5300", ("127.0.0.1", 5300)),
        ("2620:fe::fe", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]:5300", ("2620:fe::fe", 5300)),
    ],
)
def test_a_resolver_is_an_address_with_or_without_a_port(text: str, meant: tuple[str, int]) -> None:
    assert values.resolver(text) == meant


@pytest.mark.parametrize(
    "listed", ['["dns.example"]', '["9.9.9.9:0"]', '["9.9.9.9:"]', '["9.9.9.9", "9.9.9.9:53"]', "[]", '["[::1"]']
)
def test_resolvers_that_are_no_addresses_or_not_different_are_refused(listed: str) -> None:
    with pytest.raises(ValueError, match="must"):
        values.resolvers(listed)


@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("co.uk", {}),
        ("agents", {}),
        ("agents.example", {"platform_hosts": ["agents.example"]}),
        ("agents.example", {"platform_hosts": ["api.agents.example"]}),
        ("agents.hosting.example", {"platform_hosts": ["console.hosting.example"]}),
        ("agents.hosting.co.uk", {"mover_api_url": "https://api.hosting.co.uk:8443"}),
    ],
)
def test_a_zone_that_shares_cookies_with_the_platform_is_refused(zone: str, changes: dict[str, Any]) -> None:
    with pytest.raises(settings.SettingsError, match="MOORAGE_DOMAIN_ZONE must"):
        offering.platform(settings.Settings(domain_zone=zone, domain_target="192.0.2.1", **changes))


@pytest.mark.parametrize("host", ["api.hosting.example", "hosting.co.uk", "moorage-api.moorage-system.svc"])
def test_a_zone_of_its_own_is_taken(host: str) -> None:
    chosen = settings.Settings(domain_zone="agents.example", domain_target="192.0.2.1", platform_hosts=[host])
    offered = offering.platform(chosen).domains
    assert offered is not None
    assert offered.zone == "agents.example"
    assert host in offered.reserved, "no tenant claims the platform's name"
