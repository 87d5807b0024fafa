"""A handler in a shared object, built against the installed headers alone."""

import os
import shutil
import subprocess
import tempfile

from trireme import Case, main, run

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = {"handler.h": "worker/include", "status.h": "common/include", "value.h": "common/include"}


class Plugin(Case):
    def setUp(self):
        super().setUp()
        self.directory = tempfile.TemporaryDirectory()
        include = os.path.join(self.directory.name, "include", "trireme")
        os.makedirs(include)
        for name, place in HEADERS.items():
            shutil.copy(os.path.join(ROOT, place, "trireme", name), include)

    def tearDown(self):
        self.directory.cleanup()
        super().tearDown()

    def build(self, source, name="plugin.so"):
        path = os.path.join(self.directory.name, name)
        subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                        "-I", os.path.join(self.directory.name, "include"), "-o", path, source],
                       check=True)
        return path

    def test_the_example_runs_under_every_model(self):
        plugin = self.build(os.path.join(ROOT, "examples", "collatz.c"))
        for model in ("process", "thread", "async"):
            with self.subTest(model=model):
                done = run("run", "--plugin", plugin, "--fn", "collatz", "--range", "1-10000",
                           "--reduce", "max", "--model", model, stdin=None)
                self.assertRan(done)
                self.assertEqual(done.stdout, b"261\n")

    def test_spawned_processes_load_it_too(self):
        plugin = self.build(os.path.join(ROOT, "examples", "collatz.c"))
        done = run("run", "--plugin", plugin, "--fn", "collatz", "--model", "process",
                   "--process-start", "spawn", ":::", "27", stdin=None)
        self.assertRan(done)
        self.assertEqual(done.stdout, b"111\n")

    def test_a_file_that_is_no_plugin(self):
        path = os.path.join(self.directory.name, "broken.so")
        with open(path, "w") as f:
            f.write("not a shared object")
        done = run("run", "--plugin", path, "--fn", "collatz", ":::", "1", stdin=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"broken.so", done.stderr)

    def test_a_plugin_that_is_not_there(self):
        done = run("run", "--plugin", "/nonexistent.so", "--fn", "collatz", ":::", "1")
        self.assertRan(done, 2)
        self.assertIn(b"/nonexistent.so", done.stderr)


if __name__ == "__main__":
    main()
