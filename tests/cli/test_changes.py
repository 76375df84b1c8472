"""changes: puts and deletes out, in order, each with the value before it, and those that come."""

import base64
import json
import os
import random
import signal

from command import INTERRUPTED, OK, REFUSED, USAGE, LogTest, Running, main, weir

MEMBERS = ["before", "after", "op", "ts_ms", "source", "key"]
INSERT, UPDATE, DELETE, STATE = "c", "u", "d", "r"


def value_of(row, name):
    """The bytes of a member, whichever form it has; None when it is not there."""
    if name + "_base64" in row:
        assert name not in row
        return base64.b64decode(row[name + "_base64"], validate=True)
    return None if row[name] is None else row[name].encode()


def image(row):
    """What happened, short: (op, key, before, after)."""
    return (row["op"], value_of(row, "key"), value_of(row, "before"), value_of(row, "after"))


class ChangesTest(LogTest):
    def put(self, key, value, *options):
        done = weir("put", self.log, *options, "--", key, value)
        self.assertEqual(done.exit, OK, done.err)
        return done.row()["lsn"]

    def delete(self, key):
        done = weir("delete", self.log, key)
        self.assertEqual(done.exit, OK, done.err)
        return done.row()["lsn"]

    def changes(self, *options):
        done = weir("changes", self.log, "--json", *options)
        self.assertEqual(done.exit, OK, done.err)
        return done.rows()

    def import_rows(self, rows, *options):
        """Many puts at once: key k, the document itself is the value."""
        lines = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        done = weir("import", self.log, "--key", "k", *options, stdin=lines)
        self.assertEqual(done.exit, OK, done.err)


class Rows(ChangesTest):
    def test_cd_01_a_row_has_the_images_that_its_operation_has(self):
        lsns = [self.put("a", "1"), self.put("a", ""), self.delete("a"), self.put("a", "2")]
        rows = self.changes()
        self.assertEqual([image(row) for row in rows], [
            (INSERT, b"a", None, b"1"), (UPDATE, b"a", b"1", b""),
            (DELETE, b"a", b"", None), (INSERT, b"a", None, b"2")])
        self.assertEqual([row["source"]["lsn"] for row in rows], lsns)
        self.assertEqual([row["source"]["before_lsn"] for row in rows],
                         [None, lsns[0], lsns[1], None])
        for row in rows:
            self.assertEqual(list(row), MEMBERS)
            self.assertEqual(list(row["source"]), ["lsn", "table", "before_lsn", "snapshot"])
            self.assertIs(row["source"]["snapshot"], False)
            self.assertGreater(row["ts_ms"], 1500000000000)

    def test_rows_for_people_are_one_line_and_never_send_controls(self):
        self.put("k\n", "\x1b[31mred")
        self.put("k\n", "ok ü", "--table", "t")
        self.put("k\n", "2")
        self.delete("k\n")
        out = weir("changes", self.log).out
        lines = out.decode().splitlines()
        self.assertEqual([line.split("Z  ", 1)[1] for line in lines], [
            "insert  k\\n = \\x1b[31mred", "insert  t: k\\n = ok ü",
            "update  k\\n = \\x1b[31mred -> 2", "delete  k\\n = 2 -> (deleted)"])
        self.assertNotIn(b"\x1b", out)

    def test_any_bytes_make_valid_json_that_gives_them_back(self):
        chance = random.Random(7)
        values = [b"", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"ab\xe2\x82", b'"\\\x01\x1f\x7f',
                  "grüße 😀".encode(), bytes(range(1, 256)), b"x" * 100000,
                  b"\xfe" * 100001, "é".encode() * 60000]
        values += [bytes(chance.randrange(1, 256) for _ in range(chance.randrange(1, 60)))
                   for _ in range(25)]
        for value in values:
            self.put(os.fsdecode(b"k" + value[:50]), os.fsdecode(value))
            self.put(os.fsdecode(b"k" + value[:50]), "then")
        rows = self.changes()
        self.assertEqual(len(rows), 2 * len(values))
        for i, value in enumerate(values):
            key = b"k" + value[:50]
            if rows[2 * i]["op"] == INSERT:
                self.assertEqual(image(rows[2 * i]), (INSERT, key, None, value))
            self.assertEqual(image(rows[2 * i + 1]), (UPDATE, key, value, b"then"))

    def test_embedded_zeros_and_a_value_of_1_mib_come_out_whole(self):
        big = "v\0" * (1 << 19)
        self.import_rows([{"k": "big", "v": big}, {"k": "big", "v": "\0"}])
        rows = self.changes()
        documents = [json.loads(row["after"])["v"] for row in rows]
        self.assertEqual(documents, [big, "\0"])
        self.assertEqual(json.loads(rows[1]["before"])["v"], big)

    def test_an_empty_log_has_no_rows(self):
        self.append()
        for options in ([], ["--json"], ["--from", "snapshot"], ["--from", "now"],
                        ["--from", "1"], ["--table", "t"]):
            with self.subTest(options=options):
                done = weir("changes", self.log, *options)
                self.assertEqual((done.exit, done.out, done.err), (OK, b"", ""))

    def test_records_of_the_application_are_no_changes(self):
        self.append(b"one")
        self.put("a", "1")
        self.append(b"two")
        self.assertEqual([image(row) for row in self.changes()], [(INSERT, b"a", None, b"1")])


