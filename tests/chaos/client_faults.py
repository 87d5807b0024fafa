"""Clients killed while they append and while they read."""

import json
import os
import signal
import subprocess
import time

import trireme
from lab import Lab
from record import HUNG_S, arguments, as_lines

TASKS = 600


def still_running(lab, number):
    """The batch as the broker tells it, or None when all of it is done."""
    batch = json.loads(lab.run("show", number, "-o", "json"))["batch"]
    return batch if batch["done"] < TASKS else None


def newest(lab):
    batches = json.loads(lab.run("list", "-o", "json"))["batches"]
    return max((b["number"] for b in batches), default=0)


def kill(cli):
    cli.kill()
    cli.wait()
    for stream in (cli.stdin, cli.stdout, cli.stderr):
        stream.close()


def kill_reader(lab, tally, dice):
    """`run --resume` is killed twice in the middle, and run again: its last output is whole."""
    given = arguments(TASKS, 0.02, dice)
    state = os.path.join(lab.directory.name, f"resume-{time.monotonic_ns()}")
    command = ["--fn", "sleep", "--resume", state, "-o", "jsonl", "--model", "thread"]
    for _ in range(2):
        before = newest(lab)
        cli = lab.start("run", *command, stdin=subprocess.PIPE)
        cli.stdin.write(as_lines(given))
        cli.stdin.close()
        number = trireme.wait_until(lambda: (newest(lab) > before) and newest(lab), "a batch")
        time.sleep(dice.uniform(0, 0.6))
        cli.send_signal(signal.SIGSTOP)
        if still_running(lab, number):
            tally.fault("reading clients killed")
        kill(cli)
    cli = lab.start("run", *command, stdin=subprocess.PIPE)
    out, err = cli.communicate(as_lines(given), timeout=HUNG_S)
    if cli.returncode != 0:
        print(f"run --resume: status {cli.returncode}: {err.decode(errors='replace')}")
    tally.check(given, out.splitlines(), "run --resume")


def kill_appender(lab, tally, dice):
    """`submit` is killed before its input ends: what the broker counts then is run, all of it."""
    given = arguments(TASKS, 0.02, dice)
    before = newest(lab)
    cli = lab.start("submit", "--fn", "sleep", "--model", "thread", stdin=subprocess.PIPE)
    sent = dice.randrange(1, TASKS)
    cli.stdin.write(as_lines(given[:sent]))
    cli.stdin.flush()
    number = trireme.wait_until(lambda: (newest(lab) > before) and newest(lab), "a batch")
    count = trireme.wait_until(
        lambda: json.loads(lab.run("show", number, "-o", "json"))["batch"]["count"], "an item")
    time.sleep(dice.uniform(0, 0.1))
    kill(cli)
    tally.fault("appending clients killed")
    lab.run("wait", number, "--wait-timeout", f"{HUNG_S:.0f}s")
    rows = lab.run("results", number, "-o", "jsonl").splitlines()
    # What was counted while the client lived is acknowledged; more may have been on its way.
    if not count <= len(rows) <= sent:
        raise AssertionError(f"{count} acknowledged, {sent} sent, but {len(rows)} came back")
    tally.check(given[:len(rows)], rows, "submit")


def kills(tally, dice, count):
    lab = Lab()
    with lab:
        for number in (1, 2):
            lab.start_worker(number)
        while sum(tally.faults.values()) < count:
            dice.choice((kill_reader, kill_appender))(lab, tally, dice)
        return True
