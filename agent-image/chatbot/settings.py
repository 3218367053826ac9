"""Settings: every knob of the chatbot, read once from the environment; an unknown one is an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

PREFIX = "CHATBOT_"
MEMORY_DAYS_MAX = 3650

Choice = TypeVar("Choice", bound=StrEnum)


class SettingsError(Exception):
    """A setting cannot be used; the text is one sentence for the person who set it."""


class Retention(StrEnum):
    """How long messages are kept."""

    NONE = "None"
    DAYS = "Days"


class Model(StrEnum):
    """Who answers; `echo` needs no network and no key."""

    ECHO = "echo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the chatbot was told; the field names are the variable names without the prefix."""

    model: Model = Model.ECHO
    memory_retention: Retention = Retention.NONE
    memory_days: int = 30
    """Age at which a message is deleted; used with the retention `Days`."""
    data_dir: Path = Path("/data")
    """Where the memory lies; touched only if something is kept or must be deleted."""
    listen: str = "0.0.0.0:8080"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings; raises SettingsError with a sentence that says what is allowed."""
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment.items() if name.startswith(PREFIX)}
    known = Settings.__dataclass_fields__
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        allowed = ", ".join(PREFIX + name.upper() for name in known)
        raise SettingsError(f"{PREFIX}{unknown[0].upper()} is not a setting; the settings are {allowed}.")
    defaults = Settings()
    return Settings(
        model=_choice(given, "model", Model, defaults.model),
        memory_retention=_choice(given, "memory_retention", Retention, defaults.memory_retention),
        memory_days=_days(given.get("memory_days", str(defaults.memory_days))),
        data_dir=Path(given.get("data_dir", str(defaults.data_dir))),
        listen=_listen(given.get("listen", defaults.listen)),
    )


def _choice(given: Mapping[str, str], name: str, choices: type[Choice], default: Choice) -> Choice:
    try:
        return choices(given.get(name, default))
    except ValueError:
        allowed = " or ".join(choices)
        raise SettingsError(f"{PREFIX}{name.upper()} must be {allowed}, not {given[name]!r}.") from None


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MEMORY_DAYS_MAX:
        raise SettingsError(f"{PREFIX}MEMORY_DAYS must be a number of days from 1 to {MEMORY_DAYS_MAX}, not {text!r}.")
    return int(text)


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65535:
        raise SettingsError(f"{PREFIX}LISTEN must be an address and a port like 0.0.0.0:8080, not {text!r}.")
    return text
