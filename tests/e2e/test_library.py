"""libtrireme as it is installed: headers, pkg-config, symbols, and the example against daemons."""

import re
import shutil
import signal
import subprocess
import tempfile

from trireme import BIN, Case, Reader, SANITIZED, environment, main, os, wait_until

BUILD = os.path.dirname(BIN)
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HEADERS = ("client.h", "handler.h", "status.h", "value.h")


def call(*args, **kw):
    done = subprocess.run(args, capture_output=True, text=True, **kw)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(args)}: {done.stdout}{done.stderr}")
    return done.stdout


class Library(Case):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.TemporaryDirectory(prefix="trireme-install-")
        cls.prefix = os.path.join(cls.directory.name, "moved")
        first = os.path.join(cls.directory.name, "first")
        call("cmake", "--install", os.path.join(BUILD, "client", "lib"), "--prefix", first)
        os.rename(first, cls.prefix)  # the .pc file must not name where it was
        found = [os.path.join(base, "trireme.pc") for base, _, files in os.walk(cls.prefix)
                 if "trireme.pc" in files]
        cls.env = environment(PKG_CONFIG_PATH=os.path.dirname(found[0]))
        cls.flags = call("pkg-config", "--cflags", "--libs", "trireme", env=cls.env).split()
        cls.libdir = next(flag[2:] for flag in cls.flags if flag.startswith("-L"))

    @classmethod
    def tearDownClass(cls):
        cls.directory.cleanup()

    def build_example(self, window=None):
        """The example, with another result window if one is given."""
        with open(os.path.join(SOURCE, "examples", "client.c")) as f:
            text = f.read()
        if window is not None:
            place = 'job.name = "squares";'
            self.assertIn(place, text)
            text = text.replace(place, f"{place} job.window_bytes = {window};")
        program = os.path.join(self.directory.name, "client")
        sanitize = [f"-fsanitize={os.environ['TRIREME_SANITIZED']}"] if SANITIZED else []
        call("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *sanitize, "-xc", "-", "-o", program,
             *self.flags, input=text)
        return program

    def start_example(self, cluster, count, window=None):
        env = dict(environment(), LD_LIBRARY_PATH=self.libdir)
        done = subprocess.Popen([self.build_example(window), cluster.endpoint, str(count)],
                                env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(done.stdout.close)
        self.addCleanup(done.stderr.close)
        return done

    def check_squares(self, reader, count):
        squares = [int(line) for _, line in reader.lines]
        self.assertEqual(squares, [i * i for i in range(1, count + 1)])

    def test_each_header_stands_alone_in_c_and_cpp(self):
        for header in HEADERS:
            text = f"#include <trireme/{header}>\nint main(void) {{ return 0; }}\n"
            cflags = [flag for flag in self.flags if flag.startswith("-I")]
            call("cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc", "-",
                 *cflags, input=text)
            if header != "handler.h" and shutil.which("c++"):
                call("c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-xc++", "-",
                     *cflags, input=text)

    def test_exactly_the_documented_functions_are_exported(self):
        documented = set()
        for header in ("client.h", "status.h"):
            with open(os.path.join(self.prefix, "include", "trireme", header)) as f:
                documented |= set(re.findall(r"^TRI_API[^(]*?(tri_\w+)\(", f.read(), re.M))
        listed = call("nm", "-D", "--defined-only", os.path.join(self.libdir, "libtrireme.so"))
        exported = {line.split()[2].split("@")[0] for line in listed.splitlines()
                    if line.split()[1] == "T"}
        self.assertEqual(exported, documented)

    def test_the_example_squares_in_order(self):
        cluster = self.cluster("ipc")
        cluster.worker()
        done = self.start_example(cluster, 20000)
        reader, errors = Reader(done.stdout), Reader(done.stderr)
        self.assertEqual(done.wait(120), 0, errors.lines)
        reader.join()
        self.check_squares(reader, 20000)

    def test_a_broker_that_stands_still_for_a_while_changes_no_result(self):
        cluster = self.cluster("tcp")
        cluster.worker()
        count = 60000
        # A pipe that nobody reads and a small window: most results are still at the broker.
        done = self.start_example(cluster, count, window=20000)
        errors = Reader(done.stderr)
        first = done.stdout.readline()
        cluster.broker.kill(signal.SIGSTOP)
        reader = Reader(done.stdout)
        try:
            wait_until(lambda: errors.lines, "the loss is noticed")
        finally:
            cluster.broker.kill(signal.SIGCONT)
        self.assertEqual(done.wait(120), 0, errors.lines)
        reader.join()
        errors.join()
        reader.lines.insert(0, (0, first))
        self.check_squares(reader, count)
        said = b"".join(line for _, line in errors.lines).decode()
        self.assertIn("the broker is lost", said)
        self.assertIn("the broker is back", said)

    def test_an_absent_broker_is_said_by_name(self):
        env = dict(environment(), LD_LIBRARY_PATH=self.libdir)
        endpoint = f"ipc://{self.directory.name}/nobody"
        done = subprocess.run([self.build_example(), endpoint, "1"], env=env, capture_output=True,
                              timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"UNREACHABLE", done.stderr)
        self.assertIn(endpoint.encode(), done.stderr)


if __name__ == "__main__":
    main()
