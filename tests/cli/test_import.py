"""import: lines in, batches stored, what is said about lines that are no row."""

import json
import os
import random
import shutil
import signal
import subprocess
import unittest

from command import (INTERRUPTED, OK, REFUSED, TIMEOUT_S, USAGE, WEIR, LogTest, Running, main,
                     weir)


class ImportTest(LogTest):
    def load(self, stdin, *options, exit_code=OK):
        done = weir("import", self.log, "--json", *options, stdin=stdin)
        self.assertEqual(done.exit, exit_code, (done.out, done.err))
        return done

    def rows(self, *options):
        done = weir("scan", self.log, "--json", *options)
        self.assertEqual(done.exit, OK, done.err)
        return {row["key"]: row["value"] for row in done.rows()}


class Json(ImportTest):
    def test_the_value_is_the_line_as_it_is_and_the_key_its_field(self):
        lines = [b'{"id":"a","n":1}', b' { "n" : 2.50 , "id" : "b" } ', b'{"id":"c"}\r']
        summary = self.load(b"\n".join(lines), "--key", "id", "--table", "docs").row()
        self.assertEqual((summary["stored"], summary["skipped"], summary["lines"]), (3, 0, 3))
        self.assertEqual((summary["first_lsn"], summary["last_lsn"]), (2, 4))
        for key, line in zip("abc", lines):
            self.assertEqual(weir("get", self.log, key, "-t", "docs").out, line + b"\n")

    def test_a_key_is_a_string_unescaped_or_a_number_as_it_is_written(self):
        cases = {
            r'{"id":"\u00e9\n\"\\\/\ud83d\ude00"}': 'é\n"\\/\U0001f600',
            '{"id":1.50}': "1.50", '{"id":-0e+10}': "-0e+10",
            '{"id":123456789012345678901234567890}': "123456789012345678901234567890",
            r'{"\u0069d":"by an escaped name"}': "by an escaped name",
            '{"id":"first","id":"last"}': "last",
            '{"x":{"id":"inner"},"id":"outer"}': "outer",
            '{"x":[{"id":"inner"}],"id":"é"}': "é",
        }
        self.load("\n".join(cases).encode(), "--key", "id")
        self.assertEqual(set(self.rows()), set(cases.values()))

    def test_a_path_goes_into_objects(self):
        lines = [b'{"user":{"id":"deep","id2":0},"id":"no"}', b'{"user":{"more":{}, "id":7}}']
        self.load(b"\n".join(lines), "--key", "user.id")
        self.assertEqual(set(self.rows()), {"deep", "7"})

    def test_a_line_that_is_no_row_is_named_with_why_and_what_was_before_it_is_stored(self):
        cases = {
            b'{"id":"b"': "line 2: not JSON", b'{"id":"b"} x': "byte 12",
            b"": "line 2: not JSON: the text is empty", b'{"other":1}': "no field 'id'",
            b'{"id":null}': "is null", b'{"id":true}': "is true", b'{"id":{}}': "is an object",
            b'{"id":[]}': "is an array", b'{"id":""}': "empty", b'"text"': "is a string",
            b'{"id":"\xff"}': "not UTF-8", b'{"id":"\\ud800"}': "surrogate",
            b'{"id":"' + b"k" * 65536 + b'"}': "65536 bytes", b'{"id":01}': "line 2",
            b"[" * 600 + b"]" * 600: "in each other",
        }
        for number, (line, why) in enumerate(cases.items()):
            with self.subTest(line=line[:40]):
                self.log = self.path(f"log-{number}")
                stdin = b'{"id":"a"}\n' + line + b'\n{"id":"c"}\n'
                done = self.load(stdin, "--key", "id", exit_code=REFUSED)
                self.assert_error(done, REFUSED, "line 2", why)
                summary = json.loads(done.out.splitlines()[0])
                self.assertEqual((summary["stored"], summary["last_lsn"]), (1, 1))
                self.assertEqual(set(self.rows()), {"a"})

    def test_skip_goes_on_names_the_lines_and_counts_them(self):
        stdin = b'{"id":"a"}\nrubbish\n{"id":"c"}\n{}\n'
        done = self.load(stdin, "--key", "id", "--on-error", "skip")
        summary = done.row()
        self.assertEqual((summary["stored"], summary["skipped"], summary["lines"]), (2, 2, 4))
        self.assertIn("line 2 skipped: not JSON", done.err)
        self.assertIn("line 4 skipped: it has no field 'id'", done.err)
        self.assertEqual(set(self.rows()), {"a", "c"})

    def test_a_thousand_bad_lines_are_counted_and_not_all_told(self):
        done = self.load(b"x\n" * 1000, "--key", "id", "--on-error", "skip")
        self.assertEqual(done.row()["skipped"], 1000)
        self.assertLess(len(done.err.splitlines()), 30)

    def test_what_is_json_and_what_is_not_agrees_with_another_reader(self):
        chooser = random.Random(17)
        lines = [line for line in (mutate(chooser) for _ in range(4000)) if b"\n" not in line]
        expected = {}
        good = 0
        for line in lines:
            key = key_of(line)
            if key is not None:
                good += 1
                expected[key] = line.decode()
        summary = self.load(b"\n".join(lines) + b"\n", "--key", "id", "--on-error", "skip").row()
        self.assertGreater(good, 500)
        self.assertEqual((summary["stored"], summary["lines"]), (good, len(lines)))
        self.assertEqual(self.rows(), expected)


