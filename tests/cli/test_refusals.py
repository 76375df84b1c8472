"""What cannot be opened: exit 3, a sentence that says why, and nothing changed."""

import os
import shutil
import subprocess
import unittest

from command import OK, REFUSED, TIMEOUT_S, WEIR, LogTest, Result, Running, main, weir

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
READERS = (["tail"], ["stat"], ["dump"], ["verify"], ["hold", "list"])


def nobody_can_run_weir():
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    done = subprocess.run([*NOBODY, WEIR, "--version"], capture_output=True, check=False)
    return done.returncode == 0


class NotALog(LogTest):
    def test_a_missing_directory_is_refused_by_readers_and_not_made(self):
        for command in READERS:
            with self.subTest(command=command):
                self.assert_error(weir(*command, self.log, "--json"), REFUSED, self.log)
                self.assertFalse(os.path.exists(self.log))

    def test_a_directory_of_other_things_is_no_log_and_stays_as_it_is(self):
        with open(self.path("letter.txt"), "w", encoding="utf-8") as file:
            file.write("dear reader\n")
        for command in (*READERS, ["append"]):
            with self.subTest(command=command):
                done = weir(*command, self.directory, "--json", stdin=b"x\n")
                error = self.assert_error(done, REFUSED)
                self.assertEqual(error["code"], "WEIR_E_NOT_A_LOG")
                self.assertEqual(os.listdir(self.directory), ["letter.txt"])

    def test_a_medium_that_cannot_be_had_leaves_no_directory(self):
        done = weir("append", self.log, "--medium", "pmem", "--json", stdin=b"x\n")
        if done.exit == OK:
            self.skipTest("there is persistent memory here")
        self.assert_error(done, REFUSED)
        self.assertFalse(os.path.exists(self.log))

    def test_a_directory_in_which_no_log_was_begun_is_none_and_stays_as_it_is(self):
        os.mkdir(self.log)
        for inside in ([], ["photos"]):
            for name in inside:
                os.mkdir(os.path.join(self.log, name))
            for command in (*READERS, ["scan"], ["changes"], ["consumers"], ["index", "list"]):
                with self.subTest(command=command, inside=inside):
                    done = weir(*command, self.log, "--json")
                    error = self.assert_error(done, REFUSED, "no log in this directory")
                    self.assertEqual(error["code"], "ENOENT")
                    self.assertIn("check the path", error["advice"])
            for command in (["get", self.log, "k"], ["history", self.log, "k"],
                            ["backup", self.log, self.path("new")],
                            ["salvage", self.log, self.path("new2")]):
                with self.subTest(command=command, inside=inside):
                    self.assert_error(weir(*command, "--json"), REFUSED, "no log in this")
            self.assertEqual(os.listdir(self.log), inside)
        self.assertEqual(weir("append", self.log, stdin=b"x\n").exit, OK)
        self.assertEqual(self.records(), ["x"])

    def test_verify_says_of_an_empty_log_that_it_is_empty(self):
        os.mkdir(self.log)
        with open(os.path.join(self.log, "LOCK"), "wb"):
            pass
        done = weir("verify", self.log)
        self.assertEqual(done.exit, OK)
        self.assertIn(b"an empty log: nothing was ever written to it", done.out)

    def test_a_file_is_no_log(self):
        with open(self.log, "w", encoding="utf-8") as file:
            file.write("x")
        for command in (*READERS, ["append"]):
            with self.subTest(command=command):
                self.assert_error(weir(*command, self.log, "--json"), REFUSED)

    def test_an_interrupted_creation_is_an_empty_log(self):
        os.mkdir(self.log)
        for name, size in (("LOCK", 4096), ("segment-0000000000000001", 3 << 20)):
            with open(os.path.join(self.log, name), "wb") as file:
                file.truncate(size)
        self.assertEqual(self.records(), [])
        for command in (["stat", "--json"], ["stat"], ["verify"], ["dump"], ["hold", "list"],
                        ["tail", "--from", "@0"], ["tail", "--from", "latest"]):
            with self.subTest(command=command):
                self.assertEqual(weir(*command, self.log).exit, OK)
        self.assertEqual(self.append(b"first"), [1])
        self.assertEqual(self.records(), ["first"])

    def test_what_was_not_made_yet_is_not_held_nor_backed_up_and_stays_as_it_is(self):
        os.mkdir(self.log)
        for leaves in ([], ["LOCK"]):
            for name in leaves:
                with open(os.path.join(self.log, name), "wb") as file:
                    file.truncate(4096)
            for command in (["hold", "set", self.log, "a", "1"], ["hold", "drop", self.log, "a"],
                            ["hold", "move", self.log, "a", "1"],
                            ["backup", self.log, self.path("new")],
                            ["consumers", self.log, "--drop", "a"],
                            ["index", "create", self.log, "i", "--field", "f"],
                            ["index", "drop", self.log, "i"],
                            ["truncate", self.log, "--before", "1"], ["checkpoint", self.log],
                            ["compact", self.log], ["rebuild", self.log],
                            ["delete", self.log, "k"]):
                with self.subTest(leaves=leaves, command=command):
                    self.assert_error(weir(*command, "--json"), REFUSED)
                    self.assertEqual(os.listdir(self.directory), ["log"])
                    self.assertEqual(os.listdir(self.log), leaves)

    def test_a_log_that_lost_its_control_is_refused_not_made_anew(self):
        self.append(b"precious")
        os.remove(os.path.join(self.log, "CONTROL"))
        self.assertEqual(weir("append", self.log, stdin=b"x\n").exit, REFUSED)
        self.assertEqual(weir("tail", self.log).exit, REFUSED)

    def test_a_segment_size_that_does_not_fit_the_log_is_refused(self):
        self.append(b"x")
        done = weir("append", self.log, "--segment-size", "1MiB", "--json")
        error = self.assert_error(done, REFUSED)
        self.assertEqual(error["code"], "WEIR_E_SETTINGS")

    def test_a_parent_directory_that_is_not_there_is_refused(self):
        self.assert_error(weir("append", self.path("no/such/log"), "--json"), REFUSED)

    def test_an_error_for_people_says_what_to_do(self):
        self.append(b"x")
        done = weir("append", self.log, "--segment-size", "4MiB")
        self.assertEqual(done.exit, REFUSED)
        self.assertEqual(len(done.err.splitlines()), 2, done.err)
        self.assertTrue(done.err.startswith("weir append: cannot open "))

    def test_a_directory_that_cannot_be_opened_is_not_blamed_on_a_medium(self):
        self.assertNotIn("pmem", weir("tail", self.log).err)


