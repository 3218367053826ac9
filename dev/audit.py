"""Ask the public list of known weaknesses about every package in the platform's image; no answer is no failure."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from dev import progress

LOCK = Path(__file__).resolve().parent.parent / "requirements-image.lock"
SECONDS_MAX = 90
COMMAND = ("pip_audit", "--disable-pip", "--no-deps", "--format=json", "--progress-spinner=off", "--timeout=10")


def main() -> int:
    """Print what was found; 1 only when a package has a known weakness."""
    try:
        argv = [sys.executable, "-m", *COMMAND, f"--requirement={LOCK}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        progress.say("not reachable: nobody answered about known weaknesses")
        return 0
    sentence, weak = verdict(answer)
    progress.say(sentence)
    return 1 if weak else 0


def verdict(answer: dict[str, Any]) -> tuple[str, bool]:  # Any: pip-audit's own format
    """A sentence, and whether it is bad news."""
    packages = answer["dependencies"]
    weak = {package["name"]: [item["id"] for item in package["vulns"]] for package in packages if package.get("vulns")}
    if weak:
        return "; ".join(f"{name}: {', '.join(ids)}" for name, ids in sorted(weak.items())), True
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return "not reachable: the index behind pip knows no weaknesses", False
    return f"{len(asked)} of {len(packages)} packages asked about, no known weakness", False


if __name__ == "__main__":
    sys.exit(main())
