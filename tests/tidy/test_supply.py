"""What we build from: every dependency locked by hash and under a licence we may link, images from one named base."""

import re
import tomllib
from collections.abc import Iterator
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev import images, licences
from tests.tidy.tree import ROOT

LOCKS = ("requirements-image.lock", "requirements.lock")
ENTRY = re.compile(
    r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)( ; [^\\\n]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", re.MULTILINE
)


def _locked(name: str) -> dict[str, str]:
    """Package to version."""
    return {canonicalize_name(entry[1]): entry[2] for entry in ENTRY.finditer((ROOT / name).read_text())}


def _wanted(*groups: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = [line for lines in project["project"]["optional-dependencies"].values() for line in lines]
    return [
        *project["project"]["dependencies"],
        *(extras if "dev" in groups else []),
        *(line for group in groups for line in project["dependency-groups"][group]),
    ]


def _closure(wanted: list[str]) -> Iterator[str]:
    """Every package that these lines ask for, here and now, and what those ask for."""
    seen: set[str] = set()
    todo = [Requirement(line) for line in wanted]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        extras = {"", *requirement.extras}
        if name in seen or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(name)
        yield name
        for line in metadata.requires(name) or []:
            asked = Requirement(line)
            if asked.marker is None or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
                asked.marker = None
                todo.append(asked)


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes(name: str) -> None:
    text = (ROOT / name).read_text()
    rest = re.sub(r"^ +#.*\n", "", ENTRY.sub("", text), flags=re.MULTILINE)
    assert rest.strip() == ""
    assert len(_locked(name)) > 30


@pytest.mark.parametrize(("lock", "groups"), [(LOCKS[0], ("image",)), (LOCKS[1], ("dev", "image"))], ids=LOCKS)
def test_lock_has_everything_that_is_asked_for(lock: str, groups: tuple[str, ...]) -> None:
    assert set(_closure(_wanted(*groups))) - set(_locked(lock)) == set()


def test_image_lock_has_nothing_that_nobody_asks_for() -> None:
    assert set(_locked(LOCKS[0])) - set(_closure(_wanted("image"))) == set()


def test_locked_versions_are_those_that_are_asked_for() -> None:
    locked = _locked(LOCKS[1])
    wanted = [Requirement(line) for line in _wanted("dev", "image")]
    assert [str(line) for line in wanted if not line.specifier.contains(locked[canonicalize_name(line.name)])] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_licence_is_one_we_may_link(lock: str) -> None:
    """Programs that are only called, like tar, are not linked; these are."""
    present = {canonicalize_name(found.name): found for found in metadata.distributions()}
    declared = {name: licences.expression(present[name].metadata) for name in _locked(lock) if name in present}
    assert declared, "the environment has none of the locked packages"
    assert {name: text for name, text in declared.items() if not licences.allowed(text)} == {}


@pytest.mark.parametrize("recipe", [images.PLATFORM, images.AGENT], ids=["the platform", "the chatbot"])
def test_image_is_built_from_one_base_in_stages_and_runs_as_nobody(recipe: images.Recipe) -> None:
    lines = (ROOT / recipe.dockerfile).read_text().splitlines()
    stages = [line.split() for line in lines if line.startswith("FROM ")]
    named = {stage[3] for stage in stages if len(stage) == 4}
    assert {stage[1] for stage in stages} <= {"${BASE_IMAGE}", "scratch", *named}
    assert stages[-1] == ["FROM", "scratch"]
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert [number for number in user.split(":") if int(number) < 10_000] == []


def test_skaffold_builds_the_same_dockerfiles_and_installs_the_charts() -> None:
    skaffold = yaml.safe_load((ROOT / "skaffold.yaml").read_text())
    artifacts = skaffold["build"]["artifacts"]
    built = {item["image"]: (item.get("context", "."), item["docker"]["dockerfile"]) for item in artifacts}
    recipes = (images.PLATFORM, images.AGENT)
    assert built == {recipe.name.rpartition("/")[2]: (".", recipe.dockerfile) for recipe in recipes}
    releases = skaffold["deploy"]["helm"]["releases"]
    assert [release["name"] for release in releases] == ["moorage-crds", "moorage"]
    for release in releases:
        values = yaml.safe_load((ROOT / release["chartPath"] / "values.yaml").read_text())
        for key in release.get("setValueTemplates", {}):
            section, value, *_ = key.split(".")
            assert value in values[section], key
