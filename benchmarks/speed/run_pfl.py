"""Runs pfl's SimulatedBackend on one workload in turns: `python run_pfl.py NAME FOLDER WARM_UP ROUNDS`, in the peers' environment.

FOLDER holds inputs.npy (clients, examples, ...) and targets.npy. One process, one thread, no validation, no metrics but pfl's own.
"""

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from gate import BenchmarkOver, Gate, say
from networks import SHOWN, loss_on, peer_network
from pfl.aggregate.simulate import SimulatedBackend
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam.base import NNTrainHyperParams
from pfl.metrics import Metrics
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from workloads import WORKLOADS

_MANY = 10**6


class Network(nn.Module):
    """The workload's network with the two methods that pfl asks for."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def loss(self, inputs: Tensor, targets: Tensor, eval: bool = False) -> Tensor:  # noqa: A002  (pfl's name)
        """The mean loss of a batch."""
        return nn.functional.cross_entropy(self.network(inputs), targets)

    def metrics(self, inputs: Tensor, targets: Tensor, eval: bool = False) -> dict[str, object]:  # noqa: A002
        """None: nothing is evaluated."""
        return {}


class Turns(TrainingProcessCallback):
    """Passes the gate after every central iteration."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate

    def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):  # noqa: ANN001, ANN201
        """pfl's hook; False: go on."""
        self.gate.round_done()
        return False, Metrics()


def main() -> None:
    """Rounds until nobody wants more."""
    name, folder, warm_up, rounds = sys.argv[1:]
    torch.set_num_threads(1)
    workload = WORKLOADS[name]
    inputs, targets = (torch.from_numpy(np.load(Path(folder) / f"{part}.npy")) for part in ("inputs", "targets"))
    users = list(range(len(targets)))
    data = FederatedDataset(
        lambda user: Dataset(raw_data=[inputs[user], targets[user]], user_id=str(user)), get_user_sampler("random", users)
    )
    network = Network(peer_network(name))
    model = PyTorchModel(network, torch.optim.SGD, torch.optim.SGD(network.parameters(), lr=1.0))
    params = NNAlgorithmParams(
        central_num_iterations=_MANY, evaluation_frequency=_MANY, train_cohort_size=workload.cohort, val_cohort_size=0
    )
    local = NNTrainHyperParams(
        local_batch_size=workload.batch_size,
        local_num_epochs=workload.steps * workload.batch_size // workload.examples,
        local_learning_rate=workload.learning_rate,
    )
    first = loss_on(network.network, inputs[:SHOWN], targets[:SHOWN])
    turns = Turns(Gate(int(warm_up), int(rounds)))
    with suppress(BenchmarkOver):
        FederatedAveraging().run(params, SimulatedBackend(data, data), model, local, callbacks=[turns], send_metrics_to_platform=False)
    say(first_loss=first, last_loss=loss_on(network.network, inputs[:SHOWN], targets[:SHOWN]))


if __name__ == "__main__":
    main()