def mutate(chooser):
    names = ["a", "b" * chooser.randrange(9), "é\n", 'q"', 12, -0.5, None]
    document = {"id": chooser.choice(names),
                "list": [1, 2.5e-3, True, {"x": None}], "text": "zeilen\t\\ \U0001f600"}
    line = bytearray(json.dumps(document, ensure_ascii=chooser.random() < 0.5).encode())
    for _ in range(chooser.choice([0, 0, 1, 1, 2])):
        at = chooser.randrange(len(line))
        kind = chooser.randrange(3)
        if kind == 0:
            del line[at]
        elif kind == 1:
            line[at] = chooser.choice(b'{}[]",:\\ u0159eE+-.tfn\x01\x80')
        else:
            line.insert(at, chooser.choice(b'{}[]",:\\ u0159eE+-.tfn\x01\x80'))
    return bytes(line)


def refuse_constant(name):
    raise ValueError(name)


def number(text):
    """As it is written; a class of its own tells it from a string."""
    return Number(text)


class Number(str):
    pass


def key_of(line):
    """What import should make of a line, by Python's reader."""
    try:
        document = json.loads(line.decode("utf-8"), parse_constant=refuse_constant,
                              parse_int=number, parse_float=number)
        key = document.get("id") if isinstance(document, dict) else None
        if isinstance(key, str) and 0 < len(key.encode("utf-8")) <= 65535:
            return str(key)
    except ValueError:  # UnicodeError is one
        pass
    return None


