#!/usr/bin/env python3
"""Sizes: what has grown past them is read by nobody.

usage: lint_sizes.py ROOT
"""

import os
import re
import sys

import common

FILE_LINES = 800
HEADER_LINES = 250
FUNCTION_LINES = 90
COLUMNS = 100
README_LINES = 40
NOTED_FILE_LINES = 600

# A definition at the left margin that is not data: "int f(int x)" or "int f(int x) {".
FUNCTION_START = re.compile(r"^[a-z_][^=;#]*\([^;]*$", re.IGNORECASE)


def name_of(line):
    line = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", line)
    match = re.search(r"(\w+)\s*\(", line)
    return match[1] if match else "?"


def functions(lines):
    """Yields (line number of the start, name, length) of each function of a C file."""
    start = None
    in_body = False
    for number, line in enumerate(lines, 1):
        if start is None:
            if not FUNCTION_START.match(line):
                continue
            start, in_body = number, False
        if in_body:
            if line.startswith("}"):
                yield start, name_of(lines[start - 1]), number - start + 1
                start = None
        elif line.rstrip().endswith("{"):
            in_body = True
        elif line.rstrip().endswith(";") or line == "":
            start = None  # a declaration, or the call of a macro


def lint_code(root):
    for path in common.files(root, [".c", ".h", ".py", ".cc", ".cmake"]):
        lines = common.read(root, path).splitlines()
        limit = HEADER_LINES if path.endswith(".h") else FILE_LINES
        if len(lines) > limit:
            yield f"{path}:1: {len(lines)} lines, at most {limit}"
        elif len(lines) > NOTED_FILE_LINES:
            print(f"note: {path} has {len(lines)} lines")
        for number, line in enumerate(lines, 1):
            if len(line.expandtabs(8)) > COLUMNS:
                yield f"{path}:{number}: {len(line.expandtabs(8))} columns, at most {COLUMNS}"
        if path.endswith((".c", ".h")):
            for number, name, length in functions(lines):
                if length > FUNCTION_LINES:
                    yield f"{path}:{number}: {name} has {length} lines, at most {FUNCTION_LINES}"


def lint_readmes(root):
    for folder, names in common.folders(root):
        sources = [name for name in names
                   if name.endswith((".c", ".h", ".py", ".sh", ".cmake", ".md", "CMakeLists.txt"))]
        if folder == "." or not sources:
            continue
        path = os.path.join(folder, "README.md")
        if "README.md" not in names:
            yield f"{path}:1: missing: purpose, files in reading order, what never belongs here"
        elif (count := len(common.read(root, path).splitlines())) > README_LINES:
            yield f"{path}:1: {count} lines, at most {README_LINES}"


def main():
    root = sys.argv[1]
    common.finish(list(lint_code(root)) + list(lint_readmes(root)), "sizes")


if __name__ == "__main__":
    main()
