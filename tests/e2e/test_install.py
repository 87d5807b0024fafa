"""What cmake --install puts somewhere works there."""

import os
import subprocess
import tempfile

from trireme import BIN, Case, environment, main


class Install(Case):
    def test_an_installed_trireme_finds_its_library_and_its_daemons(self):
        with tempfile.TemporaryDirectory() as prefix:
            subprocess.run([os.environ["TRIREME_CMAKE"], "--install", os.path.dirname(BIN),
                            "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
            moved = os.path.join(prefix, "elsewhere")
            os.mkdir(moved)
            for name in os.listdir(prefix):
                if name != "elsewhere":
                    os.rename(os.path.join(prefix, name), os.path.join(moved, name))
            done = subprocess.run([os.path.join(moved, "bin", "trireme"), "run", "--fn", "echo",
                                   ":::", "1"], capture_output=True, timeout=120,
                                  env=environment())
            self.assertRan(done)
            self.assertEqual(done.stdout, b"1\n")


if __name__ == "__main__":
    main()
