"""What all strategies have in common."""

import pytest
from flwr.app import ArrayRecord, ConfigRecord
from flwr.serverapp.strategy import FedAvg as FlowerFedAvg

from fedtiny.federation.flower_internals import server_identity
from fedtiny.strategies.base import no_replies
from fedtiny.strategies.dga import DGA
from fedtiny.strategies.fedavg import FedAvg


class Nodes:
    """As much of a Grid as choosing a cohort needs."""

    def __init__(self, count):
        self.count = count

    def get_node_ids(self):
        return list(range(2, 2 + self.count))


@pytest.mark.parametrize("nodes", [3, 10, 97])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.29, 0.5, 1.0])
@pytest.mark.parametrize("least", [1, 3])
def test_a_cohort_is_as_large_as_flowers(nodes, fraction, least):
    flower = FlowerFedAvg(fraction_train=fraction, min_train_nodes=least, min_available_nodes=1)
    with server_identity():
        messages = list(flower.configure_train(1, ArrayRecord(), ConfigRecord(), Nodes(nodes)))
    for strategy in (FedAvg(fraction_train=fraction, min_train_nodes=least), DGA(delay=1, fraction_train=fraction, min_train_nodes=least)):
        assert strategy.cohort_size(nodes) == len(messages)


def test_as_many_nodes_are_wanted_as_must_train_or_be_there():
    assert FedAvg().wanted_nodes == 1
    assert FedAvg(min_train_nodes=3, min_available_nodes=2).wanted_nodes == 3
    assert DGA(delay=1, min_available_nodes=4).wanted_nodes == 4


def test_clients_are_weighted_by_examples_unless_said_otherwise():
    assert FedAvg().weight_key == DGA(delay=1).weight_key == "num-examples"
    assert FedAvg(weighting="uniform").weight_key == DGA(delay=1, weighting="uniform").weight_key == "uniform-weight"


def test_a_round_without_replies_says_how_many_were_asked_and_what_to_do():
    assert "round 3: none of the 5 devices that were asked replied;" in str(no_replies(3, 5, None))
    assert "within strategy.timeout = 2.5 s" in str(no_replies(3, 5, 2.5))
    assert "raise strategy.timeout" in str(no_replies(3, 5, 2.5))
