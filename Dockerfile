# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/gridhub
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements-run.lock .
RUN /opt/gridhub/bin/pip install --require-hashes --only-binary=:all: -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY hub hub
COPY devices devices
# The build backend alone comes without a hash: it takes no part in the running program.
RUN /opt/gridhub/bin/pip install --no-deps .

FROM python:3.12-slim
RUN groupadd --gid 10001 gridhub \
 && useradd --uid 10001 --gid 10001 --home-dir /data --shell /usr/sbin/nologin gridhub \
 && install -d -o 10001 -g 10001 -m 0750 /data
COPY --from=build /opt/gridhub /opt/gridhub
COPY config /etc/gridhub
ENV PATH=/opt/gridhub/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRIDHUB_DATA_DIR=/data \
    GRIDHUB_API__HOST=0.0.0.0
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/healthz', timeout=2)"]
ENTRYPOINT ["gridhub"]
CMD ["run", "--config", "/etc/gridhub"]
