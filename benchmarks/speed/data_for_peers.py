"""Writes the examples of one workload for the peers: `python data_for_peers.py NAME FOLDER` makes inputs.npy and targets.npy."""

import sys
from pathlib import Path

import numpy as np
from run_bare import own_data, prepared
from workloads import WORKLOADS


def main() -> None:
    """The very examples that FedTiny's clients hold, side by side."""
    workload, folder = WORKLOADS[sys.argv[1]], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    data = own_data(prepared(workload), workload)
    np.save(folder / "inputs.npy", data.inputs.numpy())
    np.save(folder / "targets.npy", data.targets.numpy())


if __name__ == "__main__":
    main()