class Tabs(ImportTest):
    def test_a_line_is_a_key_a_tab_and_a_value_with_any_bytes(self):
        self.load(b"a\t1\nb\t\nc\tx\ty\n\xff\xfe\t\0\nlast\tno newline")
        self.assertEqual(weir("scan", self.log).out,
                         b"a\t1\nb\t\nc\tx\ty\nlast\tno newline\n\xff\xfe\t\0\n")

    def test_a_line_without_a_tab_or_without_a_key_is_named(self):
        for line, why in ((b"no tab", "no tab"), (b"\tvalue", "empty"), (b"", "no tab")):
            done = self.load(b"a\t1\n" + line + b"\n", exit_code=REFUSED)
            self.assert_error(done, REFUSED, "line 2", why)

    @unittest.skipUnless(shutil.which("dpkg-query"), "there is no dpkg-query")
    def test_the_installed_packages_come_back_sorted(self):
        packages = subprocess.run(["dpkg-query", "-W", "-f=${Package}\\t${Version}\\n"],
                                  capture_output=True, check=True).stdout
        summary = self.load(packages, "--table", "packages").row()
        lines = packages.splitlines()
        self.assertEqual(summary["stored"], len(lines))
        expected = dict(line.split(b"\t", 1) for line in lines)
        shown = weir("scan", self.log, "--table", "packages").out.splitlines()
        self.assertEqual(shown, [key + b"\t" + expected[key] for key in sorted(expected)])
        shown.reverse()
        self.assertEqual(weir("scan", self.log, "--table", "packages", "-r").out.splitlines(),
                         shown)

    def test_no_input_is_no_row(self):
        summary = self.load(b"").row()
        self.assertEqual((summary["stored"], summary["last_lsn"]), (0, 0))
        self.assertEqual(self.rows(), {})

    def test_a_file_is_read_and_one_that_is_not_there_makes_no_log(self):
        done = self.load(b"", "--input", self.path("nothing"), exit_code=REFUSED)
        self.assert_error(done, REFUSED, "nothing")
        self.assertFalse(os.path.exists(self.log))
        with open(self.path("rows"), "wb") as file:
            file.write(b"a\t1\n")
        self.load(b"", "--input", self.path("rows"))
        self.assertEqual(self.rows(), {"a": "1"})


class Batches(ImportTest):
    def test_a_later_line_of_a_batch_is_the_newer_version(self):
        self.load(b"a\t1\na\t2\na\t3\n", "--batch", 3)
        self.assertEqual(self.rows(), {"a": "3"})
        versions = weir("history", self.log, "a", "--json").rows()
        self.assertEqual([row["value"] for row in versions], ["3", "2", "1"])

    def test_batches_of_any_size_and_each_durability_store_the_same(self):
        lines = b"".join(b"k%05d\tv%d\n" % (n % 3000, n) for n in range(5000))
        seen = set()
        for options in (["--batch", 1, "--durability", "none"], ["--batch", 7],
                        ["--batch", 65536], ["--durability", "each"], ["--durability", "none"]):
            self.log = self.path("-".join(map(str, options)))
            summary = self.load(lines, *options).row()
            self.assertEqual((summary["stored"], summary["last_lsn"]), (5000, 5000))
            self.assertIn(summary["durability"], ("each", "group", "none"))
            done = weir("rebuild", self.log, "--json")
            seen.add((done.row()["fingerprint"], done.row()["keys"]))
        self.assertEqual(len(seen), 1, seen)

    def test_rows_up_to_the_limit_are_stored_and_one_over_it_is_named(self):
        self.append()  # a small log
        limit = weir("stat", self.log, "--json").row()["record_bytes"]
        big = limit - 100
        lines = [b"k%d\t" % n + b"x" * big for n in range(4)]
        self.load(b"\n".join(lines))
        self.assertEqual(weir("get", self.log, "k3").out, b"x" * big + b"\n")
        for over in (limit - 3, limit, 3 * limit):
            with self.subTest(over=over):
                stdin = b"a\t1\nb\t" + b"x" * over + b"\nc\t3\n"
                done = self.load(stdin, exit_code=REFUSED)
                self.assert_error(done, REFUSED, "line 2", f"{limit} bytes")
                done = self.load(stdin, "--on-error", "skip")
                self.assertEqual((done.row()["stored"], done.row()["skipped"]), (2, 1))
                self.assertIn("line 2 skipped", done.err)

    def test_acknowledgements_are_in_order_and_the_summary_is_the_last_line(self):
        lines = b"".join(b"k%d\tv\n" % n for n in range(1000))
        done = self.load(lines, "--acknowledge", "--batch", 100)
        *acks, summary = done.rows()
        self.assertEqual([(row["line"], row["lsn"]) for row in acks],
                         [(n, n) for n in range(100, 1001, 100)])
        self.assertEqual(summary["stored"], 1000)

    def test_a_row_is_stored_without_waiting_for_a_full_batch(self):
        for durability in ("each", "group"):
            self.log = self.path(durability)
            with Running("import", self.log, "--acknowledge", "--durability", durability) as writer:
                for number in range(1, 11):
                    writer.send(b"k\t%d\n" % number)
                    self.assertEqual(writer.row(), {"line": number, "lsn": number})
                self.assertEqual(writer.finish()[0], OK)

    def test_for_people_the_summary_names_medium_io_and_durability(self):
        done = weir("import", self.log, stdin=b"a\t1\n")
        self.assertEqual((done.exit, done.out), (OK, b""))
        self.assertRegex(done.err, r"1 row stored, LSN 1 to 1, 0 lines skipped, in .*; "
                                   r"medium \w+, io \w+, durability group, durable: (yes|no)")


