"""What the tests in a browser share: a JupyterLab."""
import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest

TRIES = 5  # JupyterLab closes the port that it found before it binds it, so another program may get in between
TOKEN = "a-test"


@pytest.fixture
def lab(tmp_path):
    """Call it with a folder and more environment: a JupyterLab on 127.0.0.1 serves the folder until the test ends. Returns a
    function from a notebook's name to its address."""
    with contextlib.ExitStack() as ending:
        yield lambda folder, **more: ending.enter_context(serve(tmp_path, folder, more))


@contextlib.contextmanager
def serve(tmp_path, folder, more):
    runtime = tmp_path / "runtime"
    env = dict(os.environ, JUPYTER_RUNTIME_DIR=str(runtime), JUPYTER_CONFIG_DIR=str(tmp_path / "config"), **more)
    root = ["--allow-root"] if os.geteuid() == 0 else []
    for _ in range(TRIES):
        with open(tmp_path / "lab.log", "a") as log:
            server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip", "127.0.0.1", "--port", "0",
                                       "--IdentityProvider.token", TOKEN, "--ServerApp.root_dir", str(folder), *root],
                                      env=env, stdout=log, stderr=log)
        try:
            url = address(server, runtime / f"jpserver-{server.pid}.json")
            if url:
                yield lambda notebook: f"{url}lab/tree/{notebook}?token={TOKEN}"
                return
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
    raise RuntimeError((tmp_path / "lab.log").read_text())


def address(server, info):
    """The server's address once it answers; None when it has ended instead."""
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError, ValueError):
            url = json.loads(info.read_text())["url"]
            urllib.request.urlopen(f"{url}api?token={TOKEN}", timeout=5)
            return url
        time.sleep(0.2)
    return None
