"""stat, verify, dump, truncate, hold, devices: the shapes that scripts rely on."""

import glob
import os
import re

from command import DEVICE, NO, OK, REFUSED, USAGE, LogTest, Running, main, weir


class Stat(LogTest):
    def test_an_empty_log_has_earliest_and_latest_0(self):
        self.append()
        stat = weir("stat", self.log, "--json").row()
        self.assertEqual((stat["earliest"], stat["latest"], stat["horizon"]), (0, 0, 0))
        self.assertEqual(stat["segment_bytes"], 256 << 10)
        self.assertEqual(stat["holds"], [])
        self.assertNotIn("latest_time", stat)

    def test_stat_says_what_is_retained_and_how(self):
        self.append(b"a", b"b", b"c")
        weir("truncate", self.log, "--before", 2)
        stat = weir("stat", self.log, "--json").row()
        self.assertEqual((stat["earliest"], stat["latest"], stat["durable"]), (2, 3, 3))
        for member in ("uuid", "epoch", "log_bytes", "segments", "record_bytes", "group_bytes",
                       "medium", "io", "reason", "durable_medium", "live_writer", "clean",
                       "latest_time"):
            self.assertIn(member, stat)
        self.assertGreater(stat.get("free_bytes", 1), 0)  # some file systems do not tell
        self.assertFalse(stat["live_writer"])
        self.assertTrue(stat["clean"])

    def test_the_table_says_the_same(self):
        self.append(b"a", b"b")
        weir("hold", "set", self.log, "billing", 1)
        out = weir("stat", self.log).out.decode()
        self.assertIn("LSN 1 to 2", out)
        self.assertIn("billing keeps LSN 1 on", out)
        self.assertIn("medium", out)

    def test_who_only_reads_does_not_speak_of_an_io_that_it_does_not_use(self):
        self.append(b"a")
        for command in (["stat"], ["stat", "-v"], ["tail", "-v"]):
            done = weir(*command, self.log)
            said = done.out.decode() + done.err
            self.assertIn("medium", said)
            self.assertNotIn("io sync", said)
        said = weir("append", self.log, "-v", "--io", "sync").err
        self.assertIn("io sync, durable", said)


