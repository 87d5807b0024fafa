"""The man page of a daemon names every option of its --help, with the same default.

Usage: test_man.py PROGRAM PAGE.scd
"""

import re
import subprocess
import sys


def entries(text):
    """{option: help text on one line}"""
    found = {}
    for block in re.split(r"\n(?=  --)", text):
        match = re.match(r"  --([a-z-]+)", block)
        if match:
            found[match.group(1)] = " ".join(block.split("\n\n")[0].split())
    return found


def main(program, page):
    shown = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    with open(page) as f:
        paragraphs = re.split(r"\n(?=\*--)", f.read())
    wrong = []
    options = entries(shown)
    if len(options) < 15:
        wrong.append(f"only {len(options)} options in --help")
    for option, text in options.items():
        told = [p.split("\n\n")[0] for p in paragraphs if f"*--{option}*" in p.split("\n")[0]]
        if len(told) != 1:
            wrong.append(f"--{option} has {len(told)} paragraphs")
            continue
        default = re.search(r"\(([0-9][0-9A-Za-z]*|info|broker)[,)]", text)
        if default and not re.search(rf"\((.*, )?{default.group(1)}(, .*)?\)", told[0]):
            wrong.append(f"--{option}: the default is {default.group(1)}")
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
