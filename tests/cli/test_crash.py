"""weir crash: both crashes on every medium that can run here, the report, and what stays behind.

That a loss is noticed is tested where one can be planted: crash_referee_test.c.
"""

import os
import signal
import time
import unittest

from command import DEVICE, INTERRUPTED, OK, REFUSED, USAGE, LogTest, Running, main, weir

MEDIA = {
    "direct": ["--medium", "direct"],
    "mapped": ["--medium", "mapped"],
    "direct, synchronous": ["--medium", "direct", "--io", "sync"],
    "emulated pmem": ["--medium", "pmem", "--allow-emulated-pmem"],
}
SHAPES = {
    "direct": [],
    "mapped": ["--medium", "mapped"],
    "pmem": ["--medium", "pmem"],
}
PHASES = ["lock_s", "control_s", "scan_s", "repair_s", "total_s"]
DEADLINE_S = 60


def until(condition):
    """Waits for something that only the file system or /proc shows."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)


class Crash(LogTest):
    """Small segments: a log is longer than what opening reads after a few hundred records."""

    SMALL = ["--segment-size", "256KiB", "--force", "--json"]

    def crash(self, *arguments, rounds=3, records=400):
        return weir("crash", "--dir", self.directory, "--rounds", rounds, "--records", records,
                    *self.SMALL, *arguments)

    def crashed(self, *arguments, **how):
        """A run that must end well; its document."""
        done = self.crash(*arguments, **how)
        self.assertEqual(done.exit, OK, (done.out, done.err))
        return done.row()

    def assert_clean(self):
        self.assertEqual(os.listdir(self.directory), [], "something was left behind")

    def assert_whole(self, row, rounds):
        """Promised members, and sums that agree."""
        self.assertEqual(list(row)[:5], ["rounds", "acknowledged", "recovered", "lost", "seconds"])
        self.assertEqual((row["rounds"], row["lost"], row["wrong"]), (rounds, 0, 0))
        self.assertEqual(len(row["round"]), rounds)
        self.assertGreater(row["acknowledged"], 0)
        self.assertGreaterEqual(row["recovered"], row["acknowledged"])
        self.assertEqual(sum(each["acknowledged"] for each in row["round"]), row["acknowledged"])
        self.assertEqual(row["round"][-1]["recovered"], row["recovered"])
        promised = 0
        for number, each in enumerate(row["round"], 1):
            promised += each["acknowledged"]
            self.assertEqual((each["round"], each["lost"], each["findings"]), (number, 0, []))
            self.assertGreaterEqual(each["recovered"], promised)
            self.assertGreater(each["acknowledged"], 0)
            self.assertTrue(each["verify"]["ok"])
            self.assertEqual(each["verify"]["records"], each["recovered"])
            self.assertLessEqual(sum(each[phase] for phase in PHASES[:-1]), each["total_s"] * 1.01)
            self.assertGreater(each["scan_bytes_per_s"], 0)
            self.assertGreater(each["verify"]["bytes_per_s"], 0)
        sizes = [each["log_bytes"] for each in row["round"]]
        self.assertEqual(sizes, sorted(sizes), "the log grows")
        for phase in PHASES:
            self.assertIn(phase, row["median"])
        for member in ("medium", "io", "durability", "kernel", "cpu", "build", "seed"):
            self.assertIn(member, row)


class Engine(Crash):
    """Puts instead of appends: the log is judged as ever, and the engine over it."""

    def assert_engine(self, row):
        self.assertTrue(row["engine"])
        for each in row["round"]:
            engine = each["engine"]
            self.assertTrue(engine["same_without_checkpoint"])
            self.assertEqual(engine["versions"], each["recovered"])
            self.assertTrue(0 < engine["keys"] <= engine["versions"])
            self.assertEqual(len(engine["fingerprint"]), 32)
            self.assertEqual(engine["rebuild"]["replayed_records"], each["recovered"])
            self.assertFalse(engine["rebuild"]["from_checkpoint"])
            for phase in ("load_s", "walk_s", "sort_s", "build_s", "replay_s"):
                self.assertLessEqual(engine["open"][phase], engine["open"]["total_s"] * 1.01)

    def test_a_killed_writer_loses_no_put(self):
        for durability in ("each", "group", "none"):
            with self.subTest(durability=durability):
                row = self.crashed("--kill", "--engine", "--durability", durability, records=3000)
                self.assert_whole(row, 3)
                self.assert_engine(row)
        self.assert_clean()

    def test_a_power_cut_loses_no_put_on_any_simulated_medium(self):
        for name, options in SHAPES.items():
            with self.subTest(medium=name):
                row = self.crashed("--power", "--engine", *options, rounds=6, records=2000)
                self.assert_whole(row, 6)
                self.assert_engine(row)
        self.assert_clean()

    def test_checkpoints_of_every_second_round_are_used(self):
        row = self.crashed("--kill", "--engine", "--writers", "1", rounds=3, records=1000)
        opened = [each["engine"]["open"]["from_checkpoint"] for each in row["round"]]
        self.assertEqual(opened, [False, True, True])

    def test_people_get_a_table_of_the_engine(self):
        done = weir("crash", "--dir", self.directory, "--power", "--engine", "--rounds", "2",
                    "--records", "300", "--segment-size", "256KiB", "--force")
        self.assertEqual(done.exit, OK, done.err)
        for words in ("The engine", "rebuild ms", "the same", "0 of them lost"):
            self.assertIn(words, done.out.decode())


class Kill(Crash):
    def test_a_killed_writer_loses_nothing_on_any_medium(self):
        for name, options in MEDIA.items():
            with self.subTest(medium=name):
                row = self.crashed("--kill", *options)
                self.assert_whole(row, 3)
                self.assertEqual((row["medium"], row["how"]), (options[1], "kill"))
                self.assertEqual(row["emulated"], options[1] == "pmem")
                self.assertFalse(row["simulated"])
                for member in ("device", "file_system", "write_cache"):
                    self.assertIn(member, row)
                self.assert_clean()

    def test_every_durability_keeps_what_was_acknowledged(self):
        for durability in ("each", "group", "none"):
            with self.subTest(durability=durability):
                row = self.crashed("--kill", "--durability", durability, records=5000)
                self.assert_whole(row, 3)
                self.assertEqual(row["durability"], durability)

    def test_without_records_a_round_ends_by_time(self):
        done = weir("crash", "--dir", self.directory, "--kill", "--rounds", "1", "--size", "100",
                    "--writers", "1", "--cold", *self.SMALL)
        self.assertEqual(done.exit, OK, (done.out, done.err))
        row = done.row()
        self.assert_whole(row, 1)
        self.assertEqual((row["size_min"], row["size_max"], row["writers"]), (100, 100, 1))
        self.assertEqual(row["cache"], "cold")
        self.assertGreater(row["round"][0]["moment"]["time_s"], 0)

    def test_the_same_seed_makes_the_same_choices(self):
        def moments(seed):
            row = self.crashed("--kill", "--seed", seed, records=100, rounds=4)
            self.assertEqual(row["seed"], seed)
            return [each["moment"] for each in row["round"]]
        first = moments(11)
        self.assertEqual(first, moments(11))
        self.assertNotEqual(first, moments(12))
        for moment in first:
            self.assertTrue(50 < moment["acknowledged"] <= 100)

    def test_a_log_that_is_kept_is_the_one_that_was_reported(self):
        row = self.crashed("--kill", "--keep")
        self.assertEqual(os.path.dirname(os.path.dirname(row["log"])),
                         os.path.realpath(self.directory))
        verdict = weir("verify", row["log"], "--json").row()
        self.assertEqual((verdict["ok"], verdict["records"]), (True, row["recovered"]))

    def test_a_signal_ends_it_with_a_report_of_what_is_complete(self):
        def segments():
            return sum("segment" in name for _, _, names in os.walk(self.directory)
                       for name in names)
        with Running("crash", "--dir", self.directory, "--kill", "--rounds", "10000",
                     "--records", "100", *self.SMALL) as running:
            until(lambda: segments() > 12)  # a round fills less than four
            running.signal(signal.SIGINT)
            row = running.row()
            exit_code, _, err = running.finish()
        self.assertEqual(exit_code, INTERRUPTED, err)
        self.assertTrue(row["interrupted"])
        self.assertTrue(0 < row["rounds"] < 10000)
        self.assert_whole(row, row["rounds"])
        self.assert_clean()

    def test_the_writers_die_with_the_command(self):
        with Running("crash", "--dir", self.directory, "--kill", "--rounds", "10000",
                     *self.SMALL) as running:
            pid = running.process.pid
            found = []

            def has_child():
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    found[:] = file.read().split()
                return found
            if not os.path.exists(f"/proc/{pid}/task/{pid}/children"):
                self.skipTest("this kernel does not list children")
            until(has_child)
            running.kill()

        def is_gone():
            try:
                with open(f"/proc/{found[0]}/stat", encoding="ascii", errors="replace") as file:
                    return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
            except (FileNotFoundError, ProcessLookupError):
                return True
        until(is_gone)

    def test_people_get_tables(self):
        done = weir("crash", "--dir", self.directory, "--kill", "--rounds", "3", "--records", "300",
                    "--segment-size", "256KiB", "--force")
        self.assertEqual(done.exit, OK, done.err)
        text = done.out.decode()
        for words in ("device", "machine", "durability each", "What came back", "How long it took",
                      "median", "How it grows", "0 of them lost", "page cache       warm",
                      "for each GiB more", "3 of 3 rounds"):
            self.assertIn(words, text)
        self.assertTrue(all(len(line) <= 120 for line in text.splitlines()), text)


class Power(Crash):
    def test_a_power_cut_loses_nothing_on_any_simulated_medium(self):
        for name, options in SHAPES.items():
            with self.subTest(medium=name):
                row = self.crashed("--power", *options, rounds=8)
                self.assert_whole(row, 8)
                self.assertEqual((row["medium"], row["how"]),
                                 (f"simulated {name} (memory)", "power"))
                self.assertTrue(row["simulated"])
                self.assertFalse(row["durable_medium"])
                self.assertNotIn("device", row)
        self.assert_clean()

    def test_every_durability_and_witness_keeps_what_was_acknowledged(self):
        for durability in ("each", "group", "none"):
            for witness in ("lazy", "idle", "strict"):
                with self.subTest(durability=durability, witness=witness):
                    row = self.crashed("--power", "--durability", durability, "--witness", witness)
                    self.assert_whole(row, 3)

    def test_the_same_seed_makes_the_same_choices(self):
        def moments(seed):
            row = self.crashed("--power", "--seed", seed)
            return [each["moment"] for each in row["round"]]
        self.assertEqual(moments(5), moments(5))
        self.assertNotEqual(moments(5), moments(6))

    def test_a_simulated_log_that_is_kept_is_a_log(self):
        row = self.crashed("--power", "--keep")
        verdict = weir("verify", row["log"], "--json").row()
        self.assertEqual((verdict["ok"], verdict["records"]), (True, row["recovered"]))

    def test_it_is_labelled_as_simulated(self):
        done = weir("crash", "--dir", self.directory, "--power", "--rounds", "1", "--force",
                    "--records", "100")
        self.assertEqual(done.exit, OK, done.err)
        self.assertIn(b"simulated direct (memory)", done.out)
        self.assertIn(b"not a device's", done.out)

    def test_a_signal_ends_it_with_a_report_of_what_is_complete(self):
        with Running("crash", "--dir", self.directory, "--power", "--rounds", "10000",
                     "--records", "100", "--verbose", *self.SMALL) as running:
            for _ in range(10):  # three lines a round
                self.assertTrue(running.process.stderr.readline())
            running.signal(signal.SIGINT)
            row = running.row()
            exit_code, _, _ = running.finish()
        self.assertEqual(exit_code, INTERRUPTED)
        self.assertTrue(row["interrupted"])
        self.assertGreater(row["rounds"], 0)
        self.assert_whole(row, row["rounds"])

    def test_a_simulated_disk_that_is_full_is_exit_4(self):
        done = weir("crash", "--dir", self.directory, "--power", "--segment-size", "1GiB",
                    "--force", "--json")
        error = self.assert_error(done, DEVICE, "no room", "simulated disk")
        self.assertEqual(error["code"], "ENOSPC")
        self.assert_clean()


class Refusals(Crash):
    def test_usage_errors_exit_2_and_do_nothing(self):
        directory = ["--dir", self.directory]
        cases = [
            [], ["--kill"], ["--power"], directory, ["--dir", "", "--kill"],
            [*directory, "--kill", "--power"], [*directory, "--kill", "more"],
            [*directory, "--kill", "--writers", "0"], [*directory, "--kill", "--writers", "257"],
            [*directory, "--kill", "--rounds", "0"], [*directory, "--kill", "--records", "0"],
            [*directory, "--kill", "--records", "67108865"], [*directory, "--kill", "--size", "15"],
            [*directory, "--kill", "--size", "2MiB"], [*directory, "--kill", "--seed", "x"],
            [*directory, "--kill", "--durability", "never"], [*directory, "--kill", "--unknown"],
            [*directory, "--power", "--cold"], [*directory, "--power", "--io", "sync"],
            [*directory, "--kill", "--segment-size", "300KiB"],
        ]
        for arguments in cases:
            with self.subTest(arguments=arguments):
                done = weir("crash", *arguments)
                self.assertEqual((done.exit, done.out), (USAGE, b""), done.err)
                self.assertIn("usage: weir crash", done.err)
                self.assert_error(weir("crash", *arguments, "--json"), USAGE)
        self.assert_clean()

    def test_what_cannot_be_opened_is_exit_3_and_leaves_nothing(self):
        for arguments in (["--dir", self.path("none"), "--kill"],
                          ["--dir", self.path("none"), "--power"],
                          ["--dir", self.directory, "--kill", "--segment-size", "256KiB",
                           "--size", "1MiB"]):
            with self.subTest(arguments=arguments):
                self.assert_error(weir("crash", *arguments, "--force", "--json"), REFUSED)
        self.assert_clean()

    def test_a_build_that_is_not_for_measuring_is_refused_unless_forced(self):
        done = weir("crash", "--dir", self.directory, "--power", "--rounds", "1", "--records", "50",
                    "--json")
        if done.exit == OK:
            self.skipTest(f"this is a {done.row()['build']} build")
        self.assert_error(done, REFUSED, "--force")

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_a_directory_that_cannot_be_written_is_exit_3(self):
        os.chmod(self.directory, 0o500)
        self.addCleanup(os.chmod, self.directory, 0o700)
        self.assert_error(weir("crash", "--dir", self.directory, "--kill", "--force", "--json"),
                          REFUSED)


if __name__ == "__main__":
    main()
