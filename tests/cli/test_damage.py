"""Damage of each kind, by hand: what the commands say about it, and what weir salvage makes of it.

Each test is what a person goes through: something is wrong; append, tail and stat refuse or stop
and name the next command; verify lists what is damaged; salvage makes a new log that holds every
record that was whole, with gaps for the others, and leaves the old one as it was.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import tempfile
import time

from command import (DEVICE, INTERRUPTED, NO, OK, PARENT, REFUSED, USAGE, LogTest, Running, main,
                     weir)

BLOCK = 4096
RUNS, LINES = 6, 2500


def digest(directory):
    """Every name and byte below a directory."""
    sums = {}
    for parent, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(parent, name)
            with open(path, "rb") as file:
                sums[os.path.relpath(path, directory)] = hashlib.sha256(file.read()).hexdigest()
    return sums


class DamageTest(LogTest):
    """self.log is a closed log of several segments and writers; self.whole its rows."""

    @classmethod
    def setUpClass(cls):
        cls.pristine = tempfile.mkdtemp(prefix="weir-cli-", dir=PARENT)
        log = os.path.join(cls.pristine, "log")
        for run in range(RUNS):
            lines = b"".join(b"run %d line %032d\n" % (run, i) for i in range(LINES))
            weir("append", log, "--segment-size", "256KiB", stdin=lines)
        cls.rows_of_log = weir("tail", log, "--json").rows()
        cls.groups = weir("dump", log, "--json").rows()
        cls.uuid = weir("stat", log, "--json").row()["uuid"]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.pristine, ignore_errors=True)

    def setUp(self):
        super().setUp()
        shutil.copytree(os.path.join(self.pristine, "log"), self.log)
        self.whole = {row["lsn"]: row for row in self.rows_of_log}
        self.latest = RUNS * LINES
        self.segments = sorted(name for name in os.listdir(self.log) if name.startswith("segment"))
        self.segments = [name for name in self.segments
                         if any(group["file"] == name for group in self.groups)]
        self.assertGreaterEqual(len(self.segments), 4)

    def hit(self, name, offset, data):
        with open(os.path.join(self.log, name), "r+b") as file:
            file.seek(offset)
            file.write(data)

    def data_groups(self, name):
        return [group for group in self.groups
                if group["file"] == name and group["kind"] == "data"]

    def lsns_of(self, name):
        groups = self.data_groups(name)
        return groups[0]["first_lsn"], groups[-1]["first_lsn"] + groups[-1]["record_count"] - 1

    def range_of(self, group):
        return group["first_lsn"], group["first_lsn"] + group["record_count"] - 1

    # ---- what the commands say

    def refused(self, code, *words, exit_code=REFUSED):
        """Everything that opens refuses, says why, and what to do next."""
        before = digest(self.log)
        for command in (["append"], ["tail"], ["stat"]):
            done = weir(command[0], self.log, "--json", stdin=b"x\n")
            error = self.assert_error(done, exit_code, *words)
            self.assertEqual(error["code"], code)
            self.assertIn(f"`weir verify {self.log}`", error["advice"])
            self.assertIn(f"`weir salvage {self.log} NEW`", error["advice"])
            for_people = weir(command[0], self.log, stdin=b"x\n")
            self.assertIn(f"weir salvage {self.log}", for_people.err)
        del before["LOCK"]  # names who tried last
        after = digest(self.log)
        self.assertEqual({name: after[name] for name in before}, before)

    def opens(self):
        self.assertEqual(weir("stat", self.log).exit, OK)

    def verify(self, exit_code, *expected):
        """expected: (code, first LSN, last LSN), 0, 0 for what costs no record."""
        before = digest(self.log)
        done = weir("verify", self.log, "--json")
        self.assertEqual(done.exit, exit_code, (done.out, done.err))
        row = done.row()
        found = [(f["code"], f["from_lsn"], f["to_lsn"]) for f in row["findings"]]
        self.assertEqual(found, list(expected))
        self.assertEqual(row["ok"], exit_code == OK)
        for finding in row["findings"]:
            self.assertIn(finding["file"], finding["text"])
            self.assertTrue(finding["advice"])
            self.assertEqual(finding["note"], exit_code == OK)
            if finding["from_lsn"] > 0:
                self.assertIn(str(finding["from_lsn"]), finding["text"])
                self.assertIn(str(finding["to_lsn"]), finding["text"])
            if "offset" in finding:
                self.assertIn(str(finding["offset"]), finding["text"])
        for_people = weir("verify", self.log).out.decode()
        self.assertEqual("What can be done" in for_people, exit_code == NO)
        self.assertEqual(digest(self.log), before)
        return row

    # ---- what salvage makes of it

    def salvage(self, *gaps, latest=None):
        """gaps: (code, first LSN, last LSN). The new log has exactly the other records."""
        latest = latest or self.latest
        new = self.path("new")
        before = digest(self.log)
        done = weir("salvage", self.log, new, "--json")
        self.assertEqual(done.exit, NO if gaps else OK, (done.out, done.err))
        self.assertEqual(digest(self.log), before)
        report = done.row()
        self.assertEqual([(g["code"], g["from_lsn"], g["to_lsn"]) for g in report["gaps"]],
                         list(gaps))
        missing = {lsn for _, first, last in gaps for lsn in range(first, last + 1)}
        self.assertEqual((report["kept_from"], report["kept_to"]), (1, latest))
        self.assertEqual(report["records"], latest - len(missing))
        self.assertEqual(report["gap_lsns"], len(missing))
        self.check_new(new, gaps, missing, latest)
        return report

    def check_new(self, new, gaps, missing, latest):
        self.assertTrue(weir("verify", new, "--json").row()["ok"])
        rows = weir("tail", new, "--json").rows()
        kept = {row["lsn"]: row for row in rows if "gap" not in row}
        self.assertEqual(kept, {lsn: row for lsn, row in self.whole.items()
                                if lsn not in missing and lsn <= latest})
        shown = [(row["code"], row["lsn"], row["to_lsn"]) for row in rows if "gap" in row]
        self.assertEqual(shown, list(gaps))
        self.assertEqual([row["lsn"] for row in rows], sorted(row["lsn"] for row in rows))
        done = weir("append", new, stdin=b"goes on\n")
        self.assertEqual((done.exit, done.lsns()), (OK, [latest + 1]), done.err)
        self.assertNotEqual(weir("stat", new, "--json").row()["uuid"], self.uuid)


class Control(DamageTest):
    def test_one_copy_of_control_is_a_note(self):
        self.hit("CONTROL", BLOCK, bytes(BLOCK))
        self.opens()
        self.verify(OK, ("control-copy", 0, 0))
        self.salvage()

    def test_all_copies_of_control(self):
        self.hit("CONTROL", 0, bytes(4 * BLOCK))
        self.refused("WEIR_E_CONTROL", "0 valid copies of 4")
        self.verify(NO, ("control", 0, 0))
        self.salvage()

    def test_no_control(self):
        os.remove(os.path.join(self.log, "CONTROL"))
        self.refused("WEIR_E_CONTROL", "CONTROL is missing")
        self.verify(NO, ("control", 0, 0))
        self.salvage()

    def test_no_control_and_no_first_segment(self):
        os.remove(os.path.join(self.log, "CONTROL"))
        os.remove(os.path.join(self.log, self.segments[0]))
        first = self.lsns_of(self.segments[1])[0]
        row = self.verify(NO, ("control", 0, 0))
        self.assertTrue(row["open_begin"])
        self.assertIn("missing at its front", weir("verify", self.log).out.decode())
        new = self.path("new")
        done = weir("salvage", self.log, new)
        self.assertEqual(done.exit, NO, done.err)
        self.assertIn("may be missing at the front", done.out.decode())
        rows = weir("tail", new, "--json").rows()
        self.assertEqual((rows[0]["lsn"], rows[-1]["lsn"]), (first, self.latest))

    def test_control_of_another_log(self):
        other = self.path("other")
        weir("append", other, "--segment-size", "256KiB", stdin=b"other\n")
        shutil.copy(os.path.join(other, "CONTROL"), os.path.join(self.log, "CONTROL"))
        self.refused("WEIR_E_DAMAGED", self.segments[0])
        self.verify(NO, ("control", 0, 0))
        self.salvage()

    def test_control_of_yesterday(self):
        shutil.copy(os.path.join(self.log, "CONTROL"), self.path("old"))
        self.append(b"newer")
        self.whole[self.latest + 1] = weir("tail", self.log, "--json", "--from",
                                           self.latest + 1).row()
        self.latest += 1
        shutil.copy(self.path("old"), os.path.join(self.log, "CONTROL"))
        self.refused("WEIR_E_ROLLED_BACK", "epoch")
        self.verify(NO, ("epoch", 0, 0))
        self.salvage()


class Segment(DamageTest):
    def test_one_copy_of_a_header_is_a_note(self):
        self.hit(self.segments[1], 0, bytes(BLOCK))
        self.opens()
        self.verify(OK, ("segment-header", 0, 0))
        self.salvage()

    def test_both_copies_of_a_header(self):
        self.hit(self.segments[1], 0, bytes(2 * BLOCK))
        self.refused("WEIR_E_DAMAGED", self.segments[1])
        self.verify(NO, ("segment-header", 0, 0))
        self.salvage()

    def test_the_seal_is_a_note(self):
        seal = next(group for group in self.groups if group["kind"] == "seal")
        self.hit(seal["file"], seal["offset"] + 64 + 64, b"damage")
        self.opens()
        self.verify(OK, ("seal", 0, 0))
        self.salvage()

    def test_a_missing_file(self):
        first, last = self.lsns_of(self.segments[1])
        os.remove(os.path.join(self.log, self.segments[1]))
        self.refused("WEIR_E_CUT_SHORT", self.segments[1], "missing")
        self.verify(NO, ("segment-missing", first, last))
        self.salvage(("segment-missing", first, last))

    def test_the_first_file_is_missing(self):
        first, last = self.lsns_of(self.segments[0])
        os.remove(os.path.join(self.log, self.segments[0]))
        self.refused("WEIR_E_CUT_SHORT", self.segments[0], "missing")
        self.verify(NO, ("segment-missing", first, last))
        self.salvage(("segment-missing", first, last))

    def test_the_last_file_is_missing_and_its_lsns_are_not_given_again(self):
        first, last = self.lsns_of(self.segments[-1])
        os.remove(os.path.join(self.log, self.segments[-1]))
        self.refused("WEIR_E_CUT_SHORT", self.segments[-1], "missing")
        self.verify(NO, ("segment-missing", first, last))
        self.salvage(("segment-missing", first, last))

    def test_a_file_cut_short(self):
        group = self.data_groups(self.segments[1])[1]
        last = self.lsns_of(self.segments[1])[1]
        os.truncate(os.path.join(self.log, self.segments[1]), group["offset"] + 100)
        self.refused("WEIR_E_CUT_SHORT", self.segments[1], "ends after")
        self.verify(NO, ("cut-short", group["first_lsn"], last))
        self.salvage(("cut-short", group["first_lsn"], last))

    def test_a_file_of_another_log(self):
        other = self.path("other")
        for _ in range(3):
            weir("append", other, "--segment-size", "256KiB",
                 stdin=b"".join(b"%060d\n" % i for i in range(LINES)))
        first, last = self.lsns_of(self.segments[1])
        shutil.copy(os.path.join(other, self.segments[1]), os.path.join(self.log, self.segments[1]))
        self.refused("WEIR_E_DAMAGED", self.segments[1])
        # The headers of its groups say where they are, and pass no checksum of this log.
        code = self.verify_codes()[0]
        self.salvage((code, first, last))

    def verify_codes(self):
        done = weir("verify", self.log, "--json")
        self.assertEqual(done.exit, NO)
        return [finding["code"] for finding in done.row()["findings"] if finding["from_lsn"] > 0]


class Group(DamageTest):
    def test_a_payload_in_a_sealed_segment(self):
        group = max(self.data_groups(self.segments[0]), key=lambda group: group["record_count"])
        self.assertGreater(group["record_count"], 6)
        lsn = group["first_lsn"] + 5
        stride = 16 + (len(self.whole[lsn]["data"]) + 7) // 8 * 8
        self.hit(group["file"], group["offset"] + 64 + 5 * stride + 16, b"?")
        self.opens()
        done = weir("tail", self.log, "--json")
        error = self.assert_error(done, DEVICE, *self.range_of(group))
        self.assertEqual(error["code"], "WEIR_E_DAMAGED")
        self.assertIn(f"`weir salvage {self.log} NEW`", error["advice"])
        self.verify(NO, ("record-crc", lsn, lsn))
        self.salvage(("record-crc", lsn, lsn))

    def test_a_group_header_in_a_sealed_segment(self):
        group = self.data_groups(self.segments[0])[1]
        self.hit(group["file"], group["offset"], bytes(64))
        self.opens()
        self.verify(NO, ("group-crc", *self.range_of(group)))
        self.salvage(("group-crc", *self.range_of(group)))

    def test_a_group_header_in_the_open_segment_with_evidence_behind_it(self):
        group = self.data_groups(self.segments[-1])[0]
        self.hit(group["file"], group["offset"], bytes(64))
        self.refused("WEIR_E_LOST", group["file"], group["offset"], *self.range_of(group))
        self.verify(NO, ("group-crc", *self.range_of(group)))
        self.salvage(("group-crc", *self.range_of(group)))

    def test_the_last_group_of_a_log_that_was_closed(self):
        group = [group for group in self.groups if group["kind"] == "data"][-1]
        self.hit(group["file"], group["offset"] + 64 + 12, b"user")
        self.refused("WEIR_E_LOST", *self.range_of(group))
        self.verify(NO, ("body-crc", *self.range_of(group)))
        self.salvage(("body-crc", *self.range_of(group)))

    def test_several_at_once(self):
        one, two = self.data_groups(self.segments[0])[:2]
        three = self.data_groups(self.segments[2])[0]
        self.hit(one["file"], one["offset"], bytes(64))
        self.hit(two["file"], two["offset"] + 20, b"damage")
        self.hit(three["file"], three["offset"] + 64 + 12, b"user")
        self.hit("CONTROL", 0, bytes(BLOCK))
        done = weir("salvage", self.log, self.path("new"))
        self.assertEqual(done.exit, NO, done.err)
        text = done.out.decode()
        for group in (one, two, three):
            for lsn in self.range_of(group):
                self.assertTrue(re.search(rf"\b{lsn}\b", text) or group is not three, text)
        shutil.rmtree(self.path("new"))
        self.salvage(("group-crc", one["first_lsn"], self.range_of(two)[1]),
                     ("body-crc", *self.range_of(three)))

    def test_the_zeros_behind_a_group(self):
        group = self.data_groups(self.segments[1])[1]
        self.hit(group["file"], group["offset"] + group["size_bytes"] - 1, b"\x01")
        row = self.verify(NO, ("padding", 0, 0))
        self.assertEqual(row["records"], self.latest)
        first, last = self.range_of(group)
        self.assertIn(f"readers refuse LSNs {first} to {last}", row["findings"][0]["text"])
        self.assertIn("no record is lost, but readers refuse some",
                      weir("verify", self.log).out.decode())
        self.assert_error(weir("tail", self.log, "--from", first, "--json"), DEVICE, first)
        self.salvage()


class Gaps(DamageTest):
    def setUp(self):
        super().setUp()
        self.first, self.last = self.lsns_of(self.segments[1])
        os.remove(os.path.join(self.log, self.segments[1]))
        self.new = self.path("new")
        weir("salvage", self.log, self.new)

    def test_a_gap_is_one_row_for_people_too(self):
        text = weir("tail", self.new).out.decode()
        self.assertEqual(text.count("gap:"), 1)
        self.assertIn(f"LSN {self.first} to {self.last} were lost", text)

    def test_raw_and_binary_stop_in_front_of_a_gap_and_go_on_behind_it(self):
        for form in ("--raw", "--binary"):
            done = weir("tail", self.new, form)
            self.assertEqual(done.exit, REFUSED)
            self.assertIn(f"LSNs {self.first} to {self.last} were lost", done.err)
        self.assertEqual(weir("tail", self.new, "--raw", "--from", self.last + 1).exit, OK)

    def test_a_start_inside_of_a_gap_shows_the_rest_of_it(self):
        rows = weir("tail", self.new, "--json", "--from", self.last - 3, "--count", 2).rows()
        self.assertEqual((rows[0]["lsn"], rows[0]["gap"], rows[0]["to_lsn"]),
                         (self.last - 3, True, self.last))
        self.assertEqual(rows[1]["lsn"], self.last + 1)

    def test_verify_names_the_gap_as_a_note(self):
        row = weir("verify", self.new, "--json").row()
        self.assertEqual([(f["code"], f["from_lsn"], f["to_lsn"], f["note"])
                          for f in row["findings"]], [("gap", self.first, self.last, True)])
        self.assertEqual(row["gap_lsns"], self.last - self.first + 1)


class Tables(LogTest):
    """A log of tables that rots in the middle: refused, accepted, and then used as any other."""

    KEYS, VERSIONS = 40, 60

    def setUp(self):
        super().setUp()
        self.was = {}  # LSN: (key, value)
        lsn = 1  # names the table
        for version in range(self.VERSIONS):
            rows = [{"k": f"key{n:02}", "v": version, "pad": "x" * 400}
                    for n in range(self.KEYS) if (n * 7 + version) % 3 > 0]
            weir("import", self.log, "--table", "t", "--key", "k", "--segment-size", "256KiB",
                 stdin="".join(json.dumps(row) + "\n" for row in rows).encode())
            for row in rows:
                lsn += 1
                self.was[lsn] = row["k"], row["v"]
        self.latest = lsn
        self.assertEqual(weir("index", "create", self.log, "by_v", "--table", "t",
                              "--field", "v").exit, OK)
        groups = [g for g in weir("dump", self.log, "--json").rows() if g["kind"] == "data"]
        hit = [groups[len(groups) // 3], groups[len(groups) * 2 // 3]]
        self.gone = set()
        for group in hit:
            with open(os.path.join(self.log, group["file"]), "r+b") as file:
                file.seek(group["offset"])
                file.write(bytes(64))
            self.gone |= set(range(group["first_lsn"], group["first_lsn"] + group["record_count"]))
        self.new = self.path("new")
        self.assertEqual(weir("salvage", self.log, self.new).exit, NO)

    def fold(self, as_of):
        state = {}
        for lsn in sorted(self.was):
            if lsn <= as_of and lsn not in self.gone:
                state[self.was[lsn][0]] = self.was[lsn][1], lsn
        return state

    def scan(self, *options):
        rows = weir("scan", self.new, "--table", "t", "--json", *options).rows()
        return {row["key"]: (json.loads(row["value"])["v"], row["lsn"]) for row in rows}

    def test_they_are_refused_with_the_command_that_accepts(self):
        for command in (("get", self.new, "key01", "--table", "t"), ("scan", self.new),
                        ("put", self.new, "a", "b"), ("compact", self.new),
                        ("rebuild", self.new), ("changes", self.new)):
            done = weir(*command)
            self.assertEqual(done.exit, REFUSED, (command, done.err))
            self.assertIn("--accept-gaps", done.err)
            self.assertIn(f"{len(self.gone)} LSNs in 2 gaps", done.err)
        self.assertEqual(weir("rebuild", self.new, "by_v", "--accept-gaps").exit, USAGE)

    def test_accepted_once_they_are_a_fold_over_what_is_left(self):
        look = weir("rebuild", self.new, "--accept-gaps", "--no-checkpoint", "--json").row()
        self.assertEqual(weir("scan", self.new).exit, REFUSED)  # nothing was stored
        done = weir("rebuild", self.new, "--accept-gaps", "--json")
        self.assertEqual(done.exit, OK, done.err)
        row = done.row()
        self.assertEqual(row["fingerprint"], look["fingerprint"])
        self.assertEqual((row["gap_lsns"], row["gaps"], row["gap_from_lsn"], row["gap_to_lsn"]),
                         (len(self.gone), 2, min(self.gone), max(self.gone)))
        horizon = row["gap_horizon"]
        self.assertLess(horizon, self.latest)
        self.assertGreaterEqual(horizon, max(self.gone))
        self.assertEqual(self.scan(), self.fold(self.latest))
        for as_of in (horizon, (horizon + self.latest) // 2):
            self.assertEqual(self.scan("--as-of", as_of), self.fold(as_of))
        past = weir("scan", self.new, "--table", "t", "--as-of", horizon - 1)
        self.assertEqual(past.exit, REFUSED)
        self.assertIn("gap", past.err)
        text = weir("rebuild", self.new).out.decode()
        self.assertIn(f"{len(self.gone)} LSNs in 2 gaps", text)
        weir("checkpoint", self.new)
        self.assertEqual(weir("put", self.new, "key00", "new", "--table", "t").exit, OK)
        self.assertEqual(weir("compact", self.new, "--thorough").exit, OK)
        copy = self.path("copy")
        self.assertEqual(weir("backup", self.new, copy).exit, OK)
        self.assertEqual(weir("get", copy, "key00", "--table", "t").out, b"new\n")

    def test_what_is_derived_is_built_from_what_is_left(self):
        weir("rebuild", self.new, "--accept-gaps")
        # Holds are copied, states are not: the old one goes first.
        self.assertEqual(weir("hold", "drop", self.new, "by_v").exit, OK)
        made = weir("index", "create", self.new, "by_v", "--table", "t", "--field", "v")
        self.assertEqual(made.exit, OK, made.err)
        values = {}
        for key, (value, _) in self.fold(self.latest).items():
            values.setdefault(value, set()).add(key)
        for value, keys in values.items():
            rows = weir("query", self.new, "by_v", str(value), "--json").rows()
            self.assertEqual({row["key"] for row in rows}, keys)
        checked = weir("verify", self.new, "--derived")
        self.assertEqual(checked.exit, OK, checked.out + checked.err.encode())
        weir("put", self.new, "key03", '{"v": 999}', "--table", "t")
        rows = weir("query", self.new, "by_v", "999", "--json").rows()
        self.assertEqual([row["key"] for row in rows], ["key03"])
        self.assertEqual(weir("rebuild", self.new, "by_v").exit, OK)


class Holds(LogTest):
    """What keeps records in the new log is named, and what of it nobody will move any more."""

    def setUp(self):
        super().setUp()
        self.new = self.path("new")
        rows = b"".join(b'{"name":"n%d","section":"s%d"}\n' % (i, i % 2) for i in range(9))
        weir("import", self.log, "--table", "p", "--key", "name", "--segment-size", "256KiB",
             stdin=rows)
        weir("index", "create", self.log, "by_section", "--table", "p", "--field", "section")
        weir("hold", "set", self.log, "mine", 3)
        weir("hold", "set", self.log, "broken", 4)
        with open(os.path.join(self.log, "holds/broken"), "r+b") as file:
            file.write(bytes(2 * BLOCK))

    def test_each_is_named_and_whose_consumer_is_not_copied(self):
        row = weir("salvage", self.log, self.new, "--json").row()
        self.assertEqual((row["holds"], row["holds_lost"]), (3, 1))
        told = {hold["name"]: (hold["kept"], hold["floor"], hold["consumer"])
                for hold in row["hold_list"]}
        self.assertEqual(told, {"by_section": (True, 11, True), "engine": (True, 1, False),
                                "mine": (True, 3, False), "broken": (False, 0, False)})
        kept = {hold["name"]: hold["floor"] for hold in weir("hold", "list", self.new,
                                                             "--json").rows()}
        self.assertEqual(kept, {name: hold[1] for name, hold in told.items() if hold[0]})

    def test_the_command_that_lets_go_of_one_can_be_pasted(self):
        text = weir("salvage", self.log, self.new).out.decode()
        self.assertRegex(text, r"by_section +keeps LSN 11 .*for a consumer that is not copied")
        self.assertRegex(text, r"mine +keeps LSN 3 and what is behind it\n")
        self.assertRegex(text, r"broken +is damaged and not copied\n")
        drops = [line.split() for line in text.splitlines() if "weir hold drop" in line]
        self.assertEqual(drops, [["weir", "hold", "drop", self.new, "by_section"]])
        create = ("index", "create", self.new, "by_section", "--table", "p", "--field", "section")
        self.assert_error(weir(*create, "--json"), REFUSED, "hold drop")
        self.assertEqual(weir(*drops[0][1:]).exit, OK)
        self.assertEqual(weir(*create).exit, OK)
        self.assertEqual(len(weir("query", self.new, "by_section", "s1", "--json").rows()), 4)

    def test_without_holds_nothing_is_said_of_them(self):
        other = self.path("other")
        weir("append", other, "--segment-size", "256KiB", stdin=b"x\n")
        text = weir("salvage", other, self.new).out.decode()
        self.assertNotRegex(text, "damaged|hold drop|onsumer")


class Beside(LogTest):
    """What can be made again is no damage of the log; whoever asks whether all is well hears of it,
    and of what makes it again."""

    def setUp(self):
        super().setUp()
        rows = b"".join(b'{"name":"n%d","section":"s%d"}\n' % (i, i % 2) for i in range(9))
        weir("import", self.log, "--table", "p", "--key", "name", "--segment-size", "256KiB",
             stdin=rows)
        self.create = ("index", "create", self.log, "by_section", "--table", "p", "--field",
                       "section")
        self.assertEqual(weir(*self.create).exit, OK)
        self.assertEqual(weir("checkpoint", self.log).exit, OK)
        weir("hold", "set", self.log, "mine", 3)
        self.verify()

    def verify(self, *expected):
        """expected: (code, file); verify has these notes, and is content with the log."""
        done = weir("verify", self.log, "--json")
        self.assertEqual(done.exit, OK, done.err)
        row = done.row()
        self.assertTrue(row["ok"])
        self.assertEqual(sorted((f["code"], f["file"]) for f in row["findings"]), sorted(expected))
        self.assertEqual((row["notes"], row["findings_total"]), (len(expected), len(expected)))
        for finding in row["findings"]:
            self.assertTrue(finding["note"])
            self.assertEqual((finding["from_lsn"], finding["to_lsn"]), (0, 0))
        text = weir("verify", self.log).out.decode()
        for code, file in expected:
            self.assertRegex(text, rf"\n +{code} +{file}")
            self.assertRegex(text, rf"\n  {code}: .")  # what to do

    def hit(self, name, offset):
        with open(os.path.join(self.log, name), "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    def test_se_09_a_damaged_checkpoint(self):
        name = "derived/engine/checkpoint"
        self.hit(name, os.path.getsize(os.path.join(self.log, name)) - BLOCK + 64)
        self.verify(("checkpoint", name))
        self.assertEqual(weir("checkpoint", self.log).exit, OK)
        self.verify()

    def test_a_damaged_state_and_status(self):
        for name in ("derived/by_section/state", "derived/by_section/status"):
            self.hit(name, 100)
        self.verify(("state", "derived/by_section/state"), ("state", "derived/by_section/status"))
        self.assertEqual(weir("rebuild", self.log, "by_section").exit, OK)
        self.verify()

    def test_a_damaged_definition(self):
        self.hit("derived/by_section/definition", BLOCK + 20)
        self.verify(("state", "derived/by_section/definition"))
        self.assertEqual(weir("consumers", self.log, "--drop", "by_section").exit, OK)
        self.assertEqual(weir(*self.create).exit, OK)
        self.verify()

    def test_a_damaged_hold(self):
        for slot in range(2):
            self.hit("holds/mine", slot * BLOCK + 20)
        self.verify(("hold", "holds/mine"))
        self.assert_error(weir("truncate", self.log, "--before", 1, "--json"), DEVICE, "holds/mine")
        self.assertEqual(weir("hold", "drop", self.log, "mine").exit, OK)
        self.verify()


class Refusals(LogTest):
    def salvage(self, *arguments):
        return weir("salvage", *arguments, "--json")

    def test_a_destination_that_holds_something(self):
        self.append(b"a")
        for name in ("file", "log"):
            if name == "log":
                weir("append", self.path(name + "2"), "--segment-size", "256KiB", stdin=b"b\n")
                target = self.path(name + "2")
            else:
                target = self.path("full")
                os.mkdir(target)
                with open(os.path.join(target, "notes.txt"), "wb"):
                    pass
            before = digest(target)
            error = self.assert_error(self.salvage(self.log, target), REFUSED, target)
            self.assertEqual(error["code"], "ENOTEMPTY")
            self.assertEqual(digest(target), before)
        self.assert_error(self.salvage(self.log, self.log), REFUSED)

    def test_an_empty_destination_is_as_good_as_none(self):
        self.append(b"a")
        os.mkdir(self.path("empty"))
        self.assertEqual(self.salvage(self.log, self.path("empty")).exit, OK)

    def test_a_destination_inside_of_the_source(self):
        self.append(b"a")
        before = digest(self.log)
        for inside in ("new", "holds/new", "./new/"):
            done = self.salvage(self.log, os.path.join(self.log, inside))
            self.assert_error(done, REFUSED, "inside")
        self.assertEqual(digest(self.log), before)
        self.assertEqual(self.salvage(self.log, self.log + "-new").exit, OK)

    def test_wl_14_a_live_writer_is_named(self):
        with Running("append", self.log) as writer:
            writer.send(b"mine\n")
            writer.row()
            done = self.salvage(self.log, self.path("new"), "--lock-wait", "0")
            error = self.assert_error(done, REFUSED, writer.process.pid)
            self.assertEqual(error["code"], "WEIR_E_LOCKED")
            self.assertFalse(os.path.exists(self.path("new")))
            self.assertEqual(writer.finish()[0], OK)

    def test_what_is_no_log(self):
        new = self.path("new")
        self.assert_error(self.salvage(self.path("none"), new), REFUSED, "none")
        os.mkdir(self.path("empty"))
        with open(self.path("empty/LOCK"), "wb"):
            pass
        self.assert_error(self.salvage(self.path("empty"), new), REFUSED, "nothing to salvage")
        os.mkdir(self.path("other"))
        with open(self.path("other/notes.txt"), "wb"):
            pass
        self.assert_error(self.salvage(self.path("other"), new), REFUSED, "notes.txt")
        self.assertFalse(os.path.exists(new))

    def test_a_log_of_which_no_header_is_left(self):
        self.append(b"a")
        for name in os.listdir(self.log):
            path = os.path.join(self.log, name)
            if os.path.isfile(path):
                with open(path, "r+b") as file:
                    file.write(bytes(16384))
        self.assert_error(self.salvage(self.log, self.path("new")), REFUSED, "nothing says")
        self.assertEqual(os.listdir(self.path("new")), [])
        self.assertEqual(weir("verify", self.log).exit, NO)

    def test_an_interrupted_salvage_is_taken_for_nothing_else(self):
        self.append(b"a")
        new = self.path("new")
        shutil.copytree(self.log, new)  # as a killed one leaves it
        os.remove(os.path.join(new, "CONTROL"))
        with open(os.path.join(new, "SALVAGE"), "wb"):
            pass
        for command in ("append", "tail", "verify", "stat"):
            done = weir(command, new, "--json", stdin=b"x\n")
            self.assert_error(done, REFUSED, "interrupted", "remove")
        self.assert_error(self.salvage(new, self.path("newer")), REFUSED, "interrupted")
        self.assert_error(self.salvage(self.log, new), REFUSED, "interrupted")

    def test_usage(self):
        for arguments in ([], [self.log], [self.log, "a", "b"], ["", "a"], [self.log, ""]):
            self.assertEqual(self.salvage(*arguments).exit, USAGE)

    def test_a_signal_is_exit_5_and_leaves_nothing(self):
        line = b"x" * 32000 + b"\n"
        done = weir("append", self.log, "--segment-size", "256KiB", "--durability", "none",
                    stdin=line * 1500)
        self.assertEqual(done.exit, OK, done.err)
        new = self.path("new")
        with Running("salvage", self.log, new) as running:
            while not os.path.exists(os.path.join(new, "segment-0000000000000002")):
                self.assertIsNone(running.process.poll())
                time.sleep(0.001)  # for the file to appear: it is what is waited for
            running.signal(signal.SIGINT)
            exit_code, _, err = running.finish()
        self.assertEqual(exit_code, INTERRUPTED, err)
        self.assertIn("interrupted", err)
        self.assertEqual([name for name in os.listdir(new) if name != "holds"], [])


if __name__ == "__main__":
    main()
