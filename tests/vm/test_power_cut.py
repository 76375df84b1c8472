#!/usr/bin/env python3
"""Power cuts on a block device: a guest writes a log or an engine, its disk is rebuilt as of many
moments with any part of what was not flushed, and a second guest judges each of these images.

    WEIR_SEED=7 WEIR_VM_IMAGES=200 test_power_cut.py
"""

import json
import os
import random
import time
import unittest

import guest
from block_log import WAYS, BlockLog, Disk
from guest import WEIR, Guest

MIB = 1 << 20
FILES = 120 * MIB  # the file system; behind it the promises
PROMISES = 124 * MIB
DISK = 128 * MIB
SEED = int(os.environ.get("WEIR_SEED", "1"))
IMAGES = int(os.environ.get("WEIR_VM_IMAGES", "24"))
WRITER, JUDGE = os.environ.get("WEIR_WRITER", ""), os.environ.get("WEIR_JUDGE", "")
MOUNT = "/run/guest/disk"


def is_promise(entry):
    return entry.sector * 512 >= PROMISES


def virtio(node):
    return f"virtio-blk-pci,drive={node},write-cache=on,write-zeroes=off,discard=off"


class Scenario:
    """What writes, on what."""

    def __init__(self, name, what, medium, io, durability, file_system="ext4"):
        self.name, self.what, self.medium, self.io = name, what, medium, io
        self.durability, self.file_system = durability, file_system

    def write(self, vm, base, requests, seed):
        """Runs writers until the disk has taken so many requests; kills the guest."""
        log = vm.path("requests")
        open(log, "wb").close()
        vm.devices = [
            "-blockdev", f"driver=file,node-name=f0,filename={base},cache.no-flush=on",
            "-blockdev", "driver=raw,node-name=r0,file=f0,cache.no-flush=on",
            "-blockdev", f"driver=file,node-name=l0,filename={log},cache.no-flush=on",
            "-blockdev", "driver=blklogwrites,node-name=w0,file=r0,log=l0,log-sector-size=512,"
                         "log-super-update-interval=1",
            "-device", virtio("w0")]
        vm.do(f"mkdir -p {MOUNT} && mount {self.options()} /dev/vda {MOUNT}")
        vm.script.append(
            guest.again_while_killed(f"{WRITER} /dev/vda {PROMISES} {MOUNT}/log {self.what} "
                                     f"{self.medium} {self.io} {self.durability} 300 {seed}"))
        vm.start()
        deadline = time.monotonic() + 150
        # Each request is a sector of its own and mostly eight of data.
        while os.path.getsize(log) < requests * 9 * 512:
            assert vm.process.poll() is None, vm.story()
            assert time.monotonic() < deadline, vm.story()
            time.sleep(0.05)
        vm.kill()
        return BlockLog(log)

    def options(self):
        return "-o noatime"

    def make(self, path):
        guest.disk(path, DISK)
        guest.tool("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "lazy_itable_init=0", path,
                   f"{FILES // 1024}k")

    def judge(self, vm, count, seed):
        """One boot; each image is mounted, read by weir verify, and judged."""
        vm.devices = ["-blockdev", f"driver=file,node-name=f0,filename={vm.path('images')},"
                                   "cache.no-flush=on",
                      "-blockdev", "driver=raw,node-name=r0,file=f0", "-device", virtio("r0")]
        vm.do(f"mkdir -p {MOUNT}")
        for i in range(count):
            at = i * DISK
            vm.step(f"mount{i}", "mount -o noatime,loop,"
                                 f"offset={at},sizelimit={FILES} /dev/vda {MOUNT}")
            vm.step(f"verify{i}", f"{WEIR} verify --json {MOUNT}/log")
            vm.step(f"judge{i}", f"{JUDGE} /dev/vda {at + PROMISES} {MOUNT}/log {self.what} "
                                 f"{self.medium} {self.io} {seed}")
            vm.step(f"after{i}", f"{WEIR} verify --json {MOUNT}/log")
            vm.script.append(f"umount {MOUNT}")
        vm.run(120 + 15 * count)


