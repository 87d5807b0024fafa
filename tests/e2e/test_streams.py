"""The CLI's own files and streams when they are full, closed, slow, or not what they should be."""

import fcntl
import json
import os
import signal
import subprocess
import tempfile

from trireme import CLI, Case, environment, main, run, stat, wait_until


def start(*args, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    kw.setdefault("env", environment())
    return subprocess.Popen([CLI, *args], **kw)


def shell(line):
    """A line of sh, with the CLI as $0."""
    return subprocess.run(["sh", "-c", line, CLI], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=120, env=environment())


class Streams(Case):
    def test_a_full_stdout_is_an_error_and_said(self):
        for args in ("run --fn echo --range 1-3", "run --fn echo --range 1-300000",
                     "run --fn echo --range 1-3 -o json", "run --fn echo --range 1-3 --reduce sum",
                     "--help", "--version", "run --help", "completion bash",
                     "run --dry-run --fn echo ::: 1"):
            with self.subTest(args=args):
                done = shell(f'"$0" {args} > /dev/full')
                self.assertRan(done, 70)
                self.assertIn(b"cannot write to stdout: No space left on device", done.stderr)

    def test_a_full_job_log_is_an_error_and_said(self):
        done = run("run", "--fn", "echo", "--range", "1-3", "--joblog", "/dev/full")
        self.assertRan(done, 70)
        self.assertEqual(done.stdout, b"1\n2\n3\n")
        self.assertIn(b"cannot write --joblog /dev/full: No space left on device", done.stderr)

    def test_a_file_that_cannot_be_written_is_found_before_anything_is_submitted(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        for broker in ([], ["--broker", cluster.endpoint]):
            for option in ("--summary", "--joblog", "--resume"):
                with self.subTest(broker=broker, option=option):
                    done = run("run", *broker, "--fn", "echo", option, "/nonexistent/f", ":::", "1")
                    self.assertRan(done, 2)
                    self.assertRegex(done.stderr, b"^trireme: cannot (open|write) %s /nonexistent/f: "
                                     b"No such file or directory\n$" % option.encode())
        self.assertEqual(json.loads(cluster.run("list", "-o", "json").stdout)["batches"], [])

    def test_it_is_found_before_anything_is_waited_for(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        self.assertRan(cluster.run("submit", "--fn", "sleep", ":::", "1000"))
        for verb, option in (("wait", "--summary"), ("results", "--summary"),
                             ("results", "--joblog")):
            with self.subTest(verb=verb, option=option):
                done = cluster.run(verb, option, "/nonexistent/f", "1")
                self.assertRan(done, 2)
                self.assertEqual(done.stderr.count(b"\n"), 1, done.stderr)

    def test_a_full_summary_is_an_error_and_said(self):
        done = run("run", "--fn", "echo", "--range", "1-3", "--summary", "/dev/full")
        self.assertRan(done, 70)
        self.assertIn(b"cannot write --summary /dev/full: No space left on device", done.stderr)

    def test_a_closed_stdout_gets_nobody_elses_descriptor(self):
        with tempfile.TemporaryDirectory() as directory:
            log = os.path.join(directory, "log")
            done = shell(f'"$0" run --fn echo --range 1-3 --joblog {log} >&-')
            self.assertRan(done, 141)
            with open(log) as f:
                words = [line.split("\t")[0] for line in f]
            # It ends at the first write that fails, after one result or all: nothing else is there.
            self.assertGreater(len(words), 1)
            self.assertEqual(words, ["index", "0", "1", "2"][:len(words)])

    def test_all_three_closed(self):
        self.assertRan(shell('"$0" run --fn echo ::: 1 <&- >&- 2>&-'), 141)
        self.assertRan(shell('"$0" run --fn echo -o quiet ::: 1 <&- >&- 2>&-'))

    def test_a_stdout_that_does_not_block_loses_nothing(self):
        read, write = os.pipe()
        fcntl.fcntl(write, fcntl.F_SETFL, os.O_NONBLOCK)
        cli = start("run", "--fn", "echo", "--range", "1-100000", stdout=write,
                    stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read, "rb") as out:
            first = out.read(1)
            text = first + out.read()
        self.assertEqual(cli.wait(60), 0)
        self.assertEqual(text, b"".join(b"%d\n" % n for n in range(1, 100001)))

    def test_resume_wants_a_file(self):
        done = run("run", "--fn", "echo", "--range", "1-3", "--resume", "/dev/zero")
        self.assertRan(done, 2)
        self.assertIn(b"--resume /dev/zero: not a regular file", done.stderr)


class Signals(Case):
    def blocked(self):
        """A run whose stdout nobody reads."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        cli = start("run", "--fn", "echo", "--range", "1-10_000_000", stdout=write,
                    stderr=subprocess.PIPE, env=environment())
        os.close(write)
        self.addCleanup(cli.stderr.close)
        wait_until(lambda: self.in_write(cli.pid), "stdout is full")
        return cli

    def in_write(self, pid):
        with open(f"/proc/{pid}/syscall") as f:
            words = f.read().split()
        return words[0] in ("1", "64") and words[1] == "0x1"  # x86-64, arm64

    def pending(self, pid):
        """Signals sent and not yet taken: two at once would be one."""
        with open(f"/proc/{pid}/status") as f:
            return any(int(line.split()[1], 16) for line in f
                       if line.startswith(("SigPnd:", "ShdPnd:")))

    def test_a_signal_ends_a_run_whose_stdout_nobody_reads(self):
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=sig):
                cli = self.blocked()
                cli.send_signal(sig)
                _, err = cli.communicate(timeout=30)
                self.assertEqual(cli.returncode, 130, err)

    def test_an_ignored_signal_stays_ignored(self):
        for name in ("HUP", "INT"):
            with self.subTest(signal=name):
                cli = subprocess.Popen(["sh", "-c", f"trap '' {name}; exec \"$0\" run --fn sleep "
                                        "::: 1", CLI], stdin=subprocess.DEVNULL, env=environment(),
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                wait_until(lambda: stat(cli.pid) and len(self.children(cli.pid)) == 2, "it runs")
                cli.send_signal(getattr(signal, "SIG" + name))
                out, _ = cli.communicate(timeout=60)
                self.assertEqual((cli.returncode, out), (0, b"1.0\n"))

    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return f.read().split()

    def test_a_signal_ends_a_run_that_has_found_no_broker(self):
        cli = start("run", "--fn", "echo", "--broker", "ipc:///nonexistent", "--connect-timeout",
                    "1h", ":::", "1", stderr=subprocess.PIPE)
        self.addCleanup(cli.stderr.close)
        wait_until(lambda: self.catches(cli.pid, signal.SIGINT), "it is prepared")
        cli.send_signal(signal.SIGINT)
        self.assertEqual(cli.wait(60), 130)

    def catches(self, pid, sig):
        with open(f"/proc/{pid}/status") as f:
            return any(int(line.split()[1], 16) >> (sig - 1) & 1 for line in f
                       if line.startswith("SigCgt:"))

    def test_a_failure_is_one_line_and_no_order_to_a_terminal(self):
        done = run("run", "--test-handlers", "--fn", "fail", ":::", "a\x1b[31m\nb")
        self.assertRan(done, 1)
        self.assertIn(b"task 1/0: a [31m b\n", done.stderr)

    def test_a_second_signal_quits_though_the_broker_does_not_answer(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        cli = cluster.start("run", "--fn", "echo", stdin=subprocess.PIPE)
        cli.stdin.write(b"1\n")
        cli.stdin.flush()
        wait_until(lambda: b"batch" in cluster.run("list", "-o", "json").stdout, "it is accepted")
        self.assertEqual(cli.stdout.readline(), b"1\n")
        cluster.broker.kill(signal.SIGSTOP)
        try:
            cli.send_signal(signal.SIGINT)
            wait_until(lambda: not self.pending(cli.pid), "the first one is taken")
            self.assertIn(b"a second signal ends this at once", cli.stderr.readline())
            cli.send_signal(signal.SIGINT)
            self.assertEqual(cli.wait(10), 130)
        finally:
            cluster.broker.kill(signal.SIGCONT)
            cli.kill()
            for stream in (cli.stdin, cli.stdout, cli.stderr):
                stream.close()
            cli.wait()


class Private(Case):
    def children(self, pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            found = {}
            for child in f.read().split():
                with open(f"/proc/{child}/cmdline", "rb") as c:
                    found[os.path.basename(c.read().split(b"\0")[0].decode())] = int(child)
        return found

    def test_a_run_ends_when_its_private_worker_or_broker_is_killed(self):
        for victim, name in (("trireme-worker", "worker"), ("trireme-broker", "broker")):
            with self.subTest(victim=victim):
                cli = start("run", "--fn", "sleep", ":::", "0", "1000", stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)
                self.assertEqual(cli.stdout.readline(), b"0.0\n")
                os.kill(self.children(cli.pid)[victim], signal.SIGKILL)
                _, err = cli.communicate(timeout=60)
                self.assertEqual(cli.returncode, 70)
                self.assertIn(f"the private {name} was ended by signal 9".encode(), err)

    def test_a_plugin_that_cannot_be_loaded_is_a_mistake(self):
        with tempfile.NamedTemporaryFile(suffix=".so") as f:
            self.assertRan(run("run", "--plugin", f.name, "--fn", "echo", ":::", "1"), 2)


if __name__ == "__main__":
    main()
