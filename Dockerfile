# One recipe for every service. The environment chooses what a container runs: SERVICE which service,
# PROCESS whether its web service or its notifier, PORT where it listens (docs/serverless.md).
#
#   docker build --tag smart-gansu .
#   docker run --env SERVICE=commerce --env-file … --publish 8000:8000 smart-gansu
#
# Where packages come through an intercepting proxy, its certificate goes in as a secret, which no
# layer keeps; nothing else differs:  docker build --secret id=ca,src=/path/to/bundle.pem …

# Both of one Python; the first has a C compiler.
ARG BUILD=python:3.13
ARG PYTHON=python:3.13-slim

FROM ${BUILD} AS packages
COPY requirements/run.txt requirements/speed.txt /tmp/
# The pip that installs is not in what it installs into. What is compiled names no folder of the
# build, which differs each time.
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /tmp/pip \
    && python3 -m venv --without-pip /opt/venv \
    && CFLAGS=-g0 /tmp/pip/bin/python -m pip --python /opt/venv/bin/python install \
        --quiet --no-cache-dir --no-compile --disable-pip-version-check \
        --require-hashes --requirement /tmp/run.txt --requirement /tmp/speed.txt
# Half of their size is never read: where the world's telephone numbers are and whose network they
# are of (identity asks whether there can be one), AWS's services but for the store and those that
# boto3 gets credentials from, the packages' own tests, and the symbols of the two largest libraries.
# A path that is no longer there fails.
# What remains is compiled, as nothing can be written later; without times, each build is the same.
RUN rm -r /opt/venv/lib/python3*/site-packages/phonenumbers/geodata \
        /opt/venv/lib/python3*/site-packages/phonenumbers/carrierdata \
    && find /opt/venv/lib/python3*/site-packages/botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} + \
    && find /opt/venv/lib -depth -type d -name tests -exec rm -r {} + \
    && strip --strip-unneeded /opt/venv/lib/python3*/site-packages/tantivy/tantivy.abi3.so \
        /opt/venv/lib/python3*/site-packages/cryptography/hazmat/bindings/_rust.abi3.so \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${PYTHON} AS service
RUN groupadd --gid 10001 gansu \
    && useradd --uid 10001 --gid gansu --no-create-home --home-dir /nonexistent gansu \
    && install --directory --owner gansu --group gansu /var/lib/gansu /var/lib/gansu/replicas
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/gansu
COPY data/reference data/reference
COPY infra/__init__.py infra/container.py infra/gunicorn.conf.py infra/
COPY shared shared
COPY services services
# Everything is imported once: whatever is missing fails here, and Python leaves the bytecode of what
# is used of its own library, which its images come without; a start would compile it each time.
RUN /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash infra shared services \
    && /opt/venv/bin/python -c "\
import gunicorn.app.wsgiapp, infra.container, shared.assembly, shared.notices.program, shared.web.greenlets;\
from importlib import import_module as load;\
from pathlib import Path;\
[load(f'services.{each.parent.name}.app') for each in Path('services').glob('*/app.py')]"

# The container may run with a read-only root; only replicas are written, and lost at will.
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENV SERVICE=commerce
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM

# Alive, not ready: a store that is down must not have every container killed for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-m", "infra.container", "check"]

# Until Python has begun, a stop would be spared process 1; so it waits for it (infra/container.py).
CMD ["/usr/bin/env", "--block-signal=TERM", "python", "-m", "infra.container"]

ARG PYTHON
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Smart Gansu" \
    org.opencontainers.image.description="A province's services; SERVICE and PROCESS choose which" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}" \
    org.opencontainers.image.base.name="docker.io/library/${PYTHON}"
