"""Signals and closed pipes: what was read is stored, what was printed is durable."""

import json
import os
import signal
import subprocess

from command import DEVICE, INTERRUPTED, OK, REFUSED, TIMEOUT_S, WEIR, LogTest, Running, main, weir


class Append(LogTest):
    def test_a_signal_ends_the_reading_with_a_report_and_exit_5(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                log = self.path(f"log-{number}")
                with Running("append", log) as writer:
                    writer.send(b"one\ntwo\nhal")
                    self.assertEqual([writer.row()["lsn"], writer.row()["lsn"]], [1, 2])
                    writer.signal(number)
                    self.assertEqual(writer.process.wait(TIMEOUT_S), INTERRUPTED)
                    err = writer.process.stderr.read().decode()
                self.assertIn("interrupted", err)
                self.assertIn("2 records, LSN 1 to 2", err)
                self.assertEqual(weir("tail", log, "--raw").out, b"one\ntwo\n")
                self.assertTrue(weir("stat", log, "--json").row()["clean"])

    def test_a_killed_writer_loses_nothing_that_it_acknowledged(self):
        for durability in ("each", "group", "none"):
            with self.subTest(durability=durability):
                log = self.path("killed-" + durability)
                acknowledged = self.append_until_killed(log, durability)
                rows = weir("tail", log, "--json").rows()
                self.assertGreaterEqual(len(rows), acknowledged)
                for row in rows:
                    self.assertEqual(row["data"], f"record {row['lsn']}")
                self.assertTrue(weir("verify", log, "--json").row()["ok"])

    def append_until_killed(self, log, durability):
        """How many records were acknowledged. A file is the input: nobody blocks on a full pipe."""
        with open(self.path("lines"), "wb") as file:
            file.writelines(b"record %d\n" % number for number in range(1, 600001))
        with open(self.path("lines"), "rb") as lines, \
                subprocess.Popen([WEIR, "append", log, "--durability", durability], stdin=lines,
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
            acknowledged = sum(1 for _ in range(1000) if writer.stdout.readline())
            writer.kill()
            whole_lines = writer.stdout.read().count(b"\n")
        self.assertEqual(acknowledged, 1000)
        return acknowledged + whole_lines


class Tail(LogTest):
    def test_a_closed_pipe_ends_tail_quietly_with_exit_0(self):
        self.append(*[b"line %d" % number for number in range(5000)])
        with Running("tail", self.log) as reader:
            reader.process.stdout.readline()
            reader.process.stdout.close()
            self.assertEqual(reader.process.wait(TIMEOUT_S), OK)
            self.assertEqual(reader.process.stderr.read(), b"")

    def test_a_file_cut_short_under_a_reader_is_named_with_exit_4(self):
        self.append(*[b"%032d" % number for number in range(40000)])
        first = os.path.join(self.log, "segment-0000000000000001")
        with Running("tail", self.log, "--json") as reader:
            reader.row()  # it is in the first segment, and waits for the pipe
            os.truncate(first, 64 << 10)
            exit_code, out, err = reader.finish()
        error = json.loads(out.splitlines()[-1])
        self.assertEqual(exit_code, DEVICE, err)
        self.assertEqual(next(iter(error)), "error")
        self.assertEqual((error["file"], error["code"]),
                         (os.path.basename(first), "WEIR_E_CUT_SHORT"))
        self.assertGreaterEqual(error["offset"], 64 << 10)

    def test_a_signal_ends_following_with_exit_5(self):
        self.append(b"x")
        with Running("tail", self.log, "-f", "--json") as reader:
            reader.row()
            reader.signal(signal.SIGINT)
            self.assertEqual(reader.process.wait(TIMEOUT_S), INTERRUPTED)


class ClosedDescriptors(LogTest):
    def run_with_closed(self, *closed):
        redirections = " ".join(f"{fd}>&-" for fd in closed)
        return subprocess.run(["sh", "-c", f'exec "$0" append "$1" {redirections}', WEIR, self.log],
                              input=b"line\n", capture_output=True, timeout=TIMEOUT_S, check=False)

    def test_a_closed_descriptor_is_not_taken_by_a_file_of_the_log(self):
        for closed in ((0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
            with self.subTest(closed=closed):
                done = self.run_with_closed(*closed)
                expected = REFUSED if 0 in closed else DEVICE if 1 in closed else OK
                self.assertEqual(done.returncode, expected, done.stderr)
                if 0 in closed and 2 not in closed:
                    self.assertIn(b"standard input cannot be read", done.stderr)
                self.assertEqual(weir("verify", self.log).exit, OK)
        self.assertEqual(set(self.records()), {"line"})


if __name__ == "__main__":
    main()
