"""A client's answer: the strategy's client half, on state that lives in Flower's context and nowhere else."""

from types import SimpleNamespace

import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import asked_steps, client_app, config_of, effort_of, partition_id, record_steps, steps_done
from fedtiny.federation.grid import node_context
from fedtiny.federation.messages import identified


def instruction(message_type="train", **config):
    return identified(Message(RecordDict({"config": ConfigRecord(config)}), 2, message_type), "1")


def test_steps_are_counted_in_the_state():
    state = RecordDict()
    assert steps_done(state) == 0
    record_steps(state, 7)
    assert steps_done(state) == 7


def test_an_instruction_must_have_a_configuration():
    with pytest.raises(SimulationError, match=r"no configuration record 'config'; it holds \['metrics'\]"):
        config_of(RecordDict({"metrics": MetricRecord()}))


def test_an_instruction_says_how_many_steps_it_asks_for():
    assert asked_steps(instruction(**{"local-steps": 5}).content) == 5


def test_the_app_answers_with_the_strategys_half_on_the_nodes_state():
    context = node_context(2, 6, 10)

    def answer(content, state, learner):
        record_steps(state, steps_done(state) + content["config"]["local-steps"])
        return RecordDict({"metrics": MetricRecord({"client": learner.number})})

    app = client_app(answer, lambda context: SimpleNamespace(number=partition_id(context)))
    reply = app(instruction(**{"local-steps": 3}), context)
    app(instruction(**{"local-steps": 4}), context)
    assert reply.content["metrics"]["client"] == 6
    assert reply.metadata.reply_to_message_id == "1"
    assert steps_done(context.state) == 7


def test_the_app_trains_and_does_nothing_else():
    app = client_app(lambda content, state, learner: RecordDict(), lambda context: None)
    with pytest.raises(ValueError, match="evaluate"):
        app(instruction("evaluate"), node_context(2, 0, 1))


def test_effort_is_the_sum_over_the_steps_that_come_next():
    context = node_context(2, 3, 10)
    record_steps(context.state, 10)
    asked = []

    def step_effort(number, step):
        asked.append((number, step))
        return 0.5 * step, 100.0

    effort = effort_of(step_effort, lambda content, state: asked_steps(content))(instruction(**{"local-steps": 3}), context)
    assert asked == [(3, 11), (3, 12), (3, 13)]
    assert (effort.seconds, effort.macs) == (0.5 * (11 + 12 + 13), 300.0)


def test_what_the_strategy_will_not_do_costs_nothing():
    effort = effort_of(lambda number, step: (1.0, 1.0), lambda content, state: 0)(instruction(**{"local-steps": 3}), node_context(2, 0, 1))
    assert (effort.seconds, effort.macs) == (0.0, 0.0)
