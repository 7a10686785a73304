"""Runs every test of the project and counts them: gofmt, go vet, the Go tests, then the Python tests that drive the kernel from outside.

The last line reads "N passed, N failed, N skipped". The exit status is 1 if a test failed, or was skipped while CI is set.
"""
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

counts = {"pass": 0, "fail": 0, "skip": 0}


def count(action, name, detail=""):
    counts[action] += 1
    if action != "pass":
        print(f"{action.upper()}: {name}\n{detail}", flush=True)


def command(name, args):
    """One check that is a whole command: it passes when it exits 0 and prints nothing."""
    done = subprocess.run(args, capture_output=True, text=True)
    ok = done.returncode == 0 and not done.stdout.strip()
    count("pass" if ok else "fail", name, done.stdout + done.stderr)


def go_tests():
    """Runs go test over every package; each test and subtest counts, and a package that does not build counts as failed."""
    run = subprocess.Popen(["go", "test", "-json", "-timeout", "20m", "./..."], stdout=subprocess.PIPE, text=True)
    output = {}
    for line in run.stdout:
        if not line.startswith("{"):
            print(line, end="", flush=True)
            continue
        event = json.loads(line)
        package = event.get("Package", event.get("ImportPath", ""))
        key = (package, event.get("Test", ""))
        action = event["Action"]
        if action in ("output", "build-output"):
            output.setdefault(key, []).append(event["Output"])
        elif event.get("Test") and action in counts:
            count(action, f"{package} {event['Test']}", "".join(output.pop(key, [])))
        elif action in ("pass", "fail") and not event.get("Test"):
            print(f"{action:5} {package}  {event.get('Elapsed', 0):.1f} s", flush=True)
            if action == "fail":
                lines = output.get(key, []) + output.get((event.get("FailedBuild", ""), ""), [])
                count("fail", package, "".join(lines))
    run.wait()


def python_tests():
    """Runs pytest over the tests that drive the kernel as Jupyter does."""
    report = os.path.join(".build", "pytest.xml")
    os.makedirs(".build", exist_ok=True)
    subprocess.run([sys.executable, "-m", "pytest", "-q", "-rs", "--import-mode=importlib", f"--junitxml={report}", "-o", "python_files=*_test.py", "kernel", "notebooks"])
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')} {case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            count("fail", name)
        elif case.find("skipped") is not None:
            count("skip", name, case.find("skipped").get("message", ""))
        else:
            count("pass", name)


def main():
    start = time.time()
    command("gofmt", ["gofmt", "-l", "kernel", "lohakit", "bench"])
    command("go vet", ["go", "vet", "./..."])
    go_tests()
    python_tests()
    print(f"took {time.time() - start:.0f} s")
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    sys.exit(1 if counts["fail"] or (os.environ.get("CI") and counts["skip"]) else 0)


main()
