"""weir backup: a copy beside a live writer, what it refuses, and what is left when it is killed."""

import os
import shutil
import signal
import threading
import time

from command import INTERRUPTED, OK, REFUSED, USAGE, LogTest, Running, main, weir

LINE = b"x" * 32000 + b"\n"


class BackupTest(LogTest):
    def setUp(self):
        super().setUp()
        self.new = self.path("new")

    def backup(self, *options, exit_code=OK):
        done = weir("backup", self.log, self.new, "--json", *options)
        self.assertEqual(done.exit, exit_code, (done.out, done.err))
        return done.row()

    def rows(self, log):
        return weir("tail", log, "--json").rows()

    def holds(self, log):
        return [hold["name"] for hold in weir("hold", "list", log, "--json").rows()]

    def expect_copy(self, report):
        """The copy is clean and holds the records of self.log from first to last, and goes on."""
        self.assertTrue(weir("verify", self.new, "--json").row()["ok"])
        rows = self.rows(self.new)
        self.assertEqual(rows, [row for row in self.rows(self.log)
                                if report["first"] <= row["lsn"] <= report["last"]])
        self.assertEqual(len([row for row in rows if "gap" not in row]), report["records"])
        done = weir("append", self.new, stdin=b"goes on\n")
        self.assertEqual((done.exit, done.lsns()), (OK, [report["last"] + 1]), done.err)
        for log in (self.log, self.new):
            self.assertTrue(weir("verify", log, "--json").row()["ok"])
        self.assertEqual(self.rows(self.new)[:-1], rows)
        stats = [weir("stat", log, "--json").row() for log in (self.log, self.new)]
        self.assertNotEqual(stats[0]["uuid"], stats[1]["uuid"])
        self.assertEqual(stats[1]["uuid"], report["uuid"])
        self.assertEqual(self.holds(self.log), [])


class Copies(BackupTest):
    def test_a_closed_log(self):
        self.append(*[b"line %d" % i for i in range(20000)])
        report = self.backup()
        self.assertEqual((report["first"], report["last"], report["records"]), (1, 20000, 20000))
        self.assertTrue(report["held"])
        self.assertGreater(report["bytes_per_s"], 0)
        self.expect_copy(report)

    def test_a_closed_log_for_people(self):
        self.append(b"one", b"two")
        done = weir("backup", self.log, self.new)
        self.assertEqual(done.exit, OK, done.err)
        for words in ("2 records", "LSN 1 to 2", "/s", "durable"):
            self.assertIn(words, done.out.decode())

    def test_beside_a_writer_that_keeps_appending(self):
        """Each acknowledgement before the backup begins is in it; many come while it runs."""
        self.append(*[b"%01000d" % i for i in range(5000)])
        with Running("append", self.log) as writer:
            acknowledged = [0]
            stop = threading.Event()

            def feed():
                number = 0
                while not stop.is_set():
                    number += 1
                    writer.send(b"line %d\n" % number)
                    acknowledged[0] = writer.row()["lsn"]

            feeder = threading.Thread(target=feed)
            feeder.start()
            try:
                for round_ in range(5):
                    self.new = self.path(f"new{round_}")
                    before = acknowledged[0]
                    report = self.backup()
                    self.assertGreaterEqual(report["last"], before)
                    self.assertEqual(report["first"], 1)
                    self.expect_copy(report)
                self.assertGreater(acknowledged[0], 5000)
            finally:
                stop.set()
                feeder.join()
            exit_code, _, err = writer.finish()
            self.assertEqual(exit_code, OK, err)

    def test_an_empty_log(self):
        weir("append", self.log, "--segment-size", "256KiB")
        report = self.backup()
        self.assertEqual((report["first"], report["last"], report["records"]), (0, 0, 0))
        self.expect_copy(report)

    def test_a_truncated_log(self):
        self.append(*[b"%0100d" % i for i in range(10000)])
        self.assertEqual(weir("truncate", self.log, "--before", 4321).exit, OK)
        report = self.backup()
        self.assertEqual((report["first"], report["last"]), (4321, 10000))
        self.expect_copy(report)

    def test_a_salvaged_log_with_gaps(self):
        self.append(*[b"%0100d" % i for i in range(10000)])
        os.remove(os.path.join(self.log, "segment-0000000000000002"))
        mended = self.path("mended")
        lost = weir("salvage", self.log, mended, "--json").row()["gap_lsns"]
        self.log = mended
        report = self.backup()
        self.assertEqual((report["gap_lsns"], report["records"]), (lost, 10000 - lost))
        self.expect_copy(report)

    def test_holds_stay_with_the_original(self):
        self.append(b"a", b"b", b"c")
        self.assertEqual(weir("hold", "set", self.log, "billing", 2).exit, OK)
        self.assertEqual(weir("hold", "set", self.log, "engine", 3).exit, OK)
        self.assertTrue(self.backup()["engine_hold"])
        self.assertEqual(self.holds(self.log), ["billing", "engine"])
        self.assertEqual(self.holds(self.new), ["engine"])


