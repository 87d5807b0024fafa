"""The power of the disk cut, and the disk full: both on a store that is in use."""

import json
import os
import signal
import tempfile
import time

import trireme
from broker_faults import PATIENT, Durable, with_load
from disks import Cuttable, Growing, unsynced
from record import HUNG_S, arguments, as_lines


def is_root(what):
    if os.geteuid() != 0:
        print(f"{what} need root for a disk of their own: skipped")
    return os.geteuid() == 0


# ---- power cuts -------------------------------------------------------------------------------

def cuts(tally, dice, count):
    """The control comes first: the same cut, with a store that does not sync its commits, must lose
    what was acknowledged, or the cut proves nothing."""
    if not is_root("power cuts"):
        return False
    lost = control(dice)
    if lost == 0:
        raise AssertionError("the control lost nothing: a cut proves nothing here")
    print(f"power-cuts: the control, with synchronous=NORMAL, lost {lost} acknowledged batches",
          flush=True)
    with Cuttable() as disk:
        lab = Durable(disk.folder)

        def act(_):
            for _ in range(count):
                time.sleep(dice.uniform(0.05, 0.5))
                lab.with_leases()
                time.sleep(dice.uniform(0, 0.05))
                cut(lab, disk)
                tally.fault("power cuts")
                lab.start_broker()
        return with_load(lab, tally, dice, act)


def cut(lab, disk):
    """The broker stands still while the power goes: nothing of it is written afterwards."""
    lab.broker.kill(signal.SIGSTOP)
    disk.cut()
    lab.kill_broker()
    disk.power_off()
    disk.power_on()


def control(dice):
    """Of some batches that were acknowledged just before the cut, how many are gone."""
    with Cuttable() as disk, unsynced() as env, tempfile.TemporaryFile() as given:
        lab = Durable(disk.folder, env=env)
        with lab:
            lab.start_worker(1)
            values = arguments(150, 0.01, dice)
            accepted = [submit(lab, given, as_lines(values)) for _ in range(4)]
            cut(lab, disk)
            lab.start_broker()
            there = {b["number"]: b["count"]
                     for b in json.loads(lab.run("list", "-o", "json"))["batches"]}
            return sum(there.get(number) != len(values) for number in accepted)


def submit(lab, file, lines):
    """Its number, once it is acknowledged."""
    cli = begin(lab, file, lines, "sleep")
    out, err = cli.communicate()
    if cli.returncode != 0:
        raise AssertionError(f"submit: status {cli.returncode}: {err.decode()}")
    return int(out)


def begin(lab, file, lines, handler, *options):
    """A client that submits what is in a file."""
    file.seek(0)
    file.truncate()
    file.write(lines)
    file.flush()
    file.seek(0)
    return lab.start("submit", "--fn", handler, *options, stdin=file)


# ---- full disks -------------------------------------------------------------------------------

# What others leave of the disk, and what a batch then wants of it, results not counted.
LEFT_BYTES, BATCH = (0, 1 << 20), (b"x" * 20000 + b"\n") * 20
FULL = "the disk of the broker's store is full"
WAITS = ("waits for room", "waits: the broker has")  # says the broker; its client


def waits(lines):
    return any(why in line.decode() for _, line in lines for why in WAITS)


class Filling:
    """Batches, until one finds no room: its client says so, and ends with status 75 or waits."""

    def __init__(self, lab):
        self.lab, self.numbers, self.waiting = lab, [], None
        with tempfile.TemporaryFile() as file:
            while self.one(file):
                if len(self.numbers) > 100:
                    raise AssertionError("the disk never filled")

    def one(self, file):
        cli = begin(self.lab, file, BATCH, "echo", "--connect-timeout", "5s")
        errors = trireme.Reader(cli.stderr)
        trireme.wait_until(lambda: waits(errors.lines) or cli.poll() is not None,
                           "it ends, or waits for room")
        if waits(errors.lines):
            self.waiting = cli
            return False
        status = cli.wait()
        errors.join()
        said = b"".join(line for _, line in errors.lines).decode()
        if status == 75 and FULL in said:
            return False
        if status != 0:
            raise AssertionError(f"submit on a full disk: status {status}: {said}")
        self.numbers.append(int(cli.stdout.read()))
        return True

    def finish(self):
        """There is room: who waited goes on by itself. All that was accepted ends, and may go."""
        if self.waiting is not None:
            status = self.waiting.wait(HUNG_S)
            if status != 0:
                raise AssertionError(f"who waited for room ended with status {status}")
            self.numbers.append(int(self.waiting.stdout.read()))
        for number in self.numbers:
            self.lab.run("wait", number, *PATIENT)
            self.lab.run("forget", number, *PATIENT)


def full_disks(tally, dice, count):
    if not is_root("full disks"):
        return False
    with Growing() as disk:
        lab = Durable(disk.folder)

        def act(submitter):
            for _ in range(count):
                disk.fill(dice.choice(LEFT_BYTES))
                filling = Filling(lab)
                for verb in ("list", "workers", "list", "workers"):
                    lab.run(verb, timeout=10)
                    time.sleep(dice.uniform(0, 0.2))
                tally.fault("clients waited for room" if filling.waiting else "clients refused")
                disk.grow()
                before = len(submitter.accepted)
                trireme.wait_until(lambda: len(submitter.accepted) > before,
                                   "batches are accepted again", 30)
                filling.finish()
                disk.shrink()
                tally.fault("disks full and back")
                lab.fault_happened()
        return with_load(lab, tally, dice, act)
