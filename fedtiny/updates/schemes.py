"""The six schemes of TinyTL's tables, to be shown side by side.

Citation: Cai, Gan, Zhu, Han: TinyTL. NeurIPS 2020, arXiv 2007.11622, Table 2.
"""

from typing import Final

from fedtiny.updates.base import Update
from fedtiny.updates.full import Full
from fedtiny.updates.last import Last
from fedtiny.updates.norm_last import NormLast
from fedtiny.updates.tinytl import Bias, TinyTL

SCHEMES: Final[tuple[Update, ...]] = (Full(), Last(), NormLast(), Bias(), TinyTL(bias=False), TinyTL())
"""full, last, norm_last, bias, tinytl_lite_residual, tinytl."""