class Verify(LogTest):
    def test_a_whole_log_is_ok_with_exit_0(self):
        self.append(b"abc", b"", b"de")
        done = weir("verify", self.log, "--json")
        self.assertEqual(done.exit, OK, done.err)
        row = done.row()
        self.assertEqual(list(row.items())[:6], [("ok", True), ("earliest", 1), ("latest", 3),
                                                 ("records", 3), ("bytes", 5), ("findings", [])])
        self.assertEqual(weir("verify", self.log).exit, OK)

    def test_wl_10_damage_is_exit_1_with_its_lsns_and_its_place(self):
        line = b"the quick brown fox"
        self.append(line)
        self.append(b"between")
        self.append(b"behind")
        hits = []
        for path in glob.glob(os.path.join(self.log, "**"), recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    at = file.read().find(line)
                if at >= 0:
                    hits.append((path, at))
        self.assertEqual(len(hits), 1)
        path, at = hits[0]
        with open(path, "r+b") as file:
            file.seek(at + 4)
            file.write(b"Q")
        done = weir("verify", self.log, "--json")
        self.assertEqual(done.exit, NO, (done.out, done.err))
        row = done.row()
        self.assertFalse(row["ok"])
        finding = row["findings"][0]
        self.assertEqual((finding["from_lsn"], finding["file"]), (1, os.path.basename(path)))
        for member in ("code", "to_lsn", "offset", "text"):
            self.assertIn(member, finding)
        for_people = weir("verify", self.log)
        self.assertEqual(for_people.exit, NO)
        self.assertIn("lost or damaged", for_people.out.decode())


    def test_damage_that_costs_no_record_is_not_called_a_lost_record(self):
        self.append(b"whole")
        with open(os.path.join(self.log, "CONTROL"), "r+b") as file:
            file.write(bytes(4 * 4096))
        done = weir("verify", self.log)
        self.assertEqual(done.exit, NO)
        self.assertIn("no record is lost", done.out.decode())
        self.assertNotIn("are lost", done.out.decode())

    def test_advice_names_only_commands_that_there_are(self):
        self.append(b"whole")
        os.truncate(os.path.join(self.log, "CONTROL"), 0)
        advice = self.assert_error(weir("tail", self.log, "--json"), REFUSED)["advice"]
        there_are = re.findall(r"^  ([a-z]+) +[A-Z]", weir("--help").out.decode(), re.MULTILINE)
        for text in (advice, weir("verify", self.log).out.decode()):
            for command in re.findall(r"`weir ([a-z]+)", text):
                self.assertIn(command, there_are)


class Dump(LogTest):
    def test_a_damaged_group_is_passed_over_and_named(self):
        for _ in range(4):  # recovery may read the last two segments, and would refuse
            self.append(*[b"%032d" % number for number in range(4000)])
        rows = weir("dump", self.log, "--json").rows()
        hit = next(row for row in rows if row["kind"] == "data" and row["first_lsn"] > 1)
        with open(os.path.join(self.log, hit["file"]), "r+b") as file:
            file.seek(hit["offset"])
            file.write(b"damage")
        done = weir("dump", self.log, "--json")
        error = self.assert_error(done, DEVICE, hit["file"], hit["offset"])
        self.assertEqual((error["file"], error["offset"]), (hit["file"], hit["offset"]))
        last = hit["first_lsn"] + hit["record_count"] - 1
        self.assertEqual((error["from_lsn"], error["to_lsn"]), (hit["first_lsn"], last))
        self.assertEqual(done.rows()[-2]["first_lsn"], rows[-1]["first_lsn"])

    def test_each_group_is_a_row(self):
        self.append(b"a")
        self.append(b"b", b"c")
        rows = weir("dump", self.log, "--json").rows()
        data = [row for row in rows if row["kind"] == "data"]
        self.assertEqual(sum(row["record_count"] for row in data), 3)
        self.assertEqual(data[0]["first_lsn"], 1)
        for member in ("file", "offset", "size_bytes", "address", "durable_lsn", "epoch", "time",
                       "crc", "previous_crc"):
            self.assertIn(member, data[0])
        self.assertIn("data", weir("dump", self.log).out.decode())


class Truncate(LogTest):
    def setUp(self):
        super().setUp()
        self.append(b"1", b"2", b"3", b"4")

    def test_wl_06_truncation_keeps_the_lsn_that_is_named(self):
        row = weir("truncate", self.log, "--before", 3, "--json").row()
        self.assertEqual((row["earliest"], row["latest"]), (3, 4))
        self.assertEqual(self.records(), ["3", "4"])

    def test_wl_01_a_log_that_was_emptied_goes_on_counting(self):
        row = weir("truncate", self.log, "--before", 5, "--json").row()
        self.assertEqual((row["earliest"], row["latest"]), (0, 0))
        self.assertEqual(self.records(), [])
        self.assertEqual(self.append(b"5"), [5])
        self.assertEqual(self.records(), ["5"])

    def test_wl_06_truncation_refuses_to_pass_a_hold_and_names_it(self):
        self.assertEqual(weir("hold", "set", self.log, "billing", 2).exit, OK)
        done = weir("truncate", self.log, "--before", 3, "--json")
        error = self.assert_error(done, REFUSED, "billing")
        self.assertEqual(error["code"], "WEIR_E_HELD")
        self.assertEqual(self.records(), ["1", "2", "3", "4"])
        self.assertEqual(weir("truncate", self.log, "--before", 2).exit, OK)

    def test_truncation_beyond_the_end_is_refused(self):
        self.assert_error(weir("truncate", self.log, "--before", 6, "--json"), REFUSED)
        self.assertEqual(self.records(), ["1", "2", "3", "4"])

    def test_truncation_makes_no_log(self):
        self.assertEqual(weir("truncate", self.path("none"), "--before", 1).exit, REFUSED)
        self.assertFalse(os.path.exists(self.path("none")))


class Hold(LogTest):
    def hold(self, *arguments):
        return weir("hold", *arguments, "--json")

    def test_holds_are_set_moved_listed_and_dropped(self):
        self.append(b"1", b"2", b"3")
        self.assertEqual(self.hold("set", self.log, "b", 2).row(), {"name": "b", "floor": 2})
        self.assertEqual(self.hold("set", self.log, "a", 1).row(), {"name": "a", "floor": 1})
        self.assertEqual(self.hold("move", self.log, "a", 3).row(), {"name": "a", "floor": 3})
        rows = self.hold("list", self.log).rows()
        self.assertEqual([(row["name"], row["floor"]) for row in rows], [("a", 3), ("b", 2)])
        self.assertIn("moved", rows[0])
        self.assertEqual(self.hold("drop", self.log, "a").row(), {"name": "a", "dropped": True})
        self.assertEqual([row["name"] for row in self.hold("list", self.log).rows()], ["b"])
        holds = weir("stat", self.log, "--json").row()["holds"]
        self.assertEqual([hold["name"] for hold in holds], ["b"])

    def test_a_hold_moves_only_forward(self):
        self.append(b"1", b"2", b"3")
        self.hold("set", self.log, "a", 3)
        self.assert_error(self.hold("move", self.log, "a", 2), REFUSED, "hold set")
        self.assert_error(self.hold("set", self.log, "a", 9), REFUSED, "9 lies beyond 4")
        self.assertEqual(self.hold("set", self.log, "a", 2).exit, OK)

    def test_a_hold_that_is_not_there_is_refused(self):
        self.append(b"1")
        for arguments in (["move", self.log, "none", 1], ["drop", self.log, "none"]):
            error = self.assert_error(self.hold(*arguments), REFUSED, "none")
            self.assertEqual(error["code"], "WEIR_E_NO_HOLD")

    def test_a_name_that_is_no_name_is_refused(self):
        self.append(b"1")
        for name in ("../x", ".hidden", "", "a/b", "x" * 64):
            with self.subTest(name=name):
                self.assertIn(self.hold("set", self.log, name, 1).exit, (REFUSED, USAGE))

    def test_holds_change_beside_a_live_writer(self):
        with Running("append", self.log) as writer:
            writer.send(b"1\n")
            writer.row()
            self.assertEqual(self.hold("set", self.log, "a", 1).exit, OK)
            writer.send(b"2\n")
            writer.row()
            self.assertEqual(self.hold("move", self.log, "a", 2).exit, OK)


class Devices(LogTest):
    def test_each_medium_is_available_or_says_why_not(self):
        done = weir("devices", self.directory, "--json")
        self.assertEqual(done.exit, OK, done.err)
        row = done.row()
        for member in ("path", "file_system", "mount_point", "mount_options", "device",
                       "write_cache", "kernel", "cpu", "cpus", "clwb", "clflushopt", "io_uring",
                       "media"):
            self.assertIn(member, row)
        self.assertEqual({medium["medium"] for medium in row["media"]},
                         {"auto", "pmem", "direct", "mapped"})
        for medium in row["media"]:
            self.assertTrue(medium["reason"], medium)
        auto = next(medium for medium in row["media"] if medium["medium"] == "auto")
        self.assertTrue(auto["available"])
        self.append(b"x")
        stat = weir("stat", self.log, "--json").row()
        self.assertEqual(auto["runs_medium"], stat["medium"])

    def test_nothing_is_left_behind(self):
        weir("devices", self.directory)
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_medium_that_cannot_be_had_is_refused_not_replaced(self):
        media = weir("devices", self.directory, "--json").row()["media"]
        missing = [medium for medium in media if not medium["available"]]
        if not missing:
            self.skipTest("every medium can be had here")
        for medium in missing:
            done = weir("append", self.log, "--json", "--medium", medium["medium"],
                        "--io", medium["io"])
            self.assertEqual(self.assert_error(done, REFUSED)["code"], "WEIR_E_MEDIUM")
        self.assertFalse(os.path.exists(os.path.join(self.log, "CONTROL")))

    def test_a_medium_that_is_asked_for_by_name_is_the_one_that_runs(self):
        for medium in weir("devices", self.directory, "--json").row()["media"]:
            if medium["available"] and medium["medium"] != "auto":
                name, io = medium["medium"], medium["io"]
                with self.subTest(medium=name, io=io):
                    log = self.path(f"{name}-{io}")
                    done = weir("append", log, "--medium", name, "--io", io, stdin=b"a\nb\n")
                    self.assertEqual((done.exit, done.lsns()), (OK, [1, 2]), done.err)
                    what_runs = f"medium {medium['runs_medium']}, io {medium['runs_io']}"
                    self.assertIn(what_runs, done.err)
                    self.assertEqual(weir("tail", log, "--raw").out, b"a\nb\n")

    def test_a_directory_that_is_not_there_is_refused(self):
        self.assert_error(weir("devices", self.path("none"), "--json"), REFUSED)


if __name__ == "__main__":
    main()
