"""The report of a server: every part has its number, nothing is left behind, and reports that are
beside each other are told apart. Never a time: how fast something is decides about no test."""

import json
import os
import subprocess

from command import (DEVICE, INTERRUPTED, OK, REFUSED, USAGE, WEIR, LogTest, Result,
                     interrupt_at_work, main, weir)

TIMEOUT_S = 240

NAMES = {
    "device.overwrite-4k.per_s", "device.write-sequential.bytes_per_s", "device.leader-64.per_s",
    "append.each-1.records_per_s", "append.each-8.p99_us", "append.each-64.records_per_s",
    "append.outstanding-4096.records_per_s", "append.none.records_per_s",
    "append.none-1k.bytes_per_s", "scan.first.records_per_s", "scan.verified.records_per_s",
    "recover.open.seconds", "recover.open-all.bytes_per_s", "recover.verify.bytes_per_s",
    "crash.acknowledged", "crash.lost", "crash.open.seconds", "put.each-1.records_per_s",
    "put.each-64.records_per_s", "get.ns", "get.batch-64.ns", "scan-keys.random.ns",
    "rebuild.threads-1.open_s", "rebuild.threads-2.open_s", "reopen.threads-2.open_s",
    "reopen.cold.threads-2.open_s", "memory.index.bytes_per_key", "derived.index.events_per_s",
    "derived.view.events_per_s", "derived.text.events_per_s", "append.each-1-again.records_per_s",
}


def report(*arguments, command=WEIR, **more):
    return Result(subprocess.run([command, "report", "--force", *arguments], capture_output=True,
                                 timeout=TIMEOUT_S, check=False, **more))


def row(name, value, unit="per_s", better="more", section="A section"):
    return {"name": name, "section": section, "title": name.upper(), "unit": unit,
            "better": better, "value": value}


