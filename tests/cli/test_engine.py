"""put, get, delete, scan, history: the engine as scripts see it, beside a model of it in Python."""

import base64
import json
import os
import random
import shutil
import signal
import tempfile
import unittest

from command import (INTERRUPTED, NO, OK, PARENT, REFUSED, USAGE, LogTest, Running, main, weir)

KEY_MAX = 65535


class EngineTest(LogTest):
    def put(self, key, value, *options):
        done = weir("put", self.log, *options, "--", key, value)
        self.assertEqual(done.exit, OK, done.err)
        return done.row()["lsn"]

    def delete(self, key, *options):
        done = weir("delete", self.log, key, *options)
        self.assertEqual(done.exit, OK, done.err)
        return done.row()["lsn"]

    def get(self, key, *options):
        """The value, or None when the answer is no."""
        done = weir("get", self.log, key, *options)
        self.assertIn(done.exit, (OK, NO), done.err)
        if done.exit == NO:
            self.assertEqual(done.out, b"")
            return None
        return done.out[:-1].decode()

    def scan(self, *options):
        done = weir("scan", self.log, "--json", *options)
        self.assertEqual(done.exit, OK, done.err)
        return [(row["key"], row["value"]) for row in done.rows()]

    def fill(self, pairs, *options):
        """Puts many at once; the last LSN."""
        lines = b"".join(key + b"\t" + value + b"\n" for key, value in pairs)
        done = weir("import", self.log, "--json", *options, stdin=lines)
        self.assertEqual(done.exit, OK, done.err)
        return done.row()["last_lsn"]


class PutGetDelete(EngineTest):
    def test_se_01_put_update_and_delete_take_one_lsn_each_and_an_absent_delete_none(self):
        self.assertEqual([self.put("a", "1"), self.put("a", "2"), self.delete("a")], [1, 2, 3])
        done = weir("delete", self.log, "a", "--json")
        self.assert_error(done, NO, "absent")
        self.assertEqual(self.put("a", "3"), 4)

    def test_an_acknowledgement_is_one_member_and_says_on_standard_error_what_it_rests_on(self):
        for options in ([], ["--json"], ["--durability", "group"], ["--durability", "none"]):
            with self.subTest(options=options):
                done = weir("put", self.log, "k", "v", *options)
                self.assertRegex(done.out, rb'^{"lsn":\d+}\n$')
                self.assertRegex(done.err, r"medium \w+, io \w+, durability \w+, durable: (yes|no)")

    def test_se_03_a_value_is_there_in_the_next_process(self):
        self.put("apple", "green")
        self.put("apple", "red")
        done = weir("get", self.log, "apple")
        self.assertEqual((done.exit, done.out, done.err), (OK, b"red\n", ""))
        self.assertEqual(weir("get", self.log, "apple", "--json").row(),
                         {"key": "apple", "value": "red", "lsn": 2})

    def test_se_04_an_empty_value_is_a_value(self):
        self.put("empty", "")
        self.assertEqual(self.get("empty"), "")
        self.assertIsNone(self.get("other"))
        self.assertEqual(weir("get", self.log, "empty", "--json").row()["value"], "")
        self.delete("empty")
        self.assertIsNone(self.get("empty"))

    def test_an_absent_key_is_exit_1_with_nothing_on_standard_output(self):
        self.put("a", "1")
        done = weir("get", self.log, "b")
        self.assertEqual((done.exit, done.out), (NO, b""))
        self.assertIn("absent", done.err)
        self.assert_error(weir("get", self.log, "b", "--json"), NO, "absent")

    def test_a_key_of_no_bytes_and_one_that_is_too_long_are_refused_with_what_to_do(self):
        for command in (["put", self.log, "{}", "v"], ["get", self.log, "{}"],
                        ["delete", self.log, "{}"], ["history", self.log, "{}"]):
            for key in ("", "k" * (KEY_MAX + 1)):
                with self.subTest(command=command[0], size=len(key)):
                    arguments = [word.replace("{}", key) for word in command]
                    error = self.assert_error(weir(*arguments, "--json"), REFUSED,
                                              f"{len(key)} bytes")
                    self.assertEqual(error["code"], "WEIR_E_KEY")
                    self.assertIn("length", error["advice"])
        self.assertFalse(os.path.exists(self.log))

    def test_the_longest_key_is_stored(self):
        key = "k" * KEY_MAX
        self.put(key, "v")
        self.assertEqual(self.get(key), "v")

    def test_a_value_comes_from_a_file_or_standard_input_with_any_bytes(self):
        value = bytes(range(256)) * 5
        with open(self.path("value"), "wb") as file:
            file.write(value)
        for options, stdin in ((["--value-file", self.path("value")], b""),
                               (["--value-file", "-"], value)):
            with self.subTest(options=options):
                done = weir("put", self.log, "k", *options, stdin=stdin)
                self.assertEqual(done.exit, OK, done.err)
                self.assertEqual(weir("get", self.log, "k").out, value + b"\n")
                row = weir("get", self.log, "k", "--json").row()
                self.assertEqual(base64.b64decode(row["value_base64"]), value)
        weir("put", self.log, "none", "--value-file", "/dev/null")
        self.assertEqual(self.get("none"), "")

    def test_a_value_that_cannot_be_read_makes_no_log(self):
        done = weir("put", self.log, "k", "--value-file", self.path("nothing"), "--json")
        self.assert_error(done, REFUSED, "nothing")
        self.assertFalse(os.path.exists(self.log))

    def test_a_value_over_the_limit_is_refused_and_named(self):
        self.put("k", "v", "--segment-size", "64KiB")
        limit = weir("stat", self.log, "--json").row()["record_bytes"]
        done = weir("put", self.log, "k", "--value-file", "-", "--json", stdin=b"x" * limit)
        self.assertEqual(self.assert_error(done, REFUSED)["code"], "WEIR_E_TOO_BIG")
        self.assertEqual(self.get("k"), "v")

    def test_a_key_that_is_not_utf_8_is_shown_in_base64(self):
        self.fill([(b"\xff\x00", b"v")])
        row = weir("scan", self.log, "--json").row()
        self.assertEqual(base64.b64decode(row["key_base64"]), b"\xff\x00")
        self.assertEqual(weir("scan", self.log).out, b"\xff\x00\tv\n")

    def test_two_dashes_let_a_key_begin_with_one(self):
        self.put("--json", "-v")
        self.assertEqual(weir("get", self.log, "--", "--json").out, b"-v\n")

    def test_records_of_ones_own_lie_beside_the_engine(self):
        self.put("a", "1")
        self.append(b"mine")
        self.put("a", "2")
        self.assertEqual(self.get("a"), "2")
        rows = weir("tail", self.log, "--json").rows()
        self.assertEqual([row["type"] for row in rows], [65281, 0, 65281])
        self.assertEqual([(row.get("op"), row.get("key")) for row in rows],
                         [("insert", "a"), (None, None), ("update", "a")])
        self.assertTrue(all("data" in row or "data_base64" in row for row in rows))


