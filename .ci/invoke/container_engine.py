"""A Docker engine for `sam local invoke`: a running one, or one that is started here and stopped at the end."""

import contextlib
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import time

# What SAM's runtime emulator needs in an image whose functions are static programs: a shell to start it, and the
# programs with which SAM installs it. The official image has a whole system, which is not used here.
STAND_IN_IMAGE = "lambda-stand-in:local"
STAND_IN_PROGRAMS = ("sh", "cat", "chmod", "ls", "mkdir", "mv")

SECONDS_TO_START = 300


@contextlib.contextmanager
def running():
    """Makes sure that an engine answers, and that every program started from here finds it."""
    if docker("info", check=False).returncode == 0:
        yield
        return
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise SystemExit("no Docker engine answers, and to start one takes root and dockerd (Debian: docker.io)")
    with tempfile.TemporaryDirectory(prefix="dockerd-", ignore_cleanup_errors=True) as folder:
        socket = f"unix://{folder}/docker.sock"
        log = pathlib.Path(folder, "log")
        with log.open("w") as output:
            engine = subprocess.Popen(
                ["dockerd", "--host", socket, "--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec",
                 "--pidfile", f"{folder}/pid"],
                stdout=output, stderr=subprocess.STDOUT,
            )
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = socket
        try:
            wait_for_engine(engine, log)
            yield
        finally:
            engine.terminate()
            engine.wait(timeout=300)
            os.environ.pop("DOCKER_HOST")
            if before is not None:
                os.environ["DOCKER_HOST"] = before


def wait_for_engine(engine, log):
    deadline = time.monotonic() + SECONDS_TO_START
    while docker("info", check=False).returncode != 0:
        if engine.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("dockerd does not start:\n" + "\n".join(log.read_text().splitlines()[-15:]))
        time.sleep(0.5)


def docker(*arguments, check=True, **options):
    return subprocess.run(["docker", *arguments], check=check, capture_output=True, **options)


def image():
    """The image for functions to run in: a stand-in that needs no network. INVOKE_IMAGE names another."""
    if named := os.environ.get("INVOKE_IMAGE"):
        return named
    busybox = shutil.which("busybox")
    if not busybox:
        raise SystemExit("the stand-in image is made of a static busybox (Debian: busybox-static), which is not here; "
                         "or name another image in INVOKE_IMAGE")
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        tar.add(os.path.realpath(busybox), "bin/busybox")
        for program in STAND_IN_PROGRAMS:
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for folder in ("tmp", "var/task"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
    docker("import", "--change", "WORKDIR /var/task", "--change", "ENV PATH=/bin", "-", STAND_IN_IMAGE,
           input=files.getvalue())
    return STAND_IN_IMAGE


def host_address(image_name):
    """The name of the host for containers, with its address."""
    hosts = docker("run", "--rm", "--add-host", "host.docker.internal:host-gateway", image_name, "cat", "/etc/hosts")
    return next(line.split()[0] for line in hosts.stdout.decode().splitlines() if "host.docker.internal" in line)
