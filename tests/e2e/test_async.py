"""Ten thousand waits on one thread."""

import subprocess
import os

from trireme import CLI, Case, descendants, environment, main, wait_until


class Async(Case):
    def test_ten_thousand_sleeps_on_one_loop_thread(self):
        cluster = self.cluster("ipc")
        worker = cluster.worker()
        cli = cluster.start("run", "--fn", "sleep", "--model", "async", "--width", "10000",
                            "--reduce", "count", stdin=subprocess.PIPE)
        cli.stdin.write(b"3\n" * 10000)
        cli.stdin.close()
        cli.stdin = None

        def busiest():
            listed = cluster.list_workers()
            return listed and listed[0]["tasks_leased"] == 10000
        wait_until(busiest, "all ten thousand are in flight at once")
        threads = max(len(os.listdir(f"/proc/{pid}/task")) for pid in descendants(worker.pid))
        out, err = cli.communicate(timeout=120)
        self.assertEqual(cli.returncode, 0, err)
        self.assertEqual(out, b"10000\n")
        # The loop's thread, and at most libuv's pool of four and the watch.
        self.assertLessEqual(threads, 6)


if __name__ == "__main__":
    main()
