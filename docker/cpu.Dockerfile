# JupyterLab with the Go kernel and lohakit, on the CPU. Build from the repository's root: docker build -f docker/cpu.Dockerfile -t lohakit:cpu .
# The steps are those of make setup, which the tests run on a bare machine too.
FROM golang:1.26-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 lohakit
USER lohakit
WORKDIR /home/lohakit/notebook
COPY --chown=lohakit . .
RUN make setup

EXPOSE 8888
# Inside a container the server has to listen beyond loopback; compose.yaml publishes the port on the host's loopback only.
CMD [".venv/bin/jupyter", "lab", "--ip", "0.0.0.0", "--no-browser", "--LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb"]
