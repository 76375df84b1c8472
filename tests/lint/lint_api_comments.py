#!/usr/bin/env python3
"""The comment above every public function says the same things in the same order.

usage: lint_api_comments.py ROOT

What it does, then @param for each parameter in the order of the declaration, Returns, Durability,
Threads, Blocks, Allocates.
"""

import re
import sys

import common

TAGS = ["Returns", "Durability", "Threads", "Blocks", "Allocates"]

DECLARATION = re.compile(r"^(?:WEIR_EXPORT\s+)?[a-z][\w\s*]*?\b(weir_\w+)\(([^;{]*)\)[^;{()]*;",
                         re.MULTILINE)
NOT_A_FUNCTION = re.compile(r"^(typedef|static|return|else|case)\b")


def without_comments(text):
    """The same text with comments blanked, so that offsets stay."""
    return re.sub(r"/\*.*?\*/", lambda match: re.sub(r"[^\n]", " ", match[0]), text,
                  flags=re.DOTALL)


def comment_above(text, offset):
    """The comment that ends right above the declaration, or None."""
    match = re.search(r"/\*((?:(?!\*/).)*)\*/\s*$", text[:offset], re.DOTALL)
    if match is None or match[0].count("\n\n") > 0:
        return None
    return match[1]


def parameter_names(parameters):
    flat = re.sub(r"\s+", " ", parameters).strip()
    if flat in ("", "void"):
        return []
    depth, part, parts = 0, "", []
    for character in flat:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part)
    names = []
    for part in parts:
        pointer = re.search(r"\(\s*\*\s*(\w+)\s*\)", part)
        plain = re.search(r"(\w+)\s*(\[[^\]]*\])?\s*$", part)
        if part.strip() != "...":
            names.append(pointer[1] if pointer else plain[1])
    return names


def judge(comment, parameters):
    """Yields what is wrong with a comment."""
    lines = [line.strip().lstrip("*").strip() for line in comment.splitlines()]
    documented = []
    for line in lines:
        match = re.match(r"@param\s+([\w, ]+?)(?:\s{2,}|\s-|$|\s)", line)
        if match:
            documented += [name.strip() for name in match[1].split(",")]
    expected = parameter_names(parameters)
    if documented != expected:
        yield f"@param names {documented}, the parameters are {expected}"
    found = [tag for line in lines for tag in TAGS if line.startswith(tag + ":")]
    if found != TAGS:
        yield f"has the tags {found}, expected {TAGS}"
    starts = [number for number, line in enumerate(lines)
              if line.startswith("@param") or line.startswith("Returns:")]
    if starts != sorted(starts) or not any(lines[:starts[0]] if starts else lines):
        yield "does not begin with what it does"


def lint(root):
    for path in common.files(root, [".h"]):
        if not path.startswith("include/"):
            continue
        text = common.read(root, path)
        code = without_comments(text)
        for match in DECLARATION.finditer(code):
            if NOT_A_FUNCTION.match(match[0]):
                continue
            place = f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[1]}"
            if not match[0].startswith("WEIR_EXPORT"):
                yield f"{place} is not marked WEIR_EXPORT"
            comment = comment_above(text, match.start())
            if comment is None:
                yield f"{place} has no comment right above it"
                continue
            for problem in judge(comment, match[2]):
                yield f"{place} {problem}"


def main():
    common.finish(list(lint(sys.argv[1])), "public comments")


if __name__ == "__main__":
    main()
