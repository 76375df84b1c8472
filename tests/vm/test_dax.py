#!/usr/bin/env python3
"""The log and the engine on real DAX: an NVDIMM under ext4 and XFS, with each way to flush a line.

One boot for each kind of processor; and one with virtio-pmem, which has DAX but no MAP_SYNC, where
nothing may claim to be durable by flushing lines.
"""

import os
import re
import unittest

import guest
from guest import BUILD, WEIR, Guest

MIB = 1 << 20
DAX = "/run/guest/dax"
LOG = f"{DAX}/log"
CRASH = f"{WEIR} crash --json --dir {DAX} --kill --segment-size 1MiB --seed 1"

# Names of steps, and what they add.
CRASHES = {
    "each": "--rounds 4 --records 600",
    "strict": "--rounds 3 --records 600 --witness strict",
    "engine": "--rounds 3 --records 600 --engine",
}

# Programs of cmocka, and a filter. /dev/shm is the DAX file system there, so that what tests call
# emulated persistent memory, and put where memory is, lies on the real one.
PROGRAMS = [
    ("pmem/test_pmem", "*"),
    ("medium/test_medium_contract", "*pmem*"),
    ("wal/test_wal_torture_kill", "*pmem*"),
    ("wal/test_wal_reader_process", "*pmem*"),
    ("fault/test_fault_kill_at_call", "*pmem*"),
    ("fault/test_fault_nth_call", "*pmem*"),
]


def nvdimm(path, size):
    return ["-object", f"memory-backend-file,id=mem0,share=on,mem-path={path},size={size}",
            "-device", "nvdimm,memdev=mem0"]


def boot(name, prepare, script, **options):
    """Boots with persistent memory, mounts it with DAX, and runs what `script` adds."""
    vm = Guest(name, memory="1G,slots=4,maxmem=16G", **options)
    nvdimm = guest.disk(vm.path("nvdimm"), 512 * MIB)
    vm.devices = ["-object",
                  f"memory-backend-file,id=mem0,share=on,mem-path={nvdimm},size={512 * MIB}",
                  "-device", vm.devices]
    for line in prepare:
        vm.do(line)
    vm.do(f"mkdir -p {DAX} && mount -o dax /dev/pmem0 {DAX}")
    vm.do(f"export WEIR_TEST_DIR={DAX}")
    script(vm)
    vm.run(400)
    print(f"{name}: {vm.seconds:.0f} s")
    return vm


def boot_on_nvdimm(name, mkfs, script, cpu="max", persistence="mem-ctrl"):
    # A fresh NVDIMM is in raw mode, which has no DAX.
    fsdax = "ndctl create-namespace -f -e namespace0.0 -m fsdax -M mem >/dev/null"
    return boot(name, [fsdax, mkfs], script, devices="nvdimm,memdev=mem0", cpu=cpu,
                machine=f"q35,nvdimm=on,nvdimm-persistence={persistence}")


def commands(vm):
    """A log and an engine, written, killed and read with the defaults of the command."""
    vm.step("devices", f"{WEIR} devices --json {DAX}")
    vm.step("append", f"seq 1 500 | {WEIR} append --segment-size 1MiB --json -v {LOG}")
    vm.step("put", f"for i in 1 2 3 4 5 6; do {WEIR} put {DAX}/db key$((i % 4)) value$i "
                   "--segment-size 1MiB || exit; done")
    vm.step("get", f"for i in 0 1 2 3; do {WEIR} get {DAX}/db key$i || exit; done")
    vm.step("as_of", f"{WEIR} get {DAX}/db key1 --as-of 3")
    vm.step("tail", f"{WEIR} tail --json {LOG} | tail -n 1")
    vm.step("verify", f"{WEIR} verify --json {LOG} && {WEIR} verify --json {DAX}/db")
    vm.step("stray", f"PMEM_NO_FLUSH=1 {WEIR} append {LOG} --medium pmem </dev/null")
    vm.step("stray_auto", f"PMEM_NO_FLUSH=1 {WEIR} append {DAX}/other -v "
                        "--segment-size 1MiB </dev/null")
    for name, options in CRASHES.items():
        vm.step(name, f"{CRASH} {options}", 120)


def programs(vm):
    vm.do(f"mount --bind {DAX} /dev/shm")
    vm.step("shm", f"{WEIR} devices --json /dev/shm")
    for program, only in PROGRAMS:
        name = os.path.basename(program)
        vm.step(name, f"cd {DAX} && {BUILD}/tests/{program} '{only}'", 120)


def everything(vm):
    commands(vm)
    programs(vm)


EXT4 = "mkfs.ext4 -q -F -b 4096 /dev/pmem0"
XFS = "mkfs.xfs -q -f -m reflink=0 /dev/pmem0"


