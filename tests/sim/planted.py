#!/usr/bin/env python3
"""The simulator is itself tested: every planted bug (planted.h) must be found by the checker within
a thousand seeds, and without any bug the same seeds are clean.

usage: planted.py TRIREME-SIM-PLANTED [--seeds N] [--only NUMBER]
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

# The engine's own invariants stay out of it: the checker has to see the bug from outside.
UNCHECKED = ["--check", str(10**9)]


def live(program, bug, seeds):
    """Live through the worlds 1 to `seeds` until one goes wrong."""
    begun = time.monotonic()
    run = subprocess.run(
        [program, "--planted", str(bug), "--seeds", str(seeds), "--twice", "--hostile"] + UNCHECKED,
        capture_output=True, text=True)
    return run, time.monotonic() - begun


def read_list(program):
    text = subprocess.run([program, "--bugs"], capture_output=True, text=True, check=True).stdout
    bugs = [line.split(" ", 4) for line in text.splitlines()]
    return [(int(number), name, path, int(guarantee), words)
            for number, name, path, guarantee, words in bugs if number != "0"]


def judge(bug, run, seconds):
    """Seed and line of the story, or None and what is wrong."""
    number, name, path, guarantee, words = bug
    found = re.search(r"^seed (\d+), at .*", run.stderr, re.M)
    if run.returncode == 1 and found:
        print(f"{number:2} {name}: {words} (guarantee {guarantee}; {path})\n"
              f"   {found[0]} [{seconds:.1f} s]")
        return int(found[1])
    print(f"{number:2} {name}: NOT FOUND, status {run.returncode}\n{run.stderr[-500:]}")
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--only", type=int)
    options = parser.parse_args()
    begun = time.monotonic()
    bugs = read_list(options.program)
    assert [bug[0] for bug in bugs] == list(range(1, len(bugs) + 1)), "they are numbered from 1"
    assert {bug[3] for bug in bugs} == set(range(1, 15)), "every guarantee is broken by one"
    if options.only:
        bugs = [bug for bug in bugs if bug[0] == options.only]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = pool.map(lambda bug: live(options.program, bug[0], options.seeds), bugs)
        seeds = [judge(bug, *run) for bug, run in zip(bugs, runs)]
    found = [seed for seed in seeds if seed is not None]
    control, _ = live(options.program, 0, max(found, default=options.seeds))
    clean = control.returncode == 0
    print(f"planted: {len(found)} of {len(bugs)} bugs found by seed {max(found, default=0)}; "
          f"without them these seeds are {'clean' if clean else 'NOT CLEAN'}; "
          f"{time.monotonic() - begun:.1f} s")
    if not clean:
        print(control.stderr[-2000:])
    sys.exit(0 if clean and len(found) == len(bugs) else 1)


main()