class Filters(ChangesTest):
    def setUp(self):
        super().setUp()
        self.put("a", "1", "--table", "one")
        self.put("a", "2", "--table", "two")
        self.put("a", "3")
        self.put("a", "4", "--table", "one")
        self.delete("a")

    def after(self, *options):
        return [row["after"] for row in self.changes(*options)]

    def test_cd_03_by_table(self):
        self.assertEqual(self.after("--table", "one"), ["1", "4"])
        self.assertEqual(self.after("-t", "two"), ["2"])
        self.assertEqual([row["source"]["table"] for row in self.changes()],
                         ["one", "two", "", "one", ""])

    def test_cd_03_by_operation(self):
        self.assertEqual(self.after("--op", "insert"), ["1", "2", "3"])
        self.assertEqual(self.after("--op", "update,delete"), ["4", None])
        self.assertEqual(self.after("--op", "update", "--table", "two"), [])

    def test_count_ends_it(self):
        self.assertEqual(self.after("--count", 2), ["1", "2"])
        self.assertEqual(self.after("-n", 0), [])

    def test_what_cannot_be_is_refused(self):
        self.assertEqual(weir("changes", self.log, "--op", "insert,").exit, USAGE)
        self.assertEqual(weir("changes", self.log, "--op", "put").exit, USAGE)
        self.assertEqual(weir("changes", self.log, "--from", "earliest").exit, USAGE)
        self.assert_error(weir("changes", self.log, "--json", "--table", "none"), REFUSED, "none")
        self.assert_error(weir("changes", self.path("absent"), "--json"), REFUSED)


class From(ChangesTest):
    def test_cd_05_an_lsn_is_inclusive(self):
        lsns = [self.put("a", str(i)) for i in range(4)]
        self.assertEqual([row["after"] for row in self.changes("--from", lsns[2])], ["2", "3"])
        self.assertEqual(len(self.changes("--from", 0)), 4)
        self.assertEqual(len(self.changes("--from", "beginning")), 4)
        self.assertEqual(self.changes("--from", lsns[3] + 1), [])
        self.assertEqual(self.changes("--from", "now"), [])

    def test_cd_05_a_snapshot_is_the_state_in_order_of_the_keys(self):
        self.put("b", "1")
        lsn = self.put("a", "2")
        self.put("c", "3")
        self.delete("c")
        rows = self.changes("--from", "snapshot")
        self.assertEqual([image(row) for row in rows],
                         [(STATE, b"a", None, b"2"), (STATE, b"b", None, b"1")])
        self.assertEqual(rows[0]["source"], {"lsn": lsn, "table": "", "before_lsn": None,
                                             "snapshot": True})
        self.assertEqual(self.changes("--from", lsn)[0]["ts_ms"], rows[0]["ts_ms"])

    def test_cd_11_where_compaction_was_the_state_comes_first(self):
        self.append()
        for turn in range(12):
            self.import_rows([{"k": str(i), "turn": turn, "x": "x" * 3000} for i in range(60)])
        weir("compact", self.log)
        horizon = weir("stat", self.log, "--json").row()["horizon"]
        self.assertGreater(horizon, 0)
        self.put("0", "new")
        done = weir("changes", self.log, "--json")
        self.assertIn("compaction", done.err)
        rows = done.rows()
        self.assertEqual([row["op"] for row in rows], [STATE] * 60 + [UPDATE])
        self.assertEqual(json.loads(rows[60]["before"])["turn"], 11)
        self.assertEqual([row["after"] for row in self.changes("--from", horizon + 1)], ["new"])


