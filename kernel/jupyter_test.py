"""Drives the installed kernel as notebooks do: the conformance suite jupyter_kernel_test, and what it does not cover.

    python kernel/jupyter_test.py [TEST ...]

The kernel must be installed where jupyter_client finds it (kernel install --sys-prefix).
"""
import base64
import os
import queue
import signal
import subprocess
import tempfile
import time
import unittest

import jupyter_kernel_test
from jupyter_client.connect import write_connection_file
from jupyter_client.manager import start_new_kernel

KERNEL = "lohakit"
SUITE = 13  # tests in jupyter_kernel_test 0.7.0

GOMLX = r"""import (
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/ml/context"
	"github.com/gomlx/gomlx/pkg/ml/datasets"
	"github.com/gomlx/gomlx/pkg/ml/layers"
	"github.com/gomlx/gomlx/pkg/ml/train"
	"github.com/gomlx/gomlx/pkg/ml/train/losses"
	"github.com/gomlx/gomlx/pkg/ml/train/optimizers"
	"github.com/gomlx/gomlx/ui/commandline"
	"github.com/gomlx/gomlx/ui/gonb/margaid"
	"github.com/lohakit/notebook/lohakit/xla"
)

backend, err := xla.Backend()
if err != nil {
	panic(err)
}
func line(ctx *context.Context, spec any, inputs []*Node) []*Node {
	return []*Node{layers.Dense(ctx, inputs[0], true, 1)}
}
data, err := datasets.InMemoryFromData(backend, "line", []any{[][]float32{{1}, {2}, {3}, {4}}}, []any{[][]float32{{3}, {5}, {7}, {9}}})
if err != nil {
	panic(err)
}
data.Infinite(true).BatchSize(4, true)
trainer := train.NewTrainer(backend, context.New(), line, losses.MeanSquaredError, optimizers.StochasticGradientDescent(), nil, nil)
loop := train.NewLoop(trainer)
commandline.AttachProgressBar(loop)
plots := margaid.New(400, 300)
plots.PlotEveryNSteps(loop, 10)
plots.DynamicUpdates()
_, err = loop.RunSteps(data, 60)
fmt.Println("\ntrained", err)
plots.Plot()"""


def start(**options):
    """A kernel that is ready, its manager and a client. jupyter_client closes the ports that it found before the kernel binds
    them, so another program may get in between; then other ports are tried."""
    for left in reversed(range(5)):
        try:
            return start_new_kernel(kernel_name=KERNEL, startup_timeout=120, **options)
        except RuntimeError:
            if not left:
                raise


class Conformance(jupyter_kernel_test.KernelTests):
    """jupyter_kernel_test with a sample for every attribute, so that nothing is skipped."""

    @classmethod
    def setUpClass(cls):
        cls.km, cls.kc = start()

    kernel_name = KERNEL
    language_name = "go"
    file_extension = ".go"
    code_hello_world = 'import "fmt"\nfmt.Println("hello, world")'
    code_stderr = 'import ("fmt"; "os")\nfmt.Fprintln(os.Stderr, "oops")'
    completion_samples = [{"text": "fmt.Sprintl", "matches": ["Sprintln"]}, {"text": "fmt.Fscanl", "matches": ["Fscanln"]}]
    complete_code_samples = ["x := 1", "func f() int {\n\treturn 1\n}", 'import "fmt"', "1 + 2"]
    incomplete_code_samples = ["func f() int {", "x := []int{", "for i := range 3 {\n\tprintln(i)"]
    invalid_code_samples = ["x := ))", "func func"]
    code_page_something = "fmt.Println?"
    code_generate_error = "undefinedName + 1"
    code_execute_result = [
        {"code": "1 + 2 + 3", "result": "6"},
        {"code": "[]int{1, 2, 4}", "result": "[1 2 4]"},
        {"code": "7 * 6", "result": "42"},
    ]
    code_display_data = [
        {"code": 'import "github.com/janpfeifer/gonb/gonbui"\ngonbui.DisplayHTML("<b>bold</b>")', "mime": "text/html"},
        {"code": 'import "github.com/janpfeifer/gonb/gonbui"\ngonbui.DisplayMarkdown("**bold**")', "mime": "text/plain"},
        {
            "code": 'import ("image"; "github.com/janpfeifer/gonb/gonbui")\n_ = gonbui.DisplayImage(image.NewGray(image.Rect(0, 0, 8, 8)))',
            "mime": "image/png",
        },
    ]
    code_history_pattern = "1?+?2*"
    supported_history_operations = ("tail", "range", "search")
    code_inspect_sample = "fmt.Println"
    code_clear_output = (
        'import ("github.com/janpfeifer/gonb/gonbui"; "github.com/janpfeifer/gonb/gonbui/protocol")\n'
        'gonbui.SendData(&protocol.DisplayData{Data: map[protocol.MIMEType]any{"gonb/clear_output": false}})'
    )

