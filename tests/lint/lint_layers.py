#!/usr/bin/env python3
"""The layer rule: arrows between rooms point down only, in includes and in undefined symbols.

usage: lint_layers.py ROOT OBJECTS

OBJECTS is a file of lines "room path-of-object". What wal/ and engine/ may call is a list of what
is allowed, not of what is forbidden: a system call that nobody thought of fails as well.
"""

import os
import re
import subprocess
import sys

import common

# Who may include whom, beside itself and include/weir.
ROOMS = {
    "base": set(),
    "pmem": {"base"},
    "iouring": {"base"},
    "sim": {"base"},
    "wal": {"base"},
    "engine": {"base"},
    "derived": {"base"},
    "cli": {"base", "sim", "bench"},
    "bench": {"base"},
    "examples": {"base"},
}
PROGRAMS = {"cli", "bench", "examples"}
PURE = {"wal", "engine"}  # call nothing of the system but base

# The only file that knows all media, and the only headers of wal that engine may see.
MEDIUM_SELECT = "wal/medium_select.c"
ENGINE_MAY_INCLUDE = {"wal/address.h", "wal/address_compact.h", "wal/address_fetch.h",
                      "wal/address_read.h"}
PROGRAMS_MAY_INCLUDE = {
    "base/" + name + ".h"
    for name in ("text", "histogram", "clock", "random", "alloc", "le", "crc32c", "thread", "sync",
                 "json", "shared_page")
}
# The operating system's files, for media only.
MEDIA_ONLY = {"base/file.h"}
MEDIA = {"pmem", "iouring", "sim"}

# Headers of libraries that have one home. bench measures the device without us, to compare.
HOMES = {"libpmem.h": {"pmem"}, "libpmem2.h": {"pmem"}, "liburing.h": {"iouring", "bench"}}

PURE_HEADERS = {
    "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h", "stdatomic.h", "stdbool.h",
    "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "sys/types.h",
}
ENGINE_HEADERS = {"xxhash.h"}

PURE_SYMBOL = re.compile(
    r"(mem(cpy|move|set|cmp|chr|rchr|mem)|str(n?len|n?cmp|n?cpy|r?chr|str|spn|cspn|error_r)|stpcpy"
    r"|bcmp|qsort|qsort_r|bsearch|v?snprintf|__(mem\w+|v?snprintf|str\w+|stpcpy)_chk"
    r"|__isoc99_sscanf|sscanf)$")
ENGINE_SYMBOL = re.compile(r"XXH\w+$")
COMPILER_SYMBOL = re.compile(
    r"(__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__tls_get_addr|__(asan|ubsan|tsan|sanitizer|gcov|llvm"
    r"|sancov|sanitize|start___sancov|stop___sancov)_?\w*|mangled_path)$")

INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.MULTILINE)


def judge_include(path, target, quoted):
    """Returns why `path` may not include `target`, or None."""
    room = path.split("/")[0]
    home = target.split("/")[0]
    if target in HOMES and room not in HOMES[target]:
        return f"{target} belongs to {'/ and '.join(sorted(HOMES[target]))}/"
    if home == "weir":
        return None
    if home not in ROOMS or "/" not in target:
        if room not in PURE or quoted:
            return None
        if target in PURE_HEADERS:
            return None
        if room == "engine" and target in ENGINE_HEADERS:
            return None
        return f"{room}/ calls nothing of the system but base"
    if room == "include":
        return "a public header includes public headers only"
    if home == room:
        return None
    if path == MEDIUM_SELECT and home in {"pmem", "iouring"}:
        return None
    if room == "engine" and target in ENGINE_MAY_INCLUDE:
        return None
    if home not in ROOMS[room]:
        return f"arrows point down only: {room}/ does not see {home}/"
    if room in PROGRAMS and home == "base" and target not in PROGRAMS_MAY_INCLUDE:
        return "a program uses public headers, and of base only " + \
            ", ".join(sorted(PROGRAMS_MAY_INCLUDE))
    if target in MEDIA_ONLY and room not in MEDIA and path != MEDIUM_SELECT:
        return f"{target} is for media"
    return None


def lint_includes(root):
    for path in common.files(root, [".c", ".h"]):
        if path.split("/")[0] not in ROOMS and not path.startswith("include/"):
            continue
        text = common.read(root, path)
        for match in INCLUDE.finditer(text):
            reason = judge_include(path, match[2], match[1] == '"')
            if reason:
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: includes {match[2]}: {reason}"


def symbols(path):
    """The global symbols of an object: (defined, undefined)."""
    defined, undefined = set(), set()
    listing = subprocess.run(["nm", "--portability", path], check=True, capture_output=True,
                             text=True).stdout
    for line in listing.splitlines():
        name, kind = line.split()[:2]
        if kind in "Uw":
            undefined.add(name)
        elif kind.isupper():
            defined.add(name)
    return defined, undefined


def judge_symbol(room, path, name, owners):
    """Returns why an object of `room` may not need `name`, or None.

    owners: the rooms that define it."""
    if room in owners or COMPILER_SYMBOL.match(name):
        return None
    selects = os.path.basename(path).startswith("medium_select.c")
    if room == "wal" and selects and owners & {"base", "pmem", "iouring"}:
        return None
    if name.startswith(("base_file_", "base_directory_")) and room not in MEDIA:
        return "the operating system's files are for media"
    if owners:
        if owners & ROOMS[room]:
            return None
        # The public interface of the log serves those above it.
        if room in {"engine", "derived"} | PROGRAMS and name.startswith("weir_"):
            return None
        if room == "engine" and name.startswith("wal_address"):
            return None
        return f"{'/, '.join(sorted(owners))}/ is not below {room}/"
    if room not in PURE or PURE_SYMBOL.match(name):
        return None
    if room == "engine" and ENGINE_SYMBOL.match(name):
        return None
    return f"{room}/ calls nothing of the system but base"


def lint_symbols(list_path):
    with open(list_path, encoding="utf-8") as file:
        objects = [line.split(" ", 1) for line in file.read().splitlines() if line]
    tables = [(room, path, *symbols(path)) for room, path in objects]
    owners = {}
    for room, _, defined, _ in tables:
        for name in defined:
            owners.setdefault(name, set()).add(room)
    for room, path, _, undefined in tables:
        for name in sorted(undefined):
            reason = judge_symbol(room, path, name, owners.get(name, set()))
            if reason:
                yield f"{room}/{os.path.basename(path)}: needs {name}: {reason}"


def main():
    root, list_path = sys.argv[1:]
    findings = list(lint_includes(root)) + list(lint_symbols(list_path))
    common.finish(findings, "the layer rule")


if __name__ == "__main__":
    main()
