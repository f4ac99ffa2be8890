"""Certificate fingerprints in SDP: RFC 8122 §5."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.serialization import Encoding

from sfu.certificate import make_certificate, parse_expected
from sfu.contract.messages import Fingerprint
from sfu.errors import CommandError
from tests.sfu.dtls_link import NOW

DER = b"the octets of a certificate"


def named(algorithm: str, der: bytes = DER) -> Fingerprint:
    return Fingerprint(algorithm=algorithm, value=hashlib.new(algorithm.replace("-", ""), der).hexdigest().upper())


def test_a_certificate_made_here_meets_its_own_fingerprint() -> None:
    local = make_certificate(NOW)
    assert isinstance(local.key.curve, SECP256R1)
    der = local.certificate.public_bytes(Encoding.DER)
    assert parse_expected([local.fingerprint]).is_met_by(der)
    assert not parse_expected([local.fingerprint]).is_met_by(
        make_certificate(NOW).certificate.public_bytes(Encoding.DER)
    )


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-384", "sha-512", "SHA-256"])
def test_the_strong_hash_functions_are_checked(algorithm: str) -> None:
    expected = parse_expected([Fingerprint(algorithm=algorithm, value=named(algorithm.lower()).value)])
    assert expected.is_met_by(DER)
    assert not expected.is_met_by(DER + b"!")


def test_of_several_hash_functions_the_strongest_decides() -> None:
    expected = parse_expected([named("sha-256"), named("sha-512", b"another")])
    assert not expected.is_met_by(DER)
    assert expected.is_met_by(b"another")


def test_of_several_certificates_any_may_come() -> None:
    expected = parse_expected([named("sha-256"), named("sha-256", b"another")])
    assert expected.is_met_by(DER)
    assert expected.is_met_by(b"another")


def test_colons_and_case_do_not_matter() -> None:
    value = hashlib.sha256(DER).digest().hex(":")
    assert parse_expected([Fingerprint(algorithm="sha-256", value=value)]).is_met_by(DER)


@pytest.mark.parametrize(
    "fingerprints",
    [
        [],
        [named("sha-1")],
        [named("md5")],
        [Fingerprint(algorithm="sha-256", value="")],
        [Fingerprint(algorithm="sha-256", value="AB:CD")],
        [Fingerprint(algorithm="sha-256", value="not hexadecimal")],
        [Fingerprint(algorithm="sha-512", value=named("sha-256").value)],
    ],
)
def test_nothing_to_check_is_refused_rather_than_passed(fingerprints: list[Fingerprint]) -> None:
    with pytest.raises(CommandError) as refusal:
        parse_expected(fingerprints)
    assert refusal.value.code == "bad_command"
