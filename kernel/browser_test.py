"""Widgets in JupyterLab, in a real Chromium: a slider and a button made by a cell reach it while it runs."""
import json
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 1000  # in Playwright's milliseconds

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed; install it with: docker/steps/chromium.sh")

CELL = """import (
	"fmt"
	"time"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

strength := widgets.Slider(0, 100, 50).WithHtmlId("strength").Done()
stop := widgets.Button("Stop").WithHtmlId("stop").Done()
stopped := stop.Listen()
training: for step := 0; ; step++ {
	select {
	case <-stopped.C:
		fmt.Println("stopped with strength", strength.Value())
		break training
	case <-time.After(50 * time.Millisecond):
	}
}"""


@pytest.fixture
def notebook(tmp_path, lab):
    """The address of a notebook of one cell."""
    work = tmp_path / "work"
    work.mkdir()
    cell = {"cell_type": "code", "id": "c1", "metadata": {}, "source": CELL, "outputs": [], "execution_count": None}
    kernelspec = {"name": "lohakit", "display_name": "Go (lohakit)", "language": "go"}
    (work / "widgets.ipynb").write_text(json.dumps({
        "cells": [cell], "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}))
    return lab(work)("widgets.ipynb")


def test_a_slider_and_a_button_reach_the_running_cell(notebook):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        page = browser.new_page()
        page.goto(notebook)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120 * SECONDS)
        page.wait_for_selector("text=Go (lohakit) | Idle", timeout=120 * SECONDS)  # the kernel, not only the page, is ready
        page.click(".jp-Notebook .jp-CodeCell .jp-InputArea-editor")
        page.keyboard.press("Shift+Enter")
        slider = page.wait_for_selector("#strength", timeout=120 * SECONDS)
        page.wait_for_selector("#stop", timeout=60 * SECONDS)
        page.wait_for_timeout(2 * SECONDS)
        slider.evaluate("e => { e.value = 73; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); }")
        page.wait_for_timeout(1 * SECONDS)
        # Not page.click: the page may move the button between looking for it and pressing where it was.
        page.locator("#stop").evaluate("e => e.click()")
        page.wait_for_function("() => [...document.querySelectorAll('.jp-OutputArea-output')]"
                               ".some(e => e.innerText.includes('stopped with strength 73'))", timeout=60 * SECONDS)
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
        assert errors.count() == 0, errors.first.inner_text()
        browser.close()
