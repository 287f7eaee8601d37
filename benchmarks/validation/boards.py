"""Jetson Nano: epochs of ResNet-18; Raspberry Pi Zero 2 W: joules of training in memory and beyond it."""

from typing import Final

import torch
from layers import known_networks
from rows import Check, Row, Section, table
from speed_fit import full

from fedtiny.costs.compute import step_seconds
from fedtiny.costs.memory import tinytl_memory
from fedtiny.costs.paging import paging_energy, paging_seconds
from fedtiny.fleet.catalog import load_device
from fedtiny.models.mcunet import McuNet5Fps
from fedtiny.models.measure import summarize
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last

BATCH: Final = 8
# (images of an epoch, minutes): approximate, from the tutorial.
EPOCHS: Final = ((5000, 7.5), (10_475, 15.0))
FULL_BYTES: Final = 906_000_000
"""What full training of MCUNet keeps for its backward pass, by the source."""


def jetson_nano() -> Section:
    """Epochs of ResNet-18, all layers, 224x224."""
    device, summary = load_device("jetson_nano"), known_networks()["resnet18"]
    step = step_seconds(summary, full(summary), BATCH, device)
    rows = [
        Row(
            "Jetson Nano",
            device.name,
            f"ResNet-18, an epoch of {images:,} images",
            images / BATCH * step,
            60 * minutes,
            "s",
            "jetson_inference",
            counted=place > 0,
            note="" if place else "the profile's rate is from this row",
        )
        for place, (images, minutes) in enumerate(EPOCHS)
    ]
    text = (
        "PyTorch on the GPU, batch 8. The source gives whole minutes (7 to 8 for the smaller data set). Both epochs are of one "
        "network, and the rate is from the first: the second says that time grows with images, not more."
    )
    return Section("Jetson Nano", text, rows, [])


def tinytrain() -> Section:
    """Two powers, one while training and one while paging, and how long paging makes a step."""
    device = load_device("raspberry_pi_zero_2w")
    assert device.power is not None
    rows = []
    for row in table("tinytrain"):
        seconds = 60 * float(row["minutes"])
        joules = paging_energy(device, seconds) if row["pages"] == "1" else device.power.active * seconds
        assert joules is not None
        what = f"{row['network']}, {row['scheme']}, energy in the measured time"
        note = "pages" if row["pages"] == "1" else ""
        rows.append(
            Row(
                "Energy, Raspberry Pi Zero 2 W",
                device.name,
                what,
                joules,
                1e3 * float(row["kilojoules"]),
                "J",
                "tinytrain",
                counted=False,
                note=note,
            )
        )
    worst = max(abs(row.error) for row in rows)
    text = (
        "Joules from measured minutes and the profile's two powers, 2.2 W while training and 0.8 W while paging. Both are means over "
        "these rows, so this says that two powers are enough, not where they come from. The last row is a prediction of time: a step "
        "of full training that needs 906 MB on this board against one of the last layer, at the batch whose predicted memory is 906 MB "
        "(the source states none). Paging takes most of the full step; it is a lower bound, each byte written and read once."
    )
    check = Check("Raspberry Pi Zero 2 W, energy from minutes and two powers: largest error", worst, 0.0, 0.20)
    return Section("Raspberry Pi Zero 2 W: energy, and memory beyond the board's", text, [*rows, _paging_ratio()], [check])


def _paging_ratio() -> Row:
    device, shape = load_device("raspberry_pi_zero_2w"), (3, 128, 128)
    network = McuNet5Fps().build(shape, 10, lite_residual=False, generator=torch.Generator().manual_seed(0))
    summary = summarize(network, "mcunet_5fps", shape, 10)
    plan, last = Full().plan(summary), Last().plan(summary)
    batch = min(range(1, 300), key=lambda size: abs(tinytl_memory(summary, plan, size).total_bytes - FULL_BYTES))
    whole = step_seconds(summary, plan, batch, device) + paging_seconds(FULL_BYTES, device)
    ratio, what = whole / step_seconds(summary, last, batch, device), f"MCUNet, full / last layer, time, batch {batch}"
    minutes = {row["scheme"]: float(row["minutes"]) for row in table("tinytrain") if row["network"] == "mcunet"}
    note = "batch not published; paging moves more than each byte once"
    return Row("Ratios", device.name, what, ratio, minutes["FullTrain"] / minutes["LastLayer"], "", "tinytrain", note=note)