class Conditions(EngineTest):
    def test_se_12_a_put_whose_condition_does_not_hold_appends_nothing(self):
        first = self.put("k", "1", "--if-absent")
        for options in (["--if-absent"], ["--if-lsn", first + 1], ["--if-lsn", "0"]):
            with self.subTest(options=options):
                done = weir("put", self.log, "k", "x", "--json", *options)
                error = self.assert_error(done, NO, f"version is {first}")
                self.assertEqual(error["code"], "WEIR_E_CONFLICT")
                plain = weir("put", self.log, "k", "x", *options)
                self.assertEqual((plain.exit, plain.out), (NO, b""))
        self.assertEqual(self.put("k", "2", "--if-lsn", first), first + 1)
        self.assertEqual(self.get("k"), "2")

    def test_se_12_a_deleted_key_is_absent(self):
        self.put("k", "1")
        deleted = self.delete("k")
        self.assertEqual(weir("put", self.log, "k", "2", "--if-lsn", deleted).exit, NO)
        self.assertEqual(self.put("k", "2", "--if-absent"), deleted + 1)

    def test_se_12_a_delete_may_have_a_condition(self):
        first = self.put("k", "1")
        done = weir("delete", self.log, "k", "--if-lsn", first + 5, "--json")
        self.assert_error(done, NO, f"version is {first}, not {first + 5}")
        self.assertEqual(self.delete("k", "--if-lsn", first), first + 1)

    def test_se_12_a_condition_on_a_version_makes_no_log_and_no_table(self):
        done = weir("put", self.log, "k", "1", "--if-lsn", 1, "--json")
        self.assert_error(done, REFUSED)
        self.assertFalse(os.path.exists(self.log))
        self.put("k", "1")
        done = weir("put", self.log, "k", "1", "--table", "new", "--if-lsn", 1)
        self.assertNotEqual(done.exit, OK)
        self.assertEqual(weir("stat", self.log, "--json").row()["latest"], 1)


