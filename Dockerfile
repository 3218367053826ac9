# The one image of the platform: operator, API, mover and command line are the same program with another argument.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
RUN python3 -m venv /opt/moorage
ENV PATH=/opt/moorage/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-image.lock .
RUN pip install --quiet --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
# The build backend is pinned in the lock like everything else, and leaves again with the installers: what runs as the
# platform cannot install anything.
RUN pip install --quiet --no-build-isolation --no-deps . \
    && pip uninstall --quiet --yes hatchling packaging pathspec pluggy trove-classifiers setuptools pip

FROM ${BASE_IMAGE}
# What the mover calls; a base image that has them already needs no package server.
RUN for tool in tar zstd setfacl getfattr; do command -v "$tool" >/dev/null || missing="$missing $tool"; done; \
    [ -z "$missing" ] || { apt-get update && apt-get install --yes --no-install-recommends tar zstd acl attr \
    && rm -rf /var/lib/apt/lists/*; }
COPY --from=build /opt/moorage /opt/moorage
ENV PATH=/opt/moorage/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /
USER 10001:10001
ENTRYPOINT ["python", "-m", "moorage"]
