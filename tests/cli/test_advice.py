"""What an error tells people to do: it fits the command, and names nothing of the C interface."""

import os

from command import NO, REFUSED, Running, LogTest, main, weir

OF_PROGRAMMERS = ("weir_", "WEIR_", "<weir/", "with_gaps", "_ns", "_bytes")


class Advice(LogTest):
    def refused(self, *command, exit_code=REFUSED, stdin=b""):
        """Sentence and advice, as people see them."""
        done = weir(*command, stdin=stdin)
        self.assertEqual(done.exit, exit_code, (command, done.out, done.err))
        for word in OF_PROGRAMMERS:
            self.assertNotIn(word, done.err.replace(self.directory, ""))
        return done.err

    def put(self, count=1, table="t"):
        rows = b"".join(b"k%d\t{\"s\":\"%s\"}\n" % (n % 5, b"x" * 9000) for n in range(count))
        done = weir("import", self.log, "-t", table, "--segment-size", "64KiB", stdin=rows)
        self.assertEqual(done.exit, 0, done.err)

    def test_of_a_path_that_is_not_there(self):
        for command in (["get", self.log, "k"], ["tail", self.log], ["stat", self.log],
                        ["backup", self.log, self.path("new")], ["devices", self.log],
                        ["index", "list", self.log], ["truncate", self.log, "--before", "1"],
                        ["crash", "--dir", self.log, "--kill"]):
            said = self.refused(*command)
            self.assertIn("check the path", said)
            self.assertNotIn("new log", said)
        self.assertIn("there is no such directory", self.refused("scan", self.log))
        for command in (["append"], ["put"], ["import"]):
            said = self.refused(*command, self.path("no/log"), *(["k", "v"] * (command == ["put"])))
            self.assertIn("the directory that it is to be made in is not there", said)
        self.put()
        said = self.refused("put", self.log, "k", "--value-file", self.path("none"))
        self.assertIn("check the path", said)

    def test_of_a_file_where_a_directory_should_be(self):
        with open(self.path("file"), "wb"):
            pass
        self.put()
        for command in (["get", self.path("file"), "k"], ["append", self.path("file")],
                        ["backup", self.log, self.path("file")], ["devices", self.path("file")],
                        ["crash", "--dir", self.path("file"), "--kill"]):
            self.assertIn("name a directory", self.refused(*command))

    def test_of_a_gap_fits_tables_and_tail(self):
        self.put(40)
        os.remove(os.path.join(self.log, "segment-0000000000000003"))
        new = self.path("new")
        self.assertEqual(weir("salvage", self.log, new).exit, NO)
        for command in (["get", new, "k1", "-t", "t"], ["put", new, "k", "v"],
                        ["stat", new, "--engine"], ["query", new, "i", "v"], ["compact", new]):
            said = self.refused(*command)
            self.assertIn(f"`weir rebuild {new} --accept-gaps`", said)
            self.assertIn("in 1 gap,", said)
            self.assertNotIn("--raw", said)
        said = self.refused("tail", new, "--raw")
        self.assertIn(f"`weir tail {new}` without --raw", said)
        self.assertNotIn("--accept-gaps", said)

    def test_of_what_is_missing_in_a_log(self):
        self.put()
        self.assertIn("`weir put` and `weir import` make one",
                      self.refused("get", self.log, "k", "-t", "none"))
        self.assertIn("`weir put` and `weir import` make one",
                      self.refused("index", "create", self.log, "i", "-t", "none", "-f", "s"))
        for command, kind in (("query", "index"), ("search", "text"), ("view", "view")):
            said = self.refused(command, self.log, "none", *(["v"] * (command != "view")))
            self.assertIn(f"no {kind} 'none': `weir {kind} list {self.log}` shows", said)
            self.assertIn(f"`weir {kind} list {self.log}`",
                          self.refused(kind, "drop", self.log, "none"))
        for command in (["rebuild", self.log, "none"], ["consumers", self.log, "--drop", "none"]):
            self.assertIn(f"`weir consumers {self.log}`", self.refused(*command))
        done = weir("index", "create", self.log, "by_s", "-t", "t", "-f", "s")
        self.assertEqual(done.exit, 0, done.err)
        self.assertIn(f"`weir query {self.log} by_s`", self.refused("view", self.log, "by_s"))
        self.refused("query", self.log, "by_s", "v", "--at-least", "99", exit_code=NO)

    def test_of_an_lsn_that_is_not_there(self):
        self.put(40)
        self.assertEqual(weir("compact", self.log).exit, 0)
        said = self.refused("get", self.log, "k1", "-t", "t", "--as-of", "3")
        self.assertIn("ask for that LSN or a later one", said)
        self.assertNotIn("stream", said)
        self.refused("get", self.log, "k1", "-t", "t", "--as-of", "999")
        self.assertIn("first LSN is 1", self.refused("hold", "set", self.log, "a", "0"))
        other = self.path("other")
        self.assertEqual(weir("append", other, stdin=b"1\n2\n3\n").exit, 0)
        self.assertEqual(weir("truncate", other, "--before", "3").exit, 0)
        for command in (["tail", other, "--from", "1"], ["hold", "set", other, "a", "1"]):
            self.assertIn(f"`weir stat {other}` shows the earliest", self.refused(*command))

    def test_of_a_writer_at_work_and_of_another_size(self):
        with Running("append", self.log) as writer:
            writer.send(b"1\n")
            writer.row()
            said = self.refused("put", self.log, "k", "v", "--lock-wait", "0")
            self.assertIn("--lock-wait TIME", said)
        said = self.refused("append", self.log, "--segment-size", "64KiB")
        self.assertIn("leave --segment-size out", said)

    def test_of_no_log_speaks_of_a_new_one_to_those_who_make_one(self):
        with open(self.path("letter.txt"), "wb"):
            pass
        self.assertIn("a new log needs", self.refused("append", self.directory))
        self.assertNotIn("a new log", self.refused("tail", self.directory))


if __name__ == "__main__":
    main()
