"""Every error that FedTiny raises on purpose, in one tree.

    FedTinyError
    +-- InputError                what the user gave is wrong: the command line ends with exit code 2
    |   +-- ScenarioError         the scenario: its YAML, a key, a value, a combination of them
    |   +-- UnitError             a quantity without its unit, or with one of another dimension
    |   +-- CatalogError          a device or network that the catalog does not have
    |   +-- DataError             a data set that is not there, or not in the form it should have
    |   +-- ModelError            a network that FedTiny cannot build, measure or load
    |   +-- InfeasibleError       the work does not fit the devices' memory
    |   +-- AppError              the folder of a Flower app that cannot be read or loaded
    |   +-- FolderError           a run folder that is not one, or that belongs to another run
    +-- ExperimentError           the experiment failed: the command line ends with exit code 1
        +-- ClientError           a client's work raised an exception
        +-- RoundError            a round could not be completed, for example because nobody answered
        +-- SimulationError       virtual time cannot go on

What belongs to an experiment (a reply that came late, a device that is excluded) is a record in the trace, never
an exception.
"""


class FedTinyError(Exception):
    """Anything that FedTiny raises on purpose."""


class InputError(FedTinyError):
    """What the user gave is wrong; the message says what was found, what is allowed and what to do."""


class ScenarioError(InputError):
    """A scenario that says something it cannot say.

    `path` is the place inside the scenario, as keys and list positions: ``("fleet", 0, "count")``. Whoever knows
    the file adds file and line to the message.
    """

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        self.path = path
        Exception.__init__(self, message)


class UnitError(InputError, ValueError):
    """A quantity that cannot be read; a ValueError too, so that pydantic reports it with its place."""


class CatalogError(InputError, ValueError):
    """A name that the catalog does not have; a ValueError too, so that pydantic reports it with its place."""


class DataError(InputError):
    """A data set that is not there or not in the form it should have."""


class ModelError(InputError):
    """A network that cannot be built, measured or loaded."""


class InfeasibleError(ScenarioError):
    """Work that does not fit the memory of the devices; `path` names the fleet's entry."""


class AppError(InputError):
    """The folder of a Flower app that is not one, or cannot be loaded, or a configuration that it does not have."""


class FolderError(InputError):
    """A run folder that is not one, or that belongs to another run."""


class ExperimentError(FedTinyError):
    """An experiment that was well stated and failed."""


class ClientError(ExperimentError):
    """A client's work raised an exception; the message names device, round and cause."""


class RoundError(ExperimentError):
    """A round that could not be completed."""


class SimulationError(ExperimentError):
    """Virtual time cannot go on: nothing is scheduled and somebody waits."""
