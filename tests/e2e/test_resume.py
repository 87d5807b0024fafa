"""--resume: what is in the file is shown, not run again; a torn last line is cut off."""

import os
import subprocess
import tempfile

from trireme import CLI, Case, alive, descendants, environment, jsonl, main, run, wait_until


class Resume(Case):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.directory.name, "state")
        self.log = os.path.join(self.directory.name, "log")

    def tearDown(self):
        self.directory.cleanup()
        super().tearDown()

    def ran(self):
        with open(self.log) as f:
            return sorted(map(int, f.read().split()))

    def command(self, *more):
        return ["run", *more, "--resume", self.file, "--range", "1-40", "--", "sh", "-c",
                f"echo $0 >>{self.log}; [ $0 != 20 ] || sleep 2; echo out $0"]

    def test_a_killed_run_is_taken_up_where_its_output_ended(self):
        cli = subprocess.Popen([CLI, *self.command("--width", "1")], env=environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(self.file) and os.path.getsize(self.file) > 0,
                   "a first result is kept")
        below = descendants(cli.pid)
        cli.kill()
        cli.communicate()
        wait_until(lambda: not any(map(alive, below)), "nothing of it starts another command")
        with open(self.file, "rb") as f:
            kept = len(jsonl(f.read().rpartition(b"\n")[0]))
        self.assertLess(kept, 40)
        with open(self.file, "ab") as f:
            f.write(b'{"index":39,"status":"ok","va')
        before = len(self.ran())
        done = run(*self.command(), stdin=None)
        self.assertRan(done)
        self.assertEqual(done.stdout, b"".join(b"out %d\n" % i for i in range(1, 41)))
        self.assertEqual(len(self.ran()) - before, 40 - kept)
        again = run(*self.command(), stdin=None)
        self.assertRan(again)
        self.assertEqual(again.stdout, done.stdout)
        self.assertEqual(len(self.ran()) - before, 40 - kept)

    def test_failed_tasks_are_run_again(self):
        args = ["run", "--fn", "square", "--resume", self.file]
        first = run(*args, ":::", "2", "x", "4", stdin=None)
        self.assertRan(first, 1)
        second = run(*args, ":::", "2", "3", "4", stdin=None)
        self.assertRan(second)
        self.assertEqual(second.stdout, b"4\n16\n9\n")

    def test_a_file_of_something_else_is_refused_and_kept(self):
        with open(self.file, "w") as f:
            f.write("my thesis\n")
        done = run("run", "--fn", "square", "--resume", self.file, ":::", "2", stdin=None)
        self.assertRan(done, 2)
        self.assertIn(b"line 1", done.stderr)
        with open(self.file) as f:
            self.assertEqual(f.read(), "my thesis\n")


if __name__ == "__main__":
    main()
