"""A broker with a file is killed and comes back: nothing is lost, nothing runs twice."""
import array
import json
import os
import re
import shutil
import signal
import tempfile
import time
import unittest

from trireme import BIN, SANITIZED, Cluster, Daemon, environment, wait_until

COUNTED = os.path.join(BIN, "../tests/e2e/counted.so")
FICKLE = os.path.join(BIN, "../tests/e2e/fickle.so")
TIMES = r"(-|[0-9.]+(us|ms|s)) +(over )?[0-9.]+(us|ms|s|m) ago"


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

    def shown(self):
        return json.loads(self.cluster.run("show", "1", "-o", "json").stdout)

    def dead(self):
        """What `show --dead` says, but for times, and the generation of the batch."""
        shown = self.shown()
        text = self.cluster.run("show", "--dead", "1").stdout.decode()
        for attempt in (attempt for task in shown["dead"] for attempt in task["history"]):
            del attempt["age_ms"], attempt["restarts"]
        text = re.sub(" +", " ", re.sub(TIMES, "TOOK AGO", text))
        return text, shown["dead"], shown["batch"]["generation"], shown["batch"]["workers"]

    def test_dead_tasks_and_retries_by_hand_outlive_restarts(self):
        self.cluster.worker("--test-handlers")
        done = self.cluster.run("run", "--fn", "fail", "--retries", "1", ":::", "a", "b")
        self.assertEqual(done.returncode, 1, done.stderr)
        dead = self.dead()
        self.assertEqual(dead[0].splitlines(),
                         ["task 1/0 failed after 2 attempts on w1: a", " argument a",
                          " 1 failed thread w1 TOOK AGO a", " 2 failed thread w1 TOOK AGO a",
                          "task 1/1 failed after 2 attempts on w1: b", " argument b",
                          " 1 failed thread w1 TOOK AGO b", " 2 failed thread w1 TOOK AGO b"])
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

    def test_every_attempt_of_a_dead_task_is_shown_over_restarts(self):
        begun, gate = (os.path.join(self.files.name, name) for name in ("begun", "gate"))
        plugin, env = ("--plugin", FICKLE), environment(FICKLE_BEGUN=begun, FICKLE_GATE=gate)
        first = self.cluster.worker(*plugin, "--log-level", "info", env=env)
        done = self.cluster.run("submit", "--fn", "fickle", "--model", "process", "--retries", "2",
                                "--crash-limit", "2", "--timeout", "5s", "--range=-7--7")
        self.assertEqual(done.returncode, 0, done.stderr)
        wait_until(lambda: os.path.exists(begun), "the first attempt runs")
        first.process.terminate()
        wait_until(lambda: "worker.draining" in first.text(), "the first worker takes no more")
        open(gate, "w").close()
        wait_until(lambda: self.shown()["retrying"], "the first attempt has failed")
        first.process.wait(60)
        self.kill_and_restart(0)
        self.cluster.worker(*plugin, env=env)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 1)
        self.kill_and_restart(0)
        shown = self.shown()
        self.assertEqual(shown["retrying"], [])
        self.assertEqual([(task["index"], task["argument"]) for task in shown["dead"]], [(0, -7)])
        history = shown["dead"][0]["history"]
        self.assertEqual([(a["attempt"], a["status"], a["worker"], a["restarts"]) for a in history],
                         [(1, "failed", "w1", 2), (2, "timeout", "w2", 1), (3, "crashed", "w2", 1),
                          (4, "crashed", "w2", 1)])
        self.assertEqual(history[0]["error"], "not yet")
        self.assertIn("SIGABRT", history[2]["error"])
        ages = [attempt["age_ms"] for attempt in history]
        self.assertEqual(ages, sorted(ages, reverse=True), "the first is the oldest")
        text = self.cluster.run("show", "--dead", "1").stdout.decode().splitlines()
        self.assertRegex(text[0], "^task 1/0 crashed after 4 attempts on w2: .*SIGABRT")
        self.assertEqual(text[1].strip(), "argument -7")
        self.assertEqual([line.split()[:4] for line in text[2:]],
                         [["1", "failed", "process", "w1"], ["2", "timeout", "process", "w2"],
                          ["3", "crashed", "process", "w2"], ["4", "crashed", "process", "w2"]])

    def test_arguments_of_dead_tasks_are_shown_over_a_restart(self):
        self.cluster.worker()
        lines = [b"a.jpg", b"two words", b"\xff\x00.jpg", "ü".encode() * 2000, b""]
        done = self.cluster.run("submit", "--", "test", "-e", stdin=b"".join(b"%s\n" % line
                                                                           for line in lines))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.cluster.run("wait", "1").returncode, 1)
        for _ in range(2):
            dead = self.shown()["dead"]
            self.assertEqual([task["argument"] for task in dead],
                             ["a.jpg", "two words", {"base64": "/wAuanBn"}, "ü" * 512, ""])
            self.assertEqual([task["argument_cut"] for task in dead if "argument_cut" in task],
                             [True])
            text = self.cluster.run("show", "--dead", "1").stdout.decode().splitlines()
            self.assertEqual([line.strip() for line in text if line.startswith("  ")
                              and "argument" in line and "failed" not in line],
                             ["argument a.jpg", "argument two words",
                              'argument {"base64":"/wAuanBn"}', "argument (the first 1024 bytes) " + "ü" * 512,
                              'argument ""'])
            self.kill_and_restart(0)

    def test_a_worker_greets_a_restarted_broker_without_waiting_for_a_heartbeat(self):
        slow = ("--heartbeat", "10m", "--lease", "30m")
        self.cluster.close()
        self.cluster = Cluster("ipc", ("--store", self.store, *slow))
        self.addCleanup(self.cluster.close)
        self.cluster.worker()
        for _ in range(2):
            self.kill_and_restart(0, *slow)
            wait_until(lambda: [w["name"] for w in self.cluster.list_workers()] == ["w1"],
                       "the worker is back")
        done = self.cluster.run("run", "--fn", "square", "--range", "1-3")
        self.assertEqual(done.stdout, b"1\n4\n9\n", done.stderr)

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

    def test_results_for_a_batch_that_an_older_copy_does_not_know_are_not_taken_for_another(self):
        worker = self.cluster.worker()
        self.assertEqual(self.cluster.run("run", "--fn", "echo", ":::", "x").returncode, 0)
        self.cluster.broker.end()
        shutil.copy(self.store, self.store + ".copy")
        self.kill_and_restart(0)
        go = os.path.join(self.files.name, "go")
        lost = self.cluster.start("run", "-j", "4", "--", "sh", "-c",
                                  f"until test -e {go}; do sleep 0.02; done; echo {{}} >>{self.ran};"
                                  " echo {}", ":::", "1", "2", "3", "4", text=True)
        wait_until(lambda: any(batch["leased"] == 4 for batch in self.batches()), "all is leased")
        self.cluster.broker.kill()
        self.cluster.broker.process.wait()
        open(go, "w").close()
        wait_until(lambda: os.path.exists(self.ran) and os.path.getsize(self.ran) == 8, "all ran")
        worker.kill(signal.SIGSTOP)
        for name in ("", "-wal"):
            os.path.exists(self.store + name) and os.unlink(self.store + name)
        os.rename(self.store + ".copy", self.store)
        self.kill_and_restart(0)
        other = self.cluster.start("run", "--fn", "echo", ":::", "a", "b", "c", "d", text=True)
        wait_until(lambda: any(batch["count"] == 4 for batch in self.batches()), "it is there")
        worker.kill(signal.SIGCONT)
        self.assertEqual(other.communicate(timeout=100)[0], "a\nb\nc\nd\n")
        self.assertEqual(lost.communicate(timeout=100)[0], "")
        self.assertNotEqual(lost.returncode, 0)

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
