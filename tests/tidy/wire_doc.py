#!/usr/bin/env python3
"""Check that docs/spec/1-wire.md says what the code does: wire_doc.py ROOT.

The tables of messages, records, statuses and named numbers must be those of common/proto and
common/include/trireme/status.h, in the same order, with the same limits; the example session must
be tests/vectors/text/session.txt.

The shapes of a protocol version are frozen: tests/tidy/shapes_VERSION has a digest of each table that
goes over the network, and one that differs needs a new version. `wire_doc.py ROOT --freeze` writes
the file of a new version, and adds new types to one that is there.
"""
import hashlib
import os
import re
import sys

LIMITS = {"INT64_MAX": "2^63-1", "UINT32_MAX": "2^32-1"}
TABLES = ["client_table.h", "record_table.h", "worker_table.h", "message.h"]
faults = []


def fault(text):
    faults.append(text)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def without_comments(source):
    return re.sub(r"/\*.*?\*/", "", source, flags=re.S).replace("\\\n", " ")


# ---- the code ------------------------------------------------------------------------------------


def code_fields(source, kind, name):
    match = re.search(rf"#define TRI_{kind}_{name}\(U, I, S, B, R, L\)(.*)", source)
    if match is None:
        fault(f"common/proto: no table TRI_{kind}_{name}")
        return []
    fields = []
    for letter, text in re.findall(r"\b([UISBRL])\(([^)]*)\)", match.group(1)):
        words = [word.strip() for word in text.split(",")]
        record = " " + words[1].upper() if letter == "L" else ""
        limit = "" if letter == "I" else LIMITS.get(words[-1], words[-1])
        fields.append((words[0], letter + record, limit))
    return fields


def code_map(source, name, pattern):
    match = re.search(rf"#define {name}\(X\)(.*)", source)
    return re.findall(pattern, match.group(1)) if match else []


def code_tables(root):
    source = without_comments("\n".join(read(root, "common/proto/" + name) for name in TABLES))
    tables = {}
    for name, number, _ in code_map(source, "TRI_MESSAGE_MAP", r"X\((\w+), (\d+), (\w+)\)"):
        tables[f"{name} ({number})"] = code_fields(source, "MSG", name)
    for name, _ in code_map(source, "TRI_RECORD_MAP", r"X\((\w+), (\w+)\)"):
        tables[f"Record {name}"] = code_fields(source, "REC", name)
    return tables


def code_statuses(root):
    source = without_comments(read(root, "common/include/trireme/status.h"))
    return [(number, name, text) for name, number, text in
            code_map(source, "TRI_STATUS_MAP", r'X\((\w+), (\d+), "([^"]*)"\)')]


def code_numbers(root):
    """Rows of the table "Numbers with names" that have a table in the code."""
    rows = {}
    for row, path, name in [("state of a batch", "common/proto/message.h", "TRI_BATCH_STATE_MAP"),
                            ("outcome", "common/types.h", "TRI_OUTCOME_MAP"),
                            ("model", "common/types.h", "TRI_MODEL_MAP"),
                            ("argument", "common/include/trireme/value.h", "TRI_TYPE_MAP")]:
        source = without_comments(read(root, path))
        rows[row] = ", ".join(f"{number} {text}" for number, text in
                              code_map(source, name, r'X\(\w+, (\d+), "([^"]*)"\)'))
    source = without_comments(read(root, "common/proto/message.h"))
    for row, name, lower in [("role", "role", True), ("source", "source", True),
                             ("kind of ROW", "row_kind", False), ("halt", "halt", True)]:
        body = re.search(rf"enum tri_{name} {{(.*?)}}", source, flags=re.S).group(1)
        words = re.findall(r"TRI_[A-Z]+_(\w+) = (\d+)", body)
        rows[row] = ", ".join(f"{number} {word.lower() if lower else word}"
                              for word, number in words)
    return rows


# ---- what is frozen ---


def shapes(tables):
    """Heading to digest of what peers of other builds must agree on."""
    inside_a_worker = re.compile(r" \(6[0-9]\)$")
    return {heading: hashlib.sha256(repr(fields).encode()).hexdigest()[:16]
            for heading, fields in tables.items() if not inside_a_worker.search(heading)}


def compare_shapes(root, tables, freeze):
    version = re.search(r"#define TRI_PROTOCOL_VERSION (\d+)",
                        read(root, "common/proto/message.h")).group(1)
    path = os.path.join(root, "tests/tidy/shapes_" + version)
    now, frozen = shapes(tables), {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            frozen = dict(line.rstrip("\n").rsplit(" ", 1) for line in file)
    for heading, digest in frozen.items():
        if now.get(heading) != digest:
            fault(f"{heading}: has another shape than in version {version} of the protocol; peers "
                  "of that version cannot read it: raise TRI_PROTOCOL_VERSION, then --freeze")
    missing = [heading for heading in now if heading not in frozen]
    if freeze and not faults:
        with open(path, "a", encoding="utf-8") as file:
            file.writelines(f"{heading} {now[heading]}\n" for heading in missing)
    elif missing:
        fault(f"{', '.join(missing)}: not frozen yet for version {version}: --freeze")


# ---- the document --------------------------------------------------------------------------------


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def doc_sections(text):
    """Heading to the rows of its first table, without the two lines that begin it."""
    sections = {}
    heading = None
    for line in text.split("\n"):
        if line.startswith("#"):
            heading = line.lstrip("#").strip()
            sections[heading] = []
        elif line.startswith("|") and heading is not None:
            sections[heading].append(cells(line))
    return {heading: rows[2:] for heading, rows in sections.items()}


def doc_example(text):
    body = text.split("\n## A worked example\n", 1)[1].split("\n## ", 1)[0]
    lines = body.split("\n")
    kept = [line[4:] if line.startswith("    ") else "" for line in lines
            if line == "" or line.startswith("    ")]
    return re.sub(r"\n\n+", "\n\n", "\n".join(kept)).strip("\n")


def compare_tables(wanted, sections):
    named = [heading for heading in sections
             if heading.startswith("Record ") or re.fullmatch(r"[A-Z_]+ \(\d+\)", heading)]
    for heading in named:
        if heading not in wanted:
            fault(f"{heading}: documented, but not in the code")
    for heading, fields in wanted.items():
        if heading not in sections:
            fault(f"{heading}: not documented")
            continue
        rows = [tuple(row[:3]) for row in sections[heading]]
        if rows == fields:
            continue
        for got, want in zip(rows, fields):
            if got != want:
                fault(f"{heading}: documented {got}, code {want}")
        if len(rows) != len(fields):
            fault(f"{heading}: {len(rows)} fields documented, {len(fields)} in the code")


def main():
    root = sys.argv[1]
    text = read(root, "docs/spec/1-wire.md")
    sections = doc_sections(text)
    tables = code_tables(root)
    compare_tables(tables, sections)
    compare_shapes(root, tables, "--freeze" in sys.argv)
    if [tuple(row) for row in sections.get("Status", [])] != code_statuses(root):
        fault("Status: not the table of status.h")
    documented = {row[0]: row[1] for row in sections.get("Numbers with names", [])}
    for row, numbers in code_numbers(root).items():
        if documented.get(row) != numbers:
            fault(f"Numbers with names: {row}: documented {documented.get(row)}, code {numbers}")
    if doc_example(text) != read(root, "tests/vectors/text/session.txt").strip("\n"):
        fault("A worked example: not tests/vectors/text/session.txt")
    for text in faults:
        print(f"docs/spec/1-wire.md: {text}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
