"""STM32F746: sparse steps of Tiny Training Engine; and inference of MLPerf Tiny on ten boards at one rate each."""

from collections.abc import Iterator
from functools import cache
from typing import Final

import torch
from rows import Check, Row, Section, median_error, table

from fedtiny.costs.compute import rate_of, step_seconds
from fedtiny.costs.mcu_memory import mcu_memory
from fedtiny.fleet.catalog import load_device
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.measure import summarize
from fedtiny.models.summary import ModelSummary, RateClass
from fedtiny.updates.full import Full
from fedtiny.updates.published_sparse import PUBLISHED
from fedtiny.updates.sparse import Sparse

SHAPE: Final = (3, 128, 128)
CLASSES: Final = 10
MODELS: Final = {"mobilenet_v2_w035": MobileNetV2W035, "proxylessnas_w03": ProxylessNasW03, "mcunet_5fps": McuNet5Fps}
KIBI: Final = 1024


@cache
def network(name: str) -> ModelSummary:
    """One of the three networks, folded, for images of 3x128x128."""
    model = MODELS[name](normalization="folded")
    return summarize(model.build(SHAPE, CLASSES, lite_residual=False, generator=torch.Generator().manual_seed(0)), name, SHAPE, CLASSES)


def sparse_steps() -> Section:
    """Steps of the published sparse updates; counted is the one whose peak memory comes closest to the published."""
    device = load_device("stm32f746")
    rows, ratios = [], []
    for row in table("stm32f746"):
        summary = network(row["network"])
        plans = {name: Sparse(scheme=name).plan(summary) for name, one in PUBLISHED.items() if one.model == row["network"]}
        peaks = {name: mcu_memory(summary, plan, 1).total_bytes / KIBI for name, plan in plans.items()}
        nearest = min(peaks, key=lambda name: abs(peaks[name] - float(row["peak_kb"])))
        full = step_seconds(summary, Full().plan(summary), 1, device)
        for name, plan in plans.items():
            seconds, chosen = step_seconds(summary, plan, 1, device), name == nearest
            note = f"peak {peaks[name]:.0f} of the published {row['peak_kb']} kB" if chosen else "another scheme of the same network"
            rows.append(
                Row(
                    "STM32F746",
                    device.name,
                    f"sparse step, {name}",
                    seconds,
                    float(row["sparse_ms"]) / 1e3,
                    "s",
                    "tiny_training",
                    chosen,
                    note,
                )
            )
            if chosen:
                measured = float(row["sparse_tflite_ms"]) / float(row["full_tflite_ms"])
                ratios.append(
                    Row(
                        "Ratios",
                        device.name,
                        f"sparse / full, {name}",
                        seconds / full,
                        measured,
                        "",
                        "tiny_training",
                        note="measured in TensorFlow Lite",
                    )
                )
    counted = [abs(row.error) for row in rows if row.counted]
    text = (
        "One image of 3x128x128, at one rate for all convolutions (60 MMAC/s). The source does not say which of its five published "
        "schemes per network was timed: counted is the one whose peak SRAM, as FedTiny predicts it, comes closest to that of the timed "
        "run; the other schemes are listed beside. The ratios are of steps; measured ones are of TensorFlow Lite on the same chip, "
        "whose times themselves (3.4 to 13.4 s) are twelve times those of Tiny Training Engine and are not predicted: the profile is "
        "of one runtime."
    )
    checks = [
        Check("STM32F746 sparse steps at one rate: largest error", max(counted), 0.0, 0.20),
        Check("STM32F746 sparse / full: smallest", min(row.predicted for row in ratios), 0.39, 0.56),
        Check("STM32F746 sparse / full: largest", max(row.predicted for row in ratios), 0.39, 0.56),
    ]
    return Section("STM32F746: sparse updates", text, [*rows, *ratios], checks)


