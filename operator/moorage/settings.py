"""Every knob of the platform: frozen, typed, documented, read once from the environment; an unknown one is an error.

Each setting is an environment variable `MOORAGE_<NAME>`; its unit is in its name. `docs/settings.md` lists them all.
"""

import base64
import binascii
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from moorage.model import network, values

PREFIX = "MOORAGE_"
ROOT_KEY_BYTES = 32
# The settings that each keeper of root keys, and each kind of object store, cannot do without.
ROOT_KEY_NEEDS = {"file": ("root_key_file",), "aws-kms": ("kms_keys",)}
STORE_NEEDS = {"s3": ("store_endpoint", "store_access_key"), "filesystem": ("store_folder", "mover_api_url")}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(Exception):
    """A setting is missing, unknown or not usable; the text says which, and what it should be."""


def _level(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text


def _store_kind(text: str) -> str:
    if text not in STORE_NEEDS:
        raise ValueError(f"must be one of {', '.join(STORE_NEEDS)}")
    return text


def _root_key_provider(text: str) -> str:
    if text not in ROOT_KEY_NEEDS:
        raise ValueError(f"must be one of {', '.join(ROOT_KEY_NEEDS)}")
    return text


def _knob(read: Callable[[str], Any], default: Any, about: str) -> Any:
    metadata = {"read": read, "about": about}
    if isinstance(default, dict | list):  # shared by nobody: each Settings gets a copy of its own
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of all processes; a process asks for those it needs with `required`."""

    database_url: str = _knob(str, "", "PostgreSQL URL; its login must be a member of moorage_app and moorage_verify.")
    migration_url: str = _knob(str, "", "PostgreSQL URL of the schema owner, for `migrate`; empty: the database URL.")
    database_connections_max: int = _knob(values.count, 12, "Connections one process may open.")
    instance: str = _knob(str, "", "Name of this process in the leader row; empty: the host name (the pod's name).")
    store_kind: str = _knob(_store_kind, "s3", "Where snapshots are kept: s3, or filesystem for a mounted folder.")
    store_folder: Path | None = _knob(
        values.path, None, "The folder of a filesystem store, the same for operator and API."
    )
    store_endpoint: str = _knob(str, "", "URL of the S3 API of the object store.")
    store_region: str = _knob(str, "us-east-1", "Region the object store expects in signatures.")
    store_bucket: str = _knob(str, "moorage-snapshots", "Bucket of the snapshots; made when it is absent.")
    store_access_key: str = _knob(str, "", "Access key id for the object store.")
    store_secret_key_file: Path | None = _knob(
        values.path, None, "File with the secret access key of the object store."
    )
    scratch_folder: Path | None = _knob(
        values.path, None, "Folder of test restores; empty: the system's temporary folder."
    )
    scratch_bytes_max: int = _knob(
        values.count, 10 << 30, "Snapshots with more data than this are not restored for a test."
    )
    root_key_provider: str = _knob(_root_key_provider, "file", "Who wraps keys: file, or aws-kms; the other may open.")
    root_key_file: Path | None = _knob(
        values.path, None, "File with root keys, newest first: 32 random bytes in base64 each."
    )
    kms_keys: list[str] = _knob(
        values.kms_keys, [], "ARNs of root keys in a service with the API of AWS KMS, newest first."
    )
    kms_endpoint: str = _knob(str, "", "URL of that service; empty: that of AWS in the region of the key.")
    sizes: dict[str, Any] = _knob(
        values.json_object,
        {"small": {"cpu": "250m", "memory": "256Mi", "pricePerHour": "0.0108"}},
        "Size classes: name to cpu, memory (quantities) and pricePerHour (credits).",
    )
    runtimes: dict[str, Any] = _knob(values.json_object, {}, "Runtimes tenants may name: name to {image}.")
    allowed_images: list[Any] = _knob(
        values.json_list, [], "Prefixes of images tenants may use; each ends with '/', ':' or '@'."
    )
    mover_image: str = _knob(str, "", "Image of mover Jobs (the platform image).")
    mover_api_url: str = _knob(str, "", "URL at which mover pods reach `moorage api`.")
    mover_api_ca_file: Path | None = _knob(
        values.path, None, "PEM file with the authority that signed the API's certificate."
    )
    mover_egress: list[network.Egress] = _knob(
        values.destinations, [], "Destinations mover pods may reach: list of {cidr, port} or {namespace, labels, port}."
    )
    platform_namespace: str = _knob(str, "moorage-system", "Core namespace the platform's own pods run in.")
    egress_denied: list[str] = _knob(values.ranges, [], "Ranges no agent may reach: the nodes', pods' and services'.")
    network_gate: bool = _knob(values.switch, True, "Whether agents start only once their network is seen closed.")
    ingress_from: network.Pods | None = _knob(
        values.pods, None, "Who may connect to agents: {namespace, labels} of the ingress controller's pods."
    )
    sandbox_runtime_class: str = _knob(str, "", "RuntimeClass of sandboxed tenants' pods; empty: there is no sandbox.")
    user_namespaces: bool = _knob(values.switch, False, "Whether pods get users of their own (hostUsers: false).")
    movers_max: int = _knob(values.count, 10, "Movers that may run at once; 0 lets none start.")
    movers_per_node_max: int = _knob(values.count, 2, "Movers that may work on the volumes of one node at once.")
    warm_window_seconds: int = _knob(
        values.count, 86_400, "How long a suspended agent keeps its volume; 0 frees it at once."
    )
    node_lost_seconds: int = _knob(values.count, 300, "How long a node is silent before agents are restored elsewhere.")
    snapshot_grace_days: int = _knob(values.count, 30, "How long the last snapshot of a deleted agent is kept.")
    purge_grace_days: int = _knob(values.count, 30, "How long an agent's data is kept while its wallet is empty.")
    resume_minimum_seconds: int = _knob(values.count, 600, "Run time a top-up must at least pay before agents resume.")
    storage_class: str = _knob(str, "", "StorageClass of agent volumes; empty: the cluster's default.")
    volume_annotations: dict[str, Any] = _knob(values.json_object, {}, "Annotations of agent volume claims.")
    agent_node_selector: dict[str, Any] = _knob(values.json_object, {}, "Node labels that agent pods require.")
    agent_tolerations: list[Any] = _knob(values.json_list, [], "Tolerations of agent pods.")
    api_listen: tuple[str, int] = _knob(values.listen, ("0.0.0.0", 8443), "Address of the HTTP API.")  # noqa: S104  # a pod's own address
    api_tls_cert_file: Path | None = _knob(values.path, None, "Certificate of the HTTP API.")
    api_tls_key_file: Path | None = _knob(values.path, None, "Private key of the HTTP API.")
    operator_probe_listen: tuple[str, int] = _knob(
        values.listen,
        ("0.0.0.0", 8081),  # noqa: S104  # a pod's own address
        "Address of the operator's probes.",
    )
    domain_zone: str = _knob(str, "", "Zone below which agents get host names; a registrable domain of its own.")
    domain_target: str = _knob(str, "", "Where host names lead: an address of the ingress controller or a host name.")
    domain_proxied: bool = _knob(values.switch, True, "Whether host names go through the provider's proxy by default.")
    domain_issuer: str = _knob(values.issuer, "Cloudflare", "Who signs certificates by default: Cloudflare or Acme.")
    domain_resolvers: list[str] = _knob(
        values.resolvers,
        ["1.1.1.1", "8.8.8.8", "9.9.9.9"],
        "DNS resolvers asked for proofs of ownership: address, or address:port.",
    )
    domain_reserved: list[Any] = _knob(
        values.json_list, [], "Labels and host names no tenant may claim, besides those that are always reserved."
    )
    platform_hosts: list[Any] = _knob(
        values.json_list, [], "Host names of the platform itself, outside of the zone's registered domain."
    )
    domains_per_tenant: int = _knob(values.count, 20, "Host names one tenant may hold.")
    domain_quarantine_days: int = _knob(values.count, 30, "How long others wait for a released host name.")
    domain_unpaid_days: int = _knob(values.count, 7, "How long an unpaid host name is kept before it is released.")
    domain_route: str = _knob(values.route_kind, "Ingress", "What leads requests to agents: Ingress or HTTPRoute.")
    ingress_class: str = _knob(str, "", "IngressClass of host names; empty: the cluster's default.")
    gateway: str = _knob(str, "", "The Gateway of host names as namespace/name, with HTTPRoute.")
    route_annotations: dict[str, Any] = _knob(
        values.json_object, {}, "Annotations of every route, for what the ingress controller understands."
    )
    cloudflare_token_file: Path | None = _knob(values.path, None, "File with the token for the zone at Cloudflare.")
    cloudflare_url: str = _knob(str, "https://api.cloudflare.com/client/v4", "URL of Cloudflare's API.")
    cloudflare_calls_per_minute: int = _knob(values.count, 200, "Calls to Cloudflare in a minute; it allows 240.")
    acme_directory: str = _knob(str, "", "URL of an ACME directory; empty: certificates of kind Acme are not offered.")
    acme_email: str = _knob(str, "", "Address at which the ACME authority reaches the platform operator.")
    acme_ca_file: Path | None = _knob(values.path, None, "PEM file with the authority of the ACME server itself.")
    cert_manager_issuer: str = _knob(str, "", "ClusterIssuer of cert-manager for Acme; empty: we ask ourselves.")
    waiting_listen: tuple[str, int] = _knob(
        values.listen,
        ("0.0.0.0", 8080),  # noqa: S104  # a pod's own address
        "Address of the page that visitors of suspended agents see, served by the API.",
    )
    log_level: str = _knob(_level, "INFO", "DEBUG, INFO, WARNING or ERROR.")
    reconcile_workers: int = _knob(values.count, 32, "Reconciles that may run at once.")
    reconcile_per_tenant: int = _knob(values.count, 8, "Reconciles of one tenant that may run at once.")


# Set by others for others, and left alone here: the mover's own environment and the development tools' switches.
FOREIGN_PREFIXES = ("MOORAGE_MOVER_ATTEMPT", "MOORAGE_MOVER_API_CA", "MOORAGE_DEV_", "MOORAGE_TEST_")


def load(environment: Mapping[str, str]) -> Settings:
    """Read all settings; raises SettingsError with one sentence for the first that cannot be used."""
    knobs = {PREFIX + knob.name.upper(): knob for knob in fields(Settings)}
    chosen: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX):
            continue
        if name not in knobs:
            if name.startswith(FOREIGN_PREFIXES):
                continue
            raise SettingsError(f"{name} is not a setting of Moorage; see docs/settings.md for all of them")
        try:
            chosen[knobs[name].name] = knobs[name].metadata["read"](text)
        except ValueError as error:
            raise SettingsError(f"{name} {error}") from error
    return Settings(**chosen)


def required(settings: Settings, *names: str) -> None:
    """Refuse to start without these settings, naming all that are missing at once."""
    missing = [PREFIX + name.upper() for name in names if getattr(settings, name) in ("", None, [])]
    if missing:
        raise SettingsError(f"{', '.join(missing)} must be set; see docs/settings.md")


def instance(settings: Settings) -> str:
    """The name of this process among the candidates for leadership."""
    return settings.instance or socket.gethostname()


def read_file(path: Path | None, setting: str) -> str:
    """The text of a file a setting names."""
    try:
        return (path or Path()).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{PREFIX}{setting.upper()}: the file cannot be read") from error


def root_keys(settings: Settings) -> list[bytes]:
    """The root keys from their file, the newest first."""
    lines = read_file(settings.root_key_file, "root_key_file").split()
    try:
        keys = [base64.b64decode(line, validate=True) for line in lines]
    except binascii.Error as error:
        raise SettingsError("MOORAGE_ROOT_KEY_FILE must hold 32 random bytes in base64 on each line") from error
    if not keys or any(len(key) != ROOT_KEY_BYTES for key in keys):
        raise SettingsError("MOORAGE_ROOT_KEY_FILE must hold 32 random bytes in base64 on each line")
    return keys


def mover_authority(settings: Settings) -> str:
    """Who signed the API's certificate, as movers are told; empty: an authority that everybody knows."""
    return read_file(settings.mover_api_ca_file, "mover_api_ca_file") if settings.mover_api_ca_file else ""
