"""Seconds of a training step of networks of timm on a device of the catalog.

pip install --editable '.[validation]'
python benchmarks/validation/predict.py raspberry_pi_4 resnet34 mobilenetv3_large_100 --batch 16
"""

import argparse

from layers import published_network
from speed_fit import full, head_only

from fedtiny.costs.compute import step_seconds
from fedtiny.fleet.catalog import load_device


def main() -> None:
    """Prints a line for every network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", help="a name of `fedtiny catalog devices`")
    parser.add_argument("networks", nargs="+", help="names of timm, or those of data/raspberry_pi_4.csv")
    parser.add_argument("--batch", type=int, default=16, help="images in a batch")
    options = parser.parse_args()
    device = load_device(options.device)
    for name in options.networks:
        summary = published_network(name)
        seconds = [step_seconds(summary, plan(summary), options.batch, device) for plan in (full, head_only)]
        print(f"{name:28} full {seconds[0]:8.2f} s   head only {seconds[1]:8.2f} s   ({summary.forward_macs / 1e9:.2f} GMAC)")


if __name__ == "__main__":
    main()
