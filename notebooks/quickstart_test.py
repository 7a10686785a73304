"""Runs the quick start without a browser, as make quickstart does, and looks into the page it makes."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def test_quickstart_html(tmp_path):
    subprocess.run([sys.executable, "-m", "nbconvert", "--execute", "--to", "html", "--output-dir", str(tmp_path),
                    str(ROOT / "notebooks" / "00_quickstart.ipynb")], check=True, timeout=1200)
    page = (tmp_path / "00_quickstart.html").read_text()
    images = re.findall(r'<img[^>]+src="data:image/png;base64,[^"]{1000,}"', page)
    assert len(images) >= 6, f"{len(images)} images"
    text = re.sub(r"<[^>]+>", "", page)
    assert re.search(r"step 120/120\s+loss 0\.\d+", text), "the last line of the progress bar"
    assert "Traceback" not in text and "CompileError" not in text
