"""Guests: how a test boots one, has it run commands of the host, and kills it.

    guest = Guest("dax", memory="1G,slots=4,maxmem=16G", devices=[...])
    guest.step("verify", f"{WEIR} verify /run/guest/log")
    guest.run(120)
    assert guest["verify"].exit == 0

The guest's root is the host's, read-only; the programs of the build run there at their own path.
What it writes lies below /run/guest, in memory, or on the disks that it was given. No KVM: it runs
everywhere, slowly, and its times say nothing.
"""

import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("WEIR_BUILD", os.getcwd())
WEIR = os.environ.get("WEIR", "weir")
KERNEL = os.environ.get("WEIR_VM_KERNEL", "")
QEMU = "qemu-system-x86_64"
BUSYBOX = "/bin/busybox"
SKIPPED = 77

MODULES = ("9p 9pnet_virtio virtio_pci virtio_blk nvme ext4 xfs nfit nd_pmem virtio_pmem "
           "loop dm_flakey").split()
DEBUG_EXIT = 1  # isa-debug-exit answers (value << 1) | 1


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def need():
    """Ends the test as skipped where something is missing."""
    for tool in (QEMU, BUSYBOX, "cpio", "modprobe", "mkfs.ext4", "ndctl"):
        if shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            skip(f"no {tool}; `make check-vm` installs what is needed")
    if not os.path.exists(os.path.join(KERNEL, "ready")):
        skip(f"no kernel in '{KERNEL}'; `make check-vm` fetches one")


def kernel_version():
    return os.listdir(os.path.join(KERNEL, "lib", "modules"))[0]


def module_files():
    """Paths of MODULES and of what they need, in the order of loading."""
    files = []
    for module in MODULES:
        # -C /dev/null: Debian's ndctl hides libnvdimm from --show-depends by a rule.
        shown = subprocess.run(
            ["/sbin/modprobe", "-C", "/dev/null", "-d", KERNEL, "-S", kernel_version(),
             "--show-depends", module], capture_output=True, text=True, check=True)
        for path in re.findall(r"^insmod (\S+)", shown.stdout, re.MULTILINE):
            if path not in files:
                files.append(path)
    return files


def make_initramfs(path):
    """A busybox, the modules and guest_init.sh."""
    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as root:
        for name in ("bin", "dev", "proc", "sys", "host", "modules"):
            os.mkdir(os.path.join(root, name))
        shutil.copy(BUSYBOX, os.path.join(root, "bin", "busybox"))
        shutil.copy(os.path.join(HERE, "guest_init.sh"), os.path.join(root, "init"))
        os.chmod(os.path.join(root, "init"), 0o755)
        files = module_files()
        for module in files:
            shutil.copy(module, os.path.join(root, "modules"))
        with open(os.path.join(root, "modules", "order"), "w", encoding="utf-8") as order:
            order.writelines(os.path.basename(module) + "\n" for module in files)
        names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
        with open(path + ".new", "wb") as archive:
            subprocess.run(["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"], cwd=root,
                           input=names, stdout=archive, check=True)
    os.rename(path + ".new", path)


class Step:
    """What a command of the guest has said."""

    def __init__(self, directory, name):
        def text(kind):
            path = os.path.join(directory, f"{name}.{kind}")
            if not os.path.exists(path):
                return ""
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read()

        self.name, self.out, self.err = name, text("out"), text("err")
        status = text("exit").strip()
        self.exit = int(status) if status else None

    def rows(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self):
        return f"{self.name}: exit {self.exit}\n{self.out[-3000:]}\n{self.err[-3000:]}"


class Guest:
    """One boot. Its files lie in a directory of its own, which `with` removes."""

    def __init__(self, name, devices=(), machine="q35", memory="1G", cpu="max"):
        self.directory = tempfile.mkdtemp(prefix=f"vm-{name}-", dir=os.getcwd())
        self.results = os.path.join(self.directory, "results")
        os.mkdir(self.results)
        self.devices, self.machine, self.memory, self.cpu = devices, machine, memory, cpu
        self.script = ["export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/guest",
                       "cd /run/guest"]
        self.process = None
        self.seconds = 0.0

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.kill()
        if kind is None and not os.environ.get("WEIR_VM_KEEP"):
            shutil.rmtree(self.directory)

    def path(self, name):
        return os.path.join(self.directory, name)

    def do(self, line):
        """A line of the guest's script; without it nothing behind it makes sense."""
        self.script.append(f"{line} || {{ echo {shlex.quote(line)} failed >&2; exit 9; }}")

    def step(self, name, command, seconds=60):
        """A command whose output and exit status are kept."""
        at = f"/run/results/{name}"
        self.script.append(f"timeout -k 5 {seconds} sh -c {shlex.quote(command)} "
                           f">{at}.out 2>{at}.err </dev/null; echo $? >{at}.exit")

    def __getitem__(self, name):
        return Step(self.results, name)

    def command(self):
        initramfs = os.path.join(os.getcwd(), "initramfs")
        made_of = [os.path.join(HERE, "guest_init.sh"), __file__, os.path.join(KERNEL, "ready")]
        if not os.path.exists(initramfs) or \
                os.path.getmtime(initramfs) < max(map(os.path.getmtime, made_of)):
            make_initramfs(initramfs)
        image = glob.glob(os.path.join(KERNEL, "boot", "vmlinuz-*"))[0]
        return [
            QEMU, "-accel", "tcg,thread=multi", "-M", self.machine, "-m", self.memory,
            "-cpu", self.cpu, "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none",
            "-no-reboot", "-kernel", image, "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off random.trust_cpu=on",
            "-serial", f"file:{self.path('console')}",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,"
                       "multidevs=remap",
            "-virtfs", f"local,path={self.results},mount_tag=results,security_model=none",
            *self.devices]

    def start(self):
        with open(os.path.join(self.results, "script.sh"), "w", encoding="utf-8") as script:
            script.write("\n".join(self.script) + "\n")
        with open(self.path("qemu"), "wb") as said:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=said, stderr=subprocess.STDOUT)

    def kill(self):
        """What qemu has not written is lost; what it has is the host's."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def story(self):
        text = ""
        for name in ("qemu", "console", "results/exit", "results/writer.out"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as file:
                    text += f"--- {name}\n{file.read()[-3000:]}\n"
        return text

    def run(self, seconds):
        """Boots, runs the script and waits for the end; fails when that does not come in time."""
        began = time.monotonic()
        self.start()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            # One shutdown in some 25 hangs: all is well when the script has ended.
            pass
        self.kill()
        self.seconds = time.monotonic() - began
        path = os.path.join(self.results, "exit")
        status = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                status = file.read().strip()
        assert status == "0", f"the guest's script ended with '{status}'\n{self.story()}"


def disk(path, size_bytes):
    """A file of zeros."""
    with open(path, "wb") as file:
        file.truncate(size_bytes)
    return path


def tool(*command):
    """A program of the host that must not fail."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    subprocess.run(command, check=True, env=dict(os.environ, PATH=path))


def content(path):
    with open(path, "rb") as file:
        return file.read()


def again_while_killed(writer):
    """A line of a script. A writer that ends otherwise has failed: so does the script."""
    return (f"while :; do {writer}; [ $? = 137 ] || exit 8; done "
            ">/run/results/writer.out 2>&1")