class Tables(EngineTest):
    def test_tables_are_namespaces(self):
        self.put("k", "default")
        self.put("k", "red", "--table", "colours")
        self.put("k", "5", "-t", "numbers")
        self.assertEqual([self.get("k"), self.get("k", "--table", "colours"),
                          self.get("k", "-t", "numbers")], ["default", "red", "5"])
        self.assertEqual(self.scan("--table", "colours"), [("k", "red")])

    def test_a_missing_table_is_refused_and_named(self):
        self.put("k", "v")
        for command in (["get", self.log, "k"], ["scan", self.log], ["delete", self.log, "k"],
                        ["history", self.log, "k"]):
            with self.subTest(command=command[0]):
                done = weir(*command, "--table", "absent", "--json")
                error = self.assert_error(done, REFUSED, "'absent'", self.log)
                self.assertEqual(error["code"], "WEIR_E_NO_TABLE")

    def test_a_name_that_is_none_is_a_usage_error(self):
        self.put("k", "v")
        for name in (".hidden", "with space", "x" * 64):
            with self.subTest(name=name):
                done = weir("put", self.log, "k", "v", "--table", name)
                self.assertEqual(done.exit, USAGE)
                self.assertIn("--table", done.err)

    def test_a_log_without_a_record_has_nothing_in_any_table(self):
        self.append()
        self.assertEqual(self.scan(), [])
        self.assertEqual(self.scan("--table", "any"), [])
        self.assertIsNone(self.get("k", "--table", "any"))
        self.assertEqual(weir("history", self.log, "k").exit, NO)

    def test_a_missing_directory_is_exit_3(self):
        for command in (["get", self.log, "k"], ["scan", self.log], ["delete", self.log, "k"],
                        ["history", self.log, "k"], ["checkpoint", self.log],
                        ["rebuild", self.log]):
            with self.subTest(command=command[0]):
                self.assert_error(weir(*command, "--json"), REFUSED)
        self.assertFalse(os.path.exists(self.log))


class Scan(EngineTest):
    def setUp(self):
        super().setUp()
        chooser = random.Random(5)
        self.pairs = {}
        for _ in range(3000):
            key = bytes(chooser.choice(b"ab/:z\xc3\xa9") for _ in range(chooser.randrange(1, 9)))
            self.pairs[key] = b"%d" % len(self.pairs)
        self.fill(self.pairs.items(), "--segment-size", "256KiB")

    def lines(self, *options):
        done = weir("scan", self.log, *options)
        self.assertEqual(done.exit, OK, done.err)
        return done.out.splitlines()

    def expected(self, wanted=lambda key: True, reverse=False):
        keys = sorted(filter(wanted, self.pairs), reverse=reverse)
        return [key + b"\t" + self.pairs[key] for key in keys]

    def test_se_05_all_keys_in_the_order_of_their_bytes_both_ways(self):
        self.assertEqual(self.lines(), self.expected())
        self.assertEqual(self.lines("--reverse"), self.expected(reverse=True))

    def test_se_05_a_prefix_and_a_range_are_exact_both_ways(self):
        for prefix in ("a", "ab", "z", "a/", "zz", "no", "é"):
            wanted = prefix.encode()
            for reverse in (False, True):
                with self.subTest(prefix=prefix, reverse=reverse):
                    shown = self.lines("--prefix", prefix, *(["--reverse"] if reverse else []))
                    self.assertEqual(shown, self.expected(lambda key: key.startswith(wanted),
                                                          reverse))
        for low, high in (("a", "b"), ("a", "a"), ("b", "a"), ("", "b"), ("ab", "é"), ("z", None)):
            for reverse in (False, True):
                with self.subTest(low=low, high=high, reverse=reverse):
                    options = ["--from", low] + ([] if high is None else ["--to", high])
                    shown = self.lines(*options, *(["-r"] if reverse else []))
                    self.assertEqual(shown, self.expected(
                        lambda key: key >= low.encode() and (high is None or key < high.encode()),
                        reverse))
        self.assertEqual(self.lines("--to", ""), [])

    def test_a_limit_ends_it_and_0_is_none(self):
        for limit in (0, 1, 63, 64, 65, 200):
            self.assertEqual(self.lines("--limit", limit), self.expected()[:limit])
        self.assertEqual(self.lines("-n", 3, "--reverse"), self.expected(reverse=True)[:3])

    def test_prefix_excludes_from_and_to(self):
        done = weir("scan", self.log, "--prefix", "a", "--to", "b")
        self.assertEqual((done.exit, done.out), (USAGE, b""))

    def test_json_rows_have_key_value_and_lsn(self):
        row = weir("scan", self.log, "--prefix", "a", "--limit", 1, "--json").row()
        self.assertEqual(list(row), ["key", "value", "lsn"])

    def test_a_closed_pipe_ends_it_quietly_with_exit_0(self):
        self.fill([(b"%06d" % n, b"v" * 50) for n in range(50000)], "--table", "many")
        with Running("scan", self.log, "--table", "many") as reader:
            reader.process.stdout.readline()
            reader.process.stdout.close()
            self.assertEqual(reader.process.wait(60), OK)
            self.assertEqual(reader.process.stderr.read(), b"")

    def test_a_signal_ends_it_with_exit_5(self):
        self.fill([(b"%06d" % n, b"v" * 50) for n in range(50000)], "--table", "many")
        with Running("scan", self.log, "--table", "many") as reader:
            reader.process.stdout.readline()
            reader.signal(signal.SIGINT)  # it waits for the pipe
            self.assertEqual(reader.finish()[0], INTERRUPTED)


