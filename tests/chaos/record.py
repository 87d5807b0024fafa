"""What was given and what was seen, kept by the test alone.

A batch is a list of arguments, each a different number that its task returns. Batch keeps every
line that a client printed, and says at the end what is lost, doubled or wrong. Nothing in here asks
Trireme about anything.
"""

import json
import subprocess
import sys
import threading
import time

import trireme

# A batch that has not ended this long after its last fault is hung.
HUNG_S = 60.0


class Tally:
    """The counts that a run prints and that decide whether it passed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = self.seen = self.lost = self.twice = self.wrong = self.hung = 0
        self.faults = {}

    def fault(self, kind):
        with self.lock:
            self.faults[kind] = self.faults.get(kind, 0) + 1

    def check(self, arguments, lines, who):
        """The jsonl `lines` against the arguments that were acknowledged, index by index."""
        values, lost, twice, wrong = {}, 0, 0, 0
        for line in lines:
            row = json.loads(line)
            index = row["index"]
            if index in values:
                twice += 1
            values[index] = row
            if (index >= len(arguments) or row["status"] != "ok"
                    or row["value"] != arguments[index]):
                wrong += 1
                if wrong <= 5:
                    print(f"{who}: task {index} came back as {line!r}", file=sys.stderr)
        lost = sum(index not in values for index in range(len(arguments)))
        if lost or twice:
            print(f"{who}: {lost} lost, {twice} twice of {len(arguments)}", file=sys.stderr)
        with self.lock:
            self.acknowledged += len(arguments)
            self.seen += len(values)
            self.lost += lost
            self.twice += twice
            self.wrong += wrong

    def hang(self, who):
        print(f"{who}: hung", file=sys.stderr)
        with self.lock:
            self.hung += 1

    def clean(self):
        return not (self.lost or self.twice or self.wrong or self.hung) and self.acknowledged > 0

    def __str__(self):
        faults = ", ".join(f"{count} {kind}" for kind, count in sorted(self.faults.items()))
        return (f"{faults or 'no fault'}: acknowledged {self.acknowledged}, seen {self.seen}, "
                f"lost {self.lost}, twice {self.twice}, wrong {self.wrong}, hung {self.hung}")


def arguments(count, longest_s, random):
    """Different durations up to `longest_s`, for the handler `sleep`: it returns its argument."""
    step = longest_s / count
    order = [round((i + 1) * step, 9) for i in range(count)]
    random.shuffle(order)
    return order


def as_lines(values):
    return "".join(f"{value!r}\n" for value in values).encode()


class Load(threading.Thread):
    """Clients that run batch after batch until told to stop, and the record of what they saw."""

    def __init__(self, lab, tally, random, name, options, count=1200, longest_s=0.02, machine=1):
        super().__init__(daemon=True)
        self.machine = machine
        self.lab, self.tally, self.random = lab, tally, random
        self.label, self.options, self.count, self.longest_s = name, options, count, longest_s
        self.stopping = threading.Event()
        self.batches = 0
        self.failure = None
        self.start()

    def run(self):
        try:
            while not self.stopping.is_set():
                self.one_batch()
        except BaseException as failure:
            self.failure = failure
            raise

    def one_batch(self):
        given = arguments(self.count, self.longest_s, self.random)
        cli = self.lab.start("run", "--fn", "sleep", "--unordered", "-o", "jsonl", *self.options,
                             machine=self.machine, stdin=subprocess.PIPE)
        reader, errors = trireme.Reader(cli.stdout), trireme.Reader(cli.stderr)
        cli.stdin.write(as_lines(given))
        cli.stdin.close()
        who = f"{self.label}, batch {self.batches}"
        while self.wait(cli) is None:
            pass
        reader.join()
        errors.join()
        cli.stdout.close()
        cli.stderr.close()
        said = b"".join(line for _, line in errors.lines).decode(errors="replace")
        if cli.returncode != 0:
            print(f"{who}: status {cli.returncode}\n{said}", file=sys.stderr)
        self.tally.check(given, [line for _, line in reader.lines], who)
        self.batches += 1

    def wait(self, cli):
        """The client's status; None while there is still hope."""
        try:
            return cli.wait(1)
        except subprocess.TimeoutExpired:
            if time.monotonic() < self.lab.last_fault + HUNG_S:
                return None
            self.tally.hang(self.label)
            cli.kill()
            return cli.wait()

    def finish(self):
        self.stopping.set()
        self.join()
        if self.failure is not None:
            raise self.failure
