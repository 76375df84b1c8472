"""checkpoint, rebuild, compact, stat --engine: what can be deleted, and what is the same again."""

import json
import os
import random
import shutil
import signal
import subprocess

from command import INTERRUPTED, OK, REFUSED, TIMEOUT_S, LogTest, Running, main, weir


class UpkeepTest(LogTest):
    def load(self, pairs, *options):
        lines = b"".join(key + b"\t" + value + b"\n" for key, value in pairs)
        done = weir("import", self.log, "--json", "--segment-size", "256KiB", *options, stdin=lines)
        self.assertEqual(done.exit, OK, done.err)

    def make(self, rows=5000):
        chooser = random.Random(rows)
        for table in ("", "fruit"):
            self.load(((b"k%05d" % chooser.randrange(rows // 2), b"v%d" % n)
                       for n in range(rows)), "--table", table)
        for n in range(5):
            weir("delete", self.log, "k%05d" % n)

    def row(self, *arguments):
        done = weir(*arguments, "--json")
        self.assertEqual(done.exit, OK, (done.out, done.err))
        return done.row()

    def state(self):
        """Every table as scan shows it, and the fingerprint of a rebuild that writes nothing."""
        shown = [weir("scan", self.log, "--json", *table).out
                 for table in ([], ["--table", "fruit"])]
        rebuilt = self.row("rebuild", self.log, "--no-checkpoint")
        return shown + [rebuilt["fingerprint"], rebuilt["keys"]]

    def derived(self):
        return os.path.join(self.log, "derived")


class Rebuild(UpkeepTest):
    def test_se_02_the_state_is_the_same_when_everything_derived_was_deleted(self):
        self.make()
        before = self.state()
        self.row("checkpoint", self.log)
        self.assertEqual(self.state(), before)
        shutil.rmtree(self.derived())
        self.assertEqual(self.state(), before)
        rebuilt = self.row("rebuild", self.log)
        self.assertEqual([rebuilt["fingerprint"], rebuilt["keys"]], before[2:])
        self.assertEqual(self.state(), before)

    def test_rebuild_names_phases_keys_and_the_checkpoint_that_it_wrote(self):
        self.make(500)
        rebuilt = self.row("rebuild", self.log, "engine")
        for member in ("walk_s", "sort_s", "build_s", "seconds", "threads", "records", "bytes"):
            self.assertIn(member, rebuilt)
        self.assertRegex(rebuilt["fingerprint"], "^[0-9a-f]{32}$")
        self.assertEqual(rebuilt["checkpoint"]["lsn"], rebuilt["lsn"])
        text = weir("rebuild", self.log)
        self.assertEqual(text.exit, OK, text.err)
        self.assertIn(rebuilt["fingerprint"], text.out.decode())

    def test_rebuild_without_a_checkpoint_changes_no_file(self):
        self.make(500)
        names = sorted(os.listdir(self.log))
        self.row("rebuild", self.log, "--no-checkpoint", "--threads", "2")
        self.assertEqual(sorted(os.listdir(self.log)), names)

    def test_a_derived_system_that_is_not_there_is_refused(self):
        self.make(500)
        self.assert_error(weir("rebuild", self.log, "by_city", "--json"), REFUSED, "'by_city'")

    def test_a_fingerprint_tells_states_apart(self):
        self.make(500)
        before = self.row("rebuild", self.log)["fingerprint"]
        weir("put", self.log, "one", "more")
        self.assertNotEqual(self.row("rebuild", self.log)["fingerprint"], before)


class Checkpoint(UpkeepTest):
    def test_se_09_a_checkpoint_shortens_the_next_open(self):
        self.make()
        before = self.row("stat", self.log, "--engine")["engine"]
        self.assertFalse(before["from_checkpoint"])
        self.assertGreaterEqual(before["since_checkpoint_records"], 10000)
        report = self.row("checkpoint", self.log)
        after = self.row("stat", self.log, "--engine")["engine"]
        self.assertTrue(after["from_checkpoint"])
        self.assertEqual(after["since_checkpoint_records"], 0)
        self.assertEqual(after["checkpoint_lsn"], report["lsn"])
        self.assertEqual((after["keys"], after["tables"]), (before["keys"], before["tables"]))

    def test_se_09_a_damaged_checkpoint_costs_time_and_no_data(self):
        self.make()
        before = self.state()
        self.row("checkpoint", self.log)
        path = os.path.join(self.derived(), "engine", "checkpoint")
        size = os.path.getsize(path)
        for offset in (0, 100, size // 2, size - 1):
            with self.subTest(offset=offset):
                with open(path, "r+b") as file:
                    file.seek(offset)
                    byte = file.read(1)
                    file.seek(offset)
                    file.write(bytes([byte[0] ^ 0x40]))
                self.assertEqual(self.state(), before)
                with open(path, "r+b") as file:
                    file.seek(offset)
                    file.write(byte)
        os.truncate(path, size // 2)
        self.assertEqual(self.state(), before)
        os.truncate(path, 0)
        self.assertEqual(self.state(), before)

    def test_for_people_it_says_how_many_keys_and_bytes(self):
        self.make(500)
        self.assertRegex(weir("checkpoint", self.log).out.decode(),
                         r"a checkpoint of \d+ keys as of LSN \d+")


class Compact(UpkeepTest):
    def versions(self, rounds=30, keys=800, padding=b""):
        """Many versions of the same keys, in small segments; the last of each counts."""
        self.load(((b"k%04d" % key, b"%d/%d" % (number, key) + padding)
                   for number in range(rounds) for key in range(keys)), "--table", "fruit")

    def test_compaction_gives_space_back_and_changes_no_fingerprint(self):
        self.versions()
        before = self.state()
        report = self.row("compact", self.log)
        self.assertLess(report["bytes_after"], report["bytes_before"])
        self.assertGreater(report["records_dropped"], 0)
        self.assertEqual((report["limited_by"], report["interrupted"]), ("", False))
        self.assertEqual(self.state(), before)
        self.assertTrue(weir("verify", self.log, "--json").row()["ok"])
        shutil.rmtree(self.derived(), ignore_errors=True)
        self.assertEqual(self.state(), before)

    def test_a_hold_limits_the_horizon_and_is_named(self):
        self.versions()
        latest = self.row("stat", self.log)["latest"]
        floor = latest * 2 // 3
        weir("hold", "set", self.log, "backup", floor)
        past = weir("scan", self.log, "--table", "fruit", "--as-of", floor).out
        report = self.row("compact", self.log)
        self.assertEqual((report["limited_by"], report["horizon"]), ("backup", floor - 1))
        self.assertEqual(weir("scan", self.log, "--table", "fruit", "--as-of", floor).out, past)
        done = weir("get", self.log, "k0001", "--table", "fruit", "--as-of", floor - 2, "--json")
        error = self.assert_error(done, REFUSED, f"LSN {floor - 1}")
        self.assertEqual(error["code"], "WEIR_E_HORIZON")

    def test_a_horizon_that_was_asked_for_keeps_all_history_behind_it(self):
        self.versions()
        latest = self.row("stat", self.log)["latest"]
        horizon = latest - 1600
        self.row("compact", self.log, "--horizon", horizon, "--steps", 100)
        self.assertEqual(self.row("stat", self.log)["horizon"], horizon)
        rows = weir("history", self.log, "k0007", "--table", "fruit", "--json").rows()
        self.assertEqual([row["value"] for row in rows[:2]], ["29/7", "28/7"])
        self.assertTrue(all(row["lsn"] > horizon for row in rows[:2]))

    def test_tail_shows_what_compaction_left_and_says_so(self):
        self.versions()
        self.row("compact", self.log)
        shown = weir("tail", self.log, "--json")
        self.assertEqual(shown.exit, OK, shown.err)
        self.assertIn("compacted", shown.err)
        lsns = shown.lsns()
        self.assertEqual(lsns, sorted(set(lsns)))
        self.assertEqual({row["key"] for row in shown.rows() if "key" in row},
                         {"k%04d" % key for key in range(800)})
        self.assertEqual(weir("tail", self.log, "--from", "latest").err, "")

    def test_for_people_it_says_what_was_dropped_and_what_limits_it(self):
        self.versions()
        weir("hold", "set", self.log, "backup", 15000)
        text = weir("compact", self.log).out.decode()
        self.assertRegex(text, r"MiB in \d+ segments became ")
        self.assertRegex(text, r"dropped +\d+ records")
        self.assertIn("LSN 14999, which the hold backup", text)

    def test_a_signal_ends_it_behind_a_step_with_a_report_and_exit_5(self):
        self.versions(padding=b"." * 400)
        before = self.state()
        with Running("compact", self.log, "--rate", "1MiB", "--json") as running:
            while not self.row("stat", self.log)["live_writer"]:
                pass
            running.signal(signal.SIGINT)
            exit_code, out, err = running.finish()
        self.assertEqual(exit_code, INTERRUPTED, err)
        row = json.loads(out)  # the error, when it was still replaying
        self.assertTrue(row.get("interrupted", "error" in row), row)
        self.assertEqual(self.state(), before)


class Stat(UpkeepTest):
    def test_stat_says_cheaply_whether_there_are_tables(self):
        self.append(b"x")
        self.assertFalse(self.row("stat", self.log)["has_tables"])
        weir("put", self.log, "k", "v", "--table", "fruit")
        row = self.row("stat", self.log)
        self.assertTrue(row["has_tables"])
        self.assertNotIn("engine", row)
        self.assertIn("--engine", weir("stat", self.log).out.decode())

    def test_stat_counts_the_keys_of_each_table_when_it_is_asked_to(self):
        weir("put", self.log, "a", "1")
        weir("put", self.log, "b", "1", "--table", "fruit")
        weir("put", self.log, "c", "1", "--table", "fruit")
        weir("delete", self.log, "c", "--table", "fruit")
        engine = self.row("stat", self.log, "--engine")["engine"]
        tables = [(table["name"], table["keys"], table["deleted_keys"])
                  for table in engine["tables"]]
        self.assertEqual(tables, [("", 1, 0), ("fruit", 1, 1)])
        self.assertEqual((engine["keys"], engine["deleted_keys"]), (2, 1))
        text = weir("stat", self.log, "--engine").out.decode()
        self.assertIn("fruit: 1 key, 1 deleted", text)


class Progress(UpkeepTest):
    def test_progress_is_drawn_on_a_terminal_only_and_taken_away_again(self):
        self.make()
        self.assertEqual(weir("rebuild", self.log).err, "")
        if shutil.which("script") is None:
            self.skipTest("there is no script(1)")
        command = f"{os.environ['WEIR']} rebuild {self.log} >/dev/null"
        done = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT_S, check=True)
        self.assertTrue(done.stdout.endswith(b"\r\x1b[K"), done.stdout[-80:])


if __name__ == "__main__":
    main()
