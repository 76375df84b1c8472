"""consumers, and compact that lets go of laggards: listed, parked, attached, cut loose, dropped.

The files of a consumer that no command makes are written here, from docs/FORMAT.md alone."""

import fcntl
import json
import os
import struct

from command import OK, REFUSED, USAGE, LogTest, Running, main, weir

BLOCK = 4096


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xff]
    return crc ^ 0xffffffff


def table_entry(value):
    for _ in range(8):
        value = value >> 1 ^ (0x82f63b78 if value & 1 else 0)
    return value


TABLE = [table_entry(value) for value in range(256)]


def state_file(uuid, name, file, kind, body, position=0, version=1):
    """FORMAT.md, 11: a header, and one block for a short body."""
    block = b""
    blocks_crc = 0
    if body:
        block = struct.pack("<IQ", len(body), 0) + body
        block += bytes(-(len(block) + 4) % BLOCK)
        block = struct.pack("<I", crc32c(block)) + block
        blocks_crc = crc32c(block[:4])
    header = struct.pack("<I16sQQIIQII4Q32s64s64s", 1, uuid, position, 0, 0, 0, len(body),
                         blocks_crc, version, 0, 0, 0, 0, kind.encode(), name.encode(),
                         file.encode())
    header += bytes(BLOCK - 12 - len(header))
    return b"WEIRSTA1" + struct.pack("<I", crc32c(header)) + header + block


def status(kind="mail", parked=0, parked_lsn=0, max_lag_bytes=0, started_behind=0, reason=""):
    return struct.pack("<iIQQQ32s200s", parked, 0, parked_lsn, max_lag_bytes, started_behind,
                       kind.encode(), reason.encode())


class ConsumersTest(LogTest):
    def make(self, rows=3):
        lines = "".join(json.dumps({"id": str(n), "city": f"city{n % 3}", "padding": "x" * 500})
                        + "\n" for n in range(rows))
        done = weir("import", self.log, "--table", "t", "--key", "id", "--segment-size", "256KiB",
                    stdin=lines.encode())
        self.assertEqual(done.exit, OK, done.err)

    def put(self, name, file, content):
        directory = os.path.join(self.log, "derived", name)
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, file), "wb") as out:
            out.write(content)

    def uuid(self):
        return bytes.fromhex(weir("stat", self.log, "--json").row()["uuid"])

    def consumer(self, name, position=1, hold=True, **members):
        uuid = self.uuid()
        self.put(name, "state", state_file(uuid, name, "state", "mail", b"", position))
        self.put(name, "status", state_file(uuid, name, "status", "consumer", status(**members)))
        if hold:
            done = weir("hold", "set", self.log, name, position + 1)
            self.assertEqual(done.exit, OK, done.err)

    def rows(self, *options):
        done = weir("consumers", self.log, "--json", *options)
        self.assertEqual(done.exit, OK, (done.out, done.err))
        return {row["name"]: row for row in done.rows()}

    def holds(self):
        return [row["name"] for row in weir("hold", "list", self.log, "--json").rows()]


class List(ConsumersTest):
    def test_a_log_without_any_has_no_rows(self):
        self.make()
        self.assertEqual(self.rows(), {})
        self.assertEqual(weir("consumers", self.log).out.count(b"\n"), 1)

    def test_cd_08_a_detached_one_is_shown_as_detached_with_its_lag(self):
        self.make(10)
        latest = weir("stat", self.log, "--json").row()["latest"]
        self.consumer("mails", position=latest - 4)
        row = self.rows()["mails"]
        self.assertEqual((row["kind"], row["state"], row["attached"]), ("mail", "detached", False))
        self.assertEqual((row["position"], row["lag_records"]), (latest - 4, 4))
        self.assertGreater(row["lag_bytes"], 0)
        text = weir("consumers", self.log).out.decode()
        self.assertRegex(text, r"mails +mail +detached +%d +4 " % (latest - 4))
        weir("put", self.log, "one", "more")
        self.assertEqual(self.rows()["mails"]["lag_records"], 5)

    def test_cd_04_a_parked_one_shows_at_which_lsn_and_why(self):
        self.make()
        self.consumer("mails", parked=-74, parked_lsn=3, reason="no address: 'x'")
        row = self.rows()["mails"]
        self.assertEqual((row["state"], row["parked"], row["parked_lsn"], row["parked_code"]),
                         ("parked", True, 3, -74))
        self.assertEqual(row["reason"], "no address: 'x'")
        self.assertIn("at LSN 3: no address: 'x'", weir("consumers", self.log).out.decode())

    def test_one_whose_state_is_damaged_is_listed_with_that(self):
        self.make()
        self.consumer("mails", position=2)
        path = os.path.join(self.log, "derived", "mails", "state")
        with open(path, "r+b") as state:
            state.seek(50)
            state.write(b"\xff")
        row = self.rows()["mails"]
        self.assertEqual(row["position"], 2)
        self.assertIn("derived/mails/state is damaged", row["reason"])

    def test_a_state_of_another_log_is_no_position(self):
        self.make()
        self.put("mails", "state", state_file(b"x" * 16, "mails", "state", "mail", b"", 2))
        row = self.rows()["mails"]
        self.assertEqual(row["position"], 0)
        self.assertIn("of another log", row["reason"])

    def test_it_works_beside_a_writer(self):
        self.make()
        self.consumer("mails", position=1)
        with Running("append", self.log, "--json") as writer:
            writer.process.stdin.write(b"a\n")
            writer.process.stdin.flush()
            lsn = json.loads(writer.process.stdout.readline())["lsn"]
            self.assertEqual(self.rows()["mails"]["lag_records"], lsn - 1)
            self.assertEqual(weir("consumers", self.log, "--drop", "mails").exit, OK)
            self.assertEqual(self.rows(), {})

    def test_an_absent_log_is_refused_and_two_wishes_are_too_many(self):
        self.assert_error(weir("consumers", self.log, "--json"), REFUSED)
        self.make()
        self.assertEqual(weir("consumers", self.log, "--cut", "--drop", "a").exit, USAGE)
        self.assertEqual(weir("consumers").exit, USAGE)


