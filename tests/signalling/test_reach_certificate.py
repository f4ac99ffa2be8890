"""What `palco doctor` says of the certificate that browsers will see."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sfu.contract.config import Config
from signalling.commands.checks import Finding
from signalling.commands.reach import EXPIRES_SOON_DAYS, check_certificate
from tests.harness.processes import take_port

pytestmark = pytest.mark.live


def make_certificate(path: Path, *, days: int, name: str = "localhost") -> Path:
    """A file with a certificate that vouches for itself, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=60))
    builder = builder.not_valid_after(now + timedelta(days=days, hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    plain, form = serialization.NoEncryption(), serialization.PrivateFormat.PKCS8
    path.write_bytes(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, form, plain)
    )
    return path


@contextmanager
def proxy(certificate: Path) -> Iterator[int]:
    """The port of a server that shakes hands once, over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with create_server(("localhost", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with plain, suppress(OSError), context.wrap_socket(plain, server_side=True) as secured:
                secured.recv(1)

        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def findings(certificate: Path, *, trusted: bool = True) -> list[Finding]:
    trust = ssl.create_default_context(cafile=str(certificate)) if trusted else None
    with proxy(certificate) as port:
        return list(check_certificate(Config(public_url=f"https://localhost:{port}"), trust=trust))


def test_a_good_one_is_said_to_be_good_until_its_end(tmp_path: Path) -> None:
    (finding,) = findings(make_certificate(tmp_path / "pem", days=60))
    assert (finding.level, finding.subject) == ("ok", "Certificate of localhost")
    assert finding.detail.startswith("good until ")


def test_one_that_should_have_been_renewed_is_warned_of(tmp_path: Path) -> None:
    (finding,) = findings(make_certificate(tmp_path / "pem", days=EXPIRES_SOON_DAYS - 1))
    assert finding.level == "warn"
    assert finding.detail.startswith("good for 13 more days")


@pytest.mark.parametrize(
    ("days", "name", "trusted", "why"),
    [
        (60, "localhost", False, "self-signed certificate"),
        (-1, "localhost", True, "certificate has expired"),
        (60, "elsewhere.example", True, "Hostname mismatch"),
    ],
)
def test_one_that_browsers_refuse_fails(tmp_path: Path, days: int, name: str, trusted: bool, why: str) -> None:
    (finding,) = findings(make_certificate(tmp_path / "pem", days=days, name=name), trusted=trusted)
    assert finding.level == "fail"
    assert why in finding.detail
    assert "chain" in finding.remedy


def test_before_the_proxy_runs_it_is_a_warning() -> None:
    (finding,) = check_certificate(Config(public_url=f"https://localhost:{take_port()}"))
    assert finding.level == "warn"
    assert "proxy" in finding.remedy


def test_a_server_without_a_public_url_has_none_to_look_at() -> None:
    assert list(check_certificate(Config())) == []
