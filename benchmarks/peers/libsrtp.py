"""libsrtp with OpenSSL's ciphers, for the peers that are built upon it.

Debian builds its libsrtp with NSS, which costs Janus about 4 µs more for each packet (25 against 21, 150 listeners).
The source comes from crates.io, where the crate srtp2-sys carries it.
"""

import shutil
from typing import Final

from benchmarks.peers import CACHE
from benchmarks.peers import process as processes

CRATE: Final = "srtp2-sys"
CRATE_VERSION: Final = "3.0.2"
FOLDER: Final = CACHE / "libsrtp"
SOURCE: Final = FOLDER / "source"
SHARED: Final = FOLDER / "libsrtp2.so.1"
STATIC: Final = FOLDER / "libsrtp2.a"

MANIFEST = f"""[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[dependencies]
{CRATE} = "={CRATE_VERSION}"
"""


async def build() -> None:
    """Fetches and builds it, unless it is there. Raises SetupError."""
    if STATIC.exists() and SHARED.exists():
        return
    for tool in ("cargo", "make", "cc"):
        if shutil.which(tool) is None:
            raise processes.SetupError(f"{tool} is not installed")
    project = FOLDER / "crate"
    (project / "src").mkdir(parents=True, exist_ok=True)
    (project / "src" / "lib.rs").touch()
    (project / "Cargo.toml").write_text(MANIFEST)
    await processes.run(["cargo", "vendor", "--quiet", FOLDER / "vendor"], cwd=project)
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(FOLDER / "vendor" / CRATE / "libsrtp", SOURCE)
    flags = {"CFLAGS": "-O3 -fPIC -w"}
    await processes.run(["sh", "configure", "--quiet", "--enable-openssl"], cwd=SOURCE, environment=flags)
    await processes.run(["make", "--silent", STATIC.name, "shared_library"], cwd=SOURCE)
    for built in (STATIC, SHARED):
        shutil.copy(SOURCE / built.name, built)