class Follow(ChangesTest):
    def test_cd_05_follow_shows_each_change_beside_writers_that_come_and_go(self):
        self.put("key", "0")
        with Running("changes", self.log, "-f", "--json", "--from", "snapshot") as reader:
            self.assertEqual(image(reader.row()), (STATE, b"key", None, b"0"))
            for number in range(1, 8):
                lsn = self.put("key", str(number))
                row = reader.row()
                self.assertEqual(row["source"]["lsn"], lsn)
                self.assertEqual(image(row), (UPDATE, b"key", b"%d" % (number - 1),
                                              b"%d" % number))

    def test_cd_05_follow_shows_what_a_live_writer_stores(self):
        behind = self.put("0", "zero") + 1  # not `now`: nobody knows when the reader has begun
        options = ("import", self.log, "--key", "k", "--table", "t", "--durability", "each")
        with Running("changes", self.log, "-f", "--json", "--from", behind) as reader:
            with Running(*options) as writer:
                for number in range(20):
                    writer.send(b'{"k":"a","n":%d}\n' % number)
                writer.process.stdin.close()
                for number in range(20):
                    row = reader.row()
                    self.assertEqual(row["source"]["table"], "t")
                    self.assertEqual(json.loads(row["after"])["n"], number)
                    self.assertEqual(row["op"], UPDATE if number else INSERT)
                    if number:
                        self.assertEqual(json.loads(row["before"])["n"], number - 1)
                writer.process.wait(60)

    def test_a_signal_ends_it_cleanly(self):
        self.put("a", "1")
        for number in (signal.SIGINT, signal.SIGTERM):
            with Running("changes", self.log, "-f", "--json") as reader:
                self.assertEqual(image(reader.row()), (INSERT, b"a", None, b"1"))
                reader.signal(number)
                self.assertEqual(reader.finish(), (INTERRUPTED, b"", ""))

    def test_count_ends_following(self):
        self.put("a", "1")
        with Running("changes", self.log, "-f", "--json", "--count", 2) as reader:
            reader.row()
            self.put("a", "2")
            self.assertEqual(reader.row()["after"], "2")
            self.assertEqual(reader.finish()[0], OK)

    def test_a_closed_pipe_ends_it_with_exit_0(self):
        self.import_rows([{"k": str(i), "x": "x" * 500} for i in range(2000)])
        with Running("changes", self.log, "-f") as reader:
            reader.process.stdout.readline()
            reader.process.stdout.close()
            self.assertEqual(reader.process.wait(60), OK)

    def test_cd_10_a_stream_that_compaction_overtakes_is_told_or_has_seen_all(self):
        self.append()
        self.import_rows([{"k": str(i % 7), "x": "x" * 3000} for i in range(400)])
        with Running("changes", self.log, "-f", "--json") as reader:
            first = reader.row()  # the pipe is full behind it, so the rest waits
            self.assertEqual(first["op"], INSERT)
            for _ in range(3):
                self.assertEqual(weir("compact", self.log).exit, OK)
                self.import_rows([{"k": str(i % 7), "x": "y" * 3000} for i in range(400)])
            rows = [first]
            while "error" not in rows[-1] and len(rows) < 1600:
                rows.append(reader.row())
            changes = [row for row in rows if "error" not in row]
            lsns = [row["source"]["lsn"] for row in changes]
            self.assertEqual(lsns, list(range(lsns[0], lsns[0] + len(lsns))))
            if len(changes) < 1600:
                self.assertEqual(rows[-1]["code"], "WEIR_E_POSITION_LOST")
                self.assertIn("position", rows[-1]["error"])
                self.assertEqual(reader.finish()[0], REFUSED)


if __name__ == "__main__":
    main()
