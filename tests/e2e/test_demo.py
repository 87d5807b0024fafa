"""The textbook demo: thirty tasks, of which 8 and 12 wait that long, under each model."""

import sys

from trireme import Case, main, run

MODEL = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in (
    "process", "thread", "async", "auto") else "auto"
SCRIPT = "echo $0; case $0 in 8|12) exec sleep $0;; esac"


class Demo(Case):
    def test_as_a_function(self):
        done = run("run", "--range", "0-29", "--fn", "demo", "--width", "30", "--model", MODEL)
        self.assertRan(done)
        self.assertEqual(done.stdout.split(), [b"%d" % i for i in range(30)])

    def test_as_a_command(self):
        done = run("run", "--range", "0-29", "--width", "30", "--model", MODEL, "--",
                   "sh", "-c", SCRIPT)
        self.assertRan(done)
        self.assertEqual(done.stdout.split(), [b"%d" % i for i in range(30)])


if __name__ == "__main__":
    main()
