"""The demonstration as a whole: it ends well, loses nothing and leaves nothing behind."""

import os
import subprocess

from command import INTERRUPTED, OK, REFUSED, WEIR, LogTest, Result, interrupt_at_work, main, weir

TIMEOUT_S = 240


def demo(*arguments):
    return Result(subprocess.run([WEIR, "demo", *arguments], capture_output=True, timeout=TIMEOUT_S,
                                 check=False))


class Demo(LogTest):
    def test_the_demo_measures_imports_crashes_and_loses_nothing(self):
        with open(self.path("input"), "wb") as file:
            file.write(b"one\n\nthree\n" + bytes(range(11, 256)) + b"\nno newline")
        work = self.path("work")
        os.mkdir(work)
        done = demo("--json", "--dir", work, "--input", self.path("input"))
        self.assertEqual(done.exit, OK, (done.out, done.err))
        row = done.row()
        documents = row["documents"]
        self.assertEqual((documents["rows"], documents["different"]), (4, 0))
        self.assertEqual((documents["word"], documents["text_rows"]), ("three", 1))
        recover = row["recover"]
        self.assertEqual(recover["lost"], 0)
        self.assertGreater(recover["acknowledged"], 0)
        self.assertEqual([one["name"] for one in row["rebuild"]],
                         ["engine", "by_group", "sizes", "words"])
        for one in row["rebuild"]:
            self.assertEqual(one["before"], one["after"])
            self.assertGreater(one["events"], 0)
        crash = row["crash"]
        self.assertEqual((crash["lost"], crash["rounds"]), (0, 3))
        self.assertGreater(crash["acknowledged"], 0)
        self.assertGreaterEqual(crash["recovered"], crash["acknowledged"])
        for member in ("device", "file_system", "write_cache", "kernel", "medium", "io", "reason"):
            self.assertIn(member, row)
        for append in row.get("append", []):
            self.assertGreater(append["records_per_s"], 0)
        self.assertEqual(os.listdir(work), [], "the demo removes what it made")

    def test_a_signal_ends_it_with_a_partial_report_and_leaves_nothing(self):
        work = self.path("work")
        os.mkdir(work)
        ended, out = interrupt_at_work(work, "demo", "--dir", work, timeout_s=TIMEOUT_S)
        self.assertEqual(ended, INTERRUPTED)
        self.assertIn(b"Interrupted after", out)
        self.assertNotIn(b"dpkg-query", out)
        self.assertEqual(os.listdir(work), [])

    def test_an_input_that_is_not_there_is_refused(self):
        done = demo("--json", "--dir", self.directory, "--input", self.path("none"))
        self.assert_error(done, REFUSED, "none")
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_place_that_is_not_there_is_refused(self):
        self.assert_error(weir("demo", "--json", "--dir", self.path("none")), REFUSED)


if __name__ == "__main__":
    main()
