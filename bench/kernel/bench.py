"""Times this kernel and ipykernel side by side, through jupyter_client, on this machine.

    python bench/kernel/bench.py [--cells N] [KERNEL ...]     default: lohakit python3

Both must be installed where jupyter_client finds them. A round trip is from sending the request to its idle status. Cells
are the same work in both languages, and each is new unless the row says otherwise. Memory is the resident set of the kernel and all its child processes.
"""
import argparse
import platform
import statistics
import time

import psutil
from jupyter_client.manager import KernelManager

CELLS = {
    "go": {
        "setup": 'import ("fmt"; "strings")\nx := 40',
        "expression": "1+{i}",
        "call": 'strings.ToUpper("loss{i}")',
        "show": 'fmt.Println("step", x+{i})',
        "new": [
            "func f{i}(a int) int {{ s := 0; for j := range a {{ s += j * {i} }}; return s }}",
            "v{i} := map[string]int{{\"a\": {i}}}\nfor k, n := range v{i} {{ fmt.Println(k, n) }}",
            "type T{i} struct {{ A, B int }}\nfunc (t T{i}) Sum() int {{ return t.A + t.B + {i} }}\nT{i}{{1, 2}}.Sum()",
        ],
        "complete": "strings.To",
        "stop": {
            "an endless loop": 'print("begun")\nfor {{}}',
            "20,000 goroutines that wait": 'wait := make(chan int)\nprint("begun")\nfor range 20_000 {{ go func() {{ <-wait }}() }}\n<-wait',
            "20,000 goroutines at work": 'print("begun")\nfor range 20_000 {{ go func() {{ for {{}} }}() }}\nfor {{}}',
        },
        "die": {  # ipykernel would have to be restarted
            "a cell ended the process": 'import "os"\nos.Exit(3)',
            "XLA aborted": 'import (. "github.com/gomlx/gomlx/pkg/core/graph"; "github.com/lohakit/notebook/lohakit/xla")\nbackend := xla.Backend()\n'
                           "MustNewExec(backend, func(x *Node) *Node {{ return BroadcastToDims(x, 1<<40, 1<<40) }}).MustExec(float32(1))",
            "memory ran out": 'import "syscall"\nsyscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{{Cur: 4<<30, Max: 4<<30}})\n'
                              "var full []int64\nfor {{ full = append(full, 1, 2, 3) }}",
        },
        "hold": 'import "github.com/gomlx/gomlx/pkg/core/tensors"\nvar held []*tensors.Tensor\n'
                'for range 64 {{ held = append(held, tensors.FromFlatDataAndDimensions(make([]float32, 1<<22), 1<<22)) }}',
    },
    "python": {
        "setup": "x = 40",
        "expression": "1+{i}",
        "call": '"loss{i}".upper()',
        "show": 'print("step", x+{i})',
        "new": [
            "def f{i}(a):\n    s = 0\n    for j in range(a): s += j * {i}\n    return s",
            "v{i} = {{'a': {i}}}\nfor k, n in v{i}.items(): print(k, n)",
            "class T{i}:\n    def __init__(self, a, b): self.a, self.b = a, b\n    def sum(self): return self.a + self.b + {i}\nT{i}(1, 2).sum()",
        ],
        "complete": '"".up',
        "stop": {"an endless loop": "import sys\nprint('begun', file=sys.stderr, flush=True)\nwhile True: pass"},
        "hold": "held = [bytes(1) * (1 << 24) for _ in range(64)]",
    },
}

HELD = 200  # cells run while the session holds 1 GB of tensors


