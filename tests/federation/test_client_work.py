"""A client's answer: the strategy's client half, on state that lives in Flower's context and nowhere else."""

from types import SimpleNamespace

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, MetricRecord, RecordDict

from fedtiny.errors import SimulationError
from fedtiny.federation.client_work import ClientReply, answered, asked_steps, client_app, config_of, partition_id, record_steps, steps_done
from fedtiny.federation.grid import node_context
from fedtiny.federation.messages import instruction_of
from fedtiny.training.local_work import LocalResult, LocalWork


def instruction(message_type="train", **config):
    message = Message(RecordDict({"config": ConfigRecord(config)}), 2, message_type)
    return instruction_of(message.metadata, "1", message.content)


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


def done(work: LocalWork) -> LocalResult:
    """Takes steps that only count."""
    return LocalResult(work.weights + work.steps, np.arange(work.first_step, work.first_step + work.steps, dtype=float))


def test_wishes_for_local_steps_are_granted_one_after_the_other():
    def half():
        first = yield LocalWork(np.zeros(1), 1, 2)
        second = yield LocalWork(first.weights, 3, 3)
        return ClientReply({"weight": float(second.weights[0]), "last": float(second.losses[-1])})

    assert answered(half(), done).metrics == {"weight": 5.0, "last": 5.0}


def test_the_app_answers_with_the_strategys_half_on_the_nodes_state():
    context = node_context(2, 6, 10)

    def answer(content, state, learner):
        result = yield LocalWork(np.zeros(1), steps_done(state) + 1, content["config"]["local-steps"])
        record_steps(state, steps_done(state) + len(result.losses))
        return ClientReply({"client": learner.number})

    app = client_app(answer, lambda context: SimpleNamespace(number=partition_id(context), do=done))
    reply = app(instruction(**{"local-steps": 3}), context)
    app(instruction(**{"local-steps": 4}), context)
    assert reply.content["metrics"]["client"] == 6
    assert reply.metadata.reply_to_message_id == "1"
    assert steps_done(context.state) == 7


def test_the_app_trains_and_does_nothing_else():
    app = client_app(lambda content, state, learner: iter(()), lambda context: None)
    with pytest.raises(ValueError, match="evaluate"):
        app(instruction("evaluate"), node_context(2, 0, 1))
