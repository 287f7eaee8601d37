"""The legacy server's threads in virtual time: a round takes what its slowest client takes, not the sum of all."""

import logging

import numpy as np
import pytest
from flwr.client import ClientApp, NumPyClient
from flwr.common import ndarrays_to_parameters
from flwr.server import Server, ServerApp, ServerAppComponents, ServerConfig, SimpleClientManager
from flwr.server.strategy import FedAvg

from fedtiny.apps.legacy_rounds import legacy_rounds
from fedtiny.federation.flower_internals import legacy_server


@pytest.fixture(autouse=True)
def quiet():
    logger = logging.getLogger("flwr")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


class Noting(FedAvg):
    def __init__(self, seen):
        super().__init__(fraction_evaluate=0.0, initial_parameters=ndarrays_to_parameters([np.zeros(2)]))
        self.seen = seen

    def aggregate_fit(self, server_round, results, failures):
        self.seen.append(([proxy.node_id for proxy, _ in results], [type(failure).__name__ for failure in failures]))
        return super().aggregate_fit(server_round, results, failures)


def server_app(strategy, rounds=2, **more):
    return ServerApp(server_fn=lambda context: ServerAppComponents(strategy=strategy, config=ServerConfig(num_rounds=rounds), **more))


class Counting(NumPyClient):
    def fit(self, parameters, config):
        return parameters, 1, {}


def test_a_round_takes_what_one_client_takes_however_many_there_are(fleet, apps):
    app = ClientApp(client_fn=lambda context: Counting().to_client())
    ends = [apps.run_app(server_app(Noting([]), rounds=3), app, fleet(count)).summary["virtual_time"] for count in (2, 40)]
    assert ends[0] == pytest.approx(ends[1], rel=0.01)
    assert 3 * 2.2 < ends[0] < 3 * 2.3  # 2 s of work and 0.1 s each way


def test_results_stand_in_the_order_in_which_clients_were_asked_and_again_the_same(fleet, apps):
    app, runs = ClientApp(client_fn=lambda context: Counting().to_client()), []
    for _ in range(2):
        runs.append([])
        apps.run_app(server_app(Noting(runs[-1])), app, fleet(12))
    assert runs[0] == runs[1]
    assert len(runs[0][0][0]) == 12


def test_a_client_that_fails_is_a_failure_and_the_round_goes_on(fleet, apps):
    seen = []

    def client_fn(context):
        return Failing(context.node_config["partition-id"]).to_client()

    class Failing(NumPyClient):
        def __init__(self, partition):
            self.partition = partition

        def fit(self, parameters, config):
            if self.partition == 1:
                raise RuntimeError("broken")
            return parameters, 1, {}

    apps.run_app(server_app(Noting(seen)), ClientApp(client_fn=client_fn), fleet(3))
    assert [(len(results), failures) for results, failures in seen] == [(2, ["ValueError"])] * 2


def test_a_server_and_a_client_manager_of_the_apps_own_are_used(fleet, apps):
    seen, strategy = [], Noting([])

    class Own(Server):
        def fit(self, num_rounds, timeout):
            seen.append(self.client_manager().num_available())
            return Server.fit(self, num_rounds, timeout)

    server = Own(client_manager=SimpleClientManager(), strategy=strategy)
    app = ServerApp(server_fn=lambda context: ServerAppComponents(server=server, config=ServerConfig(num_rounds=1)))
    apps.run_app(app, ClientApp(client_fn=lambda context: Counting().to_client()), fleet(4))
    assert seen == [4]
    assert len(strategy.seen) == 1


def test_flowers_own_threads_are_back_afterwards(fleet, apps):
    before = legacy_server().concurrent
    with pytest.raises(ZeroDivisionError), legacy_rounds(lambda: None):
        raise ZeroDivisionError
    assert legacy_server().concurrent is before
