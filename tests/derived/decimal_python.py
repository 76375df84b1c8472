#!/usr/bin/env python3
"""Exact decimals, compared with Python's JSON grammar and its fractions.

usage: decimal_python.py LIBRARY
"""

import ctypes
import errno
import fractions
import json
import random
import sys
import unittest

BILLION = 10 ** 9
LIMIT = 10 ** 27  # units
EXPONENT_MAX = 5000  # of those that Python is asked about


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]


class Decimal(ctypes.Structure):
    _fields_ = [("high", ctypes.c_int64), ("low", ctypes.c_uint64)]


LIBRARY = ctypes.CDLL(sys.argv.pop(1))
LIBRARY.weir_decimal_parse.argtypes = [Bytes, ctypes.POINTER(Decimal)]
LIBRARY.weir_decimal_format.argtypes = [Decimal, ctypes.c_char_p]
LIBRARY.weir_decimal_format.restype = ctypes.c_size_t


def parse(text):
    """Units, or a negative error."""
    decimal = Decimal()
    data = text.encode()
    code = LIBRARY.weir_decimal_parse(Bytes(data, len(data)), ctypes.byref(decimal))
    return code if code < 0 else ("units", decimal.high * 2 ** 64 + decimal.low)


def write(units):
    room = ctypes.create_string_buffer(64)
    length = LIBRARY.weir_decimal_format(Decimal(units >> 64, units & (2 ** 64 - 1)), room)
    return room.raw[:length].decode()


def refuse(name):
    raise ValueError(name)


def expected(text):
    """What parse() should say, by Python."""
    if text != text.strip():
        return -errno.EINVAL
    try:
        value = json.loads(text, parse_int=fractions.Fraction, parse_float=fractions.Fraction,
                           parse_constant=refuse)
    except ValueError:
        return -errno.EINVAL
    if not isinstance(value, fractions.Fraction):
        return -errno.EINVAL
    units = value * BILLION
    if units.denominator != 1 or abs(units) >= LIMIT:
        return -errno.ERANGE
    return ("units", int(units))


def random_text(chooser):
    kind = chooser.randrange(4)
    if kind == 0:
        return "".join(chooser.choice("0019.eE+-") for _ in range(chooser.randrange(8)))
    digits = "".join(chooser.choice("0123456789") for _ in range(chooser.randrange(1, 24)))
    text = chooser.choice(["", "-"]) + chooser.choice([digits.lstrip("0") or "0", "0", digits])
    if chooser.randrange(2):
        text += "." + "".join(chooser.choice("0005") for _ in range(chooser.randrange(1, 14)))
    if kind == 1:
        text += chooser.choice("eE") + str(chooser.randrange(-40, 40))
    if kind == 2 and chooser.randrange(8) == 0:
        text += "e" + str(chooser.choice([-EXPONENT_MAX, EXPONENT_MAX]))
    return text


class AgainstPython(unittest.TestCase):
    def test_random_texts_are_the_numbers_that_python_reads(self):
        chooser = random.Random(5)
        seen = {}
        for _ in range(30000):
            text = random_text(chooser)
            answer = parse(text)
            self.assertEqual(answer, expected(text), text)
            kind = answer if isinstance(answer, int) else 0
            seen[kind] = seen.get(kind, 0) + 1
        for kind in (0, -errno.EINVAL, -errno.ERANGE):
            self.assertGreater(seen[kind], 1500, seen)

    def test_any_number_of_128_bits_is_written_exactly_and_as_short_as_can_be(self):
        chooser = random.Random(6)
        for _ in range(10000):
            units = chooser.randrange(-2 ** 127, 2 ** 127) >> chooser.randrange(128)
            text = write(units)
            self.assertEqual(fractions.Fraction(text) * BILLION, units, text)
            self.assertFalse("." in text and text.endswith(("0", ".")), text)
            self.assertNotRegex(text, r"^-?0\d")
            if abs(units) < LIMIT:
                self.assertEqual(parse(text), ("units", units), text)


if __name__ == "__main__":
    unittest.main()
