"""append: lines and length-prefixed records in, an LSN out for each once it is durable."""

import json
import os
import struct
import subprocess
import unittest

from command import DEVICE, INTERRUPTED, OK, REFUSED, WEIR, LogTest, Running, main, weir


def framed(*payloads):
    return b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads)


class Lines(LogTest):
    def test_wl_01_lsns_begin_at_1_and_go_on_across_runs(self):
        self.assertEqual(self.append(b"a", b"b"), [1, 2])
        self.assertEqual(self.append(b"c"), [3])
        self.assertEqual(self.records(), ["a", "b", "c"])

    def test_an_acknowledgement_is_one_member_and_nothing_else(self):
        done = weir("append", self.log, stdin=b"x\n")
        self.assertEqual(done.out, b'{"lsn":1}\n')
        done = weir("append", self.log, "--json", stdin=b"y\n")
        self.assertEqual(done.out, b'{"lsn":2}\n')

    def test_wl_05_an_empty_line_is_a_record_and_no_line_is_none(self):
        self.assertEqual(self.append(b"", b"", b"x"), [1, 2, 3])
        self.assertEqual(self.records(), ["", "", "x"])
        self.assertEqual(self.append(), [])

    def test_a_last_line_without_a_newline_counts(self):
        done = weir("append", self.log, stdin=b"one\ntwo")
        self.assertEqual(done.lsns(), [1, 2])
        self.assertEqual(self.records(), ["one", "two"])

    def test_every_byte_but_the_newline_is_kept(self):
        payload = bytes(byte for byte in range(256) if byte != 10)
        self.append(payload, b"\0", b"\0\0")
        self.assertEqual(self.raw(), payload + b"\n\0\n\0\0\n")

    def test_a_carriage_return_belongs_to_the_record(self):
        self.append(b"dos\r")
        self.assertEqual(self.records(), ["dos\r"])

    def test_a_line_is_acknowledged_before_the_next_one_is_sent(self):
        for durability in ("each", "group"):
            with self.subTest(durability=durability):
                with Running("append", self.path(durability), "--durability", durability) as writer:
                    for lsn in range(1, 21):
                        writer.send(b"line\n")
                        self.assertEqual(writer.row(), {"lsn": lsn})
                    self.assertEqual(writer.finish()[0], OK)

    def test_a_line_that_comes_in_pieces_is_one_record(self):
        with Running("append", self.log) as writer:
            for piece in (b"o", b"n", b"e\nt", b"wo\n"):
                writer.send(piece)
            self.assertEqual([writer.row()["lsn"], writer.row()["lsn"]], [1, 2])
            self.assertEqual(writer.finish()[0], OK)
        self.assertEqual(self.records(), ["one", "two"])

    def test_many_lines_are_all_acknowledged_in_order_at_each_durability(self):
        lines = [b"%d" % number for number in range(20000)]
        for durability in ("each", "group", "none"):
            with self.subTest(durability=durability):
                log = self.path("many-" + durability)
                done = weir("append", log, "--durability", durability,
                            stdin=b"\n".join(lines) + b"\n")
                self.assertEqual(done.exit, OK, done.err)
                self.assertEqual(done.lsns(), list(range(1, 20001)))
                self.assertEqual(weir("tail", log, "--raw").out.split(b"\n")[:-1], lines)

    def test_the_summary_names_medium_io_and_durability(self):
        done = weir("append", self.log, "--durability", "group", stdin=b"x\n")
        self.assertRegex(done.err, r"1 record, LSN 1 to 1, in .*; medium \w+, io \w+, "
                                   r"durability group, durable: (yes|no)")

    def test_the_type_is_kept(self):
        weir("append", self.log, "--type", 7, stdin=b"x\n")
        self.assertEqual(weir("tail", self.log, "--json").row()["type"], 7)


