# The same as cpu.Dockerfile, with the XLA CUDA plugin. Needs the NVIDIA container toolkit on the host: docker run --gpus all …
FROM golang:1.26-bookworm

RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 lohakit
USER lohakit
WORKDIR /home/lohakit/notebook
COPY --chown=lohakit . .
RUN make setup cuda

ENV LOHAKIT_DEVICE=cuda
EXPOSE 8888
CMD [".venv/bin/jupyter", "lab", "--ip", "0.0.0.0", "--no-browser", "--LabApp.default_url=/lab/tree/notebooks/00_quickstart.ipynb"]
