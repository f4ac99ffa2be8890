"""Builds mediasoup's worker from its npm package where nothing but package registries can be reached.

The package has the worker's source, and names for each library it wants an archive on GitHub or on its makers' sites.
3.12.16 is the last that wants just the versions that Debian 12 has (libuv 1.44.2, Abseil 20220623, libsrtp 2.5 and
OpenSSL 3.0; those after it want libsrtp 3 and a newer FlatBuffers), so each is taken from Debian's package, libsrtp
from `benchmarks.peers.libsrtp`. Nothing is installed: the packages are unpacked in the cache.
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Final

from benchmarks.peers import CACHE, libsrtp
from benchmarks.peers import process as processes

VERSION: Final = "3.12.16"
MESON: Final = "meson==1.12.0"
FOLDER: Final = CACHE / "mediasoup"
WORKER: Final = FOLDER / "mediasoup-worker"
UNPACKED: Final = FOLDER / "debian"
PACKAGES: Final = ("libuv1-dev", "libusrsctp-dev", "libabsl-dev", "nlohmann-json3-dev")

TOOLS: Final = ("npm", "apt-get", "dpkg-deb", "ninja", "c++")


async def build() -> None:
    """Leaves the library in FOLDER and the worker at WORKER. Raises SetupError."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise processes.SetupError(f"not installed: {', '.join(missing)}")
    await libsrtp.build()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}\n')
    await processes.run(["npm", "install", "--silent", "--ignore-scripts", f"mediasoup@{VERSION}"], cwd=FOLDER)
    await _unpack_libraries()
    await processes.run(
        [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", FOLDER / "meson", MESON]
    )
    source = FOLDER / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(FOLDER / "node_modules" / "mediasoup" / "worker", source)
    adapt(source)
    await _compile(source)


async def _unpack_libraries() -> None:
    shutil.rmtree(UNPACKED, ignore_errors=True)
    UNPACKED.mkdir()
    await processes.run(["apt-get", "download", "-qq", *PACKAGES], cwd=UNPACKED)
    for package in sorted(UNPACKED.glob("*.deb")):
        await processes.run(["dpkg-deb", "--extract", package, UNPACKED])


async def _compile(source: Path) -> None:
    output = FOLDER / "build"
    shutil.rmtree(output, ignore_errors=True)
    meson = FOLDER / "meson"
    await processes.run(
        [sys.executable, meson / "bin" / "meson", "setup", "--buildtype=release", "-Db_ndebug=true", output, source],
        environment={"PYTHONPATH": str(meson)},
    )
    await processes.run(["ninja", "-C", output, WORKER.name])
    shutil.copy(output / WORKER.name, WORKER)


def adapt(source: Path) -> None:
    """Makes the build description in `source` find the libraries here, and leaves its tests out."""
    description = source / "meson.build"
    text = description.read_text()
    text = text[: text.index("test_sources = [")]
    text = re.sub(r"catch2_proj = subproject\(.*?\n\)\n", "", text, flags=re.DOTALL)
    text = re.sub(r"(= subproject\(\s*'[\w-]+',).*?\n(\s*\))", r"\1\n\2", text, flags=re.DOTALL)
    description.write_text(text)
    for name, lines in _subprojects().items():
        wrap = (source / "subprojects" / f"{name}.wrap").read_text()
        directory = re.search(r"^directory = (.+)$", wrap, re.MULTILINE)
        if directory is None:
            raise processes.SetupError(f"{name}.wrap names no directory")
        folder = source / "subprojects" / directory[1]
        folder.mkdir()
        (folder / "empty.c").write_text("extern int empty;\n")
        (folder / "meson.build").write_text("\n".join([f"project('{name}', 'c')", *lines, ""]))


def _subprojects() -> dict[str, list[str]]:
    """For each library what its own build description would define: a dependency, and a library that is in it."""
    found = next(UNPACKED.glob("usr/lib/*/libuv_a.a"), None)
    if found is None:
        raise processes.SetupError("Debian's libuv1-dev has no static library")
    libraries = found.parent
    include, abseil = UNPACKED / "usr" / "include", sorted(libraries.glob("libabsl_*.a"))
    srtp_headers = [libsrtp.SOURCE / "include", libsrtp.SOURCE / "crypto" / "include"]
    absl = _dependency([include], ["-Wl,--start-group", *map(str, abseil), "-Wl,--end-group"])
    return {
        "openssl": [_empty("libcrypto_lib"), _empty("libssl_lib"), "openssl_dep = dependency('openssl')"],
        "nlohmann_json": [f"nlohmann_json_dep = {_dependency([include], [])}"],
        "libuv": [_empty("libuv"), f"libuv_dep = {_dependency([include], [str(found), '-lpthread', '-ldl', '-lrt'])}"],
        "libsrtp2": [
            _empty("libsrtp2"),
            f"libsrtp2_dep = {_dependency(srtp_headers, [str(libsrtp.STATIC), '-lssl', '-lcrypto'])}",
        ],
        "usrsctp": [
            _empty("usrsctp"),
            f"usrsctp_dep = {_dependency([include], [str(libraries / 'libusrsctp.a')])}",
        ],
        "abseil-cpp": [
            _empty("absl_container_lib"),
            *(f"absl_{part}_dep = {absl}" for part in ("container", "strings", "types")),
        ],
    }


def _empty(name: str) -> str:
    return f"{name} = static_library('empty_{name}', 'empty.c')"


def _dependency(includes: list[Path], link: list[str]) -> str:
    compile_args = [word for folder in includes for word in ("-isystem", str(folder))]
    return f"declare_dependency(compile_args: {compile_args}, link_args: {link})"