class Drop(ConsumersTest):
    def test_cd_07_one_that_somebody_drives_is_shown_as_attached_and_not_dropped(self):
        self.make()
        self.consumer("mails")
        with open(os.path.join(self.log, "derived", "mails", "lock"), "w+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.assertEqual(self.rows()["mails"]["state"], "attached")
            self.assert_error(weir("consumers", self.log, "--drop", "mails", "--json"), REFUSED,
                              "mails", "attached already")
        self.assertEqual(self.rows()["mails"]["state"], "detached")
        self.assertIn("mails", self.holds())

    def test_one_that_is_dropped_goes_with_hold_state_and_name(self):
        self.make()
        self.consumer("mails")
        done = weir("consumers", self.log, "--drop", "mails", "--json")
        self.assertEqual(done.row(), {"name": "mails", "dropped": True})
        self.assertEqual(self.rows(), {})
        self.assertNotIn("mails", self.holds())
        self.assertFalse(os.path.exists(os.path.join(self.log, "derived", "mails")))
        self.assert_error(weir("consumers", self.log, "--drop", "mails", "--json"), REFUSED,
                          "no consumer 'mails'")

    def test_a_hold_alone_is_no_consumer(self):
        self.make()
        weir("hold", "set", self.log, "mine", 1)
        self.assert_error(weir("consumers", self.log, "--drop", "mine", "--json"), REFUSED, "mine")
        self.assertIn("mine", self.holds())


class Cut(ConsumersTest):
    def laggards(self):
        self.make(2000)
        self.consumer("slow", max_lag_bytes=100000)
        self.consumer("patient", max_lag_bytes=1 << 40)
        self.consumer("endless")

    def test_cd_10_those_further_behind_than_they_may_be_lose_their_holds(self):
        self.laggards()
        cut = self.rows("--cut")
        self.assertEqual(list(cut), ["slow"])
        self.assertEqual((cut["slow"]["state"], cut["slow"]["lost"]), ("cut loose", True))
        self.assertGreater(cut["slow"]["lag_bytes"], 100000)
        self.assertEqual(self.rows("--cut"), {})
        states = {name: row["state"] for name, row in self.rows().items()}
        self.assertEqual(states, {"slow": "cut loose", "patient": "detached",
                                  "endless": "detached"})
        self.assertNotIn("slow", self.holds())
        self.assertIn("patient", self.holds())

    def test_cd_10_compact_cuts_first_names_them_and_says_which_hold_is_left(self):
        self.laggards()
        self.make(2000)
        done = weir("compact", self.log, "--json").row()
        self.assertEqual(done["cut"], ["slow"])
        self.assertIn(done["limited_by"], ("patient", "endless"))
        for name in ("patient", "endless"):
            self.assertEqual(weir("consumers", self.log, "--drop", name).exit, OK)
        done = weir("compact", self.log, "--json").row()
        self.assertEqual((done["cut"], done["limited_by"]), ([], ""))
        self.assertGreater(done["records_dropped"], 0)

    def test_compact_says_it_in_words(self):
        self.laggards()
        text = weir("compact", self.log).out.decode()
        self.assertRegex(text, r"cut loose +slow, which was .* behind and may be 97\.65 KiB")

    def test_truncation_names_the_hold_of_a_consumer(self):
        self.make()
        self.consumer("mails", position=1)
        self.assert_error(weir("truncate", self.log, "--before", 3, "--json"), REFUSED)


if __name__ == "__main__":
    main()
