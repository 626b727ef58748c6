from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from antiphon.audio import g711

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
LAWS = {
    "mu-law": (g711.decode_mulaw, g711.encode_mulaw, g711.MULAW_TO_PCM, g711.MULAW_TO_FLOAT),
    "a-law": (g711.decode_alaw, g711.encode_alaw, g711.ALAW_TO_PCM, g711.ALAW_TO_FLOAT),
}
EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)


@pytest.mark.parametrize("law", LAWS)
def test_every_code_decodes_as_sox_decodes_it(law: str) -> None:
    decode = LAWS[law][0]
    assert decode(bytes(range(256))).astype("<i2").tobytes() == (GOLDEN / f"codes_{law}.s16").read_bytes()


@pytest.mark.parametrize("law", LAWS)
def test_samples_of_no_more_bits_than_the_law_has_encode_as_sox_encodes_them(law: str) -> None:
    encode = LAWS[law][1]
    assert encode(EVERY_SAMPLE[::16]) == (GOLDEN / f"ramp_{law}.raw").read_bytes()


@pytest.mark.parametrize(
    ("law", "digest"),
    [
        ("mu-law", "81d633c9e6972a18c74a58720b96cb8ca0bdd096d4060b646dd708c3b846019a"),
        ("a-law", "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b"),
    ],
)
def test_all_65536_samples_encode_as_audioop_of_python_3_11_did(law: str, digest: str) -> None:
    assert hashlib.sha256(LAWS[law][1](EVERY_SAMPLE)).hexdigest() == digest


@pytest.mark.parametrize("law", LAWS)
def test_every_code_survives_decoding_and_encoding(law: str) -> None:
    decode, encode, _, _ = LAWS[law]
    # Mu-law has two zeros; the negative one (0x7F) comes back as the positive.
    codes = bytes(code for code in range(256) if law == "a-law" or code != 0x7F)
    assert encode(decode(codes)) == codes


@pytest.mark.parametrize("law", LAWS)
def test_an_encoded_sample_is_within_half_a_step_of_its_segment(law: str) -> None:
    decode, encode, _, _ = LAWS[law]
    within = EVERY_SAMPLE[np.abs(EVERY_SAMPLE.astype(int)) < 32_124]
    error = np.abs(decode(encode(within)).astype(int) - within)
    # A step is a sixteenth of the sample or less; 8 for the smallest steps and the bits that are cut.
    assert np.all(error <= 8 + np.abs(within.astype(int)) / 32)


@pytest.mark.parametrize("law", LAWS)
def test_tables_agree_and_cannot_be_changed(law: str) -> None:
    _, _, pcm, float32 = LAWS[law]
    assert pcm.dtype == np.int16
    assert float32.dtype == np.float32
    assert np.array_equal(float32 * 32768, pcm)
    with pytest.raises(ValueError, match="read-only"):
        pcm[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        float32[0] = 0


def test_a_view_that_is_not_contiguous_encodes_the_same() -> None:
    stereo = np.arange(-4000, 4000, dtype=np.int16).reshape(-1, 2)
    assert g711.encode_mulaw(stereo[:, 1]) == g711.encode_mulaw(stereo[:, 1].copy())


def test_no_bytes_are_no_samples() -> None:
    assert len(g711.decode_mulaw(b"")) == 0
    assert g711.encode_alaw(np.zeros(0, np.int16)) == b""
