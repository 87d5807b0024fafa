"""A broker with a file is killed and comes back: nothing is lost, nothing runs twice."""
import array
import json
import os
import signal
import tempfile
import time
import unittest

from trireme import BIN, SANITIZED, Cluster, Daemon, environment, wait_until

COUNTED = os.path.join(BIN, "../tests/e2e/counted.so")


class Restart(unittest.TestCase):
    def setUp(self):
        self.files = tempfile.TemporaryDirectory(prefix="trireme-e2e-")
        self.addCleanup(self.files.cleanup)
        self.store = os.path.join(self.files.name, "db")
        self.ran = os.path.join(self.files.name, "ran")
        self.cluster = Cluster("ipc", ("--store", self.store))
        self.addCleanup(self.cluster.close)

    def kill_and_restart(self, after_s=1, *args):
        self.cluster.broker.process.send_signal(signal.SIGKILL)
        self.cluster.broker.close()
        time.sleep(after_s)  # what is tested: how long the broker is away
        self.cluster.broker = Daemon("trireme-broker", "--listen", self.cluster.endpoint,
                                     "--store", self.store, "--log-level", "warn", *args)

    def start_on(self, lines, *args):
        """`trireme run` with these lines as its input."""
        given = os.path.join(self.files.name, "given")
        with open(given, "w") as file:
            file.write(lines)
        with open(given) as stdin:
            return self.cluster.start("run", *args, stdin=stdin, text=True)

    def wait_ran(self, size):
        wait_until(lambda: os.path.exists(self.ran) and os.path.getsize(self.ran) > size,
                   "tasks run")

    def goes_on(self, run, kills=1):
        """Its output; it said each time that it waited."""
        out, err = run.communicate(timeout=100)
        self.assertEqual(run.returncode, 0, err)
        self.assertEqual(err.count("waiting for it"), kills, err)
        self.assertEqual(err.count("the broker is back"), kills, err)
        return out

    def test_run_goes_on_by_itself_and_no_command_runs_again(self):
        self.cluster.worker()
        lines = "".join(f"{i}\n" for i in range(20000))
        run = self.start_on(lines, "--", "sh", "-c", f"echo {{}} >>{self.ran}; echo {{}}")
        self.wait_ran(4000)
        self.kill_and_restart()
        self.assertEqual(self.goes_on(run), lines)
        with open(self.ran) as file:
            self.assertEqual(sorted(map(int, file)), list(range(20000)))

    def calls(self):
        """What the handler `counted` has been called with."""
        with open(self.ran, "rb") as file:
            return sorted(array.array("Q", file.read()))

    def test_200_000_items_come_out_as_if_the_broker_had_not_been_killed(self):
        count, job = 200000, ("--fn", "counted", "--model", "thread", "--width", "8")
        self.cluster.worker("--plugin", COUNTED, env=environment(COUNTED=self.ran))
        lines = "".join(f"{i}\n" for i in range(count))
        undisturbed, err = self.start_on(lines, *job).communicate(timeout=100)
        self.assertEqual(len(self.calls()), count, err)
        os.truncate(self.ran, 0)
        run = self.start_on(lines, *job)
        self.wait_ran(count * 8 // 4)
        self.kill_and_restart(3)
        self.assertTrue(self.goes_on(run) == undisturbed == lines, "another output")
        self.assertTrue(self.calls() == list(range(count)), "tasks ran twice, or never")

    def batches(self):
        return json.loads(self.cluster.run("list", "-o", "json").stdout)["batches"]

    def done(self):
        return sum(batch["done"] for batch in self.batches())

    def test_a_sum_is_exact_over_five_kills(self):
        self.cluster.worker()
        count = 100_000_000 if SANITIZED else 1_000_000_000
        run = self.cluster.start("run", "--range", f"1-{count}", "--fn", "echo", "--reduce", "sum",
                                 text=True)
        for kill in range(1, 6):
            wait_until(lambda: self.done() > count * kill // 8, f"part {kill} is done")
            self.kill_and_restart(0.5)
        out = self.goes_on(run, kills=5)
        self.assertEqual(int(out), count * (count + 1) // 2)

    def dead(self):
        """What `show --dead` says, and the generation of the batch."""
        shown = json.loads(self.cluster.run("show", "1", "-o", "json").stdout)
        text = self.cluster.run("show", "--dead", "1").stdout.decode()
        return text, shown["dead"], shown["batch"]["generation"], shown["batch"]["workers"]

    def test_dead_tasks_and_retries_by_hand_outlive_restarts(self):
        self.cluster.worker("--test-handlers")
        done = self.cluster.run("run", "--fn", "fail", "--retries", "1", ":::", "a", "b")
        self.assertEqual(done.returncode, 1, done.stderr)
        dead = self.dead()
        self.assertEqual(dead[0], "task 1/0 failed after 2 attempts on w1: a\n"
                                  "task 1/1 failed after 2 attempts on w1: b\n")
        self.assertEqual(dead[2:], (1, 1))
        self.kill_and_restart(0)
        self.assertEqual(self.dead(), dead)
        retried = self.cluster.run("retry", "1/1")
        self.assertEqual(retried.returncode, 0, retried.stderr)
        self.kill_and_restart(0)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 1)
        again = self.dead()
        self.assertEqual(again[0], dead[0])
        self.assertEqual(again[2:], (2, 1), "another generation of the same worker")
        self.kill_and_restart(0)
        self.assertEqual(self.dead(), again)

    def test_an_ended_batch_is_kept_for_its_retention_over_restarts(self):
        self.cluster.worker()
        self.assertEqual(self.cluster.run("submit", "--range", "1-10", "--fn", "square").returncode, 0)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 0)
        self.kill_and_restart(0)
        self.assertEqual(len(self.batches()), 1)
        self.kill_and_restart(0, "--retention", "1s")
        wait_until(lambda: self.batches() == [], "the batch is forgotten")
        self.kill_and_restart(0)
        self.assertEqual(self.batches(), [])

    def test_results_can_be_had_from_elsewhere_after_a_restart(self):
        self.cluster.worker()
        done = self.cluster.run("submit", "--range", "1-10", "--fn", "square")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 0)
        self.kill_and_restart(0)
        results = self.cluster.run("results", "1")
        self.assertEqual(results.returncode, 0, results.stderr)
        self.assertEqual(results.stdout.decode().split(), [str(i * i) for i in range(1, 11)])


if __name__ == "__main__":
    unittest.main()
