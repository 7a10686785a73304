"""gonbui's widgets and dom in JupyterLab, in a real Chromium: a slider, a button and a menu reach the cell that made them while it runs."""
import json
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 1000  # in Playwright's milliseconds

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed; install it with: docker/steps/chromium.sh")

TRAIN = """import (
	"errors"
	"fmt"
	"github.com/gomlx/gomlx/pkg/core/tensors"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/datasets"
	"github.com/gomlx/gomlx/pkg/ml/layers"
	"github.com/gomlx/gomlx/pkg/ml/train"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
	"github.com/janpfeifer/gonb/gonbui/widgets"
	"github.com/lohakit/notebook/lohakit/xla"
)

func line(ctx *context.Context, spec any, inputs []*Node) []*Node {
	return []*Node{layers.Dense(ctx, inputs[0], true, 1)}
}
backend := xla.Backend()
data := datasets.InMemoryFromData(backend, "line", []any{[][]float32{{1}, {2}, {3}, {4}}}, []any{[][]float32{{3}, {5}, {7}, {9}}})
data.Infinite(true).BatchSize(4, true)
loop := train.NewLoop(train.NewTrainer(backend, context.New(), line, losses.MeanSquaredError, optimizers.StochasticGradientDescent(), nil, nil))

strength := widgets.Slider(0, 100, 50).WithHtmlId("strength").Done()
stop := widgets.Button("Stop").WithHtmlId("stop").Done()
pressed := stop.Listen()
enough := errors.New("enough")
loop.OnStep("controls", 0, func(loop *train.Loop, _ []*tensors.Tensor) error {
	if loop.LoopStep == 10 {
		fmt.Println("training")
	}
	select {
	case <-pressed.C:
		return enough
	default:
		return nil
	}
})
_, err := loop.RunSteps(data, 1_000_000_000)
fmt.Println("stopped:", errors.Is(err, enough), "after a while:", loop.LoopStep > 10, "with strength", strength.Value())"""

DOM = """import (
	"fmt"
	"time"
	"github.com/janpfeifer/gonb/gonbui/dom"
	"github.com/janpfeifer/gonb/gonbui/widgets"
)

root := dom.CreateTransientDiv()
dom.Append(root, `<p id="note">one</p>`)
dom.SetInnerText("note", "two")
colour := widgets.Select([]string{"red", "green"}).AppendTo(root).WithHtmlId("colour").Done()
for colour.Value() != 1 {
	time.Sleep(20 * time.Millisecond)
}
fmt.Println("read back", dom.GetInnerHtml("note"), "and colour", colour.Value())
dom.SetInnerHtml("note", "<b>three</b>")
dom.Persist(root)"""


@pytest.fixture
def notebook(tmp_path, lab):
    """The address of a notebook of two cells."""
    work = tmp_path / "work"
    work.mkdir()
    cells = [{"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
             for i, source in enumerate([TRAIN, DOM])]
    kernelspec = {"name": "lohakit", "display_name": "Go (lohakit)", "language": "go"}
    (work / "widgets.ipynb").write_text(json.dumps({
        "cells": cells, "metadata": {"kernelspec": kernelspec}, "nbformat": 4, "nbformat_minor": 5}))
    return lab(work)("widgets.ipynb")


def test_controls_reach_the_running_cell(notebook):
    from playwright.sync_api import Error as PlaywrightError, sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"])
        page = browser.new_page()

        def wait_for(text):
            try:
                page.wait_for_function("text => [...document.querySelectorAll('.jp-OutputArea-output')].some(e => e.innerText.includes(text))",
                                       arg=text, timeout=120 * SECONDS)
            except PlaywrightError as problem:
                raise AssertionError(f"{text!r} is not among {page.locator('.jp-OutputArea-output').all_inner_texts()}") from problem

        page.goto(notebook)
        page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=120 * SECONDS)
        page.wait_for_selector("text=Go (lohakit) | Idle", timeout=120 * SECONDS)  # the kernel, not only the page, is ready
        page.click(".jp-Notebook .jp-CodeCell .jp-InputArea-editor")
        page.keyboard.press("Shift+Enter")
        wait_for("training")
        page.locator("#strength").evaluate("e => { e.value = 73; e.dispatchEvent(new Event('input')); e.dispatchEvent(new Event('change')); }")
        page.wait_for_timeout(1 * SECONDS)  # the slider's value may travel slower than the button's
        # Not page.click: the page may move the button between looking for it and pressing where it was.
        page.locator("#stop").evaluate("e => e.click()")
        wait_for("stopped: true after a while: true with strength 73")

        page.keyboard.press("Shift+Enter")  # the next cell is selected by now
        menu = page.locator("#colour")
        menu.wait_for(timeout=60 * SECONDS)
        page.wait_for_timeout(1 * SECONDS)  # until the script beside it listens
        menu.select_option("1")
        wait_for("read back two and colour 1")
        page.wait_for_selector("#note b:has-text('three')", timeout=60 * SECONDS)
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
        assert errors.count() == 0, errors.first.inner_text()
        browser.close()
