"""wait and results: following a batch that somebody else submitted."""

import fcntl
import json
import os
import re
import signal
import subprocess
import tempfile

from trireme import Case, Daemon, jsonl, main, wait_until


def blocked_in_write(pid):
    with open(f"/proc/{pid}/wchan", encoding="ascii") as f:
        return "pipe" in f.read()


class Forgetful(Case):
    def test_a_broker_that_comes_back_without_its_batches_ends_who_waits_for_them(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        run = cluster.start("run", "--fn", "sleep", ":::", "0", "1000")
        self.addCleanup(run.stderr.close)
        self.addCleanup(run.stdout.close)
        self.assertEqual(run.stdout.readline(), b"0.0\n")
        cluster.broker.kill()
        cluster.broker.close()
        cluster.broker = Daemon("trireme-broker", "--listen", cluster.endpoint, "--store",
                                "memory", "--log-level", "warn")
        self.assertEqual(run.wait(100), 70)
        self.assertIn(b"the broker has come back without batch 1: it is lost", run.stderr.read())


class Forgotten(Case):
    def test_a_reader_of_a_batch_that_others_forget_is_told_so(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        self.assertRan(cluster.run("submit", "--range", "1-60", "--", "sh", "-c",
                                   "head -c 1000000 /dev/zero | tr '\\0' x; echo"))
        self.assertRan(cluster.run("wait", "1"))
        reader = cluster.start("results", "1")  # takes no more than its window, and then a pipe
        self.assertEqual(os.read(reader.stdout.fileno(), 1), b"x")
        self.assertRan(cluster.run("forget", "1"))
        out, err = reader.communicate(timeout=100)
        self.assertEqual((reader.returncode, err),
                         (2, b"trireme: batch 1 was forgotten before all of its results were read\n"))
        lines = (b"x" + out).splitlines(keepends=True)
        self.assertEqual(set(lines), {b"x" * 1000000 + b"\n"})
        self.assertLess(len(lines), 60)


class Joblog(Case):
    TASKS = 400

    def test_a_killed_run_has_acknowledged_only_what_is_in_its_job_log(self):
        cluster = self.cluster("ipc", ("--heartbeat", "300ms", "--lease", "1s"))
        cluster.worker()
        folder = tempfile.TemporaryDirectory(prefix="trireme-joblog-")
        self.addCleanup(folder.cleanup)
        log = os.path.join(folder.name, "log")
        os.mkfifo(log)
        reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)  # takes about ninety lines, and no more
        run = cluster.start("run", "-o", "quiet", "--joblog", log, "--window", "64K", "--range",
                            f"1-{self.TASKS}", "--", "sh", "-c", "head -c 4000 /dev/zero",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: blocked_in_write(run.pid), "the pipe is full")
        run.kill()
        run.wait()
        logged = b""
        while piece := os.read(reader, 1 << 16):
            logged += piece
        lines = logged[:logged.rindex(b"\n")].split(b"\n")[1:]
        cluster.run("wait", "1")
        kept = jsonl(cluster.run("results", "1", "-o", "jsonl").stdout)
        seen = {int(line.split(b"\t")[0]) for line in lines} | {task["index"] for task in kept}
        self.assertEqual(seen, set(range(self.TASKS)))


class Away(Case):
    """A client that stands still for longer than the broker keeps a batch open for it."""

    def is_cut(self, verb):
        cluster = self.cluster("ipc", ("--heartbeat", "300ms", "--lease", "1s", "--open-grace",
                                       "100ms"))
        cluster.worker()
        client = cluster.start(verb, "--fn", "square", stdin=subprocess.PIPE)
        client.stdin.write(b"2\n")
        client.stdin.flush()
        wait_until(lambda: b" 1 " in cluster.run("list").stdout, "the first line is there")
        client.send_signal(signal.SIGSTOP)
        wait_until(lambda: b" done " in cluster.run("list").stdout, "the batch ends without it")
        client.send_signal(signal.SIGCONT)
        out, err = client.communicate(b"3\n", timeout=100)
        self.assertEqual(client.returncode, 3, err)
        self.assertIn(b"batch 1 has not taken all of the input", err)
        return out

    def test_a_run_says_that_its_input_was_cut(self):
        self.assertEqual(self.is_cut("run"), b"4\n")

    def test_a_submit_says_that_its_input_was_cut(self):
        self.assertEqual(self.is_cut("submit"), b"")


class Show(Case):
    def failing(self, wait, retries):
        """A batch of one task that fails as often as it may, `wait` after each time."""
        c = self.cluster("ipc", ("--backoff-min", wait, "--backoff-max", wait))
        c.worker()
        self.assertRan(c.run("submit", "--retries", retries, "--range", "5-5", "--", "false"))
        return c

    def test_what_was_left_out_of_a_long_history_is_said(self):
        c = self.failing("1ms", 20)
        self.assertRan(c.run("wait", "1"), 1)
        lines = c.run("show", "--dead", "1").stdout.decode().splitlines()
        self.assertEqual(lines[0], "task 1/0 failed after 21 attempts on w1: exit status 1")
        self.assertEqual(lines[1].split(), ["argument", "5"])
        self.assertEqual(lines[3].strip(), "attempts 2 to 6 are not kept")
        self.assertEqual([line.split()[0] for line in [lines[2], *lines[4:]]],
                         [str(n) for n in [1, *range(7, 22)]])

    def test_a_task_that_is_tried_again_is_not_dead_and_has_its_attempts(self):
        c = self.failing("1h", 1)
        retrying = wait_until(lambda: json.loads(c.run("show", "1", "-o", "json").stdout)["retrying"],
                              "the first attempt fails")
        self.assertEqual([len(task["history"]) for task in retrying], [1])
        self.assertEqual(c.run("show", "--dead", "1").stdout, b"")
        lines = c.run("show", "1/0").stdout.decode().splitlines()
        self.assertEqual(lines[0], "task 1/0 is not dead: it is tried again")
        self.assertEqual(lines[1].split(), ["argument", "5"])
        self.assertEqual(lines[2].split()[:4], ["1", "failed", "process", "w1"])
        self.assertEqual(len(lines), 3)


    def test_thousands_of_dead_tasks_are_shown_each_with_its_argument(self):
        c = self.cluster("ipc")
        c.worker("--test-handlers")
        given = "".join(f"{i}\n" for i in range(5000))
        self.assertRan(c.run("submit", "--fn", "fail", stdin=given))
        self.assertRan(c.run("wait", "1"), 1)
        dead = json.loads(c.run("show", "1", "-o", "json").stdout)["dead"]
        self.assertEqual([(task["index"], task["argument"]) for task in dead],
                         [(i, str(i)) for i in range(5000)])

    def test_a_task_or_batch_that_does_not_exist_is_said(self):
        c = self.cluster("ipc")
        c.worker()
        self.assertRan(c.run("submit", "--range", "1-3", "--fn", "square"))
        self.assertRan(c.run("wait", "1"))
        for verb in "cancel", "retry":
            for task, why in (("1/3", "batch 1 has 3 tasks: there is no 1/3"),
                              ("8/7", "there is no batch 8"), ("8", "there is no batch 8")):
                done = c.run(verb, task)
                self.assertRan(done, 2)
                self.assertEqual((done.stdout, done.stderr.decode()), (b"", f"trireme: {why}\n"))
            beside = c.run(verb, "1/2", "1/3", "1/3")
            self.assertRan(beside, 2)
            self.assertEqual((beside.stdout, beside.stderr.decode()),
                             (b"", "trireme: batch 1 has 3 tasks: there is no 1/3\n"))
            self.assertIn(b"batch 1: 0 tasks", c.run(verb, "1/2", "1/2", "1/1").stdout)
        self.assertRan(c.run("forget", "1/3"), 2)
        self.assertRan(c.run("forget", "8"), 2)


class Retried(Case):
    # Task 0 fails until there is FLAG, the others have a value of 1 MB: more than half a window.
    COMMAND = 'test "$1" != 0 || test -e "$2" || exit 7; printf "%s " "$1"; head -c 1000000 "$3"'

    def test_a_large_batch_shows_what_was_retried_once_and_in_its_place(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        with tempfile.TemporaryDirectory() as folder:
            flag, filler = os.path.join(folder, "flag"), os.path.join(folder, "filler")
            with open(filler, "wb") as f:
                f.write(b"x" * 1000000)
            self.assertRan(cluster.run("submit", "--range", "0-24", "--output-max", "2M", "--", "sh",
                                       "-c", self.COMMAND, "sh", "{}", flag, filler))
            self.assertRan(cluster.run("wait", "1"), 1)
            before = cluster.run("results", "1")
            self.assertRan(before, 1)
            self.assertIn(b"task 1/0:", before.stderr)
            self.assertEqual(self.tasks(before), list(range(1, 25)))
            open(flag, "w").close()
            self.assertRan(cluster.run("retry", "1"))
            self.assertRan(cluster.run("wait", "1"))
            after = cluster.run("results", "1")
            self.assertRan(after)
            self.assertNotIn(b"task 1/0", after.stderr)
            self.assertEqual(self.tasks(after), list(range(25)))

    def tasks(self, results):
        return [int(task) for task in re.findall(rb"(\d+) x", results.stdout)]


class Killed(Case):
    def test_what_a_killed_run_has_not_written_is_still_there(self):
        cluster = self.cluster("ipc", ("--heartbeat", "300ms", "--lease", "1s", "--open-grace",
                                       "100ms"))
        cluster.worker()
        lines = b"".join(b"%d\n" % i for i in range(300000))
        with tempfile.TemporaryFile() as given:
            given.write(lines)
            given.seek(0)
            run = cluster.start("run", "--fn", "echo", stdin=given)
        wait_until(lambda: self.batches(cluster), "it has begun")
        run.kill()
        written, _ = run.communicate()
        self.assertIn(cluster.run("wait", "1").returncode, (0, 3))
        rest = cluster.run("results", "1")
        count = self.batches(cluster)[0]["count"]
        whole = set(written[:written.rfind(b"\n") + 1].split()) | set(rest.stdout.split())
        self.assertEqual(whole, set(lines.split()[:count]), rest.stderr)

    def test_what_a_killed_run_has_folded_is_folded_again(self):
        cluster = self.cluster("ipc", ("--heartbeat", "300ms", "--lease", "1s"))
        cluster.worker()
        with tempfile.TemporaryFile() as given:
            given.write(b"0.01\n" * 400)
            given.seek(0)
            run = cluster.start("run", "--fn", "sleep", "--model", "thread", "-j", "2", "--reduce",
                                "count", stdin=given)
        wait_until(lambda: any(b["done"] >= 100 for b in self.batches(cluster)), "some are done")
        run.kill()
        run.communicate()
        self.assertEqual(cluster.run("wait", "1").returncode, 0)
        self.assertEqual(cluster.run("results", "1").stdout, b"400\n")

    def batches(self, cluster):
        return json.loads(cluster.run("list", "-o", "json").stdout)["batches"]


class Wait(Case):
    def setUp(self):
        super().setUp()
        self.c = self.cluster("ipc")
        self.c.worker()
        for _ in range(2):
            self.assertRan(self.c.run("submit", "--range", "1-10", "--fn", "square"))

    def test_wait_says_the_summary_in_the_form_asked_for(self):
        text = self.c.run("wait", "1", "2")
        self.assertRan(text)
        self.assertEqual(text.stdout, b"")
        self.assertEqual([line.split(b" in ")[0] for line in text.stderr.splitlines()],
                         [b"batch 1: 10 tasks, 10 ok", b"batch 2: 10 tasks, 10 ok"])
        form = self.c.run("wait", "-o", "json", "1", "2")
        self.assertRan(form)
        self.assertEqual([json.loads(line)["number"] for line in form.stdout.splitlines()], [1, 2])
        self.assertEqual(form.stderr, b"")
        quiet = self.c.run("wait", "-o", "quiet", "1")
        self.assertRan(quiet)
        self.assertEqual(quiet.stdout + quiet.stderr, b"")

    def test_a_summary_is_written_for_one_batch(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "summary")
            for verb in ("wait", "results"):
                with self.subTest(verb=verb):
                    self.assertRan(self.c.run(verb, "--summary", path, "1"))
                    with open(path) as f:
                        self.assertEqual(json.load(f)["ok"], 10)
                    os.unlink(path)
                    both = self.c.run(verb, "--summary", path, "all")
                    self.assertRan(both, 2)
                    self.assertIn(b"--summary: one file is for one batch, and there are 2",
                                  both.stderr)
                    self.assertFalse(os.path.exists(path))

    def test_a_batch_that_is_not_there_keeps_nobody_from_the_next(self):
        done = self.c.run("wait", "1", "99", "2")
        self.assertRan(done, 2)
        lines = done.stderr.decode().splitlines()
        self.assertEqual([line.split(" in ")[0] for line in lines],
                         ["batch 1: 10 tasks, 10 ok", "trireme: there is no batch 99",
                          "batch 2: 10 tasks, 10 ok"])

    def test_results_that_their_run_has_taken_are_not_silently_missing(self):
        self.assertRan(self.c.run("run", "--fn", "square", ":::", "1", "x", "3"), 1)
        done = self.c.run("results", "3")
        self.assertRan(done, 1)
        self.assertIn(b"batch 3: 3 of its results were taken by the run that submitted it",
                      done.stderr)
        self.assertNotIn(b"taken", self.c.run("results", "1").stderr)

    def test_show_says_what_there_is_of_a_task(self):
        done = self.c.run("show", "1/3")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"task 1/3 is not dead\n")
        done = self.c.run("show", "1/10")
        self.assertRan(done, 2)
        self.assertIn(b"batch 1 has 10 tasks: there is no 1/10", done.stderr)
        done = self.c.run("show", "1/3", "1/10", "-o", "json")
        self.assertRan(done, 2)
        self.assertEqual(done.stdout, b"")

    def test_show_says_every_field_once(self):
        items = self.c.run("submit", "--fn", "square", "--model", "process", "--reduce", "sum",
                           stdin="7\n")
        self.assertRan(items)
        shown = {}
        for batch in "1", "3":
            done = self.c.run("show", batch)
            self.assertRan(done)
            fields = [line.split(None, 1) for line in done.stdout.decode().splitlines()]
            shown[batch] = dict(fields)
            self.assertEqual(len(shown[batch]), len(fields), done.stdout)
        self.assertEqual([shown["1"].get(key) for key in ("count", "source", "first", "step")],
                         ["10", "range", "1", "1"])
        self.assertEqual([shown["3"].get(key) for key in
                          ("count", "source", "first", "reducer", "model_asked", "flags")],
                         ["1", "items", None, "sum", "process", '["lines"]'])

    def test_explain_says_how_long_a_task_takes(self):
        self.assertRan(self.c.run("wait", "1"))
        self.assertRegex(self.c.run("explain", "1").stdout.decode(),
                         r"a task takes about [1-9][0-9.]* (ns|us|ms); ")

    def test_a_batch_that_nobody_can_run_now_is_said_to_be_queued(self):
        done = self.c.run("submit", "--label", "gpu", "--range", "1-3", "--fn", "square")
        self.assertRan(done)
        self.assertEqual((done.stdout, done.stderr.decode()),
                         (b"3\n", "trireme: batch 3 is queued: no worker that offers square and has "
                                  "the label is connected now\n"))
        self.assertEqual(self.c.run("submit", "--range", "1-3", "--fn", "square").stderr, b"")

    def test_results_of_several_batches(self):
        done = self.c.run("results", "1-2")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"".join(b"%d\n" % (n * n) for n in range(1, 11)) * 2)


if __name__ == "__main__":
    main()
