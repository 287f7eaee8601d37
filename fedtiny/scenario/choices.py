"""Every part that a scenario can name, by family, one line each.

Registering a part is adding its line here: the schema, the catalog, the error messages ("allowed: fedavg, dga") and the
contract tests all read these lists.
"""

from typing import Annotated, Final, get_args

from pydantic import Field

from fedtiny.datasets.digits import Digits
from fedtiny.datasets.fashion_mnist import FashionMnist
from fedtiny.datasets.npz import Npz
from fedtiny.datasets.partition import AnyPartition
from fedtiny.datasets.synthetic import Synthetic
from fedtiny.datasets.text import Text
from fedtiny.models.char_lstm import CharLstm
from fedtiny.models.checkpoint import Checkpoint
from fedtiny.models.efficientnet_lite0 import EfficientNetLite0
from fedtiny.models.keyword_cnn import KeywordCnn
from fedtiny.models.linear import Linear
from fedtiny.models.mcunet import McuNet5Fps, MobileNetV2W035, ProxylessNasW03
from fedtiny.models.mobilenet_v2 import MobileNetV2
from fedtiny.models.proxylessnas import ProxylessNasMobile
from fedtiny.models.python_network import PythonNetwork
from fedtiny.models.small_cnn import SmallCnn
from fedtiny.parts import Part
from fedtiny.strategies.dga import DGA
from fedtiny.strategies.fedasync import FedAsync
from fedtiny.strategies.fedavg import FedAvg
from fedtiny.strategies.fedbuff import FedBuff
from fedtiny.strategies.flower import FedAvgM, FedMedian, FedTrimmedAvg
from fedtiny.strategies.flower_adaptive import FedAdagrad, FedAdam, FedYogi
from fedtiny.strategies.flower_clients import FedProx, QFedAvg
from fedtiny.strategies.flower_private import PrivateFedAvg
from fedtiny.strategies.flower_robust import Bulyan, Krum, MultiKrum
from fedtiny.strategies.semi_synchronous import SemiSynchronous
from fedtiny.training.optimizer import Optimizer
from fedtiny.training.schedule import Schedule
from fedtiny.updates.automatic import Automatic
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.norm_last import NormLast
from fedtiny.updates.sparse import Sparse
from fedtiny.updates.tinytl import Bias, TinyTL

AnyModel = Annotated[
    Linear
    | SmallCnn
    | KeywordCnn
    | CharLstm
    | ProxylessNasMobile
    | MobileNetV2
    | McuNet5Fps
    | MobileNetV2W035
    | ProxylessNasW03
    | EfficientNetLite0
    | Checkpoint
    | PythonNetwork,
    Field(discriminator="kind"),
]  # fmt: skip

AnyData = Annotated[
    Digits
    | FashionMnist
    | Synthetic
    | Npz
    | Text,
    Field(discriminator="kind"),
]  # fmt: skip

AnyUpdate = Annotated[
    Full
    | Last
    | NormLast
    | Bias
    | TinyTL
    | Sparse
    | Automatic,
    Field(discriminator="kind"),
]  # fmt: skip

AnyStrategy = Annotated[
    FedAvg
    | DGA
    | FedMedian
    | FedTrimmedAvg
    | FedAvgM
    | FedProx
    | FedAdagrad
    | FedAdam
    | FedYogi
    | Krum
    | MultiKrum
    | Bulyan
    | QFedAvg
    | PrivateFedAvg
    | FedAsync
    | FedBuff
    | SemiSynchronous,
    Field(discriminator="kind"),
]  # fmt: skip


def _parts(union: object) -> tuple[type[Part], ...]:
    members, *_ = get_args(union)
    return get_args(members)


FAMILIES: Final[dict[str, tuple[type[Part], ...]]] = {
    "models": _parts(AnyModel),
    "datasets": _parts(AnyData),
    "partitions": _parts(AnyPartition),
    "updates": _parts(AnyUpdate),
    "strategies": _parts(AnyStrategy),
    "optimizers": _parts(Optimizer),
    "schedules": _parts(Schedule),
}
"""The members of every family, in the order in which they are shown."""
