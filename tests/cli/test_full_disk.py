"""A full disk: exit 4, nothing acknowledged is lost, and the log goes on once there is room."""

import os
import subprocess
import unittest

from command import DEVICE, OK, LogTest, main, weir


def try_run(*command):
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


class FullDisk(LogTest):
    SIZE = 8 << 20

    def setUp(self):
        super().setUp()
        self.mount = self.path("mount")
        os.mkdir(self.mount)
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        if not self.mount_ext4() and not self.mount_tmpfs():
            self.skipTest("no small file system can be mounted here")
        self.addCleanup(try_run, "umount", "--lazy", self.mount)
        self.log = os.path.join(self.mount, "log")

    def mount_ext4(self):
        image = self.path("image")
        with open(image, "wb") as file:
            file.truncate(self.SIZE)
        return try_run("mkfs.ext4", "-q", "-O", "^has_journal", image) and \
            try_run("mount", "-o", "loop", image, self.mount)

    def mount_tmpfs(self):
        return try_run("mount", "-t", "tmpfs", "-o", f"size={self.SIZE}", "tmpfs", self.mount)

    def fill(self):
        """Appends until there is no room: the number of acknowledged records."""
        line = b"x" * 1000 + b"\n"
        done = weir("append", self.log, "--segment-size", "256KiB", "--json",
                    stdin=line * (2 * self.SIZE // len(line)))
        error = self.assert_error(done, DEVICE)
        self.assertEqual(error["code"], "ENOSPC")
        return len(done.rows()) - 1

    def test_wl_13_a_full_disk_is_exit_4_and_nothing_acknowledged_is_lost(self):
        acknowledged = self.fill()
        self.assertGreater(acknowledged, 0)
        rows = weir("tail", self.log, "--json").rows()
        self.assertGreaterEqual(len(rows), acknowledged)
        self.assertTrue(weir("verify", self.log, "--json").row()["ok"])

    def test_wl_13_truncation_makes_room_on_a_full_disk(self):
        self.fill()
        latest = weir("stat", self.log, "--json").row()["latest"]
        done = weir("truncate", self.log, "--before", latest)
        self.assertEqual(done.exit, OK, done.err)
        done = weir("append", self.log, stdin=b"goes on\n")
        self.assertEqual((done.exit, done.lsns()), (OK, [latest + 1]), done.err)

    def versions(self, begin, end):
        """Versions of a thousand keys."""
        lines = b"".join(b"k%03d\t%d " % (n % 1000, n) + b"v" * 500 + b"\n"
                         for n in range(begin, end))
        return weir("import", self.log, "--segment-size", "256KiB", "--json", stdin=lines)

    def fill_with_versions(self):
        """Imports until there is no room: how many were stored."""
        done = self.versions(0, 32000)
        error = self.assert_error(done, DEVICE)
        self.assertEqual(error["code"], "ENOSPC")
        return done.rows()[0]["stored"]

    def check_versions(self, stored):
        """Every key has the version that was reported stored last, or one that came later."""
        rows = weir("scan", self.log, "--json").rows()
        self.assertEqual(len(rows), 1000)
        for row in rows:
            key, number = int(row["key"][1:]), int(row["value"].split()[0])
            self.assertEqual(number % 1000, key)
            self.assertGreaterEqual(number, stored - 1000)

    def test_compaction_makes_room_on_a_full_disk(self):
        stored = self.fill_with_versions()
        done = weir("compact", self.log, "--json")
        self.assertEqual(done.exit, OK, done.out + done.err.encode())
        self.assertLess(done.row()["bytes_after"], done.row()["bytes_before"])
        self.check_versions(stored)
        done = weir("put", self.log, "after", "it")
        self.assertEqual(done.exit, OK, done.err)

    def test_an_import_that_fills_the_disk_is_exit_4_and_what_it_reported_is_there(self):
        stored = self.fill_with_versions()
        self.assertGreater(stored, 5000)
        self.check_versions(stored)

    def test_a_crash_run_that_fills_the_disk_is_exit_4_and_leaves_nothing(self):
        before = os.listdir(self.mount)
        done = weir("crash", "--dir", self.mount, "--kill", "--segment-size", "256KiB", "--rounds",
                    "100", "--size", "4k", "--durability", "group", "--force", "--json")
        error = self.assert_error(done, DEVICE, "no room")
        self.assertEqual(error["code"], "ENOSPC")
        self.assertEqual(os.listdir(self.mount), before)

    def fill_with_ballast(self):
        with open(os.path.join(self.mount, "ballast"), "wb") as file:
            try:
                while True:
                    file.write(b"\0" * 65536)
                    file.flush()
            except OSError:
                pass

    def test_a_log_that_finds_no_room_is_not_begun(self):
        self.fill_with_ballast()
        done = weir("append", self.log, "--json", stdin=b"x\n")
        self.assert_error(done, DEVICE)

    def test_a_salvage_that_finds_no_room_leaves_nothing_and_goes_through_once_there_is(self):
        source = self.path("source")
        weir("append", source, "--segment-size", "256KiB", stdin=b"x" * 1000 + b"\n")
        self.fill_with_ballast()
        error = self.assert_error(weir("salvage", source, self.log, "--json"), DEVICE, self.log)
        self.assertEqual(error["code"], "ENOSPC")
        if os.path.exists(self.log):
            self.assertEqual([name for name in os.listdir(self.log) if name != "holds"], [])
        os.remove(os.path.join(self.mount, "ballast"))
        done = weir("salvage", source, self.log)
        self.assertEqual(done.exit, OK, done.err)
        self.assertEqual(len(weir("tail", self.log, "--json").rows()), 1)

    def test_a_backup_that_finds_no_room_leaves_nothing_and_goes_through_once_there_is(self):
        source = self.path("source")
        weir("append", source, "--segment-size", "256KiB",
             stdin=b"x" * 1000 + b"\n" + b"y" * 1000 + b"\n")
        self.fill_with_ballast()
        for ballast in (True, False):
            if not ballast:  # it fills up in the middle
                os.remove(os.path.join(self.mount, "ballast"))
                weir("append", source, "--durability", "none", stdin=(b"z" * 1000 + b"\n") * 12000)
            error = self.assert_error(weir("backup", source, self.log, "--json"), DEVICE, self.log)
            self.assertEqual(error["code"], "ENOSPC")
            if os.path.exists(self.log):
                self.assertEqual([name for name in os.listdir(self.log) if name != "holds"], [])
            self.assertEqual(weir("hold", "list", source, "--json").rows(), [])
        self.assertEqual(weir("truncate", source, "--before", 11000).exit, OK)
        done = weir("backup", source, self.log, "--json")
        self.assertEqual(done.exit, OK, done.err)
        self.assertEqual(len(weir("tail", self.log, "--json").rows()), done.row()["records"])

    def test_a_backup_of_a_log_on_a_full_disk(self):
        self.fill()
        self.fill_with_ballast()
        copy = self.path("copy")
        done = weir("backup", self.log, copy, "--json")
        self.assertEqual(done.exit, OK, done.err)
        self.assertEqual(weir("tail", copy).out, weir("tail", self.log).out)
        self.assertTrue(weir("verify", copy, "--json").row()["ok"])


if __name__ == "__main__":
    main()
