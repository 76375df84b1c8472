"""The command line: usage errors, help, completion and the manual page agree with the tables."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest

from command import OK, REFUSED, USAGE, WEIR, LogTest, main, weir

MANUAL = os.path.join(os.path.dirname(__file__), "..", "..", "cli", "weir.1")


def commands():
    return re.findall(r"^  ([a-z]+) +[A-Z]", weir("--help").out.decode(), re.MULTILINE)


def options_of(command):
    return re.findall(r"^ +(?:-\w, )?--([a-z-]+)", weir("help", command).out.decode(), re.MULTILINE)


class Usage(LogTest):
    def assert_usage(self, *arguments):
        done = weir(*arguments)
        self.assertEqual(done.exit, USAGE, (arguments, done.out, done.err))
        self.assertIn("usage: weir ", done.err)
        self.assertEqual(done.out, b"")
        return done.err

    def test_a_usage_error_exits_2_with_the_usage_line(self):
        cases = [
            [], ["--unknown"], ["no-such-command"],
            ["append"], ["append", self.log, "two"], ["append", self.log, "--unknown"],
            ["append", self.log, "-x"], ["append", self.log, "--segment-size"],
            ["append", self.log, "--segment-size", "many"],
            ["append", self.log, "--segment-size", "0"], ["append", ""], ["tail", ""],
            ["append", self.log, "--segment-size", "100k"],
            ["append", self.log, "--segment-size", "32KiB"],
            ["put", self.log, "k", "v", "--segment-size", "2GiB"],
            ["import", self.log, "--segment-size", "3MiB"],
            ["put", self.log, "k", "v", "-t", "a/b"], ["import", self.log, "-t", ".a"],
            ["put", self.log, "k", "v", "-t", "n" * 64],
            ["crash", "--dir", self.directory, "--kill", "--segment-size", "100k"],
            ["append", self.log, "--durability", "sometimes"],
            ["append", self.log, "--medium=tape"], ["append", self.log, "--json=yes"],
            ["append", self.log, "--lock-wait", "5"], ["append", self.log, "--type", "65280"],
            ["tail"], ["tail", self.log, "--from", "yesterday"],
            ["tail", self.log, "--count", "-1"],
            ["tail", self.log, "--from", "@2026-13-01T00:00:00Z"],
            ["tail", self.log, "--raw", "--json"],
            ["verify"], ["stat"], ["dump"],
            ["truncate", self.log], ["truncate", self.log, "--before", "0"],
            ["truncate", self.log, "--before", "x"],
            ["hold"], ["hold", "list"], ["hold", "borrow", self.log],
            ["hold", "set", self.log, "a"],
            ["hold", "set", self.log, "a", "x"], ["hold", "list", self.log, "a"],
            ["devices", "a", "b"], ["help", "no-such-command"], ["completion", "x"],
            ["crash"], ["demo", "here"],
        ]
        for arguments in cases:
            with self.subTest(arguments=arguments):
                if "--json" in arguments:
                    self.assertEqual(weir(*arguments).exit, USAGE)
                else:
                    self.assert_usage(*arguments)
        self.assertFalse(os.path.exists(self.log), "a usage error does nothing")

    def test_a_usage_error_is_json_when_json_is_asked_for(self):
        for arguments in (["append", "--json"], ["query", "x", "--json"],
                          ["tail", "a", "b", "--json"]):
            with self.subTest(arguments=arguments):
                self.assert_error(weir(*arguments), USAGE)

    def test_an_unknown_command_is_named(self):
        self.assertIn("'join'", self.assert_usage("join", "LOG", "name", "v"))

    def test_a_mistyped_name_finds_the_one_that_was_meant(self):
        self.assertIn("no command 'appnd'; did you mean append?", self.assert_usage("appnd"))
        self.assertIn("did you mean scan?", self.assert_usage("help", "sacn"))
        self.assertNotIn("did you mean", self.assert_usage("join"))
        said = self.assert_usage("append", self.log, "--segmnt-size=1MiB")
        self.assertIn("no option --segmnt-size; did you mean --segment-size?", said)
        self.assertIn("no benchmark 'gett'; did you mean get?", self.assert_usage("bench", "gett"))
        self.assertNotIn("did you mean", self.assert_usage("bench", "everything"))

    def test_a_size_that_no_log_can_have_is_named_with_its_range_and_nothing_is_made(self):
        done = weir("append", self.log, "--segment-size", "100k", stdin=b"x\n")
        self.assertEqual(done.exit, USAGE)
        self.assertIn("a power of two from 64KiB to 1GiB, not 102400 bytes", done.err)
        done = weir("bench", "append", "--dir", self.log, "--segment-size", "100k")
        self.assertEqual(done.exit, USAGE, done.err)
        self.assertIn("a power of two from 64KiB to 1GiB, not '100k'", done.err)
        done = weir("bench", "recover", "--dir", self.log, "--rounds", "102")
        self.assertEqual(done.exit, USAGE, done.err)
        self.assertIn("--rounds takes a number from 1 to 101, not '102'", done.err)
        self.assertEqual(os.listdir(self.directory), [])

    def test_two_dashes_end_the_options(self):
        done = weir("tail", "--json", "--", "--help")
        self.assert_error(done, 3, "--help")

    def test_options_may_stand_before_and_behind_arguments_and_take_both_forms(self):
        self.append(b"one", b"two")
        forms = [["tail", "--json", "--count=1", self.log],
                 ["tail", self.log, "--count", "1", "--json"],
                 ["tail", "-n1", "--json", self.log],
                 ["tail", "-n", "1", self.log, "--json"]]
        for form in forms:
            with self.subTest(form=form):
                self.assertEqual(weir(*form).row()["data"], "one")


class Help(unittest.TestCase):
    def test_version_is_three_numbers(self):
        done = weir("--version")
        self.assertEqual(done.exit, OK)
        self.assertRegex(done.out.decode(), r"^weir \d+\.\d+\.\d+\n$")

    def test_help_comes_in_three_ways(self):
        for command in commands():
            if command == "bench":
                continue  # it prints its own
            with self.subTest(command=command):
                by_help, by_option = weir("help", command), weir(command, "--help")
                self.assertEqual((by_help.exit, by_option.exit), (OK, OK))
                self.assertEqual(by_help.out, by_option.out)
                self.assertTrue(by_help.out.startswith(f"usage: weir {command}".encode()))
                self.assertEqual(by_help.err, "")

    def test_each_benchmark_and_verb_helps_and_does_nothing(self):
        benchmarks = re.findall(r"^  ([a-z-]+) +[A-Z]", weir("bench", "-h").out.decode(),
                                re.MULTILINE)
        self.assertIn("scan-keys", benchmarks)
        lines = [["bench", name] for name in benchmarks]
        lines += [[command, verb] for command in ("index", "view", "text", "hold")
                  for verb in ("create", "drop", "list", "set")]
        lines += [["bench", "get", "--keys", "9"], ["crash", "--kill"], ["crash", "--power"]]
        for line in lines:
            for option in ("-h", "--help"):
                with self.subTest(line=line, option=option):
                    done = weir(*line, option)
                    if line == ["bench", "peers"] and "weir-peers" in done.err:
                        continue  # not a part of this build
                    self.assertEqual((done.exit, done.err), (OK, ""))
                    self.assertRegex(done.out.decode(), "^[Uu]sage: weir " + line[0])

    def test_without_weir_peers_it_is_said_how_to_get_it(self):
        with tempfile.TemporaryDirectory() as directory:
            alone = shutil.copy(WEIR, directory)
            for line in (["peers", "--dir", directory],
                         ["put", "--dir", directory, "--force", "--peers", "lmdb"]):
                done = subprocess.run([alone, "bench", *line], capture_output=True, check=False,
                                      env={"PATH": directory})
                self.assertEqual(done.returncode, REFUSED, (line, done.stderr))
                self.assertIn(b"neither beside weir nor on PATH", done.stderr)
                self.assertIn(b"`make build`", done.stderr)

    def test_help_fits_a_terminal(self):
        for command in commands():
            for line in weir("help", command).out.decode().splitlines():
                self.assertLessEqual(len(line), 110, line)

    def test_what_the_manual_page_opens_it_closes(self):
        with open(MANUAL, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for opened, closed in ((".Po", ".Pc"), (".Bl", ".El")):
            depth = 0
            for number, line in enumerate(lines, 1):
                depth += (line.split() or [""])[0] == opened
                depth -= (line.split() or [""])[0] == closed or line.endswith(" " + closed[1:])
                self.assertIn(depth, range(3), f"line {number}: {line}")
                self.assertNotRegex(line, r"^[^.].* P[oc]$", f"line {number} is text")
            self.assertEqual(depth, 0, f"{opened} is not closed")

    def test_what_the_manual_page_shows_as_it_is_fits_80_columns(self):
        with open(MANUAL, encoding="utf-8") as file:
            lines = file.read().splitlines()
        literal = False
        for number, line in enumerate(lines, 1):
            literal = line.startswith(".Bd -literal") or (literal and line != ".Ed")
            shown = line[len(".Dl "):] if line.startswith(".Dl ") else line if literal else ""
            self.assertLessEqual(len(shown), 69, f"line {number}: {line}")  # 11 of them are indent

    def test_the_manual_page_has_every_command_and_option(self):
        with open(MANUAL, encoding="utf-8") as file:
            manual = file.read().replace("\\-", "-")
        for command in commands():
            self.assertIn(f".Ss {command}", manual)
            for option in options_of(command):
                self.assertIn(f"-{option}", manual, f"--{option} of {command}")


class Completion(unittest.TestCase):
    def complete(self, *words):
        script = weir("completion").out.decode()
        script += f"\nCOMP_WORDS=({' '.join(map(repr, words))}) COMP_CWORD={len(words) - 1}\n"
        script += "compopt() { :; }\n_weir\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=True)
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode().split()

    def test_commands_options_and_choices_are_completed(self):
        self.assertEqual(self.complete("weir", "tr"), ["truncate"])
        self.assertEqual(self.complete("weir", "append", "--dur"), ["--durability"])
        self.assertEqual(self.complete("weir", "append", "--durability", ""),
                         ["each", "group", "none"])
        self.assertEqual(self.complete("weir", "tail", "--medium", "ma"), ["mapped"])

    def test_verbs_are_completed(self):
        self.assertEqual(self.complete("weir", "hold", ""), ["list", "set", "move", "drop"])
        self.assertEqual(self.complete("weir", "bench", "p"), ["put", "peers"])
        self.assertEqual(self.complete("weir", "help", "ver"), ["verify"])
        self.assertEqual(self.complete("weir", "hold", "--js"), ["--json"])

    def test_every_command_is_completed(self):
        self.assertEqual(set(commands()) - set(self.complete("weir", "")), set())


if __name__ == "__main__":
    main()
