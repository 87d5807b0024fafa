#!/usr/bin/env python3
"""Check that docs/RUNBOOK.md lists the events that the daemons log, each with its level:
runbook_doc.py ROOT."""
import glob
import os
import re
import sys

EVENT = r"[a-z]+\.[a-z]+"
# The shell's table of levels for what the pure parts below it trace; debug for what is not there.
PARTS = {"Broker": ("broker", "broker/trace.c", ("broker/engine",)),
         "Worker": ("worker", "worker/shell.c", ("worker/session",))}


def sources(root, folder):
    for path in sorted(glob.glob(os.path.join(root, folder, "**", "*.c"), recursive=True)):
        with open(path, encoding="utf-8") as file:
            yield re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)


def code_events(root, folder, table, pure):
    """{event: its levels}"""
    events, told = {}, set()
    for text in sources(root, folder):
        for level, names in re.findall(rf"tri_log\(TRI_LOG_(\w+),([^;]*?{EVENT}\"[^;]*?),", text):
            for event in re.findall(rf'"({EVENT})"', names):
                events.setdefault(event, set()).add(level.lower())
    for part in pure:
        for text in sources(root, part):
            told.update(re.findall(rf'"({EVENT}) [a-z_]+=', text))
            told.update(re.findall(rf'"({EVENT})"', " ".join(re.findall(r"out_trace\([^;]*;", text))))
    with open(os.path.join(root, table), encoding="utf-8") as file:
        ranks = dict(re.findall(rf'\{{ "({EVENT})", TRI_LOG_(\w+) \}}', file.read()))
    for event in told | set(ranks):
        events.setdefault(event, set()).add(ranks.get(event, "DEBUG").lower())
    return events, set(ranks) - told


def doc_events(text, section):
    match = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    events = {}
    for names, levels in re.findall(r"^\| (`[^|]*`) \| ([a-z, ]+?) \|", match.group(1), re.M):
        names, levels = re.findall(rf"`({EVENT})`", names), levels.split(", ")
        levels = levels * len(names) if len(levels) == 1 else levels
        for name, level in zip(names, levels, strict=True):
            events.setdefault(name, set()).add(level)
    return events


def main():
    root, wrong = sys.argv[1], []
    with open(os.path.join(root, "docs/RUNBOOK.md"), encoding="utf-8") as file:
        text = file.read()
    for section, (folder, table, pure) in PARTS.items():
        code, untold = code_events(root, folder, table, pure)
        doc = doc_events(text, section)
        if len(doc) < 20:
            wrong.append(f"{section}: only {len(doc)} events in the document")
        wrong += [f"{table}: nothing traces {event}" for event in sorted(untold)]
        wrong += [f"{section}: {event} is {sorted(code.get(event, {'never logged'}))} in the code,"
                  f" {sorted(doc.get(event, {'absent'}))} in the document"
                  for event in sorted(set(code) | set(doc)) if code.get(event) != doc.get(event)]
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
