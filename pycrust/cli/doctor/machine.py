"""The machine, as this process sees it: shared memory, limits, cores, real time."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING

from pycrust.cli.doctor.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

SHM = Path("/dev/shm")  # noqa: S108 - where Linux keeps shared memory
_MIB = 1 << 20
#: What a container's shared memory has where nobody says otherwise.
_CONTAINER_SHM = 64 * _MIB
#: What a worker with a few clients takes before anybody sends an array.
_LEAST_FREE = 16 * _MIB
#: Files that a few connections make.
_LEAST_FILES = 1_000
#: Descriptors of 256 clients, and some for the program.
_LEAST_NOFILE = 1_024
#: Iceoryx2 maps more than it uses.
_LEAST_ADDRESSES = 4 << 30
#: Threads of an endpoint, of a Python program and of its libraries.
_LEAST_THREADS = 256
#: Bits of `CapEff` (capabilities(7)).
_CAP_IPC_LOCK, _CAP_SYS_NICE = 14, 23


def findings() -> Iterator[Finding]:
    """Everything about the machine."""
    yield from shared_memory()
    yield from limits()
    yield from real_time()
    yield from quota()
    yield from governors()


def mounted(path: Path) -> str:
    """The type of the file system that a path is on; empty if it is not known."""
    best, kind = -1, ""
    for line in _text(Path("/proc/self/mountinfo")).splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), rest.split(" ")[0]
    return kind


def shared_memory() -> Iterator[Finding]:
    """Whether /dev/shm can hold what connections need."""
    shm, needs = str(SHM), "frames travel in files there"
    if not SHM.is_dir():
        mend = f"sudo mkdir -m 1777 {shm} && sudo mount -t tmpfs -o mode=1777 tmpfs {shm}"
        yield Finding("shm-missing", shm, f"there is no {shm}", needs, mend)
        return
    if (kind := mounted(SHM)) not in {"tmpfs", "ramfs", ""}:
        mend = f"sudo mount -t tmpfs -o mode=1777 tmpfs {shm}"
        yield Finding("shm-no-memory", shm, f"{shm} is no memory but {kind}", f"{needs}; a disk is slow", mend)
    size = os.statvfs(SHM)
    if size.f_flag & os.ST_RDONLY:
        mend = f"sudo mount -o remount,rw {shm}; a container: not --read-only for {shm}"
        yield Finding("shm-read-only", shm, f"{shm} is read-only", needs, mend)
    elif not os.access(SHM, os.W_OK | os.X_OK):
        yield Finding("shm-closed", shm, f"this user may not write to {shm}", needs, f"sudo chmod 1777 {shm}")
    total, free = size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize
    if 0 < total <= _CONTAINER_SHM:
        yield Finding(
            "shm-small",
            shm,
            f"{shm} has {total // _MIB} MiB, as in a container that was given no more",
            "arrays and large answers end in RESOURCE_EXHAUSTED, and containers with one each don't see each other",
            "docker run --shm-size=1g, or --ipc=host for both sides; Kubernetes: an emptyDir with medium: Memory "
            f"at {shm}; else sudo mount -o remount,size=1g {shm}",
        )
    if total > 0 and free < _LEAST_FREE:
        yield Finding(
            "shm-full",
            shm,
            f"{shm} has {free // 1024} KiB left of {total // _MIB} MiB",
            "connecting and large frames fail",
            f"ls -lS {shm} shows what is there; pycrust doctor --fix removes what dead workers left",
        )
    if size.f_files > 0 and size.f_favail < _LEAST_FILES:
        yield Finding(
            "shm-files",
            shm,
            f"{shm} has room for {size.f_favail} more files",
            "a connection makes some hundred",
            f"sudo mount -o remount,nr_inodes=1m {shm}",
        )


def limits() -> Iterator[Finding]:
    """Limits of this shell's processes that keep a worker or a client from working."""
    soft = {
        name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0]
        for name in ("NOFILE", "FSIZE", "AS", "NPROC")
    }
    endless = resource.RLIM_INFINITY
    if soft["NOFILE"] != endless and soft["NOFILE"] < _LEAST_NOFILE:
        yield Finding(
            "limit-nofile",
            "RLIMIT_NOFILE",
            f"processes may open {soft['NOFILE']} files",
            "each connection takes five on either side",
            "ulimit -n 65536; systemd: LimitNOFILE=65536; docker run --ulimit nofile=65536",
        )
    if soft["FSIZE"] != endless:
        yield Finding(
            "limit-fsize",
            "RLIMIT_FSIZE",
            f"files may have {soft['FSIZE']} bytes",
            "that counts for shared memory, too: what is larger can't be made",
            "ulimit -f unlimited; systemd: LimitFSIZE=infinity",
        )
    if soft["AS"] != endless and soft["AS"] < _LEAST_ADDRESSES:
        yield Finding(
            "limit-as",
            "RLIMIT_AS",
            f"processes may map {soft['AS'] // _MIB} MiB",
            "shared memory is mapped at its largest size, and only what is used of it takes memory",
            "ulimit -v unlimited; systemd: LimitAS=infinity, and MemoryMax= to bound memory",
        )
    if os.getuid() != 0 and soft["NPROC"] != endless and soft["NPROC"] < _LEAST_THREADS:
        yield Finding(
            "limit-nproc",
            "RLIMIT_NPROC",
            f"this user may have {soft['NPROC']} threads",
            "a worker has up to 40, and Python's libraries one a core",
            "ulimit -u 4096; systemd: TasksMax=",
        )