class Kernel:
    """One running kernel and a client of it."""

    def __init__(self, name):
        began = time.perf_counter()
        self.manager = KernelManager(kernel_name=name)
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)
        self.ready = time.perf_counter() - began
        self.language = self.manager.kernel_spec.language
        self.process = psutil.Process(self.manager.provisioner.pid)

    def run(self, code, fails=False):
        """Milliseconds from the request to idle. An error of the cell is raised, unless it is expected."""
        began = time.perf_counter()
        request = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "error" and not fails:
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        took = time.perf_counter() - began
        while self.client.get_shell_msg(timeout=120)["parent_header"].get("msg_id") != request:
            pass
        return 1000 * took

    def stop(self, code):
        """Seconds from the interrupt of a cell, two seconds after it has printed, to idle."""
        request = self.client.execute(code)
        began = 0
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "stream" and not began:
                time.sleep(2)
                began = time.perf_counter()
                self.manager.interrupt_kernel()
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        took = time.perf_counter() - began
        while self.client.get_shell_msg(timeout=120)["parent_header"].get("msg_id") != request:
            pass
        return took

    def complete(self, code):
        """Milliseconds from the request to the reply, which must hold a match."""
        began = time.perf_counter()
        request = self.client.complete(code)
        while True:
            reply = self.client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == request:
                break
        if not reply["content"]["matches"]:
            raise RuntimeError("nothing to complete " + code)
        return 1000 * (time.perf_counter() - began)

    def memory(self):
        """Resident megabytes, child processes included."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                pass
        return total / 1e6

    def processor(self):
        """Seconds of processor time so far, child processes included: what a cell costs however busy the machine is."""
        total = 0
        for process in [self.process, *self.process.children(recursive=True)]:
            try:
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
            except psutil.NoSuchProcess:
                pass
        return total

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


def measure(name, count):
    """The table's column for one kernel."""
    starts = []
    for _ in range(3):
        kernel = Kernel(name)
        starts.append(kernel.ready)
        kernel.close()
    kernel = Kernel(name)
    try:
        cells = CELLS[kernel.language]
        first = kernel.run(cells["setup"])
        row = {"start to ready, s": min(starts), "first cell, ms": first}
        for label, key in [("1+n, each n once, ms", "expression"), ("a call, ms", "call"), ("print a variable, ms", "show")]:
            kernel.run(cells[key].format(i=0))
            row[label] = statistics.median(kernel.run(cells[key].format(i=i)) for i in range(1, 16))
        unchanged = cells["new"][0].format(i=0)
        kernel.run(unchanged)
        row["unchanged cell again, ms"] = statistics.median(kernel.run(unchanged) for _ in range(20))
        for code in cells["new"]:
            kernel.run(code.format(i=999))
        before, worked = kernel.memory(), kernel.processor()
        times = sorted(kernel.run(cells["new"][i % len(cells["new"])].format(i=i + 1)) for i in range(count))
        row["new cell, median ms"] = statistics.median(times)
        row["new cell, 95 % ms"] = times[int(0.95 * (len(times) - 1))]
        row["processor time per new cell, ms"] = 1000 * (kernel.processor() - worked) / count
        row["memory per new cell, MB"] = (kernel.memory() - before) / count
        row["memory at the start, MB"] = before
        kernel.run(cells["hold"].format())
        before = kernel.memory()
        for i in range(HELD):
            kernel.run(cells["new"][i % len(cells["new"])].format(i=10000 + i))
        row[f"memory per new cell, 1 GB held over {HELD} cells, MB"] = (kernel.memory() - before) / HELD
        kernel.complete(cells["complete"])
        row["completion, median ms"] = statistics.median(kernel.complete(cells["complete"]) for _ in range(20))
        for what, code in cells["stop"].items():
            row[f"interrupt of {what}, s"] = kernel.stop(code.format())
        for what, code in cells.get("die", {}).items():
            kernel.run(code.format(), fails=True)
            row[f"the next cell after {what}, s"] = kernel.run("1+1") / 1000
        return row
    finally:
        kernel.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernels", nargs="*", default=["lohakit", "python3"])
    parser.add_argument("--cells", type=int, default=60, help="how many new cells to run")
    options = parser.parse_args()
    columns = [measure(name, options.cells) for name in options.kernels]
    print(f"{psutil.cpu_count()} cores, load {psutil.getloadavg()[0]:.1f}, {platform.platform()}\n")
    print("| | " + " | ".join(options.kernels) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for label in columns[0]:
        print(f"| {label} | " + " | ".join(f"{column[label]:.2f}" if label in column else "—" for column in columns) + " |")


if __name__ == "__main__":
    main()