def _mobilenet_quarter() -> dict[RateClass, float]:
    """MobileNetV1 at a quarter of its width for 96x96: (input channels, output channels, side of the output) of its blocks."""
    blocks = [
        (8, 16, 48),
        (16, 32, 24),
        (32, 32, 24),
        (32, 64, 12),
        (64, 64, 12),
        (64, 128, 6),
        *[(128, 128, 6)] * 5,
        (128, 256, 3),
        (256, 256, 3),
    ]
    return {
        "dense_convolution": 48**2 * 8 * 27,
        "depthwise": sum(side**2 * channels * 9 for channels, _, side in blocks),
        "pointwise_convolution": sum(side**2 * channels * out for channels, out, side in blocks),
        "dense_gemm": 256 * 2,
    }


# Multiply-accumulates of the reference networks of MLPerf Tiny by class (mlcommons/tiny, benchmark/training).
BENCHMARKS: Final[dict[str, dict[RateClass, float]]] = {
    "ic": {"dense_convolution": 12.50e6},
    "vww": _mobilenet_quarter(),
    "kws": {
        "dense_convolution": 125 * 64 * 40,
        "depthwise": 4 * 125 * 64 * 9,
        "pointwise_convolution": 4 * 125 * 64 * 64,
        "dense_gemm": 64 * 12,
    },
    "ad": {"dense_gemm": 2 * (640 * 128 + 3 * 128 * 128 + 128 * 8)},
}


def inference() -> Section:
    """MLPerf Tiny: from image classification the others by one rate; and float inference at the profile's training rates."""
    rows = [*_by_one_rate(), *_by_profile()]
    convolutions = [row for row in rows if row.group == "MLPerf Tiny, one rate"]
    text = (
        "Seconds of an inference. Of each submission the rate of image classification (ResNet-8) predicts visual wake words "
        "(MobileNet), keyword spotting (DS-CNN) and anomaly detection (linear layers only): median error of the first two "
        f"{median_error(convolutions):.1%}. Anomaly detection is not counted: its linear layers read each weight once, and run at half "
        "the rate and less, which is why profiles have a class for them. On the STM32H7A3, float inference at the profile's rates, "
        "which are those of training."
    )
    return Section("MLPerf Tiny: inference on microcontrollers", text, rows, [])


def _by_one_rate() -> Iterator[Row]:
    measured: dict[tuple[str, str, str], float] = {}
    for row in table("mlperf_tiny"):
        measured[row["device"], row["precision"], row["benchmark"]] = 1 / float(row["inferences_per_s"])
    for (device, precision, benchmark), seconds in measured.items():
        if benchmark != "ic":
            rate = sum(BENCHMARKS["ic"].values()) / measured[device, precision, "ic"]
            linear = benchmark == "ad"
            yield Row(
                "MLPerf Tiny, linear" if linear else "MLPerf Tiny, one rate",
                device,
                f"{benchmark}, {precision}, at the rate of ic",
                sum(BENCHMARKS[benchmark].values()) / rate,
                seconds,
                "s",
                "mlperf_tiny",
                counted=not linear,
                note=_why_at_one_rate(device, linear=linear),
            )


def _why_at_one_rate(device: str, *, linear: bool) -> str:
    if device == "gap9":
        return "small layers do not keep nine cores busy"
    return "linear layers stream their weights" if linear else "depthwise and 1x1 convolutions have kernels, and rates, of their own"


def _by_profile() -> Iterator[Row]:
    device = load_device("stm32h7a3")
    assert device.rates is not None
    for row in table("mlperf_tiny"):
        if row["device"] == device.name and row["precision"] == "float":
            macs = BENCHMARKS[row["benchmark"]]
            predicted = sum(count / rate_of(device.rates, kind) for kind, count in macs.items())
            used = row["benchmark"] == "ad"
            note = "the profile's rate is from this row" if used else "a training rate, of another runtime"
            what = f"{row['benchmark']}, float, at the profile's rates"
            yield Row(
                "MLPerf Tiny, profile", device.name, what, predicted, 1 / float(row["inferences_per_s"]), "s", "mlperf_tiny", not used, note
            )
