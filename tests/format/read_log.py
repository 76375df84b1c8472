#!/usr/bin/env python3
"""A second reader of Weir logs, written from docs/FORMAT.md alone.

    read_log.py DIRECTORY          one line of JSON about the log
    read_log.py --hex TEXT         parses the worked example of docs/FORMAT.md from a file

It shares no code with the library, so what both agree on is what the page says. It finds the
longest run of groups that are valid in place (section 7); which run a writer accepts is another
question. Standard library only; slow, for small logs.
"""

import json
import os
import re
import struct
import sys

BLOCK = 4096
SEGMENT_HEADER = 8192
GROUP_HEADER = 64
RECORD_HEADER = 16
DATA, EPOCH, WITNESS, SEAL = 1, 2, 3, 4
GAP = 2
NUMBERED = 4
SPARSE, CONSECUTIVE = 1, 2
COMPACTED = 1 << 31


def make_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


TABLE = make_table()


def crc(seed, data):
    value = seed ^ 0xFFFFFFFF
    for byte in data:
        value = TABLE[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def align(value, to):
    return (value + to - 1) // to * to


class Invalid(Exception):
    pass


def require(condition, why):
    if not condition:
        raise Invalid(why)


# ---- section 3: CONTROL

CONTROL_FIELDS = struct.Struct("<8sII16s" + "Q" * 10 + "IIII" + "Q" * 9)
CONTROL_NAMES = (
    "magic crc version uuid generation incompatible compatible epoch layout first_lsn "
    "first_ordinal horizon witness_lsn witness_address witness_chain seed flags block_bytes "
    "segment_bytes run_ahead_bytes group_bytes record_bytes created_ns written_ns "
    "compactions newest_first newest_last"
).split()


def control_copy(block):
    control = dict(zip(CONTROL_NAMES, CONTROL_FIELDS.unpack_from(block)))
    require(control["magic"] == b"WEIRCTL1", "magic")
    require(control["crc"] == crc(0, block[12:]), "crc")
    require(not any(block[CONTROL_FIELDS.size:]), "bytes behind the fields")
    require(control["version"] == 1, "version")
    require(control["incompatible"] & ~1 == 0, "features")
    require((control["incompatible"] == 1) == (control["compactions"] > 0), "compactions")
    if control["compactions"] == 0:
        require(control["newest_first"] == control["newest_last"] == 0, "newest compaction")
    return control


def read_control(data):
    blocks = [data[i * BLOCK:(i + 1) * BLOCK] for i in range(4)]
    best = None
    for block in blocks:
        if len(block) < BLOCK or blocks.count(block) < 2:
            continue
        try:
            control = control_copy(block)
        except Invalid:
            continue
        if best is None or control["generation"] > best["generation"]:
            best = control
    require(best is not None, "no two equal valid copies of CONTROL")
    return best


# ---- section 4: segments

SEGMENT_FIELDS = struct.Struct("<8sII16sQQQQIIQQIIQQQQQIIQQQ")
SEGMENT_NAMES = (
    "magic crc version uuid ordinal base_lsn base_time_ns epoch seed chain "
    "previous_seal_offset durable_lsn flags block_bytes first_place last_place last_lsn "
    "end_time_ns end_epoch end_seed end_chain end_seal_offset seal_offset horizon"
).split()


def segment_copy(block, uuid, ordinal):
    header = dict(zip(SEGMENT_NAMES, SEGMENT_FIELDS.unpack_from(block)))
    require(header["magic"] == b"WEIRSEG1", "magic")
    require(header["uuid"] == uuid, "uuid")
    require(header["crc"] == crc(crc(0, uuid), block[12:]), "crc")
    require(header["version"] == 1, "version")
    require(header["ordinal"] == ordinal, "ordinal")
    require(header["flags"] == (1 if ordinal >= COMPACTED else 0), "flags")
    if ordinal < COMPACTED:
        require(not any(block[96:SEGMENT_FIELDS.size]), "fields of a compacted segment")
    else:
        require(header["block_bytes"] == 64, "block_bytes")
        require(header["first_place"] <= header["last_place"] < COMPACTED, "places")
    require(not any(block[SEGMENT_FIELDS.size:]), "bytes behind the fields")
    return header


def read_segment_header(data, uuid, ordinal):
    for start in (0, BLOCK):
        try:
            return segment_copy(data[start:start + BLOCK], uuid, ordinal)
        except (Invalid, struct.error):
            continue
    return None


# ---- sections 5 to 7: groups and records

GROUP_FIELDS = struct.Struct("<IHHQQIIIIQQII")
GROUP_NAMES = (
    "crc kind flags address first_lsn record_count size chain body_crc time_ns durable_lsn "
    "epoch zero"
).split()


class Walk:
    """What the next group must continue from."""

    def __init__(self, header):
        self.next_lsn = header["base_lsn"]
        self.time_ns = header["base_time_ns"]
        self.epoch = header["epoch"]
        self.seed = header["seed"]
        self.crc = header["chain"]
        self.sparse = header["flags"] == 1
        if self.sparse:
            self.epoch, self.seed = header["end_epoch"], header["end_seed"]

    def leave(self, header):
        """Behind a compacted segment: what the one behind it continues from."""
        self.next_lsn = header["last_lsn"] + 1
        self.time_ns, self.crc = header["end_time_ns"], header["end_chain"]
        self.epoch, self.seed = header["end_epoch"], header["end_seed"]
        self.sparse = False


class Totals:
    def __init__(self):
        self.groups = self.records = self.payload_bytes = 0
        self.stored_bytes = 0  # payloads with their numbers: what seals count
        self.first_lsn = 0  # of the segment's first record
        self.gaps, self.gap_lsns, self.gap_end = 0, 0, 0
        self.kinds = {}
        self.digest = 0
        self.durable_lsn = 0


def check_sparse(group):
    """In a compacted segment: the field at 48 is the LSN of the last record."""
    first, last, count = group["first_lsn"], group["durable_lsn"], group["record_count"]
    if group["kind"] == SEAL:
        require(group["flags"] == SPARSE and last == first - 1, "sparse seal")
    elif group["flags"] == SPARSE | CONSECUTIVE:
        require(group["kind"] == DATA and last - first + 1 == count, "consecutive group")
    else:
        require(group["kind"] == DATA and group["flags"] == SPARSE, "sparse group")
        require(last - first + 1 >= count, "sparse group")


def group_header(data, offset, address, walk, uuid_seed, segment_bytes):
    raw = data[offset:offset + GROUP_HEADER]
    require(len(raw) == GROUP_HEADER, "end of segment")
    group = dict(zip(GROUP_NAMES, GROUP_FIELDS.unpack(raw)))
    seed = uuid_seed if group["kind"] == EPOCH else walk.seed
    require(group["crc"] == crc(seed, raw[4:]), "header crc")
    require(group["address"] == address, "address")
    require(group["kind"] in (DATA, EPOCH, WITNESS, SEAL), "kind")
    require(group["zero"] == 0, "zero")
    if walk.sparse:
        check_sparse(group)
    else:
        require(group["flags"] == 0, "flags")
    require(GROUP_HEADER <= group["size"] <= segment_bytes - offset, "size")
    require((group["record_count"] > 0) == (group["kind"] == DATA), "record count")
    require(group["chain"] == walk.crc, "chain")
    if walk.sparse:
        require(group["first_lsn"] >= walk.next_lsn, "lsn")
    else:
        require(group["first_lsn"] == walk.next_lsn, "lsn")
    require(group["time_ns"] >= walk.time_ns, "time")
    if group["kind"] != EPOCH:
        require(group["epoch"] == walk.epoch & 0xFFFFFFFF, "epoch")
    return group


def read_records(body, group):
    """(lsn, type, flags, user, payload, stored size) of each; the record headers' CRC."""
    records, headers, offset = [], 0, 0
    numbered = group["flags"] == SPARSE
    lsn = group["first_lsn"] - 1
    for _ in range(group["record_count"]):
        require(offset + RECORD_HEADER <= len(body), "record sizes")
        size, payload_crc, kind, flags, user = struct.unpack_from("<IIHHI", body, offset)
        headers = crc(headers, body[offset:offset + RECORD_HEADER])
        require(RECORD_HEADER <= size <= len(body) - offset, "record sizes")
        payload = body[offset + RECORD_HEADER:offset + size]
        require(crc(0, payload) == payload_crc, "payload crc")
        end = align(offset + size, 8)
        require(not any(body[offset + size:end]), "padding of a record")
        if numbered:
            require(flags & NUMBERED, "a sparse record without a number")
            number = struct.unpack_from("<Q", payload)[0]
            require(number > lsn, "order of records")
            lsn = number
        else:
            lsn += 1
        stored = len(payload)
        if flags & NUMBERED:
            require(payload[:8] == struct.pack("<Q", lsn), "number of a record")
            payload = payload[8:]
        records.append((lsn, kind, flags & ~NUMBERED, user, payload, stored))
        offset = end
    require(offset == len(body), "records do not fill the group")
    if numbered and records:
        require(records[0][0] == group["first_lsn"], "first record of a sparse group")
        require(lsn == group["durable_lsn"], "last record of a sparse group")
    return records, headers


def note_gap(totals, lsn, kind, user, payload, sparse):
    """A gap record: one LSN that is missing; user is how many follow, itself included."""
    require(not payload and kind >= 0xFF00 and user > 0, "gap record")
    totals.gap_lsns += user if sparse else 1
    if lsn > totals.gap_end:
        totals.gaps += 1
        totals.gap_end = lsn + user - 1


def check_epoch(body, group, walk):
    epoch, before, seed, zero, zero_too = struct.unpack("<QQIIQ", body)
    require(zero == 0 and zero_too == 0, "epoch body")
    require(epoch > walk.epoch and before < epoch, "epoch number")
    require(epoch & 0xFFFFFFFF == group["epoch"], "epoch number")
    walk.epoch, walk.seed = epoch, seed


def read_group(data, offset, address, walk, uuid_seed, block_bytes, segment_bytes, totals):
    """Advances walk and totals; returns the group's padded size and its header."""
    group = group_header(data, offset, address, walk, uuid_seed, segment_bytes)
    body = data[offset + GROUP_HEADER:offset + group["size"]]
    padded = align(group["size"], block_bytes)
    if group["kind"] == DATA:
        records, body_crc = read_records(body, group)
    else:
        records, body_crc = [], crc(0, body)
    require(body_crc == group["body_crc"], "body crc")
    require(not any(data[offset + group["size"]:offset + padded]), "padding")
    if group["kind"] == EPOCH:
        require(len(body) == 32, "size of an epoch group")
        check_epoch(body, group, walk)
    for lsn, kind, flags, user, payload, stored in records:
        head = struct.pack("<QHHI", lsn, kind, flags, user)
        totals.digest = crc(totals.digest, head + payload)
        totals.first_lsn = totals.first_lsn or lsn
        if flags & GAP:
            note_gap(totals, lsn, kind, user, payload, walk.sparse)
        totals.payload_bytes += len(payload)
        totals.stored_bytes += stored
    totals.groups += 1
    totals.records += len(records)
    totals.kinds[group["kind"]] = totals.kinds.get(group["kind"], 0) + 1
    if not walk.sparse:
        totals.durable_lsn = max(totals.durable_lsn, group["durable_lsn"])
    walk.crc = group["crc"]
    walk.time_ns = group["time_ns"]
    walk.next_lsn = group["durable_lsn"] + 1 if walk.sparse else (
        group["first_lsn"] + group["record_count"])
    return padded, group


def check_seal(body, segment_records, first_lsn, last_lsn, stored_bytes, sparse):
    fields = struct.unpack_from("<QQQQQQQII", body)
    require(fields[0] == segment_records, "seal: record count")
    if segment_records:
        require((fields[2], fields[3]) == (first_lsn, last_lsn), "seal: LSNs")
    require(fields[6] == stored_bytes, "seal: payload bytes")
    require(fields[7] == (segment_records + 15) // 16, "seal: entries")
    require(len(body) == 64 + (16 if sparse else 8) * fields[7], "seal: size")


def continues(header, walk, seal_offset):
    return (
        header["base_lsn"] == walk.next_lsn and header["chain"] == walk.crc
        and header["epoch"] == walk.epoch and header["seed"] == walk.seed
        and header["base_time_ns"] == walk.time_ns
        and header["previous_seal_offset"] == seal_offset
    )


def read_segment(data, ordinal, control, walk, totals):
    """Returns (offset behind the last valid group, offset of the seal or None, why it ended)."""
    offset, bytes_per_segment = SEGMENT_HEADER, control["segment_bytes"]
    records, stored = totals.records, totals.stored_bytes
    block_bytes = 64 if walk.sparse else control["block_bytes"]
    totals.first_lsn = 0
    while True:
        last_lsn = walk.next_lsn - 1
        try:
            padded, group = read_group(
                data, offset, ordinal * bytes_per_segment + offset, walk,
                crc(0, control["uuid"]), block_bytes, bytes_per_segment, totals)
        except Invalid as why:
            return offset, None, str(why)
        if group["kind"] == SEAL:
            check_seal(data[offset + GROUP_HEADER:offset + group["size"]],
                       totals.records - records, totals.first_lsn, last_lsn,
                       totals.stored_bytes - stored, walk.sparse)
            return offset + padded, offset, "sealed"
        offset += padded


# ---- section 2: places

def load(directory, ordinal):
    path = os.path.join(directory, "segment-%016x" % ordinal)
    if not os.path.exists(path):
        return b""
    with open(path, "rb") as file:
        return file.read()


def compacted_segments(directory, control):
    """The headers of those that are alive, by their first place."""
    headers = []
    for name in os.listdir(directory):
        match = re.match(r"segment-([0-9a-f]{16})$", name)
        ordinal = int(match.group(1), 16) if match else 0
        if COMPACTED <= ordinal < COMPACTED + control["compactions"]:
            header = read_segment_header(load(directory, ordinal), control["uuid"], ordinal)
            if header is not None:
                headers.append(header)
    alive = {}
    for header in sorted(headers, key=lambda header: -header["ordinal"]):
        inside = any(newer["first_place"] <= header["first_place"]
                     and header["last_place"] <= newer["last_place"] for newer in alive.values())
        if not inside:
            alive[header["first_place"]] = header
    newest = COMPACTED + control["compactions"] - 1
    if control["compactions"] > 0 and control["newest_last"] >= control["first_ordinal"]:
        require(any(header["ordinal"] == newest for header in alive.values()),
                "the newest compacted segment is missing")
    return alive


def read_log(directory):
    with open(os.path.join(directory, "CONTROL"), "rb") as file:
        control = read_control(file.read())
    compacted = compacted_segments(directory, control)
    place, walk, totals = control["first_ordinal"], None, Totals()
    seal_offset, end, why = None, None, "empty"
    segments = 0
    while True:
        ordinal = compacted[place]["ordinal"] if place in compacted else place
        data = load(directory, ordinal)
        header = read_segment_header(data, control["uuid"], ordinal)
        if header is None or (walk is not None and not continues(header, walk, seal_offset)):
            end = ordinal * control["segment_bytes"] + SEGMENT_HEADER
            why = "no header"
            break
        walk = Walk(header) if walk is None or ordinal >= COMPACTED else walk
        offset, seal_offset, why = read_segment(data, ordinal, control, walk, totals)
        end = ordinal * control["segment_bytes"] + offset
        if seal_offset is None:
            break
        place = ordinal + 1
        if ordinal >= COMPACTED:
            require(seal_offset == header["seal_offset"], "seal of a compacted segment")
            require(walk.next_lsn == header["last_lsn"] + 1, "end of a compacted segment")
            walk.leave(header)
            segments += 1
            place, seal_offset = header["last_place"] + 1, header["end_seal_offset"]
    next_lsn = walk.next_lsn if walk else control["witness_lsn"] + 1
    return {
        "next_lsn": next_lsn, "end": end, "chain": walk.crc if walk else 0,
        "records": totals.records, "groups": totals.groups,
        "payload_bytes": totals.payload_bytes, "digest": totals.digest,
        "gaps": totals.gaps, "gap_lsns": totals.gap_lsns, "compacted": segments,
        "horizon": control["horizon"],
        "clean": control["flags"] & 1, "epoch": control["epoch"], "why": why,
    }


# ---- the worked example

def read_example(text):
    """Lines of a hex dump, 'offset  bytes', in the last fenced block of the page."""
    block = re.findall(r"```hex\n(.*?)```", text, re.S)[-1]
    data = bytearray(SEGMENT_HEADER + 2 * BLOCK)
    for line in block.splitlines():
        match = re.match(r"([0-9a-f]{5})  ((?:[0-9a-f]{2} ?){1,16})$", line.rstrip())
        require(match, "line of the hex dump: " + line)
        values = bytes.fromhex(match.group(2))
        offset = int(match.group(1), 16)
        data[offset:offset + len(values)] = values
    data[BLOCK:SEGMENT_HEADER] = data[:BLOCK]
    uuid = bytes(data[16:32])
    header = segment_copy(bytes(data[:BLOCK]), uuid, 1)
    walk, totals = Walk(header), Totals()
    data = bytes(data)
    control = {"segment_bytes": 262144, "uuid": uuid, "block_bytes": header["block_bytes"]}
    offset, _, _ = read_segment(data, 1, control, walk, totals)
    return {"records": totals.records, "groups": totals.groups, "end": offset,
            "next_lsn": walk.next_lsn, "digest": totals.digest}


def main(arguments):
    if len(arguments) == 3 and arguments[1] == "--hex":
        with open(arguments[2], encoding="utf-8") as file:
            print(json.dumps(read_example(file.read())))
        return 0
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        print(json.dumps(read_log(arguments[1])))
    except (Invalid, OSError) as error:
        print(json.dumps({"error": str(error)}))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
