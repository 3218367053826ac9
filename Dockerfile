# The one image of the platform: operator, API, mover and command line are the same program with another argument.
# A release names the base by digest.
ARG BASE_IMAGE=python:3.11-slim

FROM ${BASE_IMAGE} AS dependencies
RUN command -v strip >/dev/null || { apt-get update && apt-get install --yes --no-install-recommends binutils; }
RUN python3 -m venv /opt/moorage
ENV PATH=/opt/moorage/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-image.lock /src/
RUN pip install --quiet --require-hashes -r /src/requirements-image.lock

# In a folder of its own, so that a change of our code changes one small layer and not the dependencies' large one.
FROM dependencies AS code
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
# The build backend comes from the lock, like everything else.
RUN pip install --quiet --no-build-isolation --no-deps --prefix /code .

# What runs as the platform cannot install anything. Of the hundreds of services that botocore and cloudflare describe we
# call three and four, and half of the compiled modules' size is symbols for debuggers.
FROM dependencies AS runtime
RUN cd /opt/moorage/lib/python3*/site-packages && \
    find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 ! -name kms ! -name sts -exec rm -r {} + && \
    find cloudflare/resources cloudflare/types -mindepth 1 -maxdepth 1 -type d -regextype posix-extended ! -regex \
        '.*/(__pycache__|zones|dns|custom_hostnames|origin_ca_certificates|analytics_query|rules|shared.*|ssl)' \
        -exec rm -r {} + && \
    find . -type f \( -name '*.c' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' -o -name '*.pyi' \) -delete && \
    rm -r acme/_internal/tests aioitertools/tests && \
    find . -name '*.so*' -exec strip --strip-unneeded {} + && \
    pip uninstall --quiet --yes hatchling packaging pathspec pluggy trove-classifiers setuptools pip

FROM ${BASE_IMAGE} AS root
# What the mover calls; a base image that has them already needs no package server.
RUN for tool in tar zstd setfacl getfattr; do command -v "$tool" >/dev/null || missing="$missing $tool"; done; \
    [ -z "$missing" ] || { apt-get update && apt-get install --yes --no-install-recommends tar zstd acl attr; }
COPY image/slim.sh /tmp/slim.sh
RUN sh /tmp/slim.sh

FROM scratch
COPY --from=root / /
COPY --from=runtime /opt/moorage /opt/moorage
COPY --from=code /code /opt/moorage
ENV PATH=/opt/moorage/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /
USER 10001:10001
ENTRYPOINT ["python", "-m", "moorage"]
LABEL org.opencontainers.image.title="Moorage" \
    org.opencontainers.image.description="Operator, API, mover and command line of Moorage" \
    org.opencontainers.image.licenses="Apache-2.0"
