#!/usr/bin/env python3
"""Runs the crash tests for as long as it is told to, and writes what they did into docs/TESTING.md.

    tests/crash/deep.py BUILD_DIRECTORY SECONDS

Each program prints lines `layer=... name=value ...`; the table has a row for each. A layer that
fails is a row with its violations, and the exit status is 1.
"""

import concurrent.futures
import datetime
import os
import platform
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "docs", "TESTING.md")
BEGIN, END = "<!-- deep: begin -->", "<!-- deep: end -->"

# Program below the build directory, arguments, share of the time, and what WEIR_DEEP_ROUNDS is to
# be for so many seconds: None where the program counts seconds itself (WEIR_DEEP_SECONDS), a number
# of rounds for one second, or whole(S) where there is only a slice or all: all once the share is S.
# Measured on two cores that others used too, one medium of five each: all of kill_at_call 19 s, all
# of nth_call's calls 105 s (its locks, completions and allocations were not timed). So nth_call,
# which starts at 400 s, is expected to run over its share.
def whole(from_s):
    return ("whole", from_s)


LAYERS = [
    ("tests/crash/test_crash_exhaustive", ["direct-*"], 0.17, None),
    ("tests/crash/test_crash_exhaustive", ["mapped-*"], 0.08, None),
    ("tests/crash/test_crash_exhaustive", ["pmem-*"], 0.12, None),
    ("tests/crash/test_crash_seeded", [], 0.17, None),
    ("tests/fault/test_fault_nth_call", [], 0.23, whole(400)),
    ("tests/fault/test_fault_nth_threads", [], 0.03, 10),
    ("tests/fault/test_fault_kill_at_call", [], 0.06, whole(90)),
    ("tests/fault/test_fault_ring_setup", [], 0.01, whole(1)),
    ("tests/wal/test_wal_torture_kill", [], 0.06, 2.5),
    ("tests/wal/test_wal_torture_damage", [], 0.04, 15),
    ("tests/wal/test_wal_torture_beside", [], 0.04, 0.45),
    ("tests/wal/test_wal_salvage_property", [], 0.03, 90),
]


def asked_for(seconds, pace):
    if pace is None:
        return {"WEIR_DEEP_SECONDS": str(seconds)}
    if isinstance(pace, tuple):
        return {"WEIR_DEEP_ROUNDS": "1"} if seconds >= pace[1] else {}
    return {"WEIR_DEEP_ROUNDS": str(max(1, int(seconds * pace)))}


def run(build, program, arguments, seconds, pace):
    environment = dict(os.environ, **asked_for(seconds, pace))
    path = os.path.join(build, program)
    done = subprocess.run([path, *arguments], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("layer=")]
    if done.returncode not in (0, 77) or not lines:
        print(done.stdout[-4000:], file=sys.stderr)
        lines = lines or [f"layer={os.path.basename(program)} violations=1"]
    return done.returncode, [dict(pair.split("=", 1) for pair in line.split()) for line in lines]


def number(text):
    return f"{int(text):,}" if re.fullmatch(r"\d+", text) else text


def table(rows):
    yield "| layer | on | what was done | violations | false refusals |"
    yield "|---|---|---|---|---|"
    for row in rows:
        row = dict(row)
        layer, medium = row.pop("layer"), row.pop("medium", "")
        if "io" in row:
            medium = f"{medium} {row.pop('io')}"
        violations, refusals = row.pop("violations", "?"), row.pop("false_refusals", "")
        row.pop("cpu_s", None)
        done = ", ".join(f"{name.replace('_', ' ')} {number(value)}"
                         for name, value in row.items())
        yield f"| {layer} | {medium} | {done} | {violations} | {refusals} |"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        models = [line.split(":")[1].strip() for line in info if line.startswith("model name")]
    model = models[0] if models else "?"
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}"


def write_page(text):
    with open(PAGE, encoding="utf-8") as page:
        content = page.read()
    before, rest = content.split(BEGIN)
    after = rest.split(END)[1]
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    build, seconds = sys.argv[1], float(sys.argv[2])
    workers = os.cpu_count() or 1
    share = sum(layer[2] for layer in LAYERS) / workers

    def run_layer(layer):
        program, arguments, part, pace = layer
        return run(build, program, arguments, seconds * part / share, pace)

    rows, failed = [], False
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for layer, (status, found) in zip(LAYERS, pool.map(run_layer, LAYERS)):
            failed = failed or status not in (0, 77)
            rows += found
            print(layer[0], *layer[1], flush=True)
            for row in found:
                print("  " + " ".join(f"{name}={value}" for name, value in row.items()), flush=True)
    head = (f"`tests/crash/deep.py BUILD {seconds:.0f}`, as `make check-deep` runs it, "
            f"{datetime.date.today()}, {machine()}:\n")
    write_page("\n".join([head, *table(rows)]))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