class Past(EngineTest):
    """Reads as of an LSN, and histories, against states that Python keeps."""

    made = None  # by the first test: a log, and what Python knows about it

    def setUp(self):
        super().setUp()
        if Past.made is None:
            directory = tempfile.mkdtemp(prefix="weir-cli-", dir=PARENT)
            self.addClassCleanup(shutil.rmtree, directory, ignore_errors=True)
            self.states, self.versions = [{}], {}
            self.make()
            Past.made = os.path.join(directory, "log"), self.states, self.versions
            shutil.copytree(self.log, Past.made[0])
        else:
            shutil.copytree(Past.made[0], self.log)
            self.states, self.versions = list(Past.made[1]), dict(Past.made[2])

    def make(self):
        chooser = random.Random(11)
        keys = [b"k%02d" % n for n in range(40)]
        while len(self.states) <= 500:
            size = chooser.randrange(1, 40)
            pairs = [(chooser.choice(keys), b"%d" % chooser.randrange(10**6))
                     for _ in range(size)]
            self.fill(pairs, "--segment-size", "256KiB", "--batch", chooser.randrange(1, 10))
            for key, value in pairs:
                self.note(key, value)
            live = sorted(self.states[-1])
            for key in chooser.sample(live, min(2, len(live))):
                self.assertEqual(self.delete(key.decode()), len(self.states))
                self.note(key, None)

    def note(self, key, value):
        state = dict(self.states[-1])
        if value is None:
            del state[key]
        else:
            state[key] = value
        self.states.append(state)
        self.versions.setdefault(key, []).append((len(self.states) - 1, value))

    def test_se_07_scan_as_of_any_lsn_is_the_state_behind_it(self):
        chooser = random.Random(3)
        for lsn in [0, 1, 2, len(self.states) - 1] + chooser.sample(range(len(self.states)), 25):
            with self.subTest(lsn=lsn):
                expected = [(key.decode(), value.decode())
                            for key, value in sorted(self.states[lsn].items())]
                self.assertEqual(self.scan("--as-of", lsn), expected)
                self.assertEqual(self.scan("--as-of", lsn, "--reverse"), expected[::-1])

    def test_se_07_get_as_of_any_lsn_is_the_version_that_counted(self):
        chooser = random.Random(4)
        for lsn in chooser.sample(range(len(self.states)), 25):
            key = chooser.choice(list(self.versions))
            with self.subTest(lsn=lsn, key=key):
                value = self.states[lsn].get(key)
                self.assertEqual(self.get(key.decode(), "--as-of", lsn),
                                 value.decode() if value is not None else None)

    def test_se_07_history_has_every_version_newest_first(self):
        for key, versions in list(self.versions.items())[:10]:
            rows = weir("history", self.log, key.decode(), "--json").rows()
            expected = [{"lsn": lsn, "deleted": True} if value is None
                        else {"lsn": lsn, "value": value.decode()}
                        for lsn, value in reversed(versions)]
            for row in rows:
                self.assertRegex(row.pop("time"), r"^20\d\d-.*Z$")
            self.assertEqual(rows, expected)
            limited = weir("history", self.log, key.decode(), "--json", "--limit", 2).rows()
            self.assertEqual([row["lsn"] for row in limited], [row["lsn"] for row in rows[:2]])

    def test_history_for_people_says_what_was_deleted(self):
        self.put("gone", "v\n")
        self.delete("gone")
        lines = weir("history", self.log, "gone").out.decode().splitlines()
        self.assertRegex(lines[0], r"^ *\d+  20\S+Z  \(deleted\)$")
        self.assertRegex(lines[1], r"^ *\d+  20\S+Z  = v\\n$")

    def test_history_of_a_key_that_never_was_is_exit_1(self):
        done = weir("history", self.log, "never")
        self.assertEqual((done.exit, done.out), (NO, b""))

    def test_an_lsn_that_is_not_there_yet_is_refused_and_says_what_is(self):
        newest = len(self.states) - 1
        for command in (["get", self.log, "k01"], ["scan", self.log]):
            done = weir(*command, "--as-of", newest + 1, "--json")
            self.assert_error(done, REFUSED, f"LSN {newest + 1}", f"newest is {newest}")


