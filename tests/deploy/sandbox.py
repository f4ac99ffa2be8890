"""Runs a program with the limits of a systemd unit, where no systemd runs: `python sandbox.py UNIT PROGRAM ...`. Edge.

Of the unit: system calls, address families, memory that is writable or executable, capabilities, privileges, open
files, umask. Not of it: mounts, users and namespaces.
"""

import ctypes
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

# linux/prctl.h
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 38, 65
# seccomp.h
ALLOW, REFUSE_WITH_EPERM, COMPARE_EQUAL = 0x7FFF0000, 0x00050001, 4


class Comparison(ctypes.Structure):
    """scmp_arg_cmp"""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def main() -> None:
    unit, *program = sys.argv[1:]
    settings: dict[str, list[str]] = {}
    for line in Path(unit).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        settings.setdefault(name, []).append(value)
    allowed = allowed_calls(settings["SystemCallFilter"])
    limit = int(settings["LimitNOFILE"][0])
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    os.umask(int(settings["UMask"][0], 8))
    kernel = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and settings["CapabilityBoundingSet"] == [""]:
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text(encoding="ascii"))
        for capability in range(last + 1):
            kernel.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    must(kernel.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    if settings.get("MemoryDenyWriteExecute") == ["yes"]:
        must(kernel.prctl(PR_SET_MDWE, 1, 0, 0, 0), "memory-deny-write-execute (Linux 6.3)")
    families = [int(getattr(socket, name)) for name in settings["RestrictAddressFamilies"][0].split()]
    filter_calls(allowed, families)
    os.execv(program[0], program)


def must(result: int, what: str) -> None:
    if result:
        raise SystemExit(f"sandbox: this kernel has no {what}")


def allowed_calls(filters: list[str]) -> set[str]:
    """systemd.exec(5): the first line begins an allow-list, which holds @default; a line with ~ takes away from it."""
    allowed = expand("@default")
    for line in filters:
        calls = set().union(*(expand(name) for name in line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def expand(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    inner = (line.strip() for line in listed.stdout.splitlines()[1:])
    return set().union(*(expand(each) for each in inner if each and not each.startswith("#")))


def filter_calls(allowed: set[str], families: list[int]) -> None:
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(REFUSE_WITH_EPERM))
    for name in allowed - {"socket"}:
        if (number := seccomp.seccomp_syscall_resolve_name(name.encode())) >= 0:
            must(seccomp.seccomp_rule_add(context, ALLOW, number, 0), name)
    number = seccomp.seccomp_syscall_resolve_name(b"socket")
    for family in families:
        same = Comparison(0, COMPARE_EQUAL, family, 0)
        must(seccomp.seccomp_rule_add_array(context, ALLOW, number, 1, ctypes.byref(same)), "socket")
    must(seccomp.seccomp_load(context), "seccomp")


if __name__ == "__main__":
    main()
