# The add-on's image:  docker build --tag aksp:0.1.0 .
# Two builders, then nothing but Python, the packages and the engine. No shell is needed to run it.

FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS engine
ARG TARGETOS=linux
ARG TARGETARCH
WORKDIR /source/engine
COPY engine/go.mod engine/go.sum ./
RUN go mod download
COPY engine/ ./
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w" -o /aksp-engine .

FROM python:3.13-slim-bookworm AS packages
WORKDIR /source
COPY pyproject.toml setup.py README.md MANIFEST.in ./
COPY aksp/ aksp/
COPY definitions/ definitions/
# aksp/crds is a link to it.
COPY charts/aksp/files/crds/ charts/aksp/files/crds/
# aksp/model/kinds.json is a link to it.
COPY engine/kinds.json engine/kinds.json
# Without Go in this stage setup.py takes the engine that is there.
COPY --from=engine /aksp-engine aksp/_bin/aksp-engine
# The environment is made where it will be, for its paths are absolute.
RUN python -m venv --without-pip /opt/aksp \
    && python -m pip --python /opt/aksp install --no-cache-dir --no-compile ".[addon]" \
    && python -m compileall -q -j 0 /opt/aksp/lib

FROM python:3.13-slim-bookworm
COPY --from=packages /opt/aksp /opt/aksp
ENV PATH=/opt/aksp/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 65532:65532
WORKDIR /tmp
EXPOSE 8443 8080
ENTRYPOINT ["/opt/aksp/bin/aksp"]
CMD ["addon", "run"]
