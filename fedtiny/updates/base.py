"""Update: the family of parts that say which parameters of a network train on a device.

The head, the last linear layer, trains in every scheme, because it is made anew for the classes of the device's task.
What else trains decides memory, time and payload: a weight needs the input of its layer kept for the backward pass, a
bias needs nothing, a frozen tensor is neither differentiated nor sent.

The schemes are those of TinyTL (Cai, Gan, Zhu and Han: TinyTL: Reduce Memory, Not Parameters for Efficient On-Device
Learning. NeurIPS 2020, arXiv 2007.11622, section 3), detail by detail as in the authors' program:

| scheme | weights | norm gamma | biases, norm beta | lite residual modules | head |
|---|---|---|---|---|---|
| full | train | train | train | train | train |
| norm_last | - | train | norm beta trains | their norms train | train |
| last | - | - | - | - | train |
| bias | - | - | train | their biases (the betas of both norms) train | train |
| tinytl_lite_residual | - | - | - | train | train |
| tinytl | - | - | train | train, except the beta of each module's last norm | train |
"""

from abc import ABC, abstractmethod

from fedtiny.models.summary import ModelSummary
from fedtiny.parts import Part
from fedtiny.updates.plan import UpdatePlan


class Update(Part, ABC):
    """Which parameters of a network train on a device."""

    kind: str

    @abstractmethod
    def plan(self, summary: ModelSummary) -> UpdatePlan:
        """The parameters of this network that train.

        Raises ScenarioError, with its path at `update`, where the network lacks what the scheme trains: a head, or lite
        residual modules.
        """

    @property
    @abstractmethod
    def trains_lite_residual(self) -> bool:
        """Whether the scheme is about lite residual modules, so that a network that can carry them should."""
