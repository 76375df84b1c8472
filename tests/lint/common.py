"""What the lint scripts share: walking the tree, and reporting like a compiler."""

import os
import sys

SKIPPED = {"build", "__pycache__"}


def folders(root):
    """Yields (path relative to root, names of its files); hidden and build folders are left out."""
    for path, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in SKIPPED and not n.startswith("."))
        yield os.path.relpath(path, root), sorted(files)


def files(root, extensions):
    """Yields the relative paths of all files with one of the extensions."""
    for folder, names in folders(root):
        for name in names:
            if name.endswith(tuple(extensions)):
                yield os.path.normpath(os.path.join(folder, name))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def finish(findings, what):
    """Prints the findings and leaves with 1, or with 0 when there are none."""
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings in {what}")
    sys.exit(1 if findings else 0)