def cuts(log, count, chance):
    """Moments: where something was promised shortly before, where something was under way, any."""
    entries = log.entries
    first = next(i for i, entry in enumerate(entries) if is_promise(entry))
    promised = [i for i in range(first, len(entries)) if is_promise(entries[i])]
    # No flush behind it yet; the last thing that was given to the disk is of the log or its files.
    under_way = [i for i in range(first, len(entries))
                 if entries[i].count > 0 and not is_promise(entries[i])]
    chosen = [chance.choice(promised) + chance.randrange(1, 5) for _ in range(count // 4)]
    chosen += [chance.choice(under_way) + 1 for _ in range(count // 2)]
    # From the mounting on: the log is created as well.
    chosen += [chance.randrange(1, len(entries) + 1) for _ in range(count - len(chosen))]
    return sorted(min(cut, len(entries)) for cut in chosen)


class Power(unittest.TestCase):
    def run_one(self, scenario, images):
        seed = SEED
        chance = random.Random(f"{seed} {scenario.name}")
        with Guest(f"write-{scenario.name}") as vm:
            base, run_on = vm.path("base"), vm.path("disk")
            scenario.make(base)
            guest.tool("cp", "--sparse=always", base, run_on)
            log = scenario.write(vm, run_on, 2500 + chance.randrange(1500), seed)
            said = vm["writer"].out
            disk = Disk(base, log, is_promise)
            with Guest(f"judge-{scenario.name}") as second:
                made = []
                with open(second.path("images"), "wb") as file:
                    for i, cut in enumerate(cuts(log, images, chance)):
                        way = chance.choice(WAYS)
                        sectors, chunks = disk.image(cut, way, chance)
                        for at, data in chunks:
                            file.seek(i * DISK + at)
                            file.write(data)
                        made.append((cut, way, sectors))
                    file.truncate(len(made) * DISK)
                scenario.judge(second, len(made), seed)
                rows = [self.verdict(second, i) for i in range(len(made))]
        broken = [f"{scenario.name}: seed {seed}, request {cut}, {sectors} sectors {way}: {row[1]}"
                  for (cut, way, sectors), row in zip(made, rows) if row[1]]
        promised = max(row[0] for row in rows)
        flushes = sum(entry.is_flush for entry in log.entries)
        print(f"layer=vm-power-cut medium={scenario.name} requests={len(log.entries)} "
              f"flushes={flushes} runs={said.count('run ')} images={len(rows)} "
              f"in_flight={sum(sectors > 0 for _, _, sectors in made)} acknowledged={promised} "
              f"violations={len(broken)} seed={seed} seconds={vm.seconds + second.seconds:.0f}",
              flush=True)
        return said, rows, promised, broken

    def verdict(self, vm, i):
        """(promised, what is wrong or "")"""
        if vm[f"mount{i}"].exit != 0:
            return 0, f"the file system is not mounted: {vm[f'mount{i}'].err}"
        judged, verify, after = vm[f"judge{i}"], vm[f"verify{i}"], vm[f"after{i}"]
        if judged.exit not in (0, 1):
            return 0, str(judged)
        row = json.loads(judged.out)
        if row["broken"]:
            return row["promised"], row["broken"]
        if row["runs"] > 0 and verify.exit != 0:
            return row["promised"], f"weir verify: {verify}"
        return row["promised"], "" if after.exit == 0 else f"weir verify afterwards: {after}"

    def keeps(self, *arguments):
        scenario = Scenario(*arguments)
        said, _rows, promised, broken = self.run_one(scenario, IMAGES)
        self.assertIn(f"medium={scenario.medium} io={scenario.io} durable=1", said)
        self.assertGreater(promised, 100)
        self.assertEqual(broken, [])

    def test_direct_on_io_uring_each_record_durable(self):
        self.keeps("log-direct-uring-each", "log", "direct", "uring", "each")

    def test_mapped_on_io_uring_in_groups(self):
        self.keeps("log-mapped-uring-group", "log", "mapped", "uring", "group")

    def test_direct_with_synchronous_calls_in_groups(self):
        self.keeps("log-direct-sync-group", "log", "direct", "sync", "group")

    def test_the_engine_on_direct(self):
        self.keeps("engine-direct-uring-each", "engine", "direct", "uring", "each")

    def test_the_engine_on_mapped(self):
        self.keeps("engine-mapped-sync-each", "engine", "mapped", "sync", "each")

    def test_a_writer_that_promises_what_it_has_not_flushed_is_found_out(self):
        scenario = Scenario("log-direct-uring-lie", "log", "direct", "uring", "lie")
        _said, _rows, _promised, broken = self.run_one(scenario, 12)
        self.assertTrue(any("lost: record" in text for text in broken), broken)


if __name__ == "__main__":
    guest.need()
    unittest.main()
