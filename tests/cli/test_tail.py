"""tail: records out, in order, from anywhere, and those that come."""

import base64
import time

from command import OK, REFUSED, USAGE, LogTest, Running, main, weir

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"


class Rows(LogTest):
    def test_a_row_has_lsn_time_type_and_data(self):
        self.append(b"hello")
        row = weir("tail", self.log, "--json").row()
        self.assertEqual(list(row), ["lsn", "time", "type", "data"])
        self.assertRegex(row["time"], TIME)
        self.assertEqual((row["lsn"], row["type"], row["data"]), (1, 0, "hello"))

    def test_text_is_text_and_other_bytes_are_base64(self):
        text = ["plain", 'quote " backslash \\ tab \t', "\0 and \x01 and \x1f",
                "grüße, 你好, 😀", "\x7f", ""]
        other = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ab\xe2\x82",
                 bytes(range(128, 256)) * 9]
        self.append(*[line.encode() for line in text], *other)
        rows = weir("tail", self.log, "--json").rows()
        self.assertEqual([row["data"] for row in rows[:len(text)]], text)
        self.assertEqual([base64.b64decode(row["data_base64"]) for row in rows[len(text):]], other)
        self.assertNotIn("data", rows[-1])

    def test_rows_for_people_never_send_controls_to_a_terminal(self):
        self.append(b"\x1b[31mred\r\t\\ \xff", "ok ü".encode(), "\u009bm\u00a0".encode())
        out = weir("tail", self.log).out
        self.assertIn(b"\\xc2\\x9bm\xc2\xa0\n", out)
        self.assertIn(b"\\x1b[31mred\\r\\t\\\\ \\xff\n", out)
        self.assertIn("ok ü\n".encode(), out)
        self.assertNotIn(b"\x1b", out)

    def test_an_empty_log_has_no_rows(self):
        self.append()
        for options in ([], ["--json"], ["--raw"], ["--from", "latest"], ["--from", "1"],
                        ["--from", "@0"]):
            with self.subTest(options=options):
                done = weir("tail", self.log, *options)
                self.assertEqual((done.exit, done.out, done.err), (OK, b"", ""))


class From(LogTest):
    def setUp(self):
        super().setUp()
        self.append(b"1", b"2", b"3", b"4", b"5")

    def test_wl_02_an_lsn_is_inclusive_and_0_is_the_earliest(self):
        self.assertEqual(self.records("--from", 3), ["3", "4", "5"])
        self.assertEqual(self.records("--from", 0), ["1", "2", "3", "4", "5"])
        self.assertEqual(self.records("--from", "earliest"), ["1", "2", "3", "4", "5"])

    def test_wl_02_past_the_end_there_is_nothing(self):
        self.assertEqual(self.records("--from", 6), [])
        self.assertEqual(self.records("--from", "latest"), [])

    def test_count_ends_it(self):
        self.assertEqual(self.records("--count", 2), ["1", "2"])
        self.assertEqual(self.records("--count", 2, "--from", 5), ["5"])
        self.assertEqual(self.records("--count", 0), [])

    def test_the_last_ones_are_those_before_the_end(self):
        self.assertEqual(self.records("--last", 2), ["4", "5"])
        self.assertEqual(self.records("--last", 3, "-n", 1), ["3"])
        for more in (5, 6, 2**64 - 1):
            self.assertEqual(self.records("--last", more), ["1", "2", "3", "4", "5"])
        self.assertEqual(self.records("--last", 0), [])
        self.assertEqual(weir("truncate", self.log, "--before", 4).exit, OK)
        self.assertEqual(self.records("--last", 1), ["5"])
        self.assertEqual(self.records("--last", 4), ["4", "5"])
        self.assertEqual(weir("tail", self.log, "--last", 1, "--from", 4).exit, USAGE)

    def test_the_last_ones_of_an_empty_log_are_none_and_those_that_come_are_shown(self):
        self.log = self.path("empty")
        self.append()
        self.assertEqual(self.records("--last", 3), [])
        self.append(b"a", b"b")
        with Running("tail", self.log, "-f", "--last", 1, "--json", "--count", 2) as reader:
            self.assertEqual(reader.row()["data"], "b")
            self.append(b"c")
            self.assertEqual(reader.row()["data"], "c")
            self.assertEqual(reader.finish()[0], OK)

    def test_wl_02_below_the_earliest_is_an_error_that_names_the_lsn(self):
        self.assertEqual(weir("truncate", self.log, "--before", 4).exit, OK)
        self.assertEqual(self.records(), ["4", "5"])
        error = self.assert_error(weir("tail", self.log, "--from", 2, "--json"), REFUSED, "from 2")
        self.assertEqual(error["code"], "WEIR_E_TRUNCATED")

    def test_wl_15_a_time_enters_the_log(self):
        while weir("append", self.log, stdin=b"x\n").exit == OK:
            rows = weir("tail", self.log, "--json").rows()
            if rows[-1]["time"] > rows[0]["time"]:  # a millisecond has passed
                break
        last = rows[-1]["time"]
        shown = weir("tail", self.log, "--json", "--from", "@" + last).rows()
        self.assertEqual(shown, [row for row in rows if row["time"] >= last])
        self.assertEqual(weir("tail", self.log, "--json", "--from", "@0").rows(), rows)
        self.assertEqual(weir("tail", self.log, "--from", f"@{int(time.time()) + 3600}").out, b"")
        self.assertEqual(weir("tail", self.log, "--json", "--from", "@1.25").rows(), rows)


class Follow(LogTest):
    def test_cu_03_follow_shows_each_acknowledged_record_beside_a_live_writer(self):
        with Running("append", self.log) as writer:
            writer.send(b"0\n")
            writer.row()
            with Running("tail", self.log, "-f", "--json") as reader:
                self.assertEqual(reader.row()["data"], "0")
                for number in range(1, 30):
                    writer.send(b"%d\n" % number)
                    acknowledged = writer.row()["lsn"]
                    shown = reader.row()
                    self.assertEqual((shown["lsn"], shown["data"]), (acknowledged, str(number)))

    def test_cu_03_follow_from_latest_shows_only_what_comes(self):
        self.append(b"old")
        with Running("tail", self.log, "-f", "--from", 2, "--json", "--count", 1) as reader:
            self.append(b"new")
            self.assertEqual(reader.row()["data"], "new")
            self.assertEqual(reader.finish()[0], OK)

    def test_wl_14_follow_goes_on_when_the_writer_is_killed_and_another_comes(self):
        with Running("append", self.log) as writer:
            writer.send(b"first\n")
            writer.row()
            with Running("tail", self.log, "-f", "--json") as reader:
                self.assertEqual(reader.row()["data"], "first")
                writer.kill()
                lsns = self.append(b"second")
                row = reader.row()
                self.assertEqual((row["lsn"], row["data"]), (lsns[0], "second"))

    def test_wl_14_any_number_of_readers_see_a_live_log(self):
        with Running("append", self.log) as writer:
            writer.send(b"a\nb\n")
            writer.row()
            writer.row()
            for _ in range(3):
                self.assertEqual(self.records(), ["a", "b"])
            self.assertTrue(weir("stat", self.log, "--json").row()["live_writer"])


if __name__ == "__main__":
    main()