class Refusals(BackupTest):
    def test_damage_is_named_and_salvage_is_advised(self):
        self.append(*[b"%0100d" % i for i in range(10000)])
        groups = [group for group in weir("dump", self.log, "--json").rows()
                  if group["kind"] == "data"]
        group = groups[1]
        with open(os.path.join(self.log, group["file"]), "r+b") as file:
            file.seek(group["offset"] + 64 + 16)
            file.write(b"?")
        done = weir("backup", self.log, self.new, "--json")
        last = group["first_lsn"] + group["record_count"] - 1
        error = self.assert_error(done, REFUSED, group["first_lsn"], last, group["file"])
        self.assertEqual((error["code"], error["from_lsn"], error["to_lsn"]),
                         ("WEIR_E_DAMAGED", group["first_lsn"], last))
        self.assertIn(f"weir salvage {self.log}", error["advice"])
        self.assertEqual([name for name in os.listdir(self.new) if name != "holds"], [])
        self.assertEqual(self.holds(self.log), [])

    def test_what_cannot_be_opened(self):
        self.append(b"a")
        shutil.rmtree(self.path("log/holds"), ignore_errors=True)
        os.remove(os.path.join(self.log, "CONTROL"))
        error = self.assert_error(weir("backup", self.log, self.new, "--json"), REFUSED)
        self.assertEqual(error["code"], "WEIR_E_CONTROL")
        self.assertFalse(os.path.exists(self.new))

    def test_a_target_that_holds_something(self):
        self.append(b"a")
        os.mkdir(self.new)
        with open(os.path.join(self.new, "notes.txt"), "wb"):
            pass
        error = self.assert_error(weir("backup", self.log, self.new, "--json"), REFUSED,
                                  "notes.txt")
        self.assertEqual(error["code"], "ENOTEMPTY")
        self.assertEqual(os.listdir(self.new), ["notes.txt"])
        for inside in (self.log, os.path.join(self.log, "new"), os.path.join(self.log, "holds/x")):
            self.assert_error(weir("backup", self.log, inside, "--json"), REFUSED, "inside")
        os.remove(os.path.join(self.new, "notes.txt"))
        self.expect_copy(self.backup())

    def test_what_is_no_log(self):
        self.assert_error(weir("backup", self.log, self.new, "--json"), REFUSED)
        os.mkdir(self.log)
        with open(os.path.join(self.log, "LOCK"), "wb"):
            pass
        self.assert_error(weir("backup", self.log, self.new, "--json"), REFUSED,
                          "nothing to back up")
        self.assertFalse(os.path.exists(self.new))

    def test_usage(self):
        for arguments in ([], [self.log], [self.log, "a", "b"], ["", "a"], [self.log, ""]):
            self.assertEqual(weir("backup", *arguments).exit, USAGE)


class Ends(BackupTest):
    """Interrupted and killed, in the middle of a log of some 50 MB."""

    def setUp(self):
        super().setUp()
        done = weir("append", self.log, "--segment-size", "256KiB", "--durability", "none",
                    stdin=LINE * 1500)
        self.assertEqual(done.exit, OK, done.err)

    def begun(self):
        running = Running("backup", self.log, self.new)
        while not os.path.exists(os.path.join(self.new, "segment-0000000000000002")):
            self.assertIsNone(running.process.poll())
            time.sleep(0.001)  # for the file to appear: it is what is waited for
        return running

    def test_a_signal_is_exit_5_and_leaves_nothing(self):
        with self.begun() as running:
            running.signal(signal.SIGINT)
            exit_code, _, err = running.finish()
        self.assertEqual(exit_code, INTERRUPTED, err)
        self.assertIn("interrupted", err)
        self.assertEqual([name for name in os.listdir(self.new) if name != "holds"], [])
        self.assertEqual(self.holds(self.log), [])

    def test_what_a_killed_one_leaves_is_no_log_and_its_hold_can_be_told(self):
        with self.begun() as running:
            pid = running.process.pid
            running.kill()
        self.assertIn("SALVAGE", os.listdir(self.new))
        self.assertNotIn("CONTROL", os.listdir(self.new))
        for command in ("append", "tail", "verify", "stat"):
            done = weir(command, self.new, "--json", stdin=b"x\n")
            self.assert_error(done, REFUSED, "interrupted", "remove")
        self.assert_error(weir("backup", self.log, self.new, "--json"), REFUSED, "interrupted")
        holds = self.holds(self.log)
        self.assertEqual(len(holds), 1)
        self.assertTrue(holds[0].startswith(f"backup-{pid}-"), holds)
        done = weir("truncate", self.log, "--before", 100, "--json")
        self.assert_error(done, REFUSED, holds[0])
        self.assertEqual(weir("hold", "drop", self.log, holds[0]).exit, OK)
        self.assertEqual(weir("truncate", self.log, "--before", 100).exit, OK)
        shutil.rmtree(self.new)
        self.expect_copy(self.backup())


if __name__ == "__main__":
    main()
