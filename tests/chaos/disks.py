"""Disks with faults: one whose power can be cut, one that is full and grows, and the lie that makes
a disk not sync. They need root."""

import contextlib
import fcntl
import os
import subprocess
import tempfile
import time

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
NO_LOG_FLUSH = (2).to_bytes(4, "little")


def run(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


def unmount(folder):
    """A process that was just killed may hold it for a moment."""
    for _ in range(100):
        if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.05)
    run("umount", folder)


class Cuttable:
    """ext4 on a loop device. cut() loses at once everything that was not synced, as a power cut
    does; after power_off(), power_on() mounts what is left."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-disk-")
        self.image = os.path.join(self.directory.name, "image")
        self.folder = os.path.join(self.directory.name, "mnt")
        os.mkdir(self.folder)
        with open(self.image, "wb") as f:
            f.truncate(128 << 20)
        run("mkfs.ext4", "-q", self.image)
        self.power_on()
        return self

    def power_on(self):
        run("mount", "-o", "loop", self.image, self.folder)
        self.mounted = True

    def cut(self):
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        finally:
            os.close(fd)

    def power_off(self):
        unmount(self.folder)
        self.mounted = False

    def __exit__(self, *_):
        if self.mounted:
            self.power_off()
        self.directory.cleanup()


class Growing:
    """A small file system in memory that can be made larger while it is in use."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="trireme-disk-")
        self.folder, self.size = self.directory.name, 4
        run("mount", "-t", "tmpfs", "-o", f"size={self.size}m", "tmpfs", self.folder)
        return self

    def grow(self):
        self.size += 4
        run("mount", "-o", f"remount,size={self.size}m", self.folder)

    def __exit__(self, *_):
        unmount(self.folder)
        self.directory.cleanup()


NOSYNC = """
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
"""


@contextlib.contextmanager
def unsynced():
    """The environment of a process whose syncs do nothing and say that they did."""
    with tempfile.TemporaryDirectory(prefix="trireme-nosync-") as folder:
        library = os.path.join(folder, "nosync.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", library],
                       input=NOSYNC.encode(), check=True)
        yield {"LD_PRELOAD": library}
