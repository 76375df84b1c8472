#!/usr/bin/env python3
"""The lint rules find what they are for, and let pass what is right."""

import unittest

import lint_api_comments
import lint_layers
import lint_sizes

GOOD = """Opens a cursor.
 *
 * @param log      an open log
 * @param ret_fd   where it goes
 * Returns: 0.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: nothing.
"""


class Layers(unittest.TestCase):
    def test_arrows_that_point_down_pass(self):
        for path, target in (("wal/append.c", "base/sync.h"), ("wal/append.c", "weir/log.h"),
                             ("wal/medium_select.c", "iouring/iouring.h"),
                             ("wal/medium_select.c", "base/file.h"),
                             ("engine/get.c", "wal/address.h"), ("cli/crash.c", "sim/block.h"),
                             ("iouring/ring.c", "liburing.h"), ("iouring/ring.c", "base/file.h")):
            self.assertIsNone(lint_layers.judge_include(path, target, True), (path, target))

    def test_arrows_that_point_up_or_aside_are_found(self):
        for path, target in (("base/sync.c", "wal/log.h"), ("wal/append.c", "iouring/ring.h"),
                             ("pmem/map.c", "iouring/ring.h"), ("engine/get.c", "wal/log.h"),
                             ("derived/index.c", "engine/index.h"), ("cli/main.c", "wal/log.h"),
                             ("cli/main.c", "base/system.h"), ("wal/append.c", "base/file.h"),
                             ("include/weir/log.h", "base/le.h"), ("sim/block.c", "wal/log.h")):
            self.assertIsNotNone(lint_layers.judge_include(path, target, True), (path, target))

    def test_a_library_has_one_home(self):
        self.assertIsNotNone(lint_layers.judge_include("wal/x.c", "liburing.h", False))
        self.assertIsNotNone(lint_layers.judge_include("sim/x.c", "liburing.h", False))
        self.assertIsNotNone(lint_layers.judge_include("bench/raw.c", "libpmem.h", False))
        self.assertIsNotNone(lint_layers.judge_include("wal/x.c", "libpmem.h", False))

    def test_the_log_calls_nothing_of_the_system(self):
        self.assertIsNotNone(lint_layers.judge_include("wal/x.c", "unistd.h", False))
        self.assertIsNone(lint_layers.judge_include("wal/x.c", "string.h", False))
        for name in ("open", "pread", "mmap", "fsync", "clock_gettime", "nanosleep", "malloc",
                     "free", "pthread_create", "syscall", "getenv", "printf"):
            self.assertIsNotNone(lint_layers.judge_symbol("wal", "x.c.o", name, set()), name)
        for name in ("memcpy", "memset", "strlen", "snprintf", "__memcpy_chk", "__asan_init",
                     "qsort", "__stack_chk_fail"):
            self.assertIsNone(lint_layers.judge_symbol("wal", "x.c.o", name, set()), name)

    def test_symbols_follow_the_same_arrows(self):
        judge = lint_layers.judge_symbol
        self.assertIsNone(judge("wal", "x.c.o", "base_wait", {"base"}))
        self.assertIsNone(judge("wal", "medium_select.c.o", "iouring_medium", {"iouring"}))
        self.assertIsNotNone(judge("wal", "append.c.o", "iouring_medium", {"iouring"}))
        self.assertIsNotNone(judge("wal", "append.c.o", "base_file_open", {"base"}))
        self.assertIsNotNone(judge("derived", "index.c.o", "engine_get", {"engine"}))
        self.assertIsNone(judge("derived", "index.c.o", "weir_cursor_next", {"wal"}))
        self.assertIsNotNone(judge("sim", "block.c.o", "weir_cursor_next", {"wal"}))


class Sizes(unittest.TestCase):
    def lengths(self, text):
        return [(name, length) for _, name, length in lint_sizes.functions(text.splitlines())]

    def test_functions_are_measured_in_either_brace_style(self):
        self.assertEqual(self.lengths("int f(int a)\n{\n    g();\n}\n"), [("f", 4)])
        self.assertEqual(self.lengths("static int f(int a) {\n\n    g();\n}\n"), [("f", 4)])
        self.assertEqual(self.lengths("int f(int a,\n      int b)\n{\n\n}\n"), [("f", 5)])

    def test_declarations_and_data_are_not_functions(self):
        self.assertEqual(self.lengths("int f(int a);\n\nstruct s {\n    int x;\n};\n"), [])
        self.assertEqual(self.lengths("int f(int a,\n      int b);\nint g(void)\n{\n}\n"),
                         [("g", 3)])
        self.assertEqual(self.lengths("static const int t[] = {\n    1,\n};\n"), [])


class Comments(unittest.TestCase):
    def test_a_complete_comment_passes(self):
        parameters = "struct weir_log *log, int *ret_fd"
        self.assertEqual(list(lint_api_comments.judge(GOOD, parameters)), [])

    def test_each_missing_or_moved_part_is_found(self):
        parameters = "struct weir_log *log, int *ret_fd"
        lines = GOOD.splitlines()
        for number in range(2, len(lines)):
            broken = "\n".join(lines[:number] + lines[number + 1:])
            self.assertTrue(list(lint_api_comments.judge(broken, parameters)), lines[number])
        moved = GOOD.replace("Threads: any", "Durability: any").replace(
            "Durability: none", "Threads: none")
        self.assertTrue(list(lint_api_comments.judge(moved, parameters)))
        nothing_said = GOOD.replace("Opens a cursor.", "")
        self.assertTrue(list(lint_api_comments.judge(nothing_said, parameters)))

    def test_names_of_all_kinds_of_parameters(self):
        names = lint_api_comments.parameter_names
        self.assertEqual(names("void"), [])
        self.assertEqual(names("const uint8_t uuid[16], int (*call)(void *, int), void *self"),
                         ["uuid", "call", "self"])


if __name__ == "__main__":
    unittest.main()
