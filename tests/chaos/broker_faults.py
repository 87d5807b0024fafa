"""The broker killed, its machine's power cut, its disk full: all on a store that is on a disk."""

import json
import os
import random
import re
import signal
import subprocess
import tempfile
import threading
import time

import trireme
from disks import Cuttable, Growing, unsynced
from lab import Lab
from record import HUNG_S, Load, arguments, as_lines


class Submitter(threading.Thread):
    """Submits batches one after another and remembers those whose number it was told."""

    def __init__(self, lab, dice, count=150):
        super().__init__(daemon=True)
        self.lab, self.dice, self.count = lab, dice, count
        self.stopping = threading.Event()
        self.accepted = {}  # number: arguments
        self.refused = []   # what was said instead
        self.start()

    def run(self):
        while not self.stopping.is_set():
            given = arguments(self.count, 0.01, self.dice)
            cli = self.lab.start("submit", "--fn", "sleep", "--model", "thread",
                                 "--connect-timeout", "30s", stdin=subprocess.PIPE)
            out, err = cli.communicate(as_lines(given))
            if cli.returncode == 0:
                self.accepted[int(out)] = given
            else:
                self.refused.append(err.decode(errors="replace").strip())
            time.sleep(self.dice.uniform(0, 0.4))  # the rest of the work has its turn

    def finish(self):
        self.stopping.set()
        self.join(HUNG_S)
        if self.is_alive():
            raise AssertionError("a submit never ended")

    def check(self, tally):
        """Every accepted batch ends, with the result of every task, and shows the same twice."""
        for number, given in self.accepted.items():
            cli = self.lab.start("wait", number, "--wait-timeout", f"{HUNG_S:.0f}s")
            _, err = cli.communicate()
            if cli.returncode == 75:
                tally.hang(f"batch {number}")
                continue
            cli = self.lab.start("results", number, "-o", "jsonl")
            out, more = cli.communicate()
            if cli.returncode != 0:
                print(f"batch {number}: {err.decode()} {more.decode()}")
            tally.check(given, out.splitlines(), f"batch {number}")


class Durable(Lab):
    """A lab whose broker keeps its batches in `folder`, and can be started there again."""

    def __init__(self, folder, env=None):
        self.folder = folder
        super().__init__(env=env, broker_args=("--store", os.path.join(folder, "store")))

    def kill_broker(self):
        self.broker.kill()
        self.broker.process.wait()
        self.fault_happened()

    def with_leases(self, patience=20):
        trireme.wait_until(lambda: any(w["leases"] for w in self.list_workers()),
                           "work is in flight", patience)


def with_load(lab, tally, dice, act, submitting=True):
    """Workers and clients around `act`; then everything that was acknowledged is asked for."""
    try:
        for number in (1, 2):
            lab.start_worker(number)
        clients = [Load(lab, tally, random.Random(dice.random()), model, ("--model", model),
                        count=600) for model in ("thread", "async")]
        submitter = Submitter(lab, random.Random(dice.random())) if submitting else None
        act(submitter)
        for client in clients:
            client.finish()
        if submitter:
            submitter.finish()
            submitter.check(tally)
        return True
    except BaseException:
        print(lab.show_logs())
        raise
    finally:
        lab.close()


def kills(tally, dice, count):
    with tempfile.TemporaryDirectory(prefix="trireme-store-") as folder:
        lab = Durable(folder)

        def act(_):
            for _ in range(count):
                time.sleep(dice.uniform(0.05, 0.5))
                lab.with_leases()
                time.sleep(dice.uniform(0, 0.05))
                lab.kill_broker()
                tally.fault("brokers killed")
                time.sleep(dice.choice((0, dice.uniform(0, 1))))
                lab.start_broker()
        return with_load(lab, tally, dice, act)


def cuts(tally, dice, count):
    """The control comes first: the same cut under a disk that lies about syncing must lose what was
    acknowledged, or the cut proves nothing."""
    if os.geteuid() != 0:
        print("power cuts need root for a disk of their own: skipped")
        return False
    lost = control(dice)
    if lost == 0:
        raise AssertionError("the control lost nothing: a cut proves nothing here")
    print(f"power-cuts: the control, whose disk does not sync, lost {lost} acknowledged batches")
    with Cuttable() as disk:
        lab = Durable(disk.folder)

        def act(_):
            for _ in range(count):
                time.sleep(dice.uniform(0.2, 0.8))
                lab.with_leases()
                cut(lab, disk)
                tally.fault("power cuts")
                lab.start_broker()
        return with_load(lab, tally, dice, act)


def cut(lab, disk):
    lab.broker.kill(signal.SIGSTOP)
    disk.cut()
    lab.kill_broker()
    disk.power_off()
    disk.power_on()


def control(dice):
    """Acknowledged batches that are gone after a cut under a disk that does not sync."""
    with Cuttable() as disk, unsynced() as env:
        lab = Durable(disk.folder, env=env)
        try:
            submitter = Submitter(lab, dice)
            trireme.wait_until(lambda: len(submitter.accepted) >= 3, "three batches")
            cut(lab, disk)
            lab.start_broker()
            submitter.finish()
            there = {b["number"]: b["count"]
                     for b in json.loads(lab.run("list", "-o", "json"))["batches"]}
            return sum(there.get(number) != len(given)
                       for number, given in submitter.accepted.items())
        except BaseException:
            print(lab.show_logs())
            raise
        finally:
            lab.close()


def fill(lab, patience=HUNG_S):
    """Submit large batches until one is refused for want of room: their numbers, and the word."""
    numbers, end = [], time.monotonic() + patience
    item = b"x" * 20000 + b"\n"
    while time.monotonic() < end:
        cli = lab.start("submit", "--fn", "echo", "--connect-timeout", "5s",
                        stdin=subprocess.PIPE)
        try:
            out, err = cli.communicate(item * 20, timeout=10)
        except subprocess.TimeoutExpired:
            cli.kill()
            return numbers, cli.communicate()[1].decode(errors="replace")
        if cli.returncode != 0:
            return numbers, err.decode(errors="replace")
        numbers.append(int(out))
    raise AssertionError("the disk never filled")


def full_disks(tally, dice, count):
    if os.geteuid() != 0:
        print("full disks need root for a disk of their own: skipped")
        return False
    with Growing() as disk:
        lab = Durable(disk.folder)

        def act(submitter):
            for _ in range(count):
                numbers, said = fill(lab)
                if not re.search("full|space|room", said):
                    raise AssertionError(f"a full disk is not said by name: {said!r}")
                tally.fault("disks full and back")
                lab.fault_happened()
                time.sleep(dice.uniform(0.2, 1))
                disk.grow()
                before = len(submitter.accepted)
                trireme.wait_until(lambda: len(submitter.accepted) > before,
                                   "batches are accepted again", 30)
                for number in numbers:
                    lab.run("wait", number)
                    lab.run("forget", number)
                lab.fault_happened()
        return with_load(lab, tally, dice, act)