class BesideAWriter(EngineTest):
    def test_get_scan_and_history_read_beside_a_live_writer(self):
        self.put("before", "1")
        with Running("import", self.log, "--acknowledge") as writer:
            writer.send(b"k\tv1\n")
            self.assertEqual(writer.row(), {"line": 1, "lsn": 2})
            self.assertEqual(self.get("k"), "v1")
            self.assertTrue(weir("stat", self.log, "--json", "--engine").row()["live_writer"])
            writer.send(b"k\tv2\n")
            self.assertEqual(writer.row(), {"line": 2, "lsn": 3})
            self.assertEqual(self.scan(), [("before", "1"), ("k", "v2")])
            self.assertEqual([row["value"] for row in weir("history", self.log, "k",
                                                           "--json").rows()], ["v2", "v1"])
            self.assertEqual(writer.finish()[0], OK)

    def rows_across_a_compaction(self, *command):
        """The pipe is full after some rows: the rest is read when the log has been compacted."""
        with Running(*command, "--json") as reader:
            first = reader.row()
            done = weir("compact", self.log, "--thorough", "--json")
            self.assertGreater(done.row()["steps"], 0, done.err)
            rest = reader.process.stdout.read()
            code, _, err = reader.finish()
            self.assertEqual(code, OK, err)
            return [first] + [json.loads(line) for line in rest.splitlines()]

    def test_cd_11_what_is_still_to_come_is_read_from_where_a_compaction_has_put_it(self):
        value = "v" * 2000
        hot = [("hot", f"{n} {value}") for n in range(100)]
        cold = [(f"k{n:04}", value) for n in range(1000)]
        reverse = ("scan", self.log, "--reverse")
        for command in (("scan", self.log), reverse, ("history", self.log, "hot")):
            shutil.rmtree(self.log, ignore_errors=True)
            # Versions all over the log; what is dropped of it lies between them.
            for part in range(10):
                pairs = cold[part * 100:(part + 1) * 100] * 2 + hot[part * 10:(part + 1) * 10]
                self.fill([(key.encode(), value.encode()) for key, value in pairs],
                          "--segment-size", "256KiB")
            self.assertEqual(weir("checkpoint", self.log).exit, OK)
            rows = self.rows_across_a_compaction(*command)
            if command[0] == "history":
                lsns = [row["lsn"] for row in rows]
                self.assertEqual(lsns, sorted(set(lsns), reverse=True))
                self.assertEqual(rows[0]["value"], hot[-1][1])
            else:
                wanted = [hot[-1], *cold]
                wanted = wanted if command != reverse else wanted[::-1]
                self.assertEqual([(row["key"], row["value"]) for row in rows], wanted)

    def test_a_second_writer_is_refused(self):
        with Running("import", self.log, "--acknowledge") as writer:
            writer.send(b"k\tv1\n")
            writer.row()
            done = weir("put", self.log, "k", "v", "--lock-wait", "0", "--json")
            self.assertEqual(self.assert_error(done, REFUSED)["code"], "WEIR_E_LOCKED")
            self.assertEqual(writer.finish()[0], OK)

    def test_se_08_truncation_cannot_take_a_value_away_and_names_the_engine(self):
        self.put("k", "v")
        last = self.put("l", "v")
        done = weir("truncate", self.log, "--before", last, "--json")
        self.assertEqual(self.assert_error(done, REFUSED, "engine")["code"], "WEIR_E_HELD")
        self.assertEqual(self.get("k"), "v")


class Usage(unittest.TestCase):
    def test_what_the_options_exclude_is_a_usage_error(self):
        for arguments in (["put", "log", "k"], ["put", "log", "k", "v", "--value-file", "f"],
                          ["put", "log", "k", "v", "--if-absent", "--if-lsn", "1"],
                          ["delete", "log", "k", "--if-lsn", "0"], ["get", "log"],
                          ["scan", "log", "more"], ["scan", "log", "--as-of", "x"],
                          ["rebuild", "log", "--threads", "0"]):
            with self.subTest(arguments=arguments):
                done = weir(*arguments)
                self.assertEqual((done.exit, done.out), (USAGE, b""), done.err)
                self.assertEqual(json.loads(weir(*arguments, "--json").out)["exit"], USAGE)


if __name__ == "__main__":
    main()
