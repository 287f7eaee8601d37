"""The agenda that the devices of an environment share."""

import gc
import weakref

import simpy

from fedtiny.simulation.agenda import agenda_of


def test_devices_of_one_environment_share_their_agenda_and_others_have_their_own():
    one, other = simpy.Environment(), simpy.Environment()
    assert agenda_of(one) is agenda_of(one)
    assert agenda_of(one) is not agenda_of(other)


def test_an_environment_goes_with_what_was_still_to_happen_in_it():
    environment = simpy.Environment()
    event = simpy.Event(environment)
    agenda_of(environment).now(event, (lambda _: None,))
    gone = weakref.ref(environment)
    del environment, event
    gc.collect()
    assert gone() is None


def test_what_is_called_off_does_not_begin_and_the_rest_does():
    environment = simpy.Environment()
    begun: list[tuple[str, float]] = []
    stage = (lambda name: begun.append((name, environment.now)),)
    agenda = agenda_of(environment)
    kept, called_off = agenda.appoint(2.0, "kept", stage), agenda.appoint(1.0, "called off", stage)
    called_off.call_off()
    environment.run()
    assert begun == [("kept", 2.0)]
    assert kept.processed
