#!/usr/bin/env python3
"""The simulator is itself tested: every planted bug (planted.h) must be found by the checker within
a thousand seeds, what is printed as the replay shows it again, and without any bug the same seeds
are clean.

usage: planted.py TRIREME-SIM-PLANTED [--seeds N] [--only NUMBER]
"""
import argparse
import concurrent.futures
import os
import re
import shlex
import subprocess
import sys
import time

# The engine's own invariants stay out of it: the checker has to see the bug from outside.
UNCHECKED = ["--check", str(10**9)]


def world_of(path):
    """Bugs of the store, and of what becomes of what it has lost, need the store that ships."""
    needs_disk = path.startswith("broker/store/") or path == "broker/engine/load.c"
    return ("--rough", "--disk" if needs_disk else "--hostile")


def live(program, bug, seeds, world):
    """Live through the worlds 1 to `seeds` until one goes wrong."""
    begun = time.monotonic()
    run = subprocess.run(
        [program, "--planted", str(bug), "--seeds", str(seeds), "--twice", *world] + UNCHECKED,
        capture_output=True, text=True)
    return run, time.monotonic() - begun


def read_list(program):
    text = subprocess.run([program, "--bugs"], capture_output=True, text=True, check=True).stdout
    bugs = [line.split(" ", 4) for line in text.splitlines()]
    return [(int(number), name, path, int(guarantee), words)
            for number, name, path, guarantee, words in bugs if number != "0"]


def verdict(run):
    """The line that says what went wrong in which world."""
    return re.search(r"^seed (\d+), at .*", run.stderr, re.M)


def replays(program, run, exactly):
    """What is printed as the replay goes wrong in the same way, line by line."""
    line = re.search(r"^replay: (.*)", run.stderr, re.M)
    command = shlex.split(line[1]) if line else [""]
    if command[0] != os.path.basename(program):
        return False
    again = subprocess.run([program] + command[1:], stdout=subprocess.DEVNULL,
                           stderr=subprocess.PIPE, text=True)
    return again.returncode == 1 and (not exactly or again.stderr == run.stderr)


def check_replays(program):
    """Worlds of every kind, with a bug that is found soon."""
    for options in (["--memory"], ["--hostile"], ["--memory", "--hostile", "--twice"], ["--disk"],
                    ["--rough"], ["--disk", "--rough"], []):
        run = subprocess.run([program, "--planted", "11", "--seeds", "1000"] + UNCHECKED + options,
                             capture_output=True, text=True)
        if run.returncode != 1 or not replays(program, run, True):
            print(f"planted: NOT THE SAME AGAIN with {options}\n{run.stderr[-500:]}")
            return False
    return True


def judge(program, bug, run, seconds):
    """Seed and line of the story, or None and what is wrong."""
    number, name, path, guarantee, words = bug
    found = verdict(run)
    exactly = name != "CHANCE"  # its chance depends on the worlds before
    if run.returncode == 1 and found and not replays(program, run, exactly):
        print(f"{number:2} {name}: NOT THE SAME AGAIN\n{run.stderr[-500:]}")
    elif run.returncode == 1 and found:
        print(f"{number:2} {name}: {words} (guarantee {guarantee}; {path})\n"
              f"   {found[0]} [{seconds:.1f} s]")
        return int(found[1])
    else:
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
        runs = pool.map(lambda bug: live(options.program, bug[0], options.seeds,
                                         world_of(bug[2])), bugs)
        seeds = [judge(options.program, bug, *run) for bug, run in zip(bugs, runs)]
    found = [seed for seed in seeds if seed is not None]
    clean = True
    for world in sorted({world_of(bug[2]) for bug in bugs}):
        last = max((seed for seed, bug in zip(seeds, bugs)
                    if seed is not None and world_of(bug[2]) == world), default=options.seeds)
        control, _ = live(options.program, 0, last, world)
        if control.returncode != 0:
            clean = False
            print(control.stderr[-2000:])
    same = check_replays(options.program)
    print(f"planted: {len(found)} of {len(bugs)} bugs found by seed {max(found, default=0)}; "
          f"without them these seeds are {'clean' if clean else 'NOT CLEAN'}; "
          f"{time.monotonic() - begun:.1f} s")
    sys.exit(0 if clean and same and len(found) == len(bugs) else 1)


main()