class Nvdimm(unittest.TestCase):
    """What holds wherever lines can be flushed."""

    def check_commands(self, vm):
        for name in ("devices", "append", "put", "get", "as_of", "tail", "verify"):
            self.assertEqual(vm[name].exit, 0, vm[name])
        self.check_is_pmem(vm["devices"])
        self.assertIn("medium pmem, io cpu, durable: yes; the directory is on a DAX mount",
                      vm["append"].err)
        self.assertEqual([row["lsn"] for row in vm["append"].rows()], list(range(1, 501)))
        self.assertEqual(vm["get"].out.split(), ["value4", "value5", "value6", "value3"])
        self.assertEqual(vm["as_of"].out, "value1\n")
        self.assertEqual(vm["tail"].rows()[0]["lsn"], 500)
        self.check_stray(vm)
        for name, options in CRASHES.items():
            self.check_crash(vm[name], int(options.split()[1]))

    def check_is_pmem(self, step):
        media = {row["medium"]: row for row in step.rows()[0]["media"] if row["io"] == "auto"}
        for medium in ("auto", "pmem"):
            self.assertEqual(media[medium]["runs_medium"], "pmem", step)
            self.assertTrue(media[medium]["durable"], step)
            self.assertFalse(media[medium]["emulated"], step)

    def check_stray(self, vm):
        """A variable that takes the flushes away: refused, a new log is one of a block device."""
        self.assertEqual(vm["stray"].exit, 3, vm["stray"])
        self.assertIn("PMEM_NO_FLUSH", vm["stray"].err)
        self.assertEqual(vm["stray_auto"].exit, 0, vm["stray_auto"])
        self.assertIn("medium direct", vm["stray_auto"].err)
        self.assertIn("PMEM_NO_FLUSH", vm["stray_auto"].err)

    def check_crash(self, step, rounds):
        self.assertEqual(step.exit, 0, step)
        row = step.rows()[0]
        self.assertEqual(row["medium"], "pmem")
        self.assertTrue(row["durable_medium"] and not row["emulated"] and not row["simulated"])
        self.assertEqual((row["rounds"], row["lost"], row["wrong"]), (rounds, 0, 0), step)
        self.assertGreater(row["acknowledged"], 100)
        print(f"layer=vm-kill medium=pmem how={step.name} rounds={row['rounds']} "
              f"acknowledged={row['acknowledged']} violations={row['lost'] + row['wrong']}")

    def check_programs(self, vm):
        self.check_is_pmem(vm["shm"])
        for program, _ in PROGRAMS:
            step = vm[os.path.basename(program)]
            self.assertEqual(step.exit, 0, step)
            ran = re.search(r"(\d+) test\(s\) run", step.out + step.err)
            self.assertTrue(ran and int(ran[1]) > 0, step)
            print(f"{step.name}: {ran[1]} on DAX")

    def test_ext4_and_every_program_that_takes_persistent_memory(self):
        with boot_on_nvdimm("ext4", EXT4, everything) as vm:
            self.check_commands(vm)
            self.check_programs(vm)

    def test_xfs_on_a_processor_without_clwb(self):
        with boot_on_nvdimm("xfs", XFS, commands, cpu="max,-clwb") as vm:
            self.assertFalse(vm["devices"].rows()[0]["clwb"])
            self.check_commands(vm)

    def test_a_processor_that_has_only_clflush(self):
        with boot_on_nvdimm("clflush", EXT4, commands, cpu="max,-clwb,-clflushopt") as vm:
            self.assertFalse(vm["devices"].rows()[0]["clwb"])
            self.assertFalse(vm["devices"].rows()[0]["clflushopt"])
            self.check_commands(vm)

    def test_memory_whose_caches_survive_the_power_cut(self):
        with boot_on_nvdimm("eadr", EXT4, commands, persistence="cpu") as vm:
            self.check_commands(vm)


class VirtioPmem(unittest.TestCase):
    """DAX without MAP_SYNC: the host has to be asked for a flush, lines are not enough."""

    def script(self, vm):
        vm.step("devices", f"{WEIR} devices --json {DAX}")
        vm.step("pmem", f"seq 1 9 | {WEIR} append --medium pmem {LOG}")
        vm.step("auto", f"seq 1 9 | {WEIR} append --json -v --segment-size 1MiB {LOG}")
        vm.step("verify", f"{WEIR} verify {LOG}")
        vm.step("crash", f"{CRASH} --rounds 2 --records 200", 120)

    def test_it_is_refused_and_auto_takes_the_block_path(self):
        with boot("virtio-pmem", [EXT4], self.script,
                  devices="virtio-pmem-pci,memdev=mem0") as vm:
            media = {row["medium"]: row for row in vm["devices"].rows()[0]["media"]}
            self.assertFalse(media["pmem"]["available"], vm["devices"])
            self.assertIn("MAP_SYNC", media["pmem"]["reason"])
            self.assertEqual(vm["pmem"].exit, 3, vm["pmem"])
            self.assertIn("MAP_SYNC", vm["pmem"].err)
            self.assertEqual(vm["auto"].exit, 0, vm["auto"])
            self.assertIn("medium direct, io uring, durable: yes", vm["auto"].err)
            self.assertIn("MAP_SYNC", vm["auto"].err)
            self.assertEqual(vm["verify"].exit, 0, vm["verify"])
            row = vm["crash"].rows()[0]
            self.assertEqual((row["medium"], row["lost"], row["wrong"]), ("direct", 0, 0))


if __name__ == "__main__":
    guest.need()
    unittest.main()