class Ends(ImportTest):
    def test_a_signal_ends_it_with_the_report_of_what_is_stored_and_exit_5(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.log = self.path(f"log-{number}")
            with Running("import", self.log, "--json", "--acknowledge") as writer:
                writer.send(b"a\t1\nb\t2\nc\t")
                row = writer.row()
                while row["line"] < 2:
                    row = writer.row()
                writer.signal(number)
                exit_code, out, err = writer.finish()
            self.assertEqual(exit_code, INTERRUPTED, err)
            summary = json.loads(out.splitlines()[-1])
            self.assertEqual((summary["stored"], summary["interrupted"]), (2, True))
            self.assertEqual(self.rows(), {"a": "1", "b": "2"})

    def test_a_closed_output_ends_it_with_exit_5_and_what_was_read_is_durable(self):
        with Running("import", self.log, "--acknowledge") as writer:
            writer.send(b"a\t1\n")
            writer.row()
            writer.process.stdout.close()
            try:
                while writer.process.poll() is None:
                    writer.send(b"b\t2\n")
            except BrokenPipeError:
                pass
            self.assertEqual(writer.process.wait(TIMEOUT_S), INTERRUPTED)
            self.assertIn("nobody reads", writer.process.stderr.read().decode())
        self.assertEqual(self.rows()["a"], "1")

    def test_se_03_a_killed_import_loses_nothing_that_it_acknowledged(self):
        with open(self.path("lines"), "wb") as file:
            file.writelines(b'{"id":"%07d","text":"record %d"}\n' % (n, n)
                            for n in range(1, 400001))
        for durability in ("each", "group", "none"):
            with self.subTest(durability=durability):
                self.log = self.path("killed-" + durability)
                line, lsn = self.import_until_killed(durability)
                shown = weir("scan", self.log, "--table", "docs")
                self.assertEqual(shown.exit, OK, shown.err)
                values = shown.out.splitlines()
                self.assertGreaterEqual(len(values), line)
                for number, row in enumerate(values, 1):
                    self.assertEqual(row, b'%07d\t{"id":"%07d","text":"record %d"}'
                                     % (number, number, number))
                self.assertGreaterEqual(weir("stat", self.log, "--json").row()["latest"], lsn)
                self.assertTrue(weir("verify", self.log, "--json").row()["ok"])

    def import_until_killed(self, durability):
        """The last acknowledgement."""
        with subprocess.Popen([WEIR, "import", self.log, "--table", "docs", "--key", "id",
                               "--acknowledge", "--durability", durability, "--batch", "50",
                               "--input", self.path("lines")], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
            acks = [writer.stdout.readline() for _ in range(40)]
            writer.kill()
            acks += writer.stdout.read().splitlines(keepends=True)
        last = json.loads([ack for ack in acks if ack.endswith(b"\n")][-1])
        self.assertGreaterEqual(last["line"], 2000)
        return last["line"], last["lsn"]


class Usage(LogTest):
    def test_options_that_do_not_fit_each_other_are_usage_errors(self):
        for options in (["--format", "json"], ["--format", "tsv", "--key", "id"],
                        ["--key", ""], ["--key", "a..b"], ["--batch", "0"], ["--batch", "65537"],
                        ["--on-error", "hope"]):
            with self.subTest(options=options):
                done = weir("import", self.log, *options)
                self.assertEqual((done.exit, done.out), (USAGE, b""))
        self.assertFalse(os.path.exists(self.log))


if __name__ == "__main__":
    main()
