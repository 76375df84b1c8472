#!/usr/bin/env python3
"""The log on an emulated NVMe device: which medium and which calls run there, crashes of the
process, and that the raw loops of weir bench run. Its times say nothing.

qemu 7.2 drops FUA for NVMe, so power cuts are tested under virtio-blk: test_power_cut.py.
"""

import os
import unittest

import guest
from guest import BUILD, WEIR, Guest

MIB = 1 << 20
DISK = "/run/guest/disk"
LOG = f"{DISK}/log"
CRASH = f"{WEIR} crash --json --dir {DISK} --kill --segment-size 1MiB --seed 1 --rounds 3"
MEDIA = [(medium, io) for medium in ("direct", "mapped") for io in ("uring", "sync")]
PROGRAMS = ["iouring/test_iouring_ring", "iouring/test_iouring_media",
            "iouring/test_iouring_fallback", "medium/test_medium_contract"]


class Nvme(unittest.TestCase):
    def setUp(self):
        vm = self.enterContext(Guest("nvme")) if hasattr(self, "enterContext") else Guest("nvme")
        path = guest.disk(vm.path("nvme"), 512 * MIB)
        vm.devices = ["-drive", f"file={path},if=none,id=n0,format=raw",
                      "-device", "nvme,serial=weir,drive=n0,logical_block_size=512"]
        vm.do("mkfs.ext4 -q -F -b 4096 /dev/nvme0n1")
        vm.do(f"mkdir -p {DISK} && mount -o noatime /dev/nvme0n1 {DISK}")
        vm.do(f"export WEIR_TEST_DIR={DISK}")
        vm.step("devices", f"{WEIR} devices --json {DISK}")
        vm.step("append", f"seq 1 200 | {WEIR} append --json -v --segment-size 1MiB {LOG}")
        vm.step("verify", f"{WEIR} verify {LOG}")
        for medium, io in MEDIA:
            vm.step(f"{medium}-{io}",
                    f"{CRASH} --medium {medium} --io {io} --records 300 --engine", 120)
        vm.step("bench", f"{WEIR} bench device --json --dir {DISK} --file-size 8MiB --seconds 0.2",
                120)
        for program in PROGRAMS:
            vm.step(os.path.basename(program), f"cd {DISK} && {BUILD}/tests/{program}", 150)
        vm.run(400)
        self.vm = vm

    def test_direct_on_io_uring_is_taken_and_nothing_is_lost(self):
        vm = self.vm
        for name in ("devices", "append", "verify", "bench"):
            self.assertEqual(vm[name].exit, 0, vm[name])
        media = {(row["medium"], row["io"]): row for row in vm["devices"].rows()[0]["media"]}
        self.assertEqual(media["auto", "auto"]["runs_medium"], "direct")
        self.assertEqual(media["auto", "auto"]["runs_io"], "uring")
        self.assertIn("MAP_SYNC", media["auto", "auto"]["reason"])
        self.assertFalse(media["pmem", "auto"]["available"])
        self.assertIn("medium direct, io uring, durable: yes", vm["append"].err)
        self.assertEqual([row["lsn"] for row in vm["append"].rows()], list(range(1, 201)))
        for medium, io in MEDIA:
            step = vm[f"{medium}-{io}"]
            self.assertEqual(step.exit, 0, step)
            row = step.rows()[0]
            self.assertEqual((row["medium"], row["io"]), (medium, io))
            self.assertEqual((row["rounds"], row["lost"], row["wrong"]), (3, 0, 0), step)
            print(f"layer=vm-kill medium=nvme-{medium} io={io} rounds=3 "
                  f"acknowledged={row['acknowledged']} violations=0")
        for program in PROGRAMS:
            step = vm[os.path.basename(program)]
            self.assertEqual(step.exit, 0, step)
        print(f"nvme: {vm.seconds:.0f} s")


if __name__ == "__main__":
    guest.need()
    unittest.main()
