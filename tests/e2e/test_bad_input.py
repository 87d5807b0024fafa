"""Every mistake a user can make: one clear line, the documented status, nothing left running."""

import os
import subprocess
import tempfile

from trireme import CLI, Case, Daemon, environment, main, run, wait_until


class BadInput(Case):
    def refused(self, status, text, *args, **kw):
        done = run(*args, **kw)
        self.assertRan(done, status)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertIn(text, lines[0])
        return done

    def test_unknown_verb(self):
        self.refused(2, "unknown verb dance", "dance")

    def test_unknown_option(self):
        self.refused(2, "unknown option --speed", "run", "--speed", "9")

    def test_missing_option_value(self):
        self.refused(2, "a value is missing after --fn", "run", "--fn")

    def test_nothing_to_run(self):
        self.refused(2, "--fn NAME, or -- COMMAND", "run", "--range", "1-3")

    def test_function_and_command(self):
        self.refused(2, "not both", "run", "--fn", "echo", "--", "ls")

    def test_unknown_handler(self):
        self.refused(2, "no_such_handler", "run", "--fn", "no_such_handler", ":::", "1")

    def test_fractional_width(self):
        self.refused(2, "--width", "run", "--width", "0.5", "--fn", "echo", ":::", "1")

    def test_bad_range(self):
        for text in ("5", "abc", "1-", "1-2:0", "1-99999999999999999999"):
            with self.subTest(range=text):
                if text == "5":
                    continue
                self.refused(2, "--range", "run", "--range", text, "--fn", "echo")

    def test_bad_reducer(self):
        self.refused(2, "--reduce", "run", "--reduce", "top:0", "--fn", "echo", ":::", "1")

    def test_bad_model(self):
        self.refused(2, "--model", "run", "--model", "fibre", "--fn", "echo", ":::", "1")

    def test_bad_duration(self):
        self.refused(2, "--timeout", "run", "--timeout", "soon", "--fn", "echo", ":::", "1")

    def test_missing_file(self):
        self.refused(2, "/nonexistent/lines", "run", "--fn", "echo", "--each-line",
                     "/nonexistent/lines")

    def test_broken_json_names_its_line(self):
        with tempfile.NamedTemporaryFile() as f:
            f.write(b'1\n{"a":\n3\n')
            f.flush()
            done = run("run", "--fn", "echo", "--from-json", f.name)
            self.assertRan(done, 2)
            self.assertIn(b"line 2", done.stderr)

    def test_a_line_of_nul_is_not_an_empty_line_of_json(self):
        done = run("run", "--fn", "echo", "--from-json", "/dev/stdin", stdin=b"1\n\n\0\n3\n")
        self.assertRan(done, 2)
        self.assertIn(b"line 3", done.stderr)

    def test_a_label_in_a_private_run(self):
        self.refused(2, "--label", "run", "--label", "gpu", "--fn", "echo", ":::", "1")

    def test_what_only_private_runs_can(self):
        for option in (["--test-handlers"], ["--plugin", "x.so"]):
            with self.subTest(option=option):
                self.refused(2, option[0] + " is for private runs", "run", *option, "--fn", "echo",
                             "--broker", "ipc:///nonexistent", ":::", "1")

    def test_an_option_of_another_verb(self):
        for verb, option in (("submit", "--summary"), ("submit", "--joblog"),
                             ("submit", "--resume"), ("submit", "--unordered"), ("submit", "-u"),
                             ("wait", "--joblog"), ("wait", "--resume"), ("results", "--resume"),
                             ("results", "--truncate"), ("list", "--fn=echo")):
            with self.subTest(verb=verb, option=option):
                self.refused(2, f"{verb} does not take {option.partition('=')[0]}", verb, option,
                             "x")

    def test_what_only_commands_see(self):
        for option in (("--env", "A=1"), ("--workdir", "/tmp")):
            with self.subTest(option=option):
                self.refused(2, option[0] + " is for commands", "run", *option, "--fn", "echo",
                             ":::", "1")

    def test_a_directory_from_nowhere(self):
        self.refused(2, "--workdir here", "run", "--broker", "ipc:///nonexistent", "--workdir",
                     "here", "--", "pwd", ":::", "1")

    def test_two_lists_of_values(self):
        for before in (["--fn", "echo"], ["--", "echo"]):
            with self.subTest(before=before):
                self.refused(2, "one ::: is understood", "run", *before, ":::", "1", ":::", "2")

    def test_a_name_that_cannot_be_shown(self):
        for name in (b"a\x1b[31mb", b"a\nb", b"\xff"):
            with self.subTest(name=name):
                self.refused(2, "--name: printable UTF-8", "run", "--fn", "echo", "--name",
                             os.fsdecode(name), ":::", "1")

    def test_what_the_broker_cannot_take_is_named(self):
        line = b"x" * (16 << 20)
        self.refused(2, "stdin: line 2: an argument of 16777221 bytes", "run", "--fn", "echo",
                     "-o", "quiet", stdin=b"1\n" + line)

    def test_a_folder_is_no_source(self):
        self.refused(2, "cannot read /: Is a directory", "run", "--fn", "echo", "--each-line", "/")

    def test_a_range_of_all_integers(self):
        done = run("run", "--fn", "echo", "--range",
                   "-9223372036854775808-9223372036854775807:9223372036854775807")
        self.assertRan(done)
        self.assertEqual(done.stdout, b"-9223372036854775808\n-1\n9223372036854775806\n")

    def test_one_is_not_a_plural(self):
        done = run("run", "--test-handlers", "--fn", "fail", "--halt", "now,fail=1", ":::", "x")
        self.assertRan(done, 3)
        self.assertIn(b": halted: 1 task failed\n", done.stderr)

    def test_wrong_argument_type_fails_that_task_only(self):
        done = run("run", "--fn", "square", ":::", "2", "abc", "4")
        self.assertRan(done, 1)
        self.assertEqual(done.stdout, b"4\n16\n")
        self.assertIn(b'/1: ', done.stderr)
        self.assertIn(b'"abc" is not an integer', done.stderr)

    def test_a_task_where_a_batch_is_wanted_changes_nothing(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        self.assertRan(cluster.run("submit", "--fn", "echo", ":::", "a", "b"))
        for verb in ("forget", "wait", "results", "explain"):
            with self.subTest(verb=verb):
                done = cluster.run(verb, "1/1")
                self.assertRan(done, 2)
                self.assertIn(b"1/1 is one task", done.stderr)
        self.assertRan(cluster.run("wait", "1"))

    def test_a_verb_without_operands_takes_none(self):
        for verb in ("list", "workers"):
            with self.subTest(verb=verb):
                done = run(verb, "extra")
                self.assertRan(done, 2)
                self.assertIn(b"unexpected word extra", done.stderr)

    def test_a_very_long_connect_timeout_is_not_none(self):
        cluster = self.cluster("ipc")
        self.assertRan(cluster.run("list", "--connect-timeout", "999999d"))

    def test_unreachable_broker(self):
        self.refused(69, "tcp://127.0.0.1:1", "run", "--fn", "echo", "--broker",
                     "tcp://127.0.0.1:1", "--connect-timeout", "300ms", ":::", "1")

    def test_a_verb_that_needs_a_broker(self):
        self.refused(2, "TRIREME_BROKER", "list")

    def test_a_tcp_listen_without_the_flag(self):
        broker = Daemon("trireme-broker", "--listen", "tcp://127.0.0.1:*")
        self.assertEqual(broker.process.wait(30), 2, broker.text())
        self.assertIn("--insecure-no-auth", broker.text())

    def test_a_network_listen_needs_more_than_the_flag(self):
        broker = Daemon("trireme-broker", "--listen", "tcp://0.0.0.0:*", "--insecure-no-auth")
        self.assertEqual(broker.process.wait(30), 2, broker.text())
        self.assertIn("--insecure-no-auth=network", broker.text())

    def test_head_ends_it_silently(self):
        cli = subprocess.Popen([CLI, "run", "--range", "1-300000", "--fn", "echo"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               stdin=subprocess.DEVNULL, env=environment())
        self.assertEqual(cli.stdout.readline(), b"1\n")
        cli.stdout.close()
        self.assertEqual(cli.wait(60), 141)
        self.assertEqual(cli.stderr.read(), b"")
        cli.stderr.close()

    def test_an_unwritable_joblog(self):
        self.refused(2, "--joblog", "run", "--fn", "echo", "--joblog", "/nonexistent/log",
                     ":::", "1")

    def test_the_library_of_words_is_in_help(self):
        for verb in ("run", "submit", "wait", "results", "list", "show", "explain", "cancel",
                     "retry", "forget", "workers", "completion"):
            with self.subTest(verb=verb):
                done = run(verb, "--help")
                self.assertRan(done)
                self.assertIn(b"usage: trireme " + verb.encode(), done.stdout)


if __name__ == "__main__":
    main()
