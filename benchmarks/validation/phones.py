"""Phones: recurrent and convolutional batches in DL4J from the rates of LSTM layers; Snapdragon 855 in MNN from its profile."""

from math import sqrt
from typing import Final

from layers import known_networks
from rows import Row, Section, median_error, table
from speed_fit import full

from fedtiny.costs.compute import rate_of, step_seconds
from fedtiny.fleet.catalog import load_device

PHONES: Final = ("nexus_6", "redmi_note_8", "galaxy_note_10")


def _lstm(inputs: int, hidden: int) -> int:
    return 4 * hidden * (inputs + hidden)


# (multiply-accumulates of a sample's forward pass, time steps, recurrent layers), from the networks of LEAF that FLASH trains. Of FEMNIST
# the source's count is taken. CelebA: four convolutions of 3x3 to 32 channels on 84x84, each followed by pooling.
WORKLOADS: Final = {
    "reddit": (10 * (_lstm(256, 256) + _lstm(256, 256) + 256 * 10_000), 10, 2),
    "shakespeare": (80 * (_lstm(8, 256) + _lstm(256, 256)) + 256 * 80, 80, 2),
    "femnist": (17_200_000, 0, 0),
    "celeba": (9 * 32 * (84**2 * 3 + 42**2 * 32 + 21**2 * 32 + 10**2 * 32), 0, 0),
}


def in_dl4j() -> Section:
    """Batches of FLASH."""
    rates = {row["phone"]: row for row in table("lstm_rates")}
    rows = []
    for row in table("phones"):
        macs, steps, layers = WORKLOADS[row["workload"]]
        for phone in PHONES:
            fitted = rates[phone]
            computing = 3 * int(row["batch"]) * macs / (float(fitted["gmac_per_s"]) * 1e9)
            seconds = computing + layers * (steps * float(fitted["per_step_ms"]) + float(fitted["constant_ms"])) / 1e3
            recurrent = layers > 0
            rows.append(
                Row(
                    "Phones, recurrent" if recurrent else "Phones, convolutions at LSTM rates",
                    phone,
                    f"{row['workload']}, batch {row['batch']}",
                    seconds,
                    float(row[phone]) / 1e3,
                    "s",
                    "flash",
                    note=_why(row["workload"], phone),
                )
            )
    profiles = [_by_profile(row, phone) for row in table("phones") if row["workload"] in ("femnist", "celeba") for phone in PHONES]
    sequences = [row for row in rows if row.group == "Phones, recurrent"]
    text = (
        "Batch times from the rates and overheads of single LSTM layers on the same phones, per layer and time step, three passes: "
        f"median error {median_error(sequences):.0%} for recurrent networks. It misses where a network of two layers takes little more "
        "per time step than a single layer did (Reddit on two phones: overhead is there once, and not per layer), and it misses "
        "convolutions altogether, whose rate is another. With the profiles' rate of dense convolutions, which is from FEMNIST, CelebA "
        "is predicted too fast: its images are nine times as large, and what moves them is not in the rate. Batch 10 is assumed for "
        "CelebA, a vocabulary of 10,000 and embeddings of 256 for Reddit."
    )
    return Section("Phones in DL4J", text, [*rows, *profiles], [])


def _why(workload: str, phone: str) -> str:
    if not WORKLOADS[workload][2]:
        return "convolutions of this runtime are slower than its LSTMs"
    return "" if phone == "nexus_6" else "overhead of a time step there once, and not for each layer, as it is predicted"


def _by_profile(row: dict[str, str], phone: str) -> Row:
    device = load_device(phone)
    assert device.rates is not None
    used = row["workload"] == "femnist"
    seconds = 3 * int(row["batch"]) * WORKLOADS[row["workload"]][0] / rate_of(device.rates, "dense_convolution")
    note = "the profile's rate is from this row" if used else "what moves larger images is not in the rate"
    what = f"{row['workload']}, batch {row['batch']}, at the profile's rate"
    return Row("Phones, convolutions", phone, what, seconds, float(row[phone]) / 1e3, "s", "flash", not used, note)


# Of MNN's LeNet by hand: convolutions of 5x5 to 20 and 50 channels on 28x28, linear layers of 500 and 10.
LENET_MACS: Final = 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10
NOTES: Final = {
    "lenet": "8 to 10 ms of the step do not depend on the batch, and the profile has no overhead",
    "squeezenet1_0": "the profile's rate of dense convolutions is from this row",
    "mobilenetv2_100": "the profile's rate of depthwise convolutions is from this row",
    "googlenet": "Winograd kernels do fewer multiply-accumulates than are counted; the profile has one rate for all dense convolutions",
    "alexnet": "",
}


def in_mnn() -> Section:
    """Snapdragon 855 with MNN, and the energy of a batch."""
    device, networks = load_device("snapdragon_855"), known_networks()
    assert device.rates is not None
    assert device.power is not None
    rows = []
    for row in table("snapdragon_855"):
        name = row["network"]
        if name == "lenet":
            predicted = 3 * 16 * LENET_MACS / rate_of(device.rates, "dense_convolution")
        else:
            predicted = step_seconds(networks[name], full(networks[name]), 16, device)
        measured, used = sqrt(float(row["least_ms"]) * float(row["most_ms"])) / 1e3, NOTES[name].startswith("the profile's rate")
        rows.append(
            Row(
                "Snapdragon 855",
                device.name,
                f"{name}, batch 16",
                predicted,
                measured,
                "s",
                "benchmark_on_device_training",
                not used,
                NOTES[name],
            )
        )
        note = "measured at the limit of a USB port's current: a lower bound"
        bound = (predicted * device.power.active, float(row["joules"]), "J", "benchmark_on_device_training", False, note)
        rows.append(Row("Energy, Snapdragon 855", device.name, f"{name}, batch 16, energy", *bound))
    text = (
        "Measured times are the geometric mean of two phones. The profile takes its rates from SqueezeNet and MobileNetV2, so that "
        "only the three others are predictions. Energy is predicted time times the profile's active power; it was measured through a "
        "port that gave all it could, so it is a clipped lower bound and not counted."
    )
    return Section("Snapdragon 855 in MNN", text, rows, [])
