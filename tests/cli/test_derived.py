"""index, view, text, query, search, rebuild and verify of what is derived: the packages of this
machine, with SQLite as the oracle; kills, damage, and a writer beside."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import threading
import unicodedata

from command import INTERRUPTED, NO, OK, REFUSED, USAGE, LogTest, Running, main, weir

FORMAT = "\t".join(("${Package}", "${Section}", "${Installed-Size}", "${binary:Summary}")) + "\n"


def packages():
    """What dpkg-query says of this machine; made up where there is none."""
    try:
        shown = subprocess.run(["dpkg-query", "-W", "-f=" + FORMAT], capture_output=True,
                               check=True).stdout.decode()
        lines = [line.split("\t", 3) for line in shown.splitlines()]
    except (OSError, subprocess.CalledProcessError):
        words = "mail server library common development files shared data".split()
        chance = random.Random(7)
        lines = [[f"package{n}", chance.choice(("libs", "admin", "net/x")), str(n * 13 % 997),
                  " ".join(chance.choices(words, k=6))] for n in range(800)]
    return {name: {"package": name, "section": section, "size": int(size or 0), "summary": summary}
            for name, section, size, summary in lines}


def words_of(text):
    """A word is a maximal run of letters, digits, marks and '_', whatever its case."""
    runs, word = [], ""
    for character in text + " ":
        if unicodedata.category(character)[0] in "LNM" or character == "_":
            word += character
        elif word:
            runs.append(word.casefold())
            word = ""
    return runs


class Oracle:
    """The same documents in SQLite."""

    def __init__(self, documents):
        self.database = sqlite3.connect(":memory:")
        self.database.execute("CREATE TABLE documents(key PRIMARY KEY, section, size INT, text)")
        self.database.execute("CREATE INDEX by_section ON documents(section)")
        self.database.execute("CREATE VIRTUAL TABLE words USING fts5(key UNINDEXED, text, "
                              "tokenize=\"unicode61 remove_diacritics 0 tokenchars '_'\")")
        for key, document in documents.items():
            self.put(key, document)

    def put(self, key, document):
        self.delete(key)
        self.database.execute("INSERT INTO documents VALUES(?,?,?,?)",
                              (key, document["section"], document["size"], document["summary"]))
        self.database.execute("INSERT INTO words VALUES(?,?)", (key, document["summary"]))

    def delete(self, key):
        self.database.execute("DELETE FROM documents WHERE key=?", (key,))
        self.database.execute("DELETE FROM words WHERE key=?", (key,))

    def ask(self, statement, *values):
        return self.database.execute(statement, values).fetchall()

    def keys_of(self, section):
        return [row[0] for row in self.ask("SELECT key FROM documents WHERE section=? "
                                           "ORDER BY CAST(key AS BLOB)", section)]

    def groups(self):
        return {row[0]: row[1:] for row in self.ask(
            "SELECT section, count(*), sum(size), min(size), max(size) FROM documents GROUP BY 1")}

    def matching(self, expression):
        return sorted((row[0] for row in self.ask("SELECT key FROM words WHERE words MATCH ?",
                                                  expression)), key=str.encode)


class DerivedTest(LogTest):
    def fill(self, documents, segment_size="256KiB"):
        lines = "".join(json.dumps(document) + "\n" for document in documents.values())
        done = weir("import", self.log, "--table", "packages", "--key", "package",
                    "--segment-size", segment_size, stdin=lines.encode())
        self.assertEqual(done.exit, OK, done.err)

    def make_all(self):
        for command in (("index", "create", self.log, "by_section", "-t", "packages", "--field",
                         "section"),
                        ("view", "create", self.log, "sizes", "-t", "packages", "--group-by",
                         "section", "--aggregate", "count", "--aggregate", "sum", "--aggregate",
                         "min", "--aggregate", "max", "--field", "size"),
                        ("text", "create", self.log, "words", "-t", "packages", "--field",
                         "summary")):
            done = weir(*command, "--json")
            self.assertEqual(done.exit, OK, (done.out, done.err))
            self.assertEqual(done.row()["name"], command[3])

    def keys(self, *command):
        done = weir(*command, "--json")
        self.assertEqual(done.exit, OK, (done.out, done.err))
        return [row["key"] for row in done.rows()]

    def view(self, *options):
        done = weir("view", self.log, "sizes", "--json", *options)
        self.assertEqual(done.exit, OK, (done.out, done.err))
        return {row["group"]: (row["count"], row["sum"], row["min"], row["max"])
                for row in done.rows()}

    def check_against(self, oracle, seed=1):
        chance = random.Random(seed)
        groups = oracle.groups()
        self.assertEqual(self.view(), groups)
        for section in [*chance.sample(sorted(groups), min(4, len(groups))), "no such section"]:
            self.assertEqual(self.keys("query", self.log, "by_section", section),
                             oracle.keys_of(section))
        texts = [row[0] for row in oracle.ask("SELECT text FROM documents ORDER BY key")]
        vocabulary = sorted({word for text in texts for word in words_of(text) if word.isascii()})
        for _ in range(4):
            one, two = chance.sample(vocabulary, 2)
            quoted = f'"{one}"', f'"{two}"'
            self.assertEqual(self.keys("search", self.log, "words", one),
                             oracle.matching(quoted[0]))
            self.assertEqual(self.keys("search", self.log, "words", f"{one} {two}"),
                             oracle.matching(" AND ".join(quoted)))
            self.assertEqual(self.keys("search", self.log, "words", f"{one} {two}", "--any"),
                             oracle.matching(" OR ".join(quoted)))
            prefix = one[:2]
            self.assertEqual(self.keys("search", self.log, "words", prefix + "*"),
                             oracle.matching(f'"{prefix}"*'))

    def verify(self, exit_code=OK):
        done = weir("verify", self.log, "--derived", "--json")
        self.assertEqual(done.exit, exit_code, (done.out, done.err))
        row = done.row()
        self.assertEqual(row["ok"], exit_code == OK)
        return {system["name"]: system for system in row["derived"]}


class Packages(DerivedTest):
    def setUp(self):
        super().setUp()
        self.documents = packages()
        self.fill(self.documents)
        self.make_all()

    def change(self, oracle, seed, count=60):
        """Puts and deletes, to the log and to the oracle."""
        chance = random.Random(seed)
        names = sorted(self.documents)
        lines = []
        for _ in range(count):
            name, other = chance.choice(names), self.documents[chance.choice(names)]
            document = dict(other, package=name, size=chance.randrange(10**6))
            lines.append(json.dumps(document) + "\n")
            oracle.put(name, document)
        done = weir("import", self.log, "--table", "packages", "--key", "package",
                    stdin="".join(lines).encode())
        self.assertEqual(done.exit, OK, done.err)
        for name in chance.sample(names, 5):
            exit_code = weir("delete", self.log, name, "-t", "packages").exit
            self.assertIn(exit_code, (OK, NO))
            oracle.delete(name)

    def test_what_is_derived_answers_as_sqlite_does_also_after_changes_and_a_rebuild(self):
        oracle = Oracle(self.documents)
        self.check_against(oracle)
        self.change(oracle, seed=2)
        self.check_against(oracle, seed=2)
        equal = self.verify()
        self.assertEqual(set(equal), {"by_section", "sizes", "words"})
        before = {name: system["fingerprint"] for name, system in equal.items()}
        for name in before:
            done = weir("rebuild", self.log, name, "--json")
            self.assertEqual(done.exit, OK, (done.out, done.err))
            self.assertEqual(done.row()["fingerprint"], before[name])
        self.check_against(oracle, seed=3)

    def test_everything_derived_may_be_deleted_or_damaged_and_answers_come_back(self):
        oracle = Oracle(self.documents)
        for name in ("by_section", "sizes", "words"):
            os.unlink(os.path.join(self.log, "derived", name, "state"))
        self.check_against(oracle)
        for name in ("by_section", "sizes", "words"):
            path = os.path.join(self.log, "derived", name, "state")
            with open(path, "r+b") as file:
                file.seek(os.path.getsize(path) // 2)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 0x40]))
        self.assert_error(weir("view", self.log, "sizes", "--stale", "--json"), REFUSED,
                          "no saved state that can be used")
        done = weir("query", self.log, "by_section", "libs")
        self.assertEqual(done.exit, OK, done.err)
        self.assertIn("built again", done.err)
        self.check_against(oracle, seed=4)
        self.verify()

    def test_a_kill_while_it_is_built_loses_nothing(self):
        oracle = Oracle(self.documents)
        for _ in range(3):
            self.change(oracle, seed=random.randrange(1 << 30), count=20)
            for name in ("by_section", "words"):
                with Running("rebuild", self.log, name) as running:
                    running.kill()
        self.check_against(oracle, seed=5)
        self.verify()

    def test_compaction_in_between_changes_no_answer(self):
        oracle = Oracle(self.documents)
        for seed in range(6, 9):
            self.change(oracle, seed=seed, count=400)
            done = weir("compact", self.log, "--thorough", "--json")
            if done.exit == USAGE:
                done = weir("compact", self.log, "--json")
            self.assertEqual(done.exit, OK, (done.out, done.err))
            self.check_against(oracle, seed=seed)
        self.verify()

    def test_a_query_may_demand_a_record_that_it_has_seen_or_that_comes_in_time(self):
        latest = weir("stat", self.log, "--json").row()["latest"]
        ask = ("query", self.log, "by_section", "late", "--json", "--at-least")
        self.assertEqual(weir(*ask, latest).exit, OK)
        error = self.assert_error(weir(*ask, latest + 1, "--wait", "50ms"), NO, "not new enough")
        self.assertEqual(error["code"], "WEIR_E_BEHIND")
        with Running(*ask, latest + 1, "--wait", "30s") as waiting:
            done = weir("put", self.log, "late", '{"section":"late"}', "-t", "packages")
            self.assertEqual(done.exit, OK, done.err)
            self.assertEqual(waiting.row()["key"], "late")
        stale = weir(*ask, latest + 1, "--stale")
        self.assert_error(stale, NO, "as of LSN")
        with Running(*ask, latest + 9, "--wait", "60s") as waiting:
            waiting.signal(signal.SIGINT)
            self.assertIn(waiting.process.wait(20), (INTERRUPTED, -signal.SIGINT))

    def test_a_writer_beside_is_followed(self):
        oracle = Oracle(self.documents)
        with Running("import", self.log, "--table", "packages", "--key", "package",
                     "--acknowledge", "--json", "--batch", "1") as writer:
            for number in range(20):
                name = f"beside-{number}"
                document = {"package": name, "section": "beside", "size": number,
                            "summary": f"written beside a reader_{number}"}
                writer.send(json.dumps(document).encode() + b"\n")
                writer.row()
                oracle.put(name, document)
                self.assertEqual(self.keys("query", self.log, "by_section", "beside"),
                                 oracle.keys_of("beside"))
            self.assertEqual(self.keys("search", self.log, "words", "reader_7"), ["beside-7"])
            writer.finish()
        self.check_against(oracle, seed=9)

    def test_queries_at_the_same_time_all_answer(self):
        oracle = Oracle(self.documents)
        self.change(oracle, seed=10)
        wrong = []

        def ask():
            done = weir("query", self.log, "by_section", "libs", "--json")
            keys = [row["key"] for row in done.rows()] if done.exit == OK else done.err
            if keys != oracle_keys:
                wrong.append(keys)

        oracle_keys = oracle.keys_of("libs")
        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_checkpoint_and_compact_bring_what_is_derived_up_to_date(self):
        oracle = Oracle(self.documents)
        for command in ("checkpoint", "compact"):
            self.change(oracle, seed=12)
            done = weir(command, self.log, "--json")
            self.assertEqual(done.exit, OK, (done.out, done.err))
            stat = weir("stat", self.log, "--json").row()
            self.assertEqual({consumer["lag_records"] for consumer in stat["consumers"]}, {0})
            self.assertEqual(self.view("--stale"), oracle.groups())
        self.check_against(oracle, seed=12)

    def test_ranges_prefixes_and_limits(self):
        oracle = Oracle(self.documents)
        rows = oracle.ask("SELECT key, section FROM documents "
                          "ORDER BY CAST(section AS BLOB), CAST(key AS BLOB)")
        ask = ("query", self.log, "by_section")
        self.assertEqual(self.keys(*ask), [key for key, _ in rows])
        self.assertEqual(self.keys(*ask, "--limit", "3"), [key for key, _ in rows][:3])
        self.assertEqual(self.keys(*ask, "--limit", "0"), [])
        self.assertEqual(self.keys(*ask, "lib", "--prefix"),
                         [key for key, section in rows if section.startswith("lib")])
        self.assertEqual(self.keys(*ask, "--from", "g", "--to", "p"),
                         [key for key, section in rows if "g" <= section < "p"])
        self.assertEqual([key for key in self.keys(*ask, "--reverse")][-1:],
                         [rows[0][0]] if rows else [])

    def test_stat_shows_the_pipeline_and_stale_answers_do_not_move(self):
        before = self.view("--stale")
        oracle = Oracle(self.documents)
        self.change(oracle, seed=11)
        self.assertEqual(self.view("--stale"), before)
        stat = weir("stat", self.log, "--json").row()
        consumers = {consumer["name"]: consumer for consumer in stat["consumers"]}
        self.assertEqual(set(consumers), {"by_section", "sizes", "words"})
        for consumer in consumers.values():
            self.assertEqual(consumer["state"], "detached")
            self.assertGreater(consumer["lag_records"], 0)
            self.assertEqual(consumer["position"] + consumer["lag_records"], stat["durable"])
        self.assertEqual(self.view(), oracle.groups())


class Definitions(DerivedTest):
    def setUp(self):
        super().setUp()
        self.fill({"a": {"package": "a", "section": "s", "size": 1, "summary": "one"}},
                  segment_size="64MiB")

    def refuse(self, exit_code, words, *command):
        self.assert_error(weir(*command, "--json"), exit_code, *words)

    def test_two_systems_of_one_name_are_refused_whatever_their_kind(self):
        self.make_all()
        for command in (("index", "create", self.log, "sizes", "-t", "packages", "-f", "x"),
                        ("text", "create", self.log, "by_section", "-t", "packages", "-f", "x")):
            self.refuse(REFUSED, ["already", "nothing was changed"], *command)
        self.assertEqual(self.view(), {"s": (1, 1, 1, 1)})

    def test_names_fields_and_tables_that_cannot_be_are_refused_and_leave_nothing(self):
        index = ("index", "create", self.log)
        self.refuse(USAGE, ["a name"], *index, "../x", "-t", "packages", "-f", "a")
        self.refuse(USAGE, ["a name"], *index, "", "-t", "packages", "-f", "a")
        self.refuse(USAGE, ["engine"], *index, "engine", "-t", "packages", "-f", "a")
        self.refuse(USAGE, ["a name"], *index, "x" * 64, "-t", "packages", "-f", "a")
        self.refuse(USAGE, ["--field"], *index, "x", "-t", "packages")
        self.refuse(USAGE, ["1 to"], *index, "x", "-t", "packages", "-f", "")
        self.refuse(REFUSED, ["path"], *index, "x", "-t", "packages", "-f", "a..b")
        self.refuse(REFUSED, ["no table 'none'"], *index, "x", "-t", "none", "-f", "a")
        self.refuse(REFUSED, ["stemmer", "klingon"], "text", "create", self.log, "x", "-t",
                    "packages", "-f", "a", "--stem", "klingon")
        view = ("view", "create", self.log, "x", "-t", "packages")
        self.refuse(USAGE, ["--group-by"], *view, "--aggregate", "count")
        self.refuse(USAGE, ["average"], *view, "--group-by", "a", "--aggregate", "average")
        self.refuse(USAGE, ["--field"], *view, "--group-by", "a", "--aggregate", "sum")
        for kind in ("index", "view", "text"):
            done = weir(kind, "list", self.log, "--json")
            self.assertEqual((done.exit, done.out), (OK, b""))

    def test_what_is_not_there_or_is_of_another_kind_is_refused_with_what_there_is(self):
        self.make_all()
        self.refuse(REFUSED, ["no index 'none'", "index list"], "query", self.log, "none", "x")
        self.refuse(REFUSED, ["no derived system 'none'"], "rebuild", self.log, "none")
        self.refuse(REFUSED, ["is no index", "view"], "query", self.log, "sizes", "x")
        self.refuse(REFUSED, ["is no text"], "search", self.log, "by_section", "x")
        self.refuse(REFUSED, ["is no view"], "view", self.log, "words")
        self.refuse(REFUSED, ["is no text"], "text", "drop",
                    self.log, "sizes")

    def test_a_dropped_system_is_gone_with_its_hold_and_its_name_is_free(self):
        self.make_all()
        for kind, name in (("index", "by_section"), ("view", "sizes"), ("text", "words")):
            self.assertEqual(weir(kind, "drop", self.log, name).exit, OK)
        stat = weir("stat", self.log, "--json").row()
        self.assertEqual(stat["consumers"], [])
        self.assertEqual([hold["name"] for hold in stat["holds"]], ["engine"])
        self.make_all()

    def free_as_advised(self, log, name, word):
        """Creating it is refused with a command, after which it is not."""
        create = ("index", "create", log, name, "-t", "packages", "-f", "section", "--json")
        error = self.assert_error(weir(*create), REFUSED, word, name, "nothing was changed")
        advised = error["error"].split("`")[1].split()
        self.assertEqual(advised[0], "weir")
        done = weir(*advised[1:])
        self.assertEqual(done.exit, OK, (advised, done.err))
        self.assertEqual(weir(*create).exit, OK)
        self.assertEqual(self.keys("query", log, name, "s"), ["a"])

    def test_a_name_that_is_taken_is_refused_with_the_command_that_frees_it(self):
        self.make_all()
        salvaged = self.path("salvaged")
        self.assertEqual(weir("salvage", self.log, salvaged).exit, OK)
        self.free_as_advised(salvaged, "by_section", "hold")  # of which there is no file
        os.remove(os.path.join(self.log, "derived", "by_section", "definition"))
        self.free_as_advised(self.log, "by_section", "consumer")
        self.free_as_advised(self.log, "sizes", "derived system")

    def test_a_state_that_was_made_by_another_definition_is_not_used(self):
        self.make_all()
        state = os.path.join(self.log, "derived", "by_section", "state")
        with open(state, "rb") as file:
            other = file.read()
        self.assertEqual(weir("index", "drop", self.log, "by_section").exit, OK)
        done = weir("index", "create", self.log, "by_section", "-t", "packages", "-f", "summary")
        self.assertEqual(done.exit, OK, done.err)
        with open(state, "wb") as file:
            file.write(other)
        self.assertEqual(self.keys("query", self.log, "by_section", "one"), ["a"])
        self.assertEqual(self.keys("query", self.log, "by_section", "s"), [])
        self.verify()

    def test_of_two_that_create_a_name_at_the_same_time_one_wins(self):
        for number in range(5):
            create = ("index", "create", self.log, f"n{number}", "-t", "packages", "--json", "-f")
            with Running(*create, "section") as one, Running(*create, "summary") as other:
                exits = sorted((one.finish()[0], other.finish()[0]))
            self.assertEqual(exits, [OK, REFUSED])
            self.verify()

    def test_a_creation_or_drop_that_is_killed_can_be_done_again(self):
        chance = random.Random(3)
        for number in range(30):
            create = ("index", "create", self.log, "killed", "-t", "packages", "-f", "section")
            with Running(*create) as running:
                threading.Event().wait(chance.uniform(0, 0.05))
                running.kill()
            if weir("index", "list", self.log, "--json").out == b"":
                done = weir(*create)
                self.assertEqual(done.exit, OK, (number, done.err))
            self.assertEqual(self.keys("query", self.log, "killed", "s"), ["a"])
            with Running("index", "drop", self.log, "killed") as running:
                threading.Event().wait(chance.uniform(0, 0.03))
                running.kill()
            if weir("index", "list", self.log, "--json").out != b"":
                done = weir("index", "drop", self.log, "killed")
                self.assertEqual(done.exit, OK, (number, done.err))
            holds = [row["name"] for row in weir("hold", "list", self.log, "--json").rows()]
            self.assertEqual(holds, ["engine"], number)

    def test_one_that_lags_too_far_is_cut_loose_told_so_and_can_be_rebuilt(self):
        done = weir("index", "create", self.log, "lags", "-t", "packages", "-f", "section",
                    "--max-lag", "64KiB")
        self.assertEqual(done.exit, OK, done.err)
        lines = "".join(json.dumps({"package": f"k{n % 50}", "section": "late", "fill": "x" * 900})
                        + "\n" for n in range(300))
        done = weir("import", self.log, "-t", "packages", "--key", "package", stdin=lines.encode())
        self.assertEqual(done.exit, OK, done.err)
        cut = weir("consumers", self.log, "--cut", "--json")
        self.assertEqual([row["name"] for row in cut.rows()], ["lags"])
        holds = [row["name"] for row in weir("hold", "list", self.log, "--json").rows()]
        self.assertEqual(holds, ["engine"])
        self.assertEqual(weir("rebuild", self.log, "lags").exit, OK)
        self.assertEqual(len(self.keys("query", self.log, "lags", "late")), 50)
        self.verify()

    def test_a_drop_beside_those_who_use_it_leaves_nothing_behind(self):
        create = ("text", "create", self.log, "raced", "-t", "packages", "-f", "summary")
        others = (("search", self.log, "raced", "one"), ("rebuild", self.log, "raced"),
                  ("checkpoint", self.log), ("text", "drop", self.log, "raced"))
        for number in range(24):
            done = weir(*create)
            self.assertEqual(done.exit, OK, (number, done.err))
            os.unlink(os.path.join(self.log, "derived", "raced", "state"))  # they will save it
            with Running(*others[number % 4]) as one, Running(*others[number % 3]) as other:
                weir("text", "drop", self.log, "raced")
                one.finish()
                other.finish()
            weir("text", "drop", self.log, "raced")
            holds = [row["name"] for row in weir("hold", "list", self.log, "--json").rows()]
            self.assertEqual(holds, ["engine"], number)

    def test_a_directory_in_place_of_a_file_takes_nothing_from_the_others(self):
        self.make_all()
        state = os.path.join(self.log, "derived", "sizes", "state")
        os.unlink(state)
        os.mkdir(state)
        rows = {row["name"]: row for row in weir("consumers", self.log, "--json").rows()}
        self.assertEqual(set(rows), {"by_section", "sizes", "words"})
        self.assertIn("cannot be read", rows["sizes"]["reason"])
        self.assertEqual(self.keys("query", self.log, "by_section", "s"), ["a"])
        for command in (("stat",), ("compact",), ("checkpoint",), ("index", "list")):
            done = weir(*command, self.log)
            self.assertEqual(done.exit, OK, (command, done.err))

    def test_list_shows_what_was_defined(self):
        self.make_all()
        row = weir("view", "list", self.log, "--json").row()
        self.assertEqual(row["fields"], ["section", "size"])
        self.assertEqual(row["aggregates"], ["count", "sum", "min", "max"])
        self.assertEqual(weir("index", "list", self.log, "--json").row()["table"], "packages")

    def test_a_damaged_definition_is_named_the_others_go_on_and_it_can_be_dropped(self):
        self.make_all()
        path = os.path.join(self.log, "derived", "sizes", "definition")
        size = os.path.getsize(path)
        with open(path, "r+b") as file:
            file.write(os.urandom(min(size, 64)))
        self.refuse(REFUSED, ["definition"], "view", self.log, "sizes")
        self.assertEqual(self.keys("query", self.log, "by_section", "s"), ["a"])
        self.assertFalse(self.verify(NO)["sizes"]["equal"])
        self.assertEqual(weir("view", "drop", self.log, "sizes").exit, OK)
        self.verify()

    def test_documents_that_are_none_lack_the_field_or_have_too_much_of_it(self):
        self.make_all()
        bad = {"no-json": b"{", "empty": b"", "latin": b'{"section":"\xff"}', "lacks": b"{}",
               "null": b'{"section":null}', "object": b'{"section":{"section":"s"}}',
               "many": json.dumps({"section": [f"v{n}" for n in range(1025)],
                                   "size": 1e400}).replace("Infinity", "1e400").encode(),
               "million": json.dumps({"section": "m" * 10**6, "size": "many",
                                      "summary": "w" * 10**6}).encode()}
        for key, value in bad.items():
            path = self.path("value")
            with open(path, "wb") as file:
                file.write(value)
            done = weir("put", self.log, key, "--value-file", path, "-t", "packages")
            self.assertEqual(done.exit, OK, done.err)
        self.assertEqual(self.keys("query", self.log, "by_section"), ["a"])
        self.assertEqual(self.view(), {"s": (1, 1, 1, 1), "v0": (1, None, None, None)})
        self.assertEqual(self.keys("search", self.log, "words", "one"), ["a"])
        said = weir("query", self.log, "by_section").err
        self.assertIn("3 rows are no JSON documents: left out", said)
        self.assertIn("2 values are too long, or are of a row that has too many: left out", said)
        self.assertIn("1 values are no numbers", weir("view", self.log, "sizes").err)
        self.assertEqual(self.keys("search", self.log, "words", "w" * 255), ["million"])
        self.verify()

    def test_a_field_that_no_document_has_is_told_and_rows_that_have_it_are_counted(self):
        lines = [{"package": f"p{n}", "tags": ["red"]} for n in range(3)]
        done = weir("import", self.log, "-t", "packages", "--key", "package",
                    stdin="".join(json.dumps(line) + "\n" for line in lines).encode())
        self.assertEqual(done.exit, OK, done.err)
        of_kind = {"index": ("-f", "{}"), "text": ("-f", "{}"), "view": ("--group-by", "{}")}
        for kind, options in of_kind.items():
            for field, rows in (("tags", 3), ("tgas", 0)):
                name = f"{kind}-{field}"
                command = (kind, "create", self.log, name, "-t", "packages",
                           *(option.format(field) for option in options))
                done = weir(*command, "--json")
                self.assertEqual((done.exit, done.row()["rows"]), (OK, rows), done.err)
                self.assertEqual("has a value at 'tgas'" in done.err, rows == 0, done.err)
                self.assertEqual(f"`weir {kind} drop {self.log} {name}`" in done.err, rows == 0)
        done = weir("view", "create", self.log, "sum", "-t", "packages", "--group-by", "tags",
                    "--aggregate", "sum", "--field", "siez")
        self.assertIn("has a value at 'siez'", done.err)
        self.assertIn(b"3 rows", done.out)
        done = weir("index", "create", self.log, "two", "-t", "packages", "-f", "tags", "-f", "x")
        self.assertIn("'x'", done.err)
        self.assertNotIn("'tags'", done.err)

    def test_of_a_table_without_documents_no_field_is_missed(self):
        for key, value in (("a", "plain text"), ("b", "text")):
            self.assertEqual(weir("put", self.log, key, value, "-t", "plain").exit, OK)
        done = weir("index", "create", self.log, "plain", "-t", "plain", "-f", "x")
        self.assertEqual(done.exit, OK)
        self.assertIn("2 rows are no JSON documents", done.err)
        self.assertNotIn("has a value", done.err)

    def test_lists_several_fields_and_arrays(self):
        lines = [{"package": "x", "tags": ["red", "blue"], "owner": {"name": "ann"}},
                 {"package": "y", "tags": ["blue"], "owner": {"name": "bob"}},
                 {"package": "z", "tags": [], "owner": {"name": "ann"}}]
        done = weir("import", self.log, "-t", "packages", "--key", "package",
                    stdin="".join(json.dumps(line) + "\n" for line in lines).encode())
        self.assertEqual(done.exit, OK, done.err)
        done = weir("index", "create", self.log, "tags", "-t", "packages", "-f", "tags", "-f",
                    "owner.name")
        self.assertEqual(done.exit, OK, done.err)
        self.assertEqual(self.keys("query", self.log, "tags", "blue"), ["x", "y"])
        self.assertEqual(self.keys("query", self.log, "tags", "blue", "bob"), ["y"])
        self.assertEqual(self.keys("query", self.log, "tags", "red", "ann"), ["x"])
        self.refuse(USAGE, ["2 fields"], "query", self.log, "tags", "a", "b", "c")
        done = weir("view", "create", self.log, "owners", "-t", "packages", "--group-by",
                    "owner.name", "--aggregate", "list", "--field", "package")
        self.assertEqual(done.exit, OK, done.err)
        rows = {row["group"]: row["value"]
                for row in weir("view", self.log, "owners", "--json").rows()}
        self.assertEqual(rows, {"ann": ["x", "z"], "bob": ["y"]})


if __name__ == "__main__":
    main()
