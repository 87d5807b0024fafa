#!/usr/bin/env python3
"""Check that the tables of states in docs/spec/2-lifecycle.md are those of lifecycle.h:
lifecycle_doc.py ROOT."""
import os
import re
import sys

SECTIONS = {"Batches": "BATCH", "Tasks": "TASK", "Leases": "LEASE", "Berths": "BERTH",
            "Sessions": "SESSION"}
PREFIX = re.compile(r"^(TRI_)?(BATCH|TASK|LEASE|BERTH|SESSION)_")


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def code_table(source, name):
    match = re.search(rf"#define LIFE_{name}_MAP\(X\)(.*)", source)
    rows = re.findall(r"\bX\((\w+),((?:[^()]|\([^()]*\))*)\)", match.group(1)) if match else []
    return [(PREFIX.sub("", state), [PREFIX.sub("", to) for to in re.findall(r"LIFE_TO\((\w+)\)", ways)])
            for state, ways in rows]


def doc_table(text, section):
    match = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.M | re.S)
    rows = re.findall(r"^\| ([A-Z]+) \| ([A-Z -]+) \|$", match.group(1), re.M) if match else []
    return [(state, [] if ways == "-" else ways.split()) for state, ways in rows]


def main():
    root = sys.argv[1]
    source = re.sub(r"/\*.*?\*/", "", read(root, "broker/engine/lifecycle.h"), flags=re.S)
    source = source.replace("\\\n", " ")
    text = read(root, "docs/spec/2-lifecycle.md")
    failed = False
    for section, name in SECTIONS.items():
        code, doc = code_table(source, name), doc_table(text, section)
        if not code or code != doc:
            failed = True
            print(f"{section}: the code says {code}, the document {doc}")
    return failed


sys.exit(main())
