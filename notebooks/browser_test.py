"""Opens the quick start in JupyterLab in a real Chromium, runs all cells, and looks at what a reader would see."""
import json
import pathlib
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MINUTES = 60 * 1000  # in Playwright's milliseconds

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed; install it with: docker/steps/chromium.sh")


@pytest.fixture
def quickstart(tmp_path, lab):
    """The address of a copy of the notebook, because Lab saves what it runs."""
    work = tmp_path / "notebooks"
    shutil.copytree(ROOT / "notebooks", work)
    settings = tmp_path / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    # Every cell in the page at once, so that the test can see those that are scrolled out of sight.
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))
    return lab(work, JUPYTERLAB_SETTINGS_DIR=str(tmp_path / "settings"), LOHAKIT_WORLD=str(ROOT / "lohakit" / "world" / "models"),
               PJRT_PLUGIN_LIBRARY_PATH=str(ROOT / ".xla"))("00_quickstart.ipynb")


def run_all(page):
    """Chooses Run All Cells, again if nothing has come of it: while Lab is still opening the notebook it drops the command, or asks
    something first."""
    begun = "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].some(p => /\\[[*\\d]+\\]/.test(p.textContent))"
    for _ in range(12):
        if page.locator(".jp-Dialog .jp-mod-accept").count():
            page.locator(".jp-Dialog .jp-mod-accept").first.click()
        page.click("text=Run >> nth=0")
        page.click(".lm-Menu-item:has-text('Run All Cells') >> nth=0")
        for _ in range(20):
            if page.evaluate(begun):
                return
            page.wait_for_timeout(500)
    raise AssertionError("no cell began to run within two minutes")


def test_quickstart_in_browser(quickstart):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        page = browser.new_page(viewport={"width": 1280, "height": 1600})
        problems = []
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.goto(quickstart)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=2 * MINUTES)
        page.wait_for_selector("[data-status='idle'], .jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=2 * MINUTES)
        cells = page.locator(".jp-Notebook .jp-CodeCell")
        written = json.loads((ROOT / "notebooks" / "00_quickstart.ipynb").read_text())["cells"]
        total = sum(cell["cell_type"] == "code" for cell in written)
        page.wait_for_function("n => document.querySelectorAll('.jp-Notebook .jp-CodeCell').length == n", arg=total, timeout=2 * MINUTES)

        run_all(page)
        last = cells.nth(total - 1).locator(".jp-InputPrompt")
        page.wait_for_function("e => /\\[\\d+\\]/.test(e.textContent)", arg=last.element_handle(), timeout=15 * MINUTES)

        prompts = [cells.nth(i).locator(".jp-InputPrompt").inner_text() for i in range(total)]
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
        assert errors.count() == 0, errors.first.inner_text()
        assert all(p.strip("[]: ").isdigit() for p in prompts), prompts
        shown = page.evaluate("""() => [...document.querySelectorAll('.jp-OutputArea img')]
            .filter(i => i.complete && i.naturalWidth > 0 && i.getBoundingClientRect().width > 0).length""")
        (ROOT / ".build").mkdir(exist_ok=True)
        page.screenshot(path=ROOT / ".build" / "quickstart.png", full_page=True)
        assert shown >= 6, f"{shown} images are visible"
        assert not problems, problems
        browser.close()
