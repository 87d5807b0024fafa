#!/usr/bin/env python3
"""Check the vectors: verify.py FOLDER [PROGRAM].

Every frame is decoded here, with nothing but this file and docs/spec/1-wire.md, and compared with
the fields beside it. With PROGRAM, which is write_vectors, the files must also be the same, byte
for byte, as those that it makes now.
"""
import json
import os
import struct
import subprocess
import sys
import tempfile

DEPTH_MAX = 16


def fail(text):
    sys.exit(f"verify.py: {text}")


class Reader:
    """Just enough msgpack: text as str (Latin-1), binary as bytes."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise ValueError("the bytes end")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def value(self, depth=1):
        lead = self.take(1)[0]
        if lead < 0x80:
            return lead
        if lead >= 0xE0:
            return lead - 256
        if lead < 0x90:
            return self.map(lead & 15, depth)
        if lead < 0xA0:
            return self.array(lead & 15, depth)
        if lead < 0xC0:
            return self.text(lead & 31)
        numbers = {0xCA: "f", 0xCB: "d", 0xCC: "B", 0xCD: "H", 0xCE: "I", 0xCF: "Q", 0xD0: "b",
                   0xD1: "h", 0xD2: "i", 0xD3: "q"}
        if lead in numbers:
            return self.number(numbers[lead])
        constants = {0xC0: None, 0xC2: False, 0xC3: True}
        if lead in constants:
            return constants[lead]
        sized = {0xC4: ("B", self.take), 0xC5: ("H", self.take), 0xC6: ("I", self.take),
                 0xD9: ("B", self.text), 0xDA: ("H", self.text), 0xDB: ("I", self.text)}
        if lead in sized:
            form, read = sized[lead]
            return read(self.number(form))
        nested = {0xDC: ("H", self.array), 0xDD: ("I", self.array), 0xDE: ("H", self.map),
                  0xDF: ("I", self.map)}
        if lead in nested:
            form, read = nested[lead]
            return read(self.number(form), depth)
        raise ValueError(f"lead byte {lead:02x}")

    def text(self, size):
        return self.take(size).decode("latin-1")

    def array(self, count, depth):
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        return [self.value(depth + 1) for _ in range(count)]

    def map(self, count, depth):
        if depth > DEPTH_MAX:
            raise ValueError("too deep")
        return {self.value(depth + 1): self.value(depth + 1) for _ in range(count)}


def same(got, want):
    """Compare a decoded value with one from a file."""
    if isinstance(got, bytes) and isinstance(want, str) and want.startswith("hex:"):
        return got.hex() == want[4:]
    if isinstance(got, bytes) and isinstance(want, list):
        pairs = [list(pair) for pair in struct.iter_unpack("<QQ", got)]
        return pairs == want
    if isinstance(got, list) and isinstance(want, list):
        return len(got) == len(want) and all(
            len(record) == len(fields) and all(map(same, record, fields.values()))
            for record, fields in zip(got, want))
    return type(got) is type(want) and got == want


def check_fields(where, got, fields):
    """`got` is the array without the type; one map may follow the fields."""
    extra = got[len(fields):]
    if len(got) < len(fields) or len(extra) > 1 or (extra and not isinstance(extra[0], dict)):
        fail(f"{where}: {len(got)} fields, {len(fields)} expected")
    for value, (name, want) in zip(got, fields.items()):
        if not same(value, want):
            fail(f"{where}: {name} is {value!r}, not {want!r}")


def chunk_values(data, count):
    """Offsets and blob."""
    offsets = struct.unpack_from(f"<{count + 1}I", data)
    blob = data[4 * (count + 1):]
    if offsets[0] != 0 or offsets[-1] != len(blob) or list(offsets) != sorted(set(offsets)):
        raise ValueError("offsets")
    return [blob[low:high] for low, high in zip(offsets, offsets[1:])]


def check_case(where, kind, code, frame, fields):
    reader = Reader(frame)
    got = reader.value()
    rest = frame[reader.at:]
    if kind == "message":
        if got[0] != code:
            fail(f"{where}: type {got[0]}, not {code}")
        got = got[1:]
    if kind == "chunk":
        values = fields.pop("values")
        if [value.hex() for value in chunk_values(rest, fields["count"])] != [
                value[4:] for value in values]:
            fail(f"{where}: other values")
    elif rest:
        fail(f"{where}: {len(rest)} bytes left")
    check_fields(where, got, fields)


def blocks(path):
    with open(path, encoding="ascii") as file:
        for block in file.read().split("\n\n"):
            yield block.strip("\n").split("\n")


def check_file(path):
    parts = blocks(path)
    kind, _, *code = next(parts)[0].split(" ")
    cases = 0
    for block in parts:
        where = f"{os.path.basename(path)}: {block[0]}"
        frame = bytes.fromhex(block[1].split(" ")[1])
        fields = {name: json.loads(value)
                  for name, value in (line.split(" = ", 1) for line in block[2:])}
        check_case(where, kind, int(code[0]) if code else None, frame, fields)
        cases += 1
    return cases


def check_session(path):
    for block in blocks(path):
        for line in block[1:]:
            number, data = line.split(": ")
            reader = Reader(bytes.fromhex(data))
            head = reader.value()
            rest = reader.data[reader.at:]
            if number == "0" and rest:
                fail(f"{path}: {block[0]}: bytes after frame 0")
            if number != "0":
                chunk_values(rest, head[1])


def check_refused(path):
    for block in blocks(path):
        keys = [line.split(" ")[0] for line in block]
        if keys != ["case", block[1].split(" ")[0], "status", "frame"]:
            fail(f"{path}: {block[0]}: {keys}")


def check_equal(stored, generated):
    names = [set(os.listdir(folder)) for folder in (stored, generated)]
    if names[0] != names[1]:
        fail(f"files on one side only: {sorted(names[0] ^ names[1])}")
    for name in sorted(names[0]):
        with open(os.path.join(stored, name), "rb") as one, \
                open(os.path.join(generated, name), "rb") as other:
            if one.read() != other.read():
                fail(f"{name} is not what write_vectors makes: the wire format has changed")


def main():
    stored = sys.argv[1]
    cases = 0
    for name in sorted(os.listdir(stored)):
        path = os.path.join(stored, name)
        if name == "session.txt":
            check_session(path)
        elif name == "refused.txt":
            check_refused(path)
        else:
            cases += check_file(path)
    if cases == 0:
        fail(f"no vectors in {stored}")
    if len(sys.argv) > 2:
        with tempfile.TemporaryDirectory() as generated:
            subprocess.run([sys.argv[2], "text", generated], check=True)
            check_equal(stored, generated)
    print(f"{cases} cases")


if __name__ == "__main__":
    main()
