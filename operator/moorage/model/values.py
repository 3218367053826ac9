"""From the text of an environment variable to a value; what is none raises ValueError, saying what it must be."""

import ipaddress
import json
import re
from enum import StrEnum
from pathlib import Path
from typing import Any

from moorage.model import network
from moorage.model.domain import Issuer
from moorage.model.offer import RouteKind

_KMS_KEY = re.compile(r"arn:[a-z-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")


def json_object(text: str) -> dict[str, Any]:
    """A JSON object."""
    value = _json(text)
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004  # a wrong value, as the user sees it
    return value


def json_list(text: str) -> list[Any]:
    """A JSON list."""
    value = _json(text)
    if not isinstance(value, list):
        raise ValueError("must be a JSON list")  # noqa: TRY004  # a wrong value, as the user sees it
    return value


def path(text: str) -> Path:
    """A file or a folder, which need not exist."""
    return Path(text)


def count(text: str) -> int:
    """A whole number that is not negative."""
    if not text.isdigit():
        raise ValueError("must be a whole number that is not negative")
    return int(text)


def switch(text: str) -> bool:
    """On or off."""
    if text not in ("true", "false"):
        raise ValueError("must be true or false")
    return text == "true"


def listen(text: str) -> tuple[str, int]:
    """Host and port of an address to listen at."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError("must be host:port")
    return host, int(port)


def resolvers(text: str) -> list[str]:
    """A JSON list of DNS resolvers, all different."""
    listed = [str(entry) for entry in json_list(text)]
    if not listed or len({resolver(entry) for entry in listed}) < len(listed):
        raise ValueError("must list different resolvers, at least one")
    return listed


def resolver(text: str) -> tuple[str, int]:
    """Address and port of a DNS resolver: address, address:port or [address]:port. A name would need one itself."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = text, "53"
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError as error:
        raise ValueError("must list addresses of resolvers, such as 9.9.9.9 or [2620:fe::fe]:53") from error
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("must name ports from 1 to 65535")
    return str(address), int(port)


def destinations(text: str) -> list[network.Egress]:
    """A JSON list of what pods may reach."""
    return network.destinations(json_list(text))


def ranges(text: str) -> list[str]:
    """A JSON list of ranges of addresses, in the spelling of policies."""
    return [network.canonical(str(cidr)) for cidr in json_list(text)]


def pods(text: str) -> network.Pods | None:
    """The pods that a JSON object names; none for an empty one."""
    named = json_object(text)
    return network.pods(named) if named else None


def issuer(text: str) -> str:
    """Who signs certificates."""
    return _one_of(text, Issuer)


def route_kind(text: str) -> str:
    """What leads requests to agents."""
    return _one_of(text, RouteKind)


def kms_keys(text: str) -> list[str]:
    """A JSON list of full ARNs of keys: an alias could be pointed to another key later."""
    arns = [str(arn) for arn in json_list(text)]
    if not all(_KMS_KEY.fullmatch(arn) for arn in arns):
        raise ValueError("must list ARNs of keys, such as arn:aws:kms:eu-central-1:111122223333:key/…")
    return arns


def _one_of(text: str, choices: type[StrEnum]) -> str:
    if text not in list(choices):
        raise ValueError(f"must be one of {', '.join(choices)}")
    return text


def _json(text: str) -> Any:  # Any: the caller checks the shape
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError("must be JSON") from error
