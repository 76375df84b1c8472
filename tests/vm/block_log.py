"""The log of writes that qemu's blklogwrites keeps, and disks as a power cut leaves them.

The format is that of dm-log-writes: a superblock, then for each request an entry of one sector and
its data. Entries are in the order in which requests were given to the disk. A flush makes durable
what was given before it; at a cut, of what came later any sector may be there or not.
"""

import random
import struct

SECTOR = 512
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
CHUNK = 64 << 10

WAYS = ("lost", "half", "one", "all but one", "kept")


class Entry:
    def __init__(self, sector, count, flags, at):
        self.sector, self.count, self.flags, self.at = sector, count, flags, at

    @property
    def is_flush(self):
        return self.flags & FLUSH != 0


class BlockLog:
    """Entries of a file; the data stays in it."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.bytes = file.read()
        magic, version, count, sector = struct.unpack_from("<QQQI", self.bytes, 0)
        assert (magic, version, sector) == (MAGIC, 1, SECTOR), "no log of blklogwrites"
        self.entries = []
        at = SECTOR
        for _ in range(count):
            place, sectors, flags, _length = struct.unpack_from("<QQQQ", self.bytes, at)
            at += SECTOR
            assert flags & (DISCARD | MARK | FUA) == 0, f"flags {flags} were not expected"
            if at + sectors * SECTOR > len(self.bytes):
                break  # qemu was killed in the middle of it
            self.entries.append(Entry(place, sectors, flags, at))
            at += sectors * SECTOR

    def data(self, entry, sector=0, count=None):
        count = entry.count if count is None else count
        return self.bytes[entry.at + sector * SECTOR:entry.at + (sector + count) * SECTOR]


class Disk:
    """The disk with everything up to the last flush on it; goes forward only."""

    def __init__(self, base, log, is_promise):
        with open(base, "rb") as file:
            self.content = bytearray(file.read())
        self.log, self.is_promise = log, is_promise
        self.done = 0  # entries that are on it
        self.touched = {at for at in range(0, len(self.content), CHUNK)
                        if any(self.content[at:at + CHUNK])}

    def put(self, entry, sector=0, count=None):
        data = self.log.data(entry, sector, count)
        begin = (entry.sector + sector) * SECTOR
        self.content[begin:begin + len(data)] = data
        self.touched.update(range(begin - begin % CHUNK, begin + len(data), CHUNK))

    def advance(self, cut):
        """Returns the requests behind the last flush in front of `cut`."""
        entries = self.log.entries
        flushed = self.done
        for i in range(self.done, cut):
            if entries[i].is_flush:
                flushed = i
        for entry in entries[self.done:flushed]:
            self.put(entry)
        self.done = flushed
        return [entry for entry in entries[flushed:cut] if entry.count > 0]

    def image(self, cut, way, chance: random.Random):
        """Chunks (offset, bytes) of the disk when the power goes in front of entry `cut`."""
        tail = self.advance(cut)
        promises = [entry for entry in tail if self.is_promise(entry)]
        rest = [entry for entry in tail if not self.is_promise(entry)]
        sectors = [(entry, i) for entry in rest for i in range(entry.count)]
        odd = chance.choice(rest) if rest else None
        keep = {
            "lost": lambda entry: False,
            "half": lambda entry: chance.random() < 0.5,
            "one": lambda entry: entry is odd,
            "all but one": lambda entry: entry is not odd,
            "kept": lambda entry: True,
        }[way]
        before = {at: bytes(self.content[at:at + CHUNK])
                  for entry in tail
                  for at in range(entry.sector * SECTOR // CHUNK * CHUNK,
                                  (entry.sector + entry.count) * SECTOR, CHUNK)}
        touched = set(self.touched)
        for entry, i in sectors:
            if keep(entry):
                self.put(entry, i, 1)
        for entry in promises:
            self.put(entry)
        found = [(at, bytes(self.content[at:at + CHUNK])) for at in sorted(self.touched)]
        for at, data in before.items():
            self.content[at:at + len(data)] = data
        self.touched = touched
        return len(sectors), found
