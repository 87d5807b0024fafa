"""Two workers over tcp; a process of one is killed in the middle: every result exactly once."""

import signal
import subprocess
import sys
import time

from trireme import Case, Daemon, Reader, cmdline, descendants, jsonl, main, os, stat, wait_until

TASKS = 4000
LEASE_S = 10


def children_with(worker, word):
    return [p for p in descendants(worker.pid) if word in cmdline(p)]


class Endpoints(Case):
    def test_a_worker_whose_brokers_are_of_two_clusters_serves_the_one_that_answers(self):
        first, second = (self.cluster("ipc", ("--heartbeat", "200ms")) for _ in range(2))
        endpoints = f"{first.endpoint},{second.endpoint}"
        worker = Daemon("trireme-worker", "--broker", endpoints, "--log-level", "info")
        first.workers.append(worker)
        turns = ((first, second), (second, first), (first, second))
        for turn, (here, other) in enumerate(turns, 1):
            other.broker.kill(signal.SIGSTOP)
            wait_until(lambda: worker.text().count("broker.welcomed") == turn, "the worker joins")
            other.broker.kill(signal.SIGCONT)
            done = here.run("run", "--fn", "echo", ":::", "a")
            self.assertEqual(done.stdout, b"a\n", done.stderr)


class Kill(Case):
    def victim_dies(self, choose, model, width):
        cluster = self.cluster("tcp")
        first = cluster.worker()
        cluster.worker()
        lines = "".join("0.002\n" for _ in range(TASKS)).encode()
        cli = cluster.start("run", "--fn", "sleep", "--model", model, "--width", width,
                            "--unordered", "-o", "jsonl", stdin=subprocess.PIPE)
        reader, errors = Reader(cli.stdout), Reader(cli.stderr)
        cli.stdin.write(lines)
        cli.stdin.close()
        wait_until(lambda: len(reader.lines) >= TASKS // 5, "a fifth of the results")
        held = wait_until(lambda: [w for w in cluster.list_workers()
                                   if w["name"] == first.worker_name and w["leases"] > 0],
                          "the worker holds a lease")
        self.assertTrue(held)
        pid = choose(first)
        self.assertLess(len(reader.lines), TASKS, "it was over before the kill")
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        self.assertEqual(cli.wait(120), 0, b"".join(line for _, line in errors.lines))
        reader.join()
        errors.join()
        cli.stdout.close()
        cli.stderr.close()
        rows = jsonl(b"".join(line for _, line in reader.lines))
        self.assertEqual(sorted(r["index"] for r in rows), list(range(TASKS)))
        self.assertEqual({(r["status"], r["value"]) for r in rows}, {("ok", 0.002)})
        self.assertEqual({r["attempts"] for r in rows}, {1})
        print(f"{model}: ended {time.monotonic() - killed:.2f} s after the kill",
              file=sys.stderr)

    def test_session(self):
        self.victim_dies(lambda w: w.pid, "thread", 2)

    def test_launcher(self):
        self.victim_dies(lambda w: children_with(w, "--launcher")[0], "thread", 2)

    def hosts(self, worker):
        """Processes of the worker that are neither its launcher nor its zygote."""
        launchers = children_with(worker, "--launcher")
        return [p for p in descendants(worker.pid)
                if p not in launchers and descendants(p) == []]

    def test_thread_host(self):
        self.victim_dies(lambda w: self.hosts(w)[0], "thread", 2)

    def test_loop_host(self):
        self.victim_dies(lambda w: self.hosts(w)[0], "async", 4)

    def test_one_oar_child(self):
        self.victim_dies(lambda w: self.hosts(w)[-1], "process", 2)


if __name__ == "__main__":
    main()
