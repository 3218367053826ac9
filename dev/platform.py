"""The platform on the cluster: installed by its charts, or with operator and API started from this folder."""  # noqa: A005 -- always imported as dev.platform

import contextlib
import os
import ssl
import sys
import time
import urllib.request
from collections.abc import Callable

from dev import cluster, environment, identity, images, node, processes, progress, release, services, story
from dev.layout import Layout
from dev.trouble import Trouble

PROGRAMS = release.PARTS
READY_SECONDS_MAX = 60
NO_STORY_VARIABLE = "MOORAGE_DEV_NO_STORY"
SOURCE_VARIABLE = "MOORAGE_DEV_SOURCE"


def up(layout: Layout, *, with_story: bool | None = None, from_source: bool | None = None) -> None:
    """Bring the platform up on a running cluster, and tell its story unless it is not wanted.

    Operator and API are pods of the chart, or programs started from this folder: when `make up DEV=1` asks for that,
    and on a cluster that is not ours, whose pods would not reach the servers of this machine.
    """
    layout.run.mkdir(parents=True, exist_ok=True, mode=0o711)
    if from_source is None:
        from_source = SOURCE_VARIABLE in os.environ or layout.external
    with cluster.exclusive(layout):
        platform_image, agent_image = _images(layout)
        services.start(layout)
        if from_source:
            prepare(layout)
            with progress.step("start operator and API from the source tree"):
                _start(layout, environment.of_programs(layout, platform_image, agent_image))
        else:
            stop_programs(layout)
            with progress.step("install the charts"):
                settings = environment.of_pods(agent_image)
                release.install(layout, release.local(layout, settings, platform_image), wait=True)
    if with_story if with_story is not None else NO_STORY_VARIABLE not in os.environ:
        story.run(layout)


def prepare(layout: Layout) -> None:
    """Everything but operator and API: kinds, rights and policies, accounts, and the schema."""
    release.spare(layout)
    with progress.step("install the charts, without pods"):
        release.install(layout, release.of_rights_only(), wait=False)
        identity.ensure(layout)
    with progress.step("bring the schema up to date"):
        migrate(layout)


def down(layout: Layout) -> None:
    """Stop operator, API and the servers under them; what does not run is no matter."""
    if not layout.run.exists():
        return
    with cluster.exclusive(layout), progress.step("stop the platform"):
        with contextlib.suppress(Trouble):
            release.scale_down(layout)
        stop_programs(layout)
        services.stop(layout)


def status(layout: Layout) -> list[str]:
    """What of the platform runs, where, and since when."""
    if not layout.run.exists():
        return []
    lines = services.status(layout)
    if not any(processes.alive(layout, name) for name in PROGRAMS):
        with contextlib.suppress(Trouble):
            return lines + release.status(layout)
    for name in PROGRAMS:
        runs = processes.alive(layout, name)
        since = time.strftime("%H:%M:%S", time.localtime(processes.since(layout, name))) if runs else ""
        says = ("ready" if ready(layout, name) else "not ready") + f", since {since}" if runs else "does not run"
        lines.append(f"{name:<10} {says}, log {processes.log_file(layout, name)}")
    return lines


def ready(layout: Layout, name: str) -> bool:
    """Whether the program says it is ready."""
    place = services.places(layout)
    context = None
    if name == "api":
        # Where we meet it, its certificate is good for: the relay's end on the host, or its own address.
        host = "127.0.0.1" if place.inside else place.pods_see
        url = f"https://{host}:{layout.port('api')}/readyz"
        context = ssl.create_default_context(cafile=str(layout.run / "platform" / "ca.crt"))
    else:
        url = f"http://127.0.0.1:{layout.port('probe')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def start_program(layout: Layout, name: str, settings: dict[str, str]) -> None:
    """Start `operator` or `api`, or restart it when its program or a setting has changed."""
    argv = [sys.executable, "-m", "moorage", name]
    account = {"KUBECONFIG": str(identity.kubeconfig(layout, name))}
    processes.start(layout, name, argv, inside=services.places(layout).inside, env={**settings, **account})


def stop_programs(layout: Layout) -> None:
    """End operator and API where they are programs."""
    for name in PROGRAMS:
        processes.stop(layout, name, grace_seconds=10)


def _start(layout: Layout, settings: dict[str, str]) -> None:
    for name in PROGRAMS:
        start_program(layout, name, settings)
    for name in PROGRAMS:
        _wait_ready(layout, name)


def _wait_ready(layout: Layout, name: str) -> None:
    is_ready: Callable[[], bool] = lambda: ready(layout, name)  # noqa: E731 -- only to be handed on
    processes.wait(layout, name, is_ready, seconds=READY_SECONDS_MAX, what="its readiness")


def _images(layout: Layout) -> tuple[str, str]:
    if layout.external:
        return environment.image_names(layout)
    built = images.build(layout)
    present = set(node.ctr(layout, "images", "ls", "-q").split())
    for image in built:
        if image.name not in present:
            with progress.step(f"import the image {image.name}"):
                cluster.import_image(layout, image.archive)
    return built[0].name, built[1].name


def migrate(layout: Layout) -> None:
    """Bring the schema up to date, from the source tree."""
    inside = processes.enter(layout) if services.places(layout).inside else []
    wanted = {
        "PYTHONPATH": str(layout.root / "operator"),
        services.DATABASE_VARIABLE: services.database_url(layout, on_host=False),
    }
    processes.run([*inside, sys.executable, "-m", "moorage", "migrate"], env=wanted)
