"""A broker with a file is killed and comes back: nothing is lost, nothing runs twice."""
import os
import signal
import tempfile
import time
import unittest

from trireme import SANITIZED, Cluster, Daemon, wait_until


class Restart(unittest.TestCase):
    def setUp(self):
        self.files = tempfile.TemporaryDirectory(prefix="trireme-e2e-")
        self.addCleanup(self.files.cleanup)
        self.store = os.path.join(self.files.name, "db")
        self.cluster = Cluster("ipc", ("--store", self.store))
        self.addCleanup(self.cluster.close)
        self.cluster.worker()

    def kill_and_restart(self, after_s=1):
        self.cluster.broker.process.send_signal(signal.SIGKILL)
        self.cluster.broker.close()
        time.sleep(after_s)  # what is tested: how long the broker is away
        self.cluster.broker = Daemon("trireme-broker", "--listen", self.cluster.endpoint,
                                     "--store", self.store, "--log-level", "warn")

    def test_run_goes_on_by_itself_and_no_task_runs_again(self):
        ran = os.path.join(self.files.name, "ran")
        lines = "".join(f"{i}\n" for i in range(20000))
        given = os.path.join(self.files.name, "given")
        with open(given, "w") as file:
            file.write(lines)
        with open(given) as stdin:
            run = self.cluster.start("run", "--", "sh", "-c", f"echo {{}} >>{ran}; echo {{}}",
                                     stdin=stdin, text=True)
        wait_until(lambda: os.path.exists(ran) and os.path.getsize(ran) > 4000, "tasks run")
        self.kill_and_restart()
        out, err = run.communicate(timeout=100)
        self.assertEqual(run.returncode, 0, err)
        self.assertEqual(out, lines)
        self.assertIn("waiting for it", err)
        with open(ran) as file:
            self.assertEqual(sorted(map(int, file)), list(range(20000)))

    @unittest.skipIf(SANITIZED, "a thousand million calls take too long under sanitizers")
    def test_a_sum_is_exact_over_two_kills(self):
        run = self.cluster.start("run", "--range", "1-1_000_000_000", "--fn", "echo", "--reduce",
                                 "sum", text=True)
        for _ in range(2):
            time.sleep(2)  # somewhere in the middle
            self.kill_and_restart(0.5)
        out, err = run.communicate(timeout=100)
        self.assertEqual(run.returncode, 0, err)
        self.assertEqual(err.count("waiting for it"), 2, "the kills were not in the middle: " + err)
        self.assertEqual(out.strip(), "500000000500000000")

    def test_results_can_be_had_from_elsewhere_after_a_restart(self):
        done = self.cluster.run("submit", "--range", "1-10", "--fn", "square")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 0)
        self.kill_and_restart(0)
        results = self.cluster.run("results", "1")
        self.assertEqual(results.returncode, 0, results.stderr)
        self.assertEqual(results.stdout.decode().split(), [str(i * i) for i in range(1, 11)])


if __name__ == "__main__":
    unittest.main()
