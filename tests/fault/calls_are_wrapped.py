#!/usr/bin/env python3
"""Every call of the system in base/, iouring/ and pmem/ can be made to fail, or cannot fail.

usage: calls_are_wrapped.py CALLS_H OBJECTS

CALLS_H lists what is wrapped; OBJECTS is a file of lines "room path-of-object". A symbol that these
rooms need, that none of them defines, and that is neither wrapped nor in HARMLESS is a finding:
whoever adds a call decides here how it fails. So is a wrapper that nobody needs any more.
"""

import re
import subprocess
import sys

ROOMS = {"base", "iouring", "pmem"}

HARMLESS = {
    "computes, in memory that the caller has": re.compile(
        r"(mem(cpy|move|set|cmp|chr)|str(n?len|n?cmp|n?cpy|r?chr|str|spn|cspn|error|errorname_np"
        r"|errordesc_np)|v?snprintf|__(mem|str|v?snprintf)\w*_chk|__memcpy_chk|gmtime_r|qsort"
        r"|__errno_location|sigfillset|bcmp|stpcpy|pmem_(flush|drain|memcpy)|crc32_iscsi)$"),
    "ends the process": re.compile(r"(abort|_exit|__stack_chk_fail)$"),
    "cannot fail with the arguments that are given": re.compile(
        r"(clock_gettime|getpid|geteuid|getenv|sysconf|sched_(yield|getaffinity)|__sched_cpucount"
        r"|pthread_(self|join|setname_np|sigmask))$"),
    "a look whose failure means no": re.compile(r"mincore$"),
    "where a thread starts: a failure means anywhere, and starting is pthread_create's": re.compile(
        r"(sched_(getcpu|setaffinity)|pthread_attr_(init|setaffinity_np|destroy))$"),
    "of what fopen opened; reads /sys only": re.compile(r"(__isoc99_)?fscanf$"),
    "of what fopen opened; reads /proc/meminfo only, and no line means not known": re.compile(
        r"(fgets|(__isoc99_)?sscanf)$"),
    "unmaps what is mapped as a whole; a failure is a bug of ours": re.compile(
        r"(munmap|free|io_uring_queue_exit)$"),
    "memory: fails through base_system, the layer nth-allocation": re.compile(
        r"(malloc|posix_memalign)$"),
    "futex: a wake-up without a reason is part of its contract": re.compile(r"syscall$"),
    "the compiler's": re.compile(
        r"(_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__cpu_(model|indicator_init|features2)"
        r"|__(asan|ubsan|tsan|sanitizer|gcov|llvm|sancov|start___sancov|stop___sancov)\w*"
        r"|mangled_path)$"),
}


def symbols(path, kinds):
    listing = subprocess.run(["nm", "--portability", path], check=True, capture_output=True,
                             text=True).stdout
    pairs = [line.split()[:2] for line in listing.splitlines()]
    return {name for name, kind in pairs if kinds(kind)}


def main():
    calls_path, list_path = sys.argv[1:]
    with open(calls_path, encoding="utf-8") as file:
        wrapped = set(re.findall(r"X\(([a-z_0-9]+)\)", file.read()))
    with open(list_path, encoding="utf-8") as file:
        objects = [line.split(" ", 1) for line in file.read().splitlines() if line]
    defined, needed = set(), {}
    for room, path in objects:
        if room in ROOMS:
            defined |= symbols(path, lambda kind: kind.isupper() and kind != "U")
            for name in symbols(path, lambda kind: kind in "Uw"):
                needed.setdefault(name, room)
    missing = sorted(name for name in needed
                     if name not in defined and name not in wrapped
                     and not any(rule.match(name) for rule in HARMLESS.values()))
    idle = sorted(wrapped - set(needed))
    for name in missing:
        print(f"{needed[name]}/ calls {name}: neither wrapped in calls.h nor known as harmless")
    for name in idle:
        print(f"calls.h wraps {name}, which nobody calls")
    print(f"{len(wrapped)} calls are wrapped")
    return 1 if missing or idle else 0


if __name__ == "__main__":
    sys.exit(main())
