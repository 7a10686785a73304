"""Runs the notebooks without a browser, as make quickstart does, and looks into the pages they make."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name, least, says", [
    ("00_quickstart", 6, r"step 120/120\s+loss 0\.\d+"),  # the last line of the progress bar
    ("01_world", 9, r"ChilloutMix\s.* hair, "),  # the last line but few of the judge's table
])
def test_notebook(tmp_path, name, least, says):
    work = tmp_path / "notebooks"  # in a copy: notebooks write files
    shutil.copytree(ROOT / "notebooks", work)
    env = {"LOHAKIT_WORLD": str(ROOT / "lohakit" / "world" / "models"), "PJRT_PLUGIN_LIBRARY_PATH": str(ROOT / ".xla")}
    subprocess.run([sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "--output-dir", str(tmp_path), str(work / f"{name}.ipynb")],
                   check=True, timeout=1200, env={**os.environ, **env})
    page = (tmp_path / f"{name}.html").read_text()
    images = re.findall(r'<img[^>]+src="data:image/png;base64,[^"]{1000,}"', page)
    assert len(images) >= least, f"{len(images)} images"
    text = re.sub(r"<[^>]+>", "", page)
    assert re.search(says, text)
    assert "Traceback" not in text and "CompileError" not in text
