"""The examples compile (by the build) and do what their first comment says."""

import os
import re
import shutil
import subprocess
import unittest

from command import TIMEOUT_S, LogTest, main, weir

EXAMPLES = os.environ["WEIR_EXAMPLES"]
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def example(name, *arguments, stdin=b"", cwd=None):
    done = subprocess.run([os.path.join(EXAMPLES, "example_" + name), *arguments], input=stdin,
                          capture_output=True, timeout=TIMEOUT_S, cwd=cwd, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Examples(LogTest):
    def test_append_and_tail_reads_back_what_it_appended(self):
        first = example("append_and_tail", cwd=self.directory)
        self.assertEqual(first, b"record 1 is durable\n1 one lemonade\n")
        second = example("append_and_tail", cwd=self.directory)
        self.assertEqual(second, b"record 2 is durable\n1 one lemonade\n2 one lemonade\n")

    def test_the_program_in_the_readme_is_the_one_that_is_run_here(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            shown = re.search(r"```c\n(.*?)```", file.read(), re.DOTALL)[1]
        with open(os.path.join(ROOT, "examples", "append_and_tail.c"), encoding="utf-8") as file:
            self.assertIn(shown, file.read())

    @unittest.skipUnless(shutil.which("dpkg-query"), "there is no dpkg-query")
    def test_the_commands_of_the_engine_in_the_readme_do_what_they_say(self):
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            blocks = re.findall(r"```sh\n(.*?)```", file.read(), re.DOTALL)
        block = next(block for block in blocks if "weir put" in block)
        path = os.path.dirname(os.environ["WEIR"]) + ":" + os.environ["PATH"]
        done = subprocess.run(["bash", "-ec", block], capture_output=True, timeout=TIMEOUT_S,
                              cwd=self.directory, env={**os.environ, "PATH": path}, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        out = done.stdout.decode()
        self.assertTrue(out.startswith('{"lsn":1}\n{"lsn":2}\ngreen\n'), out)
        history = [line.split()[-1] for line in out.splitlines()[3:5]]
        self.assertEqual(history, ["red", "green"])
        self.assertEqual(len([line for line in out.splitlines() if line.startswith("lib")]), 5)
        self.assertIn("fingerprint", out)

    def test_event_loop_answers_each_line_with_its_lsn(self):
        lines = b"".join(b"line %d\n" % number for number in range(1, 2001))
        out = example("event_loop", self.log, stdin=lines)
        self.assertEqual(out, b"".join(b"%d\n" % number for number in range(1, 2001)))
        self.assertEqual(weir("tail", self.log, "--raw").out, lines)
        self.assertEqual(example("event_loop", self.log), b"")
        self.assertEqual(example("event_loop", self.log, stdin=b"no newline"), b"2001\n")

    def test_store_shows_the_newest_state_and_an_earlier_one(self):
        newest = b"apple is red (version 2)\navocado is black (version 3)\n"
        earlier = b"and as of record 1:\napple is green (version 1)\n"
        self.assertEqual(example("store", self.log), newest + earlier)
        self.assertIn(b"as of record 4:\napple is green (version 4)\navocado is black (version 3)",
                      example("store", self.log))

    def test_ds_01_a_derived_system_of_ones_own_is_saved_resumed_and_rebuilt(self):
        self.assertEqual(example("derived_system", self.log),
                         b"so far: 0 orders, 0 cents\nnow: 3 orders, 1850 cents\n"
                         b"rebuilt from the log: the same\n")
        self.assertEqual(example("derived_system", self.log),
                         b"so far: 3 orders, 1850 cents\nnow: 3 orders, 1850 cents\n"
                         b"rebuilt from the log: the same\n")
        self.assertTrue(os.path.exists(os.path.join(self.log, "derived", "turnover", "state")))

    def test_ds_01_it_uses_public_headers_only_and_about_sixty_lines(self):
        with open(os.path.join(ROOT, "examples", "derived_system.c"), encoding="utf-8") as file:
            text = file.read()
        headers = re.findall(r"#include [<\"](.*?)[>\"]", text)
        self.assertEqual([name for name in headers if "/" in name], ["weir/weir.h"])
        system = text.split("/* ---- ")[1]
        self.assertLess(len(system.splitlines()), 70)

    def test_tail_process_follows_a_log_beside_its_writer(self):
        with subprocess.Popen([os.environ["WEIR"], "append", self.log], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
            writer.stdin.write(b"a\nb\n")
            writer.stdin.flush()
            writer.stdout.readline()
            writer.stdout.readline()
            self.assertEqual(example("tail_process", self.log, "2"), b"1 a\n2 b\n")


if __name__ == "__main__":
    main()
