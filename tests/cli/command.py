"""How the tests run the command: one place for the binary, its limits in time and its JSON."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

WEIR = os.environ.get("WEIR", "weir")
# Where the logs of a test lie: a file system with a device below it, unless told otherwise.
PARENT = os.environ.get("WEIR_TEST_DIR", os.getcwd())
TIMEOUT_S = 60

OK, NO, USAGE, REFUSED, DEVICE, INTERRUPTED = range(6)


class Result:
    def __init__(self, finished):
        self.exit = finished.returncode
        self.out = finished.stdout
        self.err = finished.stderr.decode(errors="replace")

    def rows(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def row(self):
        rows = self.rows()
        assert len(rows) == 1, f"one row was expected: {self.out!r} {self.err}"
        return rows[0]

    def lsns(self):
        return [row["lsn"] for row in self.rows()]


def weir(*arguments, stdin=b""):
    """Runs to the end."""
    command = [WEIR, *map(str, arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT_S, check=False)
    return Result(done)


class Running:
    """A command that a test talks to while it runs."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([WEIR, *map(str, arguments)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        self.process.wait(TIMEOUT_S)

    def send(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def row(self):
        """The next row; waits for it."""
        line = self.process.stdout.readline()
        assert line, "the output ended: " + self.process.stderr.read().decode(errors="replace")
        return json.loads(line)

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def finish(self):
        """Closes the input and waits: the exit code, the rest of the output, the errors."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err.decode(errors="replace")


def interrupt_at_work(directory, *arguments, timeout_s):
    """Runs, sends SIGINT once there is something in the directory: the exit code, the output."""
    with subprocess.Popen([WEIR, *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as running:
        while not os.listdir(directory) and running.poll() is None:
            pass
        running.send_signal(signal.SIGINT)
        out, _ = running.communicate(timeout=timeout_s)
    return running.returncode, out


class LogTest(unittest.TestCase):
    """A test with a directory of its own; self.log is the path of a log that is not there yet."""

    maxDiff = None

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="weir-cli-", dir=PARENT)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.log = os.path.join(self.directory, "log")

    def path(self, name):
        return os.path.join(self.directory, name)

    def append(self, *lines, options=()):
        """Appends lines to self.log, which is made small if need be; what was acknowledged."""
        if not os.path.exists(self.log):
            options = ["--segment-size", "256KiB", *options]
        done = weir("append", self.log, *options, stdin=b"".join(line + b"\n" for line in lines))
        self.assertEqual(done.exit, OK, done.err)
        return done.lsns()

    def records(self, *options):
        """The payloads that tail shows, as UTF-8 text or None."""
        shown = weir("tail", self.log, "--json", *options)
        self.assertEqual(shown.exit, OK, shown.err)
        return [row.get("data") for row in shown.rows()]

    def raw(self):
        shown = weir("tail", self.log, "--raw")
        self.assertEqual(shown.exit, OK, shown.err)
        return shown.out

    def assert_error(self, result, exit_code, *words):
        """Exit code and error object agree, and the sentence says what it should."""
        self.assertEqual(result.exit, exit_code, (result.out, result.err))
        last = json.loads(result.out.splitlines()[-1])
        self.assertEqual(next(iter(last)), "error")
        self.assertEqual(last["exit"], exit_code)
        for word in words:
            self.assertIn(str(word), last["error"])
        return last


def main():
    """Runs the tests of a file; 77 when every one of them was skipped."""
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    sys.exit(77 if result.testsRun > 0 and len(result.skipped) == result.testsRun else 0)
