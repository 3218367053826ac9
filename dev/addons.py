"""What every cluster brings along: name service, volumes, and the three tiny images they need."""

import json
import string
import tempfile
from pathlib import Path

import yaml

from dev import node, oci, processes, progress
from dev.layout import Layout
from dev.trouble import Trouble

MANIFESTS = Path(__file__).parent / "manifests"
BUSYBOX = "localhost/busybox:1"
PAUSE = "localhost/pause:1"


def import_images(layout: Layout) -> None:
    """Bring the pause, busybox and CoreDNS images into containerd, if they are not there."""
    present = set(node.ctr(layout, "images", "ls", "-q").split())
    lacking = [image for image in _images(layout) if image.name not in present]
    if not lacking:
        return
    with progress.step(f"import {len(lacking)} small images"), tempfile.TemporaryDirectory(dir=layout.run) as folder:
        for number, image in enumerate(lacking):
            archive = Path(folder) / f"{number}.tar"
            oci.write(image, archive)
            node.ctr(layout, "images", "import", str(archive))


def manifests(layout: Layout) -> str:
    """The objects of name service and volumes, as YAML documents."""
    values = {
        "DNS_IP": layout.dns_ip,
        "FINGERPRINT": layout.bin.name,
        "VOLUMES": str(layout.run / "volumes"),
    }
    files = sorted(MANIFESTS.glob("*.yaml"))
    return "\n---\n".join(string.Template(file.read_text()).substitute(values) for file in files)


def start_provisioner(layout: Layout) -> None:
    """Start the volume provisioner; its namespace and settings must have been applied."""
    (layout.run / "volumes").mkdir(exist_ok=True, mode=0o711)
    settings = next(
        document["data"] for document in yaml.safe_load_all(manifests(layout)) if _is_provisioner_config(document)
    )
    config = layout.run / "local-path.json"
    config.write_text(json.dumps(json.loads(settings["config.json"])))
    helper = layout.run / "local-path-helper.yaml"
    helper.write_text(settings["helperPod.yaml"])
    argv = [str(layout.bin / "local-path-provisioner"), "start", f"--config={config}", f"--helper-pod-file={helper}"]
    argv += ["--namespace=local-path-storage", "--configmap-name=local-path-config", f"--helper-image={BUSYBOX}"]
    argv += [f"--kubeconfig={layout.kubeconfig_inside}", "--service-account-name=default"]
    environment = {"POD_NAMESPACE": "local-path-storage"}
    processes.start(layout, "local-path-provisioner", argv, inside=True, env=environment)


def busybox(layout: Layout) -> Path:
    """Debian's static busybox in the cache, taken out of its package without installing it.

    Installing it would throw the dynamic one off the machine: the packages exclude each other.
    """
    program = layout.cache / "busybox"
    if program.exists():
        return program
    layout.cache.mkdir(parents=True, exist_ok=True)
    with progress.step("fetch busybox"), tempfile.TemporaryDirectory(dir=layout.cache) as folder:
        _unpack_busybox(Path(folder))
        # Newer Debian keeps programs below /usr.
        places = (Path(folder) / "tree" / place / "busybox" for place in ("bin", "usr/bin"))
        next(place for place in places if place.exists()).replace(program)
    return program


def _unpack_busybox(folder: Path) -> None:
    download = ["env", f"--chdir={folder}", "apt-get", "download", "-q", "busybox-static"]
    try:
        try:
            processes.run(download)
        except Trouble:
            # A machine that never asked for the lists, or whose lists name a version that is gone.
            processes.run(["apt-get", "update", "-q"])
            processes.run(download)
        package = next(folder.glob("*.deb"))
        processes.run(["dpkg-deb", "-x", str(package), str(folder / "tree")])
    except Trouble as error:
        raise Trouble(f"Make `apt-get download busybox-static` work and try again: {error}") from error


def _images(layout: Layout) -> list[oci.Image]:
    box = busybox(layout)
    applets = [name for name in processes.run([str(box), "--list"]).split() if name != "busybox"]
    return [
        oci.Image(PAUSE, files={"pause": layout.bin / "pause"}, entrypoint=("/pause",)),
        oci.Image(
            BUSYBOX,
            files={"bin/busybox": box},
            links={f"bin/{name}": "busybox" for name in applets},
            texts={"etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "etc/group": "root:x:0:\n"},
            folders={"tmp": 0o1777},
        ),
        oci.Image(
            f"localhost/coredns:{layout.bin.name}",
            files={"coredns": layout.bin / "coredns"},
            entrypoint=("/coredns",),
        ),
    ]


def _is_provisioner_config(document: dict[str, dict[str, str]]) -> bool:
    return document.get("metadata", {}).get("name") == "local-path-config"
