"""Commands: order, output, exit codes, and nothing of them left behind."""

import os
import signal
import subprocess
import tempfile
import uuid

from trireme import CLI, Case, alive, environment, jsonl, main, run, tagged, wait_until


class Commands(Case):
    def setUp(self):
        super().setUp()
        self.tag = "tag-" + uuid.uuid4().hex

    def gone(self):
        wait_until(lambda: not tagged(self.tag), "every process of the command is gone", 30)

    def test_ten_thousand_echoes_in_order(self):
        numbers = "".join(f"{n}\n" for n in range(1, 10001)).encode()
        done = run("run", "--", "echo", "{}", stdin=numbers)
        self.assertRan(done)
        self.assertEqual(done.stdout, numbers)

    def test_placeholders(self):
        done = run("run", "--", "echo", "{} {#} {.} {/} {//}", ":::", "/a/b.c", "d")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"/a/b.c 1 /a/b b.c /a\nd 2 d d .\n")

    def test_without_a_placeholder_the_value_is_appended(self):
        self.assertEqual(run("run", "--", "echo", "x", ":::", "1", "2").stdout, b"x 1\nx 2\n")

    def test_nothing_passes_through_a_shell(self):
        line = b"$(touch /tmp/never) `id` ; * \"quoted\" \\ 'single'\n"
        self.assertEqual(run("run", "--", "echo", stdin=line).stdout, line)

    def test_a_failing_command_shows_its_output_stderr_and_exit_code(self):
        done = run("run", "--", "sh", "-c", "echo out $0; echo err $0 >&2; exit $0", ":::", "0",
                   "3")
        self.assertRan(done, 1)
        self.assertEqual(done.stdout, b"out 0\nout 3\n")
        self.assertIn(b"err 3\n", done.stderr)
        self.assertIn(b"/1: exit status 3\n", done.stderr)

    def test_a_command_that_is_not_there(self):
        done = run("run", "--", "/nonexistent/program", ":::", "1")
        self.assertRan(done, 1)
        self.assertIn(b"/nonexistent/program", done.stderr)

    def test_a_signal_is_named(self):
        done = run("run", "--", "sh", "-c", "kill -TERM $$", ":::", "1")
        self.assertRan(done, 1)
        self.assertIn(b"SIGTERM", done.stderr)

    def test_output_in_jsonl_is_text_where_it_is_text(self):
        done = run("run", "-o", "jsonl", "--", "printf", "{}", ":::", "caf\u00e9", r"\377")
        self.assertRan(done)
        self.assertEqual([row["value"] for row in jsonl(done.stdout)],
                         [[0, "caf\u00e9", "", False], [0, {"base64": "/w=="}, "", False]])

    def test_the_cap_is_on_both_streams_together(self):
        script = "printf %$0s x; printf %$1s y >&2"
        for out, err, status in ((99, 1, "ok"), (60, 40, "ok"), (100, 1, "too-large"),
                                 (101, 1, "too-large")):
            for cut in (False, True):
                with self.subTest(out=out, err=err, cut=cut):
                    done = run("run", "-o", "jsonl", "--output-max", "100",
                               *(["--truncate"] if cut else []), "--", "bash", "-c", script, out,
                               err, ":::", "")
                    self.assertRan(done, 0 if cut or status == "ok" else 1)
                    row = jsonl(done.stdout)[0]
                    kept = min(out, 100)
                    self.assertEqual(row["status"], "ok" if cut else status)
                    self.assertEqual([len(row["value"][1]), len(row["value"][2]), row["value"][3]],
                                     [kept, min(err, 100 - kept), status != "ok"])

    def test_the_directory_is_the_callers(self):
        with tempfile.TemporaryDirectory() as directory:
            done = run("run", "--", "pwd", ":::", "1", cwd=directory)
            self.assertEqual(done.stdout.split(), [os.path.realpath(directory).encode(), b"1"]
                             if b" " in done.stdout else done.stdout.split())

    def test_a_background_child_that_holds_the_pipe_ends_with_its_command(self):
        for model in ("process", "thread", "async"):
            with self.subTest(model=model):
                done = run("run", "--model", model, "--", "sh", "-c",
                           f"sleep 1000 {self.tag} & echo $0", ":::", "1", timeout=60)
                self.gone()
                self.assertEqual(done.stdout, b"1\n")

    def test_a_daemonised_child_ends_with_its_command(self):
        script = f"setsid sh -c 'exec sleep 1000' {self.tag} >/dev/null 2>&1 & echo $0"
        env = environment(MARK=self.tag)
        done = run("run", "--", "sh", "-c", script, ":::", "1", env=env)
        self.assertRan(done)
        self.gone()

    def test_timeout_leaves_nothing(self):
        for model in ("process", "thread", "async"):
            with self.subTest(model=model):
                script = f"setsid sh -c 'trap \"\" TERM; sleep 1000' {self.tag} & sleep 1000"
                done = run("run", "--model", model, "--timeout", "500ms", "-o", "jsonl", "--",
                           "sh", "-c", script, ":::", "1", env=environment(MARK=self.tag))
                self.assertRan(done, 1)
                self.assertEqual(jsonl(done.stdout)[0]["status"], "timeout")
                self.gone()

    def start(self):
        script = "setsid sleep 1000 & sleep 1000"
        cli = subprocess.Popen([CLI, "run", "--width", "2", "--", "sh", "-c", script, ":::", "1",
                                "2"], env=environment(MARK=self.tag), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: len([p for p in tagged(self.tag) if p != cli.pid]) >= 6,
                   "the commands run")
        return cli

    def test_interrupting_the_cli_leaves_nothing(self):
        cli = self.start()
        cli.send_signal(signal.SIGINT)
        self.assertEqual(cli.wait(60), 130)
        self.gone()
        cli.communicate()

    def test_killing_the_cli_leaves_nothing(self):
        cli = self.start()
        cli.kill()
        cli.wait()
        self.gone()
        cli.stdout.close()
        cli.stderr.close()

    def test_killing_a_workers_session_leaves_nothing(self):
        cluster = self.cluster("ipc")
        worker = cluster.worker()
        submit = cluster.run("submit", "--env", f"MARK={self.tag}", "--", "sh", "-c",
                             "setsid sleep 1000 & sleep 1000", ":::", "1", stdin=None)
        self.assertRan(submit)
        wait_until(lambda: len(tagged(self.tag)) >= 3, "the command runs")
        worker.kill()
        self.gone()
        self.assertFalse(alive(worker.pid))

    def test_cancelling_a_batch_leaves_nothing(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        number = cluster.run("submit", "--env", f"MARK={self.tag}", "--", "sh", "-c",
                             "setsid sleep 1000 & sleep 1000", ":::", "1",
                             stdin=None).stdout.decode().strip()
        wait_until(lambda: len(tagged(self.tag)) >= 3, "the command runs")
        self.assertRan(cluster.run("cancel", number))
        self.gone()
        self.assertEqual(cluster.run("wait", number).returncode, 3)


if __name__ == "__main__":
    main()