class Limits(LogTest):
    def limit(self):
        self.append()
        return weir("stat", self.log, "--json").row()["record_bytes"]

    def test_wl_05_a_line_of_exactly_the_limit_is_stored(self):
        line = b"x" * self.limit()
        self.assertEqual(self.append(line, line), [1, 2])
        self.assertEqual(self.raw(), (line + b"\n") * 2)

    def test_wl_05_a_line_one_byte_over_the_limit_is_refused_and_named(self):
        limit = self.limit()
        done = weir("append", self.log, "--json", stdin=b"ab\n" + b"x" * (limit + 1) + b"\nnever\n")
        self.assertEqual(json.loads(done.out.splitlines()[0]), {"lsn": 1})
        self.assert_error(done, REFUSED, "record 2", "at byte 3", f"{limit} bytes",
                          "1 records were stored")
        self.assertEqual(self.records(), ["ab"])

    def test_an_endless_line_is_refused_without_being_read_to_its_end(self):
        limit = self.limit()
        with Running("append", self.log, "--json") as writer:
            try:
                while True:
                    writer.send(b"x" * limit)
            except BrokenPipeError:
                pass
            self.assertIn("error", writer.row())

    def test_a_long_line_costs_no_quadratic_time(self):
        line = b"y" * (3 << 20)
        done = weir("append", self.log, stdin=line + b"\n" + line)
        self.assertEqual((done.exit, done.lsns()), (OK, [1, 2]), done.err)
        self.assertEqual(self.raw(), (line + b"\n") * 2)


class Binary(LogTest):
    def binary(self, data, *options):
        return weir("append", self.log, "--binary", "--segment-size", "256KiB", *options,
                    stdin=data)

    def test_records_of_any_bytes_are_kept(self):
        payloads = [b"", b"\n\n", bytes(range(256)), b"\0" * 5, b"end"]
        self.assertEqual(self.binary(framed(*payloads)).lsns(), [1, 2, 3, 4, 5])
        self.assertEqual(weir("tail", self.log, "--binary").out, framed(*payloads))

    def test_no_input_is_no_record(self):
        done = self.binary(b"")
        self.assertEqual((done.exit, done.out), (OK, b""))

    def test_a_cut_off_length_names_its_offset_and_what_was_stored(self):
        done = self.binary(framed(b"ab", b"c") + b"\x05\0", "--json")
        self.assert_error(done, REFUSED, "byte 11", "2 bytes", "2 records were stored")
        self.assertEqual(self.records(), ["ab", "c"])

    def test_a_cut_off_payload_names_its_offset_and_what_was_stored(self):
        done = self.binary(framed(b"ab") + struct.pack("<I", 10) + b"nine byte", "--json")
        self.assert_error(done, REFUSED, "byte 6", "13 bytes", "1 records were stored")
        self.assertEqual(self.records(), ["ab"])

    def test_a_length_over_the_limit_is_refused_before_it_is_read(self):
        done = self.binary(framed(b"ok") + b"\xff\xff\xff\xff", "--json")
        self.assert_error(done, REFUSED, "record 2", "at byte 6", "1 records were stored")
        self.assertEqual(self.records(), ["ok"])


class Output(LogTest):
    def test_a_closed_output_ends_the_reading_and_what_was_read_is_durable(self):
        with Running("append", self.log) as writer:
            writer.send(b"first\n")
            self.assertEqual(writer.row(), {"lsn": 1})
            writer.process.stdout.close()
            try:
                while writer.process.poll() is None:
                    writer.send(b"more\n")
            except BrokenPipeError:
                pass
            self.assertEqual(writer.process.wait(60), INTERRUPTED)
            err = writer.process.stderr.read().decode()
            self.assertIn("nobody reads the acknowledgements", err)
        records = self.records()
        self.assertEqual(records[0], "first")
        self.assertEqual(set(records[1:]), {"more"})
        self.assertTrue(weir("verify", self.log, "--json").row()["ok"])

    @unittest.skipUnless(os.path.exists("/dev/full"), "no /dev/full")
    def test_an_output_that_takes_nothing_is_exit_4(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([WEIR, "append", self.log], input=b"x\n", stdout=full,
                                  stderr=subprocess.PIPE, timeout=60, check=False)
            self.assertEqual(done.returncode, DEVICE)
            done = subprocess.run([WEIR, "tail", self.log], stdout=full, stderr=subprocess.PIPE,
                                  timeout=60, check=False)
            self.assertEqual(done.returncode, DEVICE)
        self.assertEqual(self.records(), ["x"])


if __name__ == "__main__":
    main()