class SecondWriter(LogTest):
    def test_wl_14_a_second_writer_is_refused_with_the_name_of_the_holder(self):
        with Running("append", self.log) as writer:
            writer.send(b"mine\n")
            writer.row()
            for command in (["append", self.log], ["truncate", self.log, "--before", 1]):
                done = weir(*command, "--lock-wait", "0", "--json", stdin=b"yours\n")
                error = self.assert_error(done, REFUSED)
                self.assertEqual(error["code"], "WEIR_E_LOCKED")
                self.assertIn(str(writer.process.pid), error["error"])
            self.assertEqual(writer.finish()[0], OK)
        self.assertEqual(self.records(), ["mine"])

    def test_wl_14_a_second_writer_waits_for_the_first_one_to_go(self):
        with Running("append", self.log) as first:
            first.send(b"1\n")
            first.row()
            with Running("append", self.log, "--lock-wait", "30s") as second:
                second.send(b"2\n")
                self.assertEqual(first.finish()[0], OK)
                self.assertEqual(second.row(), {"lsn": 2})
                self.assertEqual(second.finish()[0], OK)
        self.assertEqual(self.records(), ["1", "2"])

    def test_wl_14_a_killed_writer_holds_nothing(self):
        with Running("append", self.log) as writer:
            writer.send(b"1\n")
            writer.row()
            writer.kill()
        self.assertEqual(self.append(b"2"), [2])
        self.assertEqual(self.records(), ["1", "2"])


@unittest.skipUnless(nobody_can_run_weir(), "needs root, setpriv and a binary that all may run")
class Permissions(LogTest):
    def as_nobody(self, *arguments):
        return Result(subprocess.run([*NOBODY, WEIR, *arguments], input=b"x\n", capture_output=True,
                                     timeout=TIMEOUT_S, check=False))

    def test_a_directory_that_may_not_be_written_is_refused(self):
        os.chmod(self.directory, 0o755)
        error = self.assert_error(self.as_nobody("append", self.log, "--json"), REFUSED)
        self.assertEqual(error["code"], "EACCES")
        self.assert_error(self.as_nobody("devices", self.directory, "--json"), REFUSED)
        self.assert_error(self.as_nobody("demo", "--dir", self.directory, "--json"), REFUSED)
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_log_of_another_user_cannot_be_appended_to(self):
        self.append(b"mine")
        os.chmod(self.directory, 0o755)
        self.assertEqual(self.as_nobody("append", self.log).exit, REFUSED)
        self.assertEqual(self.records(), ["mine"])


if __name__ == "__main__":
    main()
