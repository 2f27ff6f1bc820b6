# One recipe for every service; SERVICE chooses which one a container runs.
#
#   docker build --tag smart-gansu .
#   docker run --env SERVICE=commerce --env-file … --publish 8000:8000 smart-gansu
#
# Where packages come through an intercepting proxy, its certificate goes in as a secret, which no
# layer keeps:  docker build --secret id=ca,src=/path/to/bundle.pem …

# Both of one Python; the first has a C compiler.
ARG BUILD=python:3.13
ARG PYTHON=python:3.13-slim

FROM ${BUILD} AS packages
COPY requirements/run.txt requirements/speed.txt /tmp/
RUN --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes --requirement /tmp/run.txt --requirement /tmp/speed.txt \
    && /opt/venv/bin/python -m pip uninstall --quiet --yes pip

FROM ${PYTHON} AS service
RUN groupadd --gid 10001 gansu \
    && useradd --uid 10001 --gid gansu --no-create-home --home-dir /nonexistent gansu \
    && install --directory --owner gansu --group gansu /var/lib/gansu /var/lib/gansu/replicas
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/gansu
COPY data/reference data/reference
COPY infra/gunicorn.conf.py infra/
COPY shared shared
COPY services services
RUN /opt/venv/bin/python -m compileall -q shared services

# The container may run with a read-only root; only replicas are written, and lost at will.
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
ENV SERVICE=commerce BIND=0.0.0.0:8000
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM

# Alive, not ready: a store that is down must not have every container killed for it.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "\
from http.client import HTTPConnection\n\
from os import environ\n\
service = HTTPConnection('127.0.0.1', int(environ['BIND'].rpartition(':')[2]), timeout=2)\n\
service.request('GET', '/' + environ['SERVICE'] + '/health/live')\n\
raise SystemExit(service.getresponse().status != 200)"]

# The shell only puts the names in, and is replaced: gunicorn gets the signals.
CMD ["/bin/sh", "-c", "exec python -m gunicorn --config infra/gunicorn.conf.py --bind $BIND services.$SERVICE.wsgi:app"]
