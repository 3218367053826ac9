"""The images' names: they follow the content that goes into them, and nothing else."""

from pathlib import Path

import pytest

from dev import images
from dev.layout import Layout
from dev.trouble import Trouble

ROOT = Path(__file__).parents[3]
COPIED = ("Dockerfile", "code")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A Dockerfile and what it copies."""
    (tmp_path / "code" / "inner").mkdir(parents=True)
    (tmp_path / "Dockerfile").write_text("FROM base\nCOPY code/ /code/\n")
    (tmp_path / "code" / "inner" / "one.py").write_text("ONE = 1\n")
    return tmp_path


def test_hash_stays_when_nothing_changed_that_is_copied(context: Path) -> None:
    before = images.content_hash(context, COPIED)
    (context / "README").write_text("not copied")
    (context / "code" / "__pycache__").mkdir()
    (context / "code" / "__pycache__" / "one.pyc").write_bytes(b"\0")
    (context / "code" / "inner" / "one.py").touch()
    assert images.content_hash(context, COPIED) == before


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda folder: (folder / "Dockerfile").write_text("FROM base\n"), id="another Dockerfile"),
        pytest.param(lambda folder: (folder / "code/inner/one.py").write_text("ONE = 2\n"), id="other content"),
        pytest.param(lambda folder: (folder / "code/two.py").write_text(""), id="one more file"),
        pytest.param(lambda folder: (folder / "code/inner/one.py").rename(folder / "code/one.py"), id="another place"),
    ],
)
def test_hash_changes_with_what_is_copied(context: Path, change: "object") -> None:
    before = images.content_hash(context, COPIED)
    assert callable(change)
    change(context)
    assert images.content_hash(context, COPIED) != before


def test_missing_file_is_named(context: Path) -> None:
    with pytest.raises(Trouble, match="LICENSE"):
        images.content_hash(context, (*COPIED, "LICENSE"))


@pytest.mark.parametrize("recipe", [images.PLATFORM, images.AGENT], ids=["the platform", "the chatbot"])
def test_hash_covers_what_the_dockerfile_copies(recipe: images.Recipe) -> None:
    lines = (ROOT / recipe.dockerfile).read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY") and "--from=" not in line]
    assert {name.rstrip("/") for names in copied for name in names} == set(recipe.copied)
    assert set(recipe.content) == {recipe.dockerfile, *recipe.copied}


def test_builds_see_what_the_dockerfiles_copy_and_no_more() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!").rstrip("/") for line in ignore if line.startswith("!")}
    assert allowed == {*images.PLATFORM.copied, *images.AGENT.copied}


def test_nothing_is_built_when_both_archives_are_there(tmp_path: Path) -> None:
    for name in (*images.PLATFORM.content, *images.AGENT.content):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    layout = Layout(tmp_path, tmp_path / "cache", tmp_path / "run", "moorage-test", 20000)
    (tmp_path / "cache" / "images").mkdir(parents=True)
    for name in images.names(layout):
        image = name.removeprefix("localhost/").replace(":", "-")
        (tmp_path / "cache" / "images" / f"{image}.tar").touch()
    # A build would need the lock file beside them.
    assert tuple(image.name for image in images.build(layout)) == images.names(layout)
    assert not (tmp_path / "cache" / "images" / "lock").exists()
