#!/usr/bin/env python3
"""Power cuts on persistent memory: a plugin of qemu keeps which lines of an NVDIMM are durable
(lines.c); a second guest judges images that hold only those, those and a random half of what was
dirty, or everything.

    WEIR_SEED=7 test_power_pmem.py
"""

import json
import mmap
import os
import random
import re
import socket
import struct
import subprocess
import time
import unittest

import guest
from guest import WEIR, Guest

MIB = 1 << 20
NVDIMM = 128 * MIB
PROMISES = 1 * MIB
LINE = 64
SEED = int(os.environ.get("WEIR_SEED", "1"))
CUTS = int(os.environ.get("WEIR_VM_IMAGES", "12")) // 3
WRITER, JUDGE = os.environ.get("WEIR_WRITER", ""), os.environ.get("WEIR_JUDGE", "")
PLUGIN = os.environ.get("WEIR_LINES", "")
MACHINE = "q35,nvdimm=on,nvdimm-persistence=mem-ctrl"
MOUNT = "/run/guest/dax"
WAYS = ("durable", "half", "everything")
COUNTS = ("armed", "stores", "flushes", "fences", "lines", "unknown", "overflow")
CUT_AT, FROZEN = 7 * 8, 8 * 8


def need():
    guest.need()
    said = subprocess.run([guest.QEMU, "--version"], capture_output=True, text=True, check=True)
    if os.uname().machine != "x86_64" or not re.search(r"version 7\.2", said.stdout):
        guest.skip("lines.c knows qemu 7.2 on x86-64 only")
    if not os.path.exists(PLUGIN):
        guest.skip("the plugin was not built")


