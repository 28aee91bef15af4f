"""Copies a GGUF file with a chat template in its metadata. Usage: chat_template.py FROM TEMPLATE TO"""

import pathlib
import struct
import sys

KEY = b"tokenizer.chat_template"
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
STRING, ARRAY = 8, 9

source, template, target = (pathlib.Path(argument) for argument in sys.argv[1:])
data = source.read_bytes()
magic, version, tensors, pairs = struct.unpack_from("<4sIQQ", data)
assert (magic, version) == (b"GGUF", 3), (magic, version)


def string(at):
    return at + 8 + struct.unpack_from("<Q", data, at)[0]


def value(kind, at):
    """Returns the offset after a value of that kind."""
    if kind == STRING:
        return string(at)
    if kind == ARRAY:
        kind, count = struct.unpack_from("<IQ", data, at)
        at += 12
        if kind in SIZES:
            return at + count * SIZES[kind]
        for _ in range(count):
            at = value(kind, at)
        return at
    return at + SIZES[kind]


def padded(length, alignment=32):
    return -length % alignment


at = first = struct.calcsize("<4sIQQ")
for _ in range(pairs):
    key, at = data[at + 8 : string(at)], string(at)
    assert key not in (KEY, b"general.alignment"), key
    at = value(struct.unpack_from("<I", data, at)[0], at + 4)
last = at
for _ in range(tensors):
    at = string(at)
    dimensions = struct.unpack_from("<I", data, at)[0]
    at += 4 + 8 * dimensions + 4 + 8

text = template.read_bytes().rstrip(b"\n")
pair = struct.pack("<Q", len(KEY)) + KEY + struct.pack("<IQ", STRING, len(text)) + text
head = struct.pack("<4sIQQ", magic, version, tensors, pairs + 1) + data[first:last] + pair + data[last:at]
# The offsets of tensors count from the end of the padding.
target.write_bytes(head + bytes(padded(len(head))) + data[at + padded(at) :])
