"""Watches one forward pass and writes down its layers.

A layer is a call of a module that `operators` knows, or of a torch function outside such modules that multiplies and
accumulates, is an activation, or takes a parameter: so a network that calls `functional.relu` or multiplies by a bare
parameter is described as well as one that is made of modules. A module without children that did none of this
(pooling, dropout, flattening) is a layer of operator "other".
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from fedtiny.models.dependence import Dependence
from fedtiny.models.inverted_bottleneck import InvertedBottleneck
from fedtiny.models.keyword_cnn import TemporalBlock
from fedtiny.models.lite_residual import LiteResidual
from fedtiny.models.operators import Operation, function_operation, module_operation, operator_of
from fedtiny.models.quantized_network import QuantizedBottleneck
from fedtiny.models.summary import LayerFacts, ParameterFacts, Role

_FLOPS_PER_MAC = 2


@dataclass(frozen=True)
class _Call:
    """A module whose forward is running, and where things stood when it began."""

    module: nn.Module
    elements: int
    behind: int
    macs: int
    operators: int
    layers: int


class ForwardPass:
    """The layers met so far; `behind` holds, for each of them, the set of parameters that its input was computed from."""

    def __init__(self, network: nn.Module) -> None:
        self.parameters = dict(network.named_parameters())
        self.dependence = Dependence(tuple(self.parameters.values()))
        self.layers: list[LayerFacts] = []
        self.behind: list[int] = []
        self._network = network
        self._paths = {id(module): path for path, module in network.named_modules()}
        self._names = {id(parameter): name for name, parameter in self.parameters.items()}
        self._calls: list[_Call] = []
        self._macs = _MacCounter()
        self._written = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Everything that the network computes inside this context is written down."""
        handles = [module.register_forward_pre_hook(self._enter, with_kwargs=True) for module in self._network.modules()]
        handles += [module.register_forward_hook(self._leave) for module in self._network.modules()]
        try:
            with self._macs, _FunctionWatch(self._function):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        tensors = _tensors((arguments, named))
        behind = self.dependence.of(tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None)
        self._calls.append(_Call(module, _elements(tensors), behind, self._macs.total, self._macs.operators, len(self.layers)))

    def _leave(self, module: nn.Module, _: tuple[Any, ...], output: object) -> None:
        call = self._calls.pop()
        if self._inside_layer():
            return
        outputs = _elements(_tensors(output)[:1])
        path = self._paths[id(module)]
        if operator_of(module) is not None:
            parameters = [self._facts(parameter, name) for name, parameter in module.named_parameters()]
            operation = module_operation(module, call.elements, outputs)
            own = (tuple(parameters), call.behind, call.operators, self._is_final_norm(module))
            self._write(path, operation, call.elements, outputs, *own)
        elif len(self.layers) == call.layers and not [*module.children()]:
            self._write(path, Operation("other"), call.elements, outputs, (), call.behind, call.operators)

    def _function(self, function: Callable[..., Any], arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        if self._inside_layer():
            return function(*arguments, **named)
        tensors = _tensors((arguments, named))
        parameters = [parameter for parameter in map(self._parameter_of, tensors) if parameter is not None]
        inputs = [tensor for tensor in tensors if self._parameter_of(tensor) is None]
        nodes = [tensor.grad_fn for tensor in inputs if tensor.grad_fn is not None]
        macs_before, operators = self._macs.total, self._macs.operators
        output = function(*arguments, **named)
        outputs = [tensor for tensor in _tensors(output)[:1] if self._parameter_of(tensor) is None]
        name = str(getattr(function, "__name__", "function"))
        operation = function_operation(name, arguments, dict(named), self._macs.total - macs_before, weighted=bool(parameters))
        if outputs and (parameters or operation.macs or operation.operator in ("relu", "smooth_activation")):
            facts = tuple({fact.name: fact for fact in (self._facts(one, self._names[id(one)]) for one in parameters)}.values())
            sizes = _elements(inputs), _elements(outputs)
            self._write(self._function_path(name), operation, *sizes, facts, self.dependence.of(nodes), operators)
        return output

    def _write(
        self,
        path: str,
        operation: Operation,
        inputs: int,
        outputs: int,
        parameters: tuple[ParameterFacts, ...],
        behind: int,
        operators: int,
        final: bool = False,
    ) -> None:
        self.behind.append(behind)
        self.layers.append(
            LayerFacts(
                name=path or type(self._network).__name__,
                operator=operation.operator,
                section="lite_residual" if any(isinstance(call.module, LiteResidual) for call in self._calls) else "backbone",
                input_elements=inputs,
                output_elements=outputs,
                groups=operation.groups,
                macs=operation.macs,
                rate_class=operation.rate_class if operation.macs else None,
                parameters=parameters,
                residual_elements=next((call.elements for call in reversed(self._calls) if _has_shortcut(call.module)), 0),
                upstream=(),
                final_in_lite=final,
                operators=self._macs.operators - operators,
                between=operators - self._written,
            )
        )
        self._written = self._macs.operators

    def _inside_layer(self) -> bool:
        return any(operator_of(call.module) is not None for call in self._calls)

    def _is_final_norm(self, module: nn.Module) -> bool:
        return any(isinstance(call.module, LiteResidual) and call.module.final_norm is module for call in self._calls)

    def _function_path(self, name: str) -> str:
        owner = self._calls[-1].module if self._calls else self._network
        path = self._paths[id(owner)]
        return path if path and not [*owner.children()] else f"{path}.{name}".lstrip(".")

    def _parameter_of(self, tensor: Tensor) -> Tensor | None:
        if id(tensor) in self._names:
            return tensor
        base = tensor._base if tensor.grad_fn is not None else None
        return base if base is not None and id(base) in self._names else None

    def _facts(self, parameter: Tensor, local_name: str) -> ParameterFacts:
        own = local_name.split(".")[-2:] if "parametrizations" in local_name else local_name.split(".")[-1:]
        role: Role = "bias" if any(part.startswith("bias") for part in own) else "weight"
        return ParameterFacts(self._names[id(parameter)], parameter.numel(), role, tuple(parameter.shape))


class _FunctionWatch(TorchFunctionMode):
    """Hands every call of a torch function to `observer`, which makes the call."""

    def __init__(self, observer: Callable[[Callable[..., Any], tuple[Any, ...], Mapping[str, Any]], Any]) -> None:
        TorchFunctionMode.__init__(self)
        self._observer = observer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return self._observer(func, args, kwargs or {})


class _MacCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-accumulates of matrix products and convolutions, and counts operators, below all modules and functions."""

    def __init__(self) -> None:
        TorchDispatchMode.__init__(self)  # type: ignore[no-untyped-call]
        self.total = 0
        self.operators = 0
        """Those that compute; views of what is there already are none."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # else torch imports its compiler at the first call, which takes a second and is used by nobody here
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        self.operators += not func.is_view
        flops = flop_registry.get(func._overloadpacket)
        if flops is not None:
            self.total += flops(*args, **(kwargs or {}), out_val=output) // _FLOPS_PER_MAC
        return output


def _has_shortcut(module: nn.Module) -> bool:
    return isinstance(module, TemporalBlock) or (isinstance(module, (InvertedBottleneck, QuantizedBottleneck)) and module.shortcut)


def _tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [tensor for one in value.values() for tensor in _tensors(one)]
    if isinstance(value, (tuple, list)):
        return [tensor for one in value for tensor in _tensors(one)]
    return []


def _elements(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() for tensor in tensors)