def real_time() -> Iterator[Finding]:
    """What `serve(realtime=…)` would miss: notes, since few need it."""
    priority = "rtprio 99; systemd: LimitRTPRIO=99; docker run --cap-add sys_nice"
    memory = "memlock unlimited; systemd: LimitMEMLOCK=infinity; docker run --ulimit memlock=-1"
    for limit, capability, what, mend in (
        ("RTPRIO", _CAP_SYS_NICE, "a real-time priority", priority),
        ("MEMLOCK", _CAP_IPC_LOCK, "all memory locked", memory),
    ):
        allowed = resource.getrlimit(getattr(resource, f"RLIMIT_{limit}"))[0]
        enough = allowed == resource.RLIM_INFINITY or (limit == "RTPRIO" and allowed > 0)
        if not enough and not _capabilities() >> capability & 1:
            yield Finding(
                f"limit-{limit.lower()}",
                f"RLIMIT_{limit}",
                f"this user can't have {what} (limit {allowed})",
                "only serve(realtime=…) asks for it",
                f"in /etc/security/limits.conf: <user> - {mend}",
                serious=False,
            )


def quota() -> Iterator[Finding]:
    """Whether a control group takes the cores away now and then."""
    for group in _groups():
        quota, period = _quota(group)
        if quota is None or period <= 0:
            continue
        cores, throttled = quota / period, _throttled(group)
        if cores >= 1 and not throttled:
            continue
        times = f", and was stopped {throttled} times for it" if throttled else ""
        yield Finding(
            "cpu-quota",
            str(group),
            f"this control group may use {cores:.2f} cores{times}",
            f"a worker that has used its share up stands still until the next {period // 1000} ms begin",
            "docker run without --cpus, or with --cpuset-cpus; Kubernetes: no cpu limit, or whole ones with "
            "the static policy; systemd: CPUQuota=",
            serious=cores < 1 or bool(throttled),
        )
        return


def governors() -> Iterator[Finding]:
    """Whether cores are slow to wake."""
    slow = [
        path
        for path in Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
        if _text(path) == "powersave"
    ]
    if slow:
        yield Finding(
            "governor",
            "scaling_governor",
            f"{len(slow)} cores save power",
            "a core that has slowed down answers its first calls late",
            "sudo cpupower frequency-set -g performance",
            serious=False,
        )


def facts() -> dict[str, str]:
    """The machine in a few words."""
    size = os.statvfs(SHM) if SHM.is_dir() else None
    shm = "-" if size is None else (
        f"{size.f_bavail * size.f_frsize // _MIB:,} MiB free of {size.f_blocks * size.f_frsize // _MIB:,} MiB"
    )  # fmt: skip
    container = [name for name in ("/.dockerenv", "/run/.containerenv") if Path(name).exists()]
    return {
        "kernel": os.uname().release,
        "cores": str(len(os.sched_getaffinity(0))),
        "/dev/shm": shm,  # noqa: S108 - as above
        "container": "yes" if container or os.environ.get("KUBERNETES_SERVICE_HOST") else "no sign of one",
    }


def _capabilities() -> int:
    for line in _text(Path("/proc/self/status")).splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _groups() -> Iterator[Path]:
    """This process's control groups that may have a quota, from its own upwards."""
    root = Path("/sys/fs/cgroup")
    for line in _text(Path("/proc/self/cgroup")).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" or "cpu" in controllers.split(","):
            base = root if number == "0" else root / "cpu"
            group = base / path.lstrip("/")
            while group.is_relative_to(base):
                yield group
                group = group.parent


def _quota(group: Path) -> tuple[int | None, int]:
    """Microseconds of cores in each so many microseconds; `None` is any."""
    if limit := _text(group / "cpu.max").split():
        return (None if limit[0] == "max" else int(limit[0])), int(limit[1])
    if (limit := _text(group / "cpu.cfs_quota_us")) and int(limit) > 0:
        return int(limit), int(_text(group / "cpu.cfs_period_us") or 0)
    return None, 0


def _throttled(group: Path) -> int:
    counts = dict(line.split(" ", 1) for line in _text(group / "cpu.stat").splitlines())
    return int(counts.get("nr_throttled", 0))


def _text(path: Path) -> str:
    """A file of the kernel's; empty if it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