class Report(LogTest):
    def write(self, name, rows, **head):
        with open(self.path(name), "w", encoding="utf-8") as file:
            json.dump({"report": 1, "cpu": "one", "device": "vda", "medium": "direct",
                       "durable": True, "rows": rows, **head}, file)
        return self.path(name)

    def test_every_part_has_its_number_and_nothing_is_left_behind(self):
        work = self.path("work")
        os.mkdir(work)
        done = report("--quick", "--json", "--dir", work)
        self.assertEqual(done.exit, OK, (done.out, done.err))
        found = done.row()
        values = {one["name"]: one["value"] for one in found["rows"]}
        self.assertEqual(NAMES - set(values), set())
        self.assertEqual(len(values), len(found["rows"]), "each name once")
        self.assertEqual(values.pop("crash.lost"), 0)
        self.assertEqual([name for name, value in values.items() if not value > 0], [])
        self.assertEqual(found["missing"], [])
        self.assertTrue(found["quick"])
        for member in ("device", "file_system", "write_cache", "kernel", "cpu", "build", "medium",
                       "io", "reason", "time", "load_before"):
            self.assertIn(member, found)
        self.assertEqual(os.listdir(work), [])

        with open(self.path("made"), "wb") as file:
            file.write(done.out)
        compared = weir("report", "--compare", "--json", self.path("made"), self.path("made"))
        self.assertEqual(compared.exit, OK, compared.err)
        for one in compared.row()["rows"]:
            self.assertEqual(one["values"][0], one["values"][1])
            self.assertEqual(one["ratios"], [None, None] if one["unit"] == "" else [1, 1])

    def test_a_part_that_fails_is_named_and_the_rest_goes_on(self):
        work = self.path("work")
        os.mkdir(work)
        # No process may write more than 100 MiB into one file: what needs 128 MiB fails.
        limited = ["prlimit", "--fsize=104857600", WEIR]
        done = Result(subprocess.run([*limited, "report", "--force", "-q", "--json", "--dir", work],
                                     capture_output=True, timeout=TIMEOUT_S, check=False))
        self.assertEqual(done.exit, DEVICE, (done.out, done.err))
        found = done.row()
        names = {one["name"] for one in found["rows"]}
        self.assertNotIn("device.overwrite-4k.per_s", names)
        self.assertIn("append.each-1.records_per_s", names)
        self.assertIn("weir bench device --seconds 0.05",
                      [one["command"] for one in found["missing"]])
        self.assertEqual(os.listdir(work), [])

    def test_a_signal_ends_it_with_what_is_complete(self):
        work = self.path("work")
        os.mkdir(work)
        ended, out = interrupt_at_work(work, "report", "--force", "--dir", work,
                                       timeout_s=TIMEOUT_S)
        self.assertEqual(ended, INTERRUPTED)
        self.assertIn(b"Interrupted after", out)
        self.assertNotIn(b"full text", out)
        self.assertEqual(os.listdir(work), [])

    def test_reports_beside_each_other_say_which_is_better(self):
        first = self.write("first", [row("rate", 100.0), row("time", 2.0, "s", "less"),
                                     row("only", 5.0, "ns", "less"), row("lost", 0, "")])
        second = self.write("second", [row("time", 4.0, "s", "less"), row("rate", 300.0),
                                       row("other", 7.0, "us", "less")], cpu="two", durable=False)
        shown = weir("report", "--compare", "--json", first, second)
        self.assertEqual(shown.exit, OK, shown.err)
        rows = {one["name"]: (one["values"], one["ratios"]) for one in shown.row()["rows"]}
        self.assertEqual(rows, {
            "rate": ([100, 300], [1, 3]),
            "time": ([2, 4], [1, 0.5]),
            "only": ([5, None], [1, None]),
            "lost": ([0, None], [None, None]),
            "other": ([None, 7], [None, None]),
        })
        self.assertEqual([one["cpu"] for one in shown.row()["reports"]], ["one", "two"])
        self.assertEqual([one["durable"] for one in shown.row()["reports"]], [True, False])
        text = weir("report", "--compare", first, second).out.decode()
        self.assertIn("| RATE | 100 /s | 300 /s | 3.00 |", text)
        self.assertIn("| ONLY | 5.00 ns | - | |", text)

    def test_what_is_no_report_is_refused_by_its_name(self):
        good = self.write("good", [row("rate", 1.0)])
        bad = {
            "text": b"no JSON",
            "empty": b"",
            "other": b'{"rows":[]}',
            "future": json.dumps({"report": 2, "rows": []}).encode(),
            "unit": json.dumps({"report": 1, "rows": [row("x", 1.0, "miles")]}).encode(),
            "value": json.dumps({"report": 1, "rows": [row("x", "1")]}).encode(),
            "none": json.dumps({"report": 1, "rows": [{"name": "x", "unit": "s"}]}).encode(),
            "digits": b'{"report":1,"rows":[{"name":"x","unit":"s","value":1' + b"0" * 63 + b"}]}",
            "twice": json.dumps({"report": 1, "rows": [row("x", 1.0), row("x", 2.0)]}).encode(),
            "half": b'{"report":1,"cpu":"\\ud800","rows":[]}',
            "much": json.dumps({"report": 1, "cpu": "x" * 1025, "rows": []}).encode(),
            "many": json.dumps({"report": 1, "rows": [row(str(i), 1.0)
                                                           for i in range(65)]}).encode(),
            "long": b'{"report":1,"rows":[]' + b" " * (1 << 20) + b"}",
        }
        for name, data in bad.items():
            with open(self.path(name), "wb") as file:
                file.write(data)
            done = weir("report", "--compare", "--json", good, self.path(name))
            self.assert_error(done, REFUSED, self.path(name), "is no report")
        self.assert_error(weir("report", "--compare", "--json", good, self.path("no-file")),
                          REFUSED, "no-file", "No such file")
        self.assert_error(weir("report", "--compare", "--json", good, self.directory), REFUSED,
                          "directory")

    def test_a_report_may_have_as_many_rows_as_there_is_room_for(self):
        full = self.write("full", [row(str(i), 1.0) for i in range(64)])
        shown = weir("report", "--compare", "--json", full, full)
        self.assertEqual(shown.exit, OK, shown.err)
        self.assertEqual(len(shown.row()["rows"]), 64)

    def test_what_a_report_says_does_not_reach_the_terminal_as_a_control(self):
        evil = '"q" \\ \x1b[2J \x9b31m \x7f'
        named = self.write("evil\x1b[1m", [row("a", 1.0, section=evil)], cpu=evil, device=evil,
                           medium="\x9bm", file_system="\x9bf", time="\x9bt")
        with open(named, encoding="utf-8") as file:
            escaped = file.read()
        with open(named, "w", encoding="utf-8") as file:
            json.dump(json.loads(escaped), file, ensure_ascii=False)  # U+009B and DEL as they are
        for _ in range(2):
            text = weir("report", "--compare", named, named)
            self.assertEqual(text.exit, OK, text.err)
            controls = [one for one in text.out.decode() if one != "\n" and
                        (ord(one) < 0x20 or 0x7f <= ord(one) < 0xa0)]
            self.assertEqual(controls, [])
            shown = weir("report", "--compare", "--json", named, named).row()["reports"]
            self.assertEqual([one["cpu"] for one in shown], [evil, evil])
            with open(named, "w", encoding="utf-8") as file:
                file.write(escaped)

    def test_bad_command_lines_and_places(self):
        self.assert_error(weir("report", "--json", "--compare", "one"), USAGE, "two reports")
        self.assert_error(weir("report", "--json", "here.json"), USAGE, "here.json")
        self.assert_error(report("--json", "--dir", self.path("none")), REFUSED, "none")
        self.assert_error(report("--json", "--medium", "pmem", "--dir", self.directory), REFUSED)


if __name__ == "__main__":
    main()