class Monitor:
    """Commands for a running qemu."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.read()

    def read(self):
        said = b""
        while not said.endswith(b"(qemu) "):
            said += self.socket.recv(4096)
        return said

    def do(self, command):
        self.socket.sendall(command.encode() + b"\n")
        return self.read()

    def close(self):
        self.socket.close()


def nvdimms(paths):
    devices = []
    for i, path in enumerate(paths):
        devices += ["-object",
                    f"memory-backend-file,id=mem{i},share=on,mem-path={path},size={NVDIMM}",
                    "-device", f"nvdimm,memdev=mem{i},id=nvdimm{i}"]
    return devices


def promise_disk(path):
    return ["-blockdev", f"driver=file,node-name=f0,filename={path},cache.no-flush=on",
            "-blockdev", "driver=raw,node-name=r0,file=f0",
            "-device", "virtio-blk-pci,drive=r0"]


class Writing:
    """A guest that writes, and the images of its cuts."""

    def __init__(self, vm, what, durability):
        self.vm = vm
        self.live = guest.disk(vm.path("live"), NVDIMM)
        self.durable = guest.disk(vm.path("durable"), NVDIMM)
        self.promises = guest.disk(vm.path("promises"), PROMISES)
        control = guest.disk(vm.path("control"), mmap.PAGESIZE)
        vm.machine, vm.memory = MACHINE, "768M,slots=4,maxmem=8G"
        # In the socket's place, paths are at most 107 bytes.
        vm.devices = [*nvdimms([self.live]), *promise_disk(self.promises),
                      "-monitor", "unix:monitor,server=on,wait=off",
                      "-plugin", f"{PLUGIN},live={self.live},durable={self.durable},"
                                 f"control={control}"]
        vm.do("ndctl create-namespace -f -e namespace0.0 -m fsdax -M mem >/dev/null")
        vm.do("mkfs.ext4 -q -F -b 4096 -E lazy_itable_init=0 /dev/pmem0")
        vm.do(f"mkdir -p {MOUNT} && mount -o dax,noatime /dev/pmem0 {MOUNT} && sync")
        vm.do("touch /run/results/ready; until [ -e /run/results/go ]; do sleep 0.1; done")
        vm.script.append(guest.again_while_killed(
            f"{WRITER} /dev/vda 0 {MOUNT}/log {what} auto auto {durability} 150 {SEED}"))
        with open(control, "r+b") as file:
            self.control = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def counts(self):
        return dict(zip(COUNTS, struct.unpack_from(f"<{len(COUNTS)}Q", self.control)))

    def set(self, at, value):
        struct.pack_into("<Q", self.control, at, value)

    def acknowledged(self):
        """Records, by the blocks of promise.h."""
        with open(self.promises, "rb") as file:
            blocks = file.read(PROMISES // 2)
        return sum(struct.unpack_from("<Q", blocks, at + 16)[0]
                   for at in range(0, len(blocks), 512))

    def wait_until(self, holds):
        deadline = time.monotonic() + 150
        while not holds():
            assert self.vm.process.poll() is None, self.vm.story()
            assert time.monotonic() < deadline, f"{self.vm.story()} {self.counts()}"
            time.sleep(0.02)

    def run(self, chance):
        """Yields (promises, live, durable) of each cut, while nothing is stored."""
        self.vm.start()
        self.wait_until(lambda: os.path.exists(os.path.join(self.vm.results, "ready")))
        monitor = Monitor(self.vm.path("monitor"))
        monitor.do("stop")
        monitor.do("singlestep on")
        with open(self.durable, "r+b") as durable:
            durable.write(guest.content(self.live))  # in place: the plugin has it mapped
        self.set(0, 1)
        monitor.do("cont")
        with open(os.path.join(self.vm.results, "go"), "wb"):
            pass
        for _ in range(CUTS):
            aim = self.acknowledged() + 20 + chance.randrange(100)
            self.wait_until(lambda aim=aim: self.acknowledged() > aim)
            counts = self.counts()
            self.set(CUT_AT, counts["stores"] + counts["flushes"] + 1 + chance.randrange(1000))
            self.wait_until(lambda: self.control[FROZEN] == 1)
            yield tuple(guest.content(path) for path in (self.promises, self.live, self.durable))
            self.set(FROZEN, 0)
        monitor.close()
        self.vm.kill()


def dirty_lines(live, durable):
    chunk = 1 << 16
    return [at for start in range(0, len(live), chunk)
            if live[start:start + chunk] != durable[start:start + chunk]
            for at in range(start, start + chunk, LINE)
            if live[at:at + LINE] != durable[at:at + LINE]]


def images(cut, chance):
    """The three images of a cut, and how many lines were dirty."""
    _promises, live, durable = cut
    dirty = dirty_lines(live, durable)
    half = bytearray(durable)
    for at in dirty:
        if chance.random() < 0.5:
            half[at:at + LINE] = live[at:at + LINE]
    return [durable, bytes(half), live], len(dirty)


class PowerPmem(unittest.TestCase):
    def judge(self, vm, cuts, chance, what):
        paths, promises, dirty = [], vm.path("promises"), []
        with open(promises, "wb") as file:
            for cut in cuts:
                made, count = images(cut, chance)
                dirty.append(count)
                for image in made:
                    paths.append(vm.path(f"image{len(paths)}"))
                    with open(paths[-1], "wb") as target:
                        target.write(image)
                    file.write(cut[0])
        vm.machine, vm.memory = MACHINE, f"768M,slots={len(paths)},maxmem=16G"
        vm.devices = [*nvdimms(paths), *promise_disk(promises)]
        vm.do(f"mkdir -p {MOUNT}")
        # They are numbered as their drivers come; their addresses are in the order of the slots.
        vm.do("for region in /sys/bus/nd/devices/region*; do printf '%020d %s\\n' "
              "$(cat $region/resource) $(basename $region/*/block/pmem*); done | sort | "
              "cut -d ' ' -f 2 >names")
        vm.step("names", "cat names")
        for i in range(len(paths)):
            vm.step(f"mount{i}", f"mount -o dax,noatime /dev/$(sed -n {i + 1}p names) {MOUNT}")
            vm.step(f"judge{i}", f"{JUDGE} /dev/vda {i * PROMISES} {MOUNT}/log {what} auto auto "
                                 f"{SEED}")
            vm.step(f"verify{i}", f"{WEIR} verify --json {MOUNT}/log")
            vm.script.append(f"umount {MOUNT}")
        vm.run(120 + 15 * len(paths))
        rows = []
        for i in range(len(paths)):
            self.assertEqual(vm[f"mount{i}"].exit, 0, vm[f"mount{i}"])
            self.assertIn(vm[f"judge{i}"].exit, (0, 1), vm[f"judge{i}"])
            row = json.loads(vm[f"judge{i}"].out)
            if not row["broken"] and vm[f"verify{i}"].exit != 0:
                row["broken"] = f"weir verify: {vm[f'verify{i}']}"
            rows.append(row)
        return rows, dirty

    def run_one(self, name, what, durability="each"):
        chance = random.Random(f"{SEED} {name}")
        with Guest(f"pmem-{name}") as vm:
            os.chdir(vm.directory)  # of the monitor's socket
            try:
                writing = Writing(vm, what, durability)
                cuts = list(writing.run(chance))
            finally:
                os.chdir("..")
            said, counts = vm["writer"].out, writing.counts()
            with Guest(f"pmem-judge-{name}") as second:
                rows, dirty = self.judge(second, cuts, chance, what)
        broken = [f"{name}: seed {SEED}, cut {i // 3}, {WAYS[i % 3]}: {row['broken']}"
                  for i, row in enumerate(rows) if row["broken"]]
        print(f"layer=vm-power-cut medium=pmem-{name} runs={said.count('run ')} "
              f"images={len(rows)} dirty_lines={'/'.join(map(str, dirty))} "
              f"acknowledged={max(row['promised'] for row in rows)} violations={len(broken)} "
              f"seed={SEED} " + " ".join(f"{key}={counts[key]}" for key in COUNTS[1:]), flush=True)
        self.assertEqual(counts["overflow"], 0)
        self.assertGreater(counts["flushes"], 100)
        self.assertGreater(max(dirty), 0)
        return said, rows, broken

    def test_the_log(self):
        said, rows, broken = self.run_one("log", "log")
        self.assertIn("medium=pmem io=cpu durable=1", said)
        self.assertGreater(max(row["promised"] for row in rows), 100)
        self.assertEqual(broken, [])

    def test_the_engine(self):
        said, rows, broken = self.run_one("engine", "engine")
        self.assertIn("medium=pmem io=cpu durable=1", said)
        self.assertGreater(max(row["promised"] for row in rows), 100)
        self.assertEqual(broken, [])

    def test_a_writer_that_promises_what_it_has_not_flushed_is_found_out(self):
        _said, _rows, broken = self.run_one("lie", "log", "lie")
        self.assertTrue(any("lost: record" in text for text in broken), broken)


if __name__ == "__main__":
    need()
    unittest.main()
