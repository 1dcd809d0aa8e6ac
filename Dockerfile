# One image for the worker and the scripted model server; docker-compose.yml runs both.
FROM python:3.12.14-slim-trixie AS packages

# What a worker needs, and all extras.
COPY requirements/image.lock .
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --only-binary :all: --require-hashes --requirement image.lock


FROM python:3.12.14-slim-trixie

# The id that owns the documents which runs read and write on the host.
ARG HOLDFAST_UID=1000
RUN useradd --uid "${HOLDFAST_UID}" --create-home holdfast \
    && install --directory --owner=holdfast /var/lib/holdfast

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOLDFAST_HOME=/var/lib/holdfast \
    HOLDFAST_NO_BOOTSTRAP=1

COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY bootstrap.py starter.py worker.py deploy/healthcheck.py ./
COPY activities/ activities/
COPY docs/ docs/
COPY holdfast/ holdfast/
COPY workflows/ workflows/
RUN python -m compileall -q .

USER holdfast
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --start-interval=3s CMD ["python", "healthcheck.py"]
# No shell between Docker and the worker, so that SIGTERM ends it in order.
ENTRYPOINT ["python", "worker.py"]