class Welcome(jupyter_kernel_test.IopubWelcomeTests):
    """The suite's thirteenth test, which starts a kernel of its own."""

    kernel_name = KERNEL
    support_iopub_welcome = True

    @classmethod
    def setUpClass(cls):
        cls.km, client = start()
        client.stop_channels()
        cls.kc = cls.km.client()


class Notebook(unittest.TestCase):
    """Whole cells through the real worker."""

    @classmethod
    def setUpClass(cls):
        cls.manager, cls.client = start()

    @classmethod
    def tearDownClass(cls):
        cls.client.stop_channels()
        cls.manager.shutdown_kernel(now=False)

    def send(self, code, **options):
        return self.client.execute(code, **options)

    def collect(self, request, timeout=60):
        """The iopub messages of a request up to its idle, without the statuses."""
        messages = []
        deadline = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.1, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    return messages
            elif message["msg_type"] != "execute_input":
                messages.append(message)

    def reply(self, request, timeout=60):
        while True:
            message = self.client.get_shell_msg(timeout=timeout)
            if message["parent_header"].get("msg_id") == request:
                return message["content"]

    def run_cell(self, code, timeout=60, **options):
        """The reply and the messages of a cell."""
        request = self.send(code, **options)
        messages = self.collect(request, timeout)
        return self.reply(request), messages

    def text(self, messages, name="stdout"):
        return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream" and m["content"]["name"] == name)

    def value(self, code):
        reply, messages = self.run_cell(code)
        self.assertEqual(reply["status"], "ok", reply)
        return [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "execute_result"][-1]

    def interrupt(self):
        self.client.control_channel.send(self.client.session.msg("interrupt_request"))

    def test_state_lives_across_cells(self):
        self.run_cell("counter := 40")
        self.run_cell("func bump() { counter++ }")
        self.run_cell("bump(); bump()")
        self.assertEqual(self.value("counter"), "42")

    def test_text_and_pictures_keep_their_order(self):
        _, messages = self.run_cell(
            'import ("fmt"; "github.com/janpfeifer/gonb/gonbui")\n'
            'for i := range 5 {\n\tfmt.Println("text", i)\n\tgonbui.DisplayHTML(fmt.Sprint("html ", i))\n\tgonbui.Sync()\n}'
        )
        shown = [m["content"].get("text") or m["content"]["data"]["text/html"] for m in messages]
        self.assertEqual("".join(shown), "".join(f"text {i}\nhtml {i}" for i in range(5)))

    def test_errors_name_the_cells_line(self):
        reply, messages = self.run_cell("a := 1\n_ = a\nb := unknown(a)\n_ = b")
        self.assertEqual(reply["status"], "error")
        self.assertIn("3", "".join(reply["traceback"]))
        self.assertEqual([m["msg_type"] for m in messages], ["error"])

    def test_a_panic_is_survived(self):
        self.run_cell("kept := 7")
        reply, _ = self.run_cell("var none []int\n_ = none[3]")
        self.assertEqual(reply["status"], "error")
        self.assertIn("index out of range", reply["evalue"])
        self.assertEqual(self.value("kept"), "7")

    def test_interrupts_keep_the_state(self):
        self.run_cell("kept2 := 8")
        for code in ["for {\n}", 'import "time"\ntime.Sleep(time.Hour)', "select {}", "never := make(chan int)\n<-never"]:
            with self.subTest(code=code):
                request = self.send(code)
                while self.client.get_iopub_msg(timeout=30)["msg_type"] != "execute_input":
                    pass
                time.sleep(1.5)
                began = time.monotonic()
                self.interrupt()
                self.collect(request)
                self.assertEqual(self.reply(request)["status"], "error")
                self.assertLess(time.monotonic() - began, 10)
                self.assertEqual(self.value("kept2"), "8")

    def test_interrupt_by_signal(self):
        request = self.send('import "time"\ntime.Sleep(time.Hour)')
        while self.client.get_iopub_msg(timeout=30)["msg_type"] != "execute_input":
            pass
        time.sleep(1.5)
        os.kill(self.manager.provisioner.pid, signal.SIGINT)
        self.collect(request)
        self.assertEqual(self.reply(request)["status"], "error")

    def test_the_end_of_the_worker(self):
        for code in ['import "os"\nos.Exit(3)', "func deep(n int) int { return deep(n+1) + 1 }\ndeep(0)"]:
            with self.subTest(code=code):
                reply, _ = self.run_cell(code, timeout=120)
                self.assertEqual(reply["status"], "error")
                self.assertEqual(self.value("2 + 2"), "4")

    def test_a_million_lines(self):
        _, messages = self.run_cell('import "fmt"\nfor i := range 1000000 { fmt.Println(i) }', timeout=120)
        text = self.text(messages)
        self.assertTrue(text.startswith("0\n1\n2\n"))
        self.assertTrue(text.endswith("999998\n999999\n"))

    def test_goroutines_print_after_their_cell(self):
        request = self.send('import ("fmt"; "time")\ngo func() { time.Sleep(time.Second); fmt.Println("late") }()')
        self.collect(request)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            if message["msg_type"] == "stream" and "late" in message["content"]["text"]:
                self.assertEqual(message["parent_header"]["msg_id"], request)
                return
        self.fail("the goroutine's output did not arrive")

    def test_an_image_is_shown_as_png(self):
        _, messages = self.run_cell('import "image"\nimage.NewGray(image.Rect(0, 0, 4, 4))')
        data = messages[-1]["content"]["data"]
        self.assertTrue(base64.b64decode(data["image/png"]).startswith(b"\x89PNG"))
        self.assertIn("text/plain", data)

    def test_user_expressions(self):
        self.run_cell("ue := 20")
        request = self.send("", user_expressions={"twice": "ue * 2", "bad": "nothing"})
        reply = self.reply(request)
        self.assertEqual(reply["user_expressions"]["twice"]["data"]["text/plain"], "40")
        self.assertEqual(reply["user_expressions"]["bad"]["status"], "error")

    def test_input(self):
        request = self.send(
            'import ("bufio"; "fmt"; "os"; "github.com/janpfeifer/gonb/gonbui")\n'
            'gonbui.RequestInput("name? ", false)\nline, _ := bufio.NewReader(os.Stdin).ReadString(\'\\n\')\nfmt.Print("got ", line)',
            allow_stdin=True,
        )
        question = self.client.get_stdin_msg(timeout=30)
        self.assertEqual(question["content"]["prompt"], "name? ")
        with self.assertRaises(queue.Empty):  # the read that follows is no other question
            self.client.get_stdin_msg(timeout=1)
        self.client.input("Ada")
        self.assertIn("got Ada", self.text(self.collect(request)))
        self.reply(request)

    def test_an_interrupted_question_leaves_no_answer(self):
        read = "line, _ := bufio.NewReader(os.Stdin).ReadString('\\n')\nfmt.Print(\"got \", line)"
        request = self.send(
            'import ("bufio"; "fmt"; "os"; "github.com/janpfeifer/gonb/gonbui")\ngonbui.RequestInput("first? ", false)\n' + read,
            allow_stdin=True,
        )
        self.client.get_stdin_msg(timeout=30)
        time.sleep(0.5)
        self.interrupt()
        self.collect(request)
        self.assertEqual(self.reply(request)["ename"], "Interrupted")
        request = self.send(read, allow_stdin=True)
        self.client.get_stdin_msg(timeout=30)
        self.client.input("Eve")
        self.assertEqual(self.text(self.collect(request)), "got Eve\n")
        self.reply(request)

    def test_a_slider_reaches_the_running_cell(self):
        request = self.send(
            'import ("fmt"; "github.com/janpfeifer/gonb/gonbui/comms")\n'
            'moves := comms.Listen[int]("/strength")\ncomms.Send("/ready", 1)\nfmt.Println("strength", <-moves.C)'
        )
        comm = "page-1"

        def page(kind, content):
            self.client.shell_channel.send(self.client.session.msg(kind, content))

        while True:
            message = self.client.get_iopub_msg(timeout=30)
            content = message["content"]
            if "gonb_comm" in str(content.get("data", {}).get("text/html", "") if message["msg_type"].endswith("display_data") else ""):
                page("comm_open", {"comm_id": comm, "target_name": "gonb_comm", "data": {}})
            if message["msg_type"] == "comm_msg" and content["data"]["address"] == "/ready":
                self.assertEqual(message["parent_header"]["msg_id"], request)
                page("comm_msg", {"comm_id": comm, "data": {"address": "/strength", "value": 9}})
                break
        self.assertEqual(self.text(self.collect(request)), "strength 9\n")
        self.reply(request)
        page("comm_close", {"comm_id": comm, "data": {}})

    def test_everything_rich_has_a_fallback(self):
        _, messages = self.run_cell(
            'import "github.com/janpfeifer/gonb/gonbui"\n'
            'gonbui.DisplayHTML("<i>h</i>"); gonbui.DisplayMarkdown("m"); gonbui.DisplaySVG("<svg><title>t</title></svg>")\n'
            'gonbui.UpdateHTML("id", "one")'
        )
        self.assertEqual(len(messages), 4)
        for message in messages:
            self.assertIn("text/plain", message["content"]["data"])

    def test_input_that_nobody_can_give_ends_the_cell(self):
        reply, _ = self.run_cell('import ("bufio"; "os")\nbufio.NewReader(os.Stdin).ReadString(10)', allow_stdin=False)
        self.assertEqual(reply["ename"], "InputError")
        self.assertEqual(self.value("1 + 1"), "2")

    def test_widgets_without_a_browser_keep_their_first_value(self):
        reply, messages = self.run_cell(
            'import ("fmt"; "github.com/janpfeifer/gonb/gonbui/widgets")\n'
            'slider := widgets.Slider(0, 10, 4).Done()\nwidgets.Button("go").Done()\nfmt.Println("strength", slider.Value())'
        )
        self.assertEqual(reply["status"], "ok", reply)
        self.assertEqual(self.text(messages), "strength 4\n")

    def test_plotly_and_dom(self):
        reply, messages = self.run_cell(
            'import (\n"github.com/janpfeifer/gonb/gonbui/dom"\n"github.com/janpfeifer/gonb/gonbui/plotly"\n)\n'
            'plotly.DisplayFigAsJSON([]byte(`{"data": [{"type": "bar", "x": [1, 2], "y": [3, 4]}]}`))\n'
            'root := dom.CreateTransientDiv()\ndom.Append(root, "<p>note</p>")\ndom.SendAsDownload("a.txt", []byte("hi"), "text/plain")',
            timeout=120,
        )
        self.assertEqual(reply["status"], "ok", reply)
        shown = "".join(m["content"]["data"].get("text/html", "") for m in messages if m["msg_type"].endswith("display_data"))
        for part in ["Plotly", '"bar"', "insertAdjacentHTML", "<p>note</p>", "a.txt"]:
            self.assertIn(part, shown)

    def test_gomlx_plots_and_progress(self):
        """GoMLX trains with its own progress bar and its own plot, unchanged."""
        reply, messages = self.run_cell(GOMLX, timeout=180)
        self.assertEqual(reply["status"], "ok", reply)
        text = self.text(messages)
        self.assertIn("\r", text)
        self.assertIn("100% [=", text)
        self.assertIn("trained <nil>", text)
        plots = [m["content"]["data"] for m in messages if m["msg_type"].endswith("display_data")]
        self.assertTrue(any(data.get("text/html", "").startswith("<svg") for data in plots))
        self.assertTrue(all("text/plain" in data for data in plots))

    def test_completion_and_inspection(self):
        self.run_cell("completeMe := 1")
        request = self.client.complete("completeM")
        content = self.reply(request)
        self.assertIn("completeMe", content["matches"])
        experimental = content["metadata"]["_jupyter_types_experimental"]
        self.assertIn("int", [m["signature"] for m in experimental if m["text"] == "completeMe"][0])
        request = self.client.inspect("completeMe")
        self.assertTrue(self.reply(request)["found"])

    def test_a_killed_kernel_leaves_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            manager, client = start(env={**os.environ, "TMPDIR": folder})
            client.execute('for i := 0; ; i++ { fmt.Println(i) }')
            while client.get_iopub_msg(timeout=30)["msg_type"] != "stream":
                pass
            self.assertGreaterEqual(len(os.listdir(folder)), 2)
            os.kill(manager.provisioner.pid, signal.SIGKILL)
            deadline = time.monotonic() + 20
            while os.listdir(folder) and time.monotonic() < deadline:
                time.sleep(0.1)
            self.assertEqual(os.listdir(folder), [])
            client.stop_channels()
            manager.shutdown_kernel(now=True)

    def test_a_kernel_that_is_ended_while_it_starts_leaves_nothing(self):
        program = self.manager.kernel_spec.argv[:2]
        for delay in (0.02, 0.03, 0.04, 0.06, 0.1):
            with self.subTest(delay=delay), tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as runtime:
                connection, _ = write_connection_file(os.path.join(runtime, "kernel.json"), key=b"key")
                kernel = subprocess.Popen([*program, connection], env={**os.environ, "TMPDIR": folder})
                time.sleep(delay)
                kernel.terminate()
                kernel.wait(timeout=60)
                time.sleep(0.5)
                self.assertEqual(os.listdir(folder), [])

    def test_zz_restart(self):
        self.run_cell("gone := 1")
        self.manager.restart_kernel()
        self.client.wait_for_ready(timeout=60)
        reply, _ = self.run_cell("gone")
        self.assertEqual(reply["status"], "error")


class Complete(unittest.TestCase):
    """The suite skips a test in silence where its sample is missing, so the count is a test of its own."""

    def test_nothing_of_the_suite_is_left_out(self):
        load = unittest.defaultTestLoader.loadTestsFromTestCase
        self.assertEqual(load(Conformance).countTestCases() + load(Welcome).countTestCases(), SUITE)
        for ours, suite in [(Conformance, jupyter_kernel_test.KernelTests), (Welcome, jupyter_kernel_test.IopubWelcomeTests)]:
            for name, empty in vars(suite).items():
                if name.startswith(("code_", "support")) or name.endswith("_samples"):
                    self.assertNotEqual(getattr(ours, name), empty, f"no sample for {name}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
