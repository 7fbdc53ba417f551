"""Gradients of networks: integrated gradients over features, and Grad-CAM over images and series.

They follow the weights that the bundle holds beside the served graph; torch is the `deep` extra.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lepton_ai.ml.explanation.methods import Found
from lepton_ai.ml.explanation.output import Output
from lepton_ai.ml.networks.graph import Graph
from lepton_ai.ml.networks.weights import loads

__all__ = ["grad_cam", "integrated", "integrated_gradients"]

Matrix = NDArray[np.float64]

_STEPS = (16, 64, 256, 1024)
_BLOCK = 32
# What base and contributions may lack, as a share of what they explain.
_COMPLETE = 1e-3
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def integrated(
    weights: bytes,
    features: Matrix,
    baseline: Matrix,
    output: Output,
    owner: NDArray[np.int64],
    names: int,
) -> Found:
    """Explain one row (features,) of a network against a baseline (features,).

    Args:
        weights: of the network, in the safetensors form.
        features: of the row.
        baseline: the mean of the training rows.
        output: what is explained.
        owner: the column or region of each feature (features,).
        names: how many of these there are.
    """
    graph: Graph = loads(weights).graph_
    places, start, end = integrated_gradients(graph, features, baseline, output.take)
    activation = grad_cam(graph, features, output.take)
    gap = abs(start + places.sum() - end)
    notes = () if gap <= _COMPLETE * max(abs(end - start), 1e-3) else (
        f"the gradients add up to the answer within {gap:.2g}",
    )  # fmt: skip
    return Found(
        "integrated gradients",
        output.space,
        start,
        np.bincount(owner, places, minlength=names).astype(np.float64),
        end,
        places=places,
        activation=activation,
        notes=("the base is the answer to the mean of the training rows", *notes),
    )


def integrated_gradients(
    graph: Graph, features: Matrix, baseline: Matrix, take: Matrix
) -> tuple[Matrix, float, float]:
    """Return what each feature adds between a baseline and a row, and the answers at both.

    The gradient is integrated along the straight line by Gauss and Legendre's rule, with more
    points until the contributions add up (Sundararajan et al., 2017).

    Args:
        graph: the network.
        features: of the row (features,).
        baseline: (features,).
        take: weights of the answers whose sum is explained (width,).
    """
    graph = graph.double().eval()
    weights = torch.from_numpy(np.asarray(take, dtype=np.float64))
    ends = torch.from_numpy(np.stack([baseline, features]))
    with torch.inference_mode(False), torch.no_grad():
        start, end = (graph(ends) @ weights).tolist()
    way = features - baseline
    places = np.zeros_like(way)
    for steps in _STEPS:
        nodes, shares = np.polynomial.legendre.leggauss(steps)
        points = torch.from_numpy(baseline + (nodes[:, None] + 1) / 2 * way)
        slopes = torch.cat([_slopes(graph, part, weights) for part in torch.split(points, _BLOCK)])
        places = (shares / 2) @ slopes.numpy() * way
        if abs(start + places.sum() - end) <= _COMPLETE * max(abs(end - start), 1e-3):
            break
    return places, start, end


def grad_cam(graph: Graph, features: Matrix, take: Matrix) -> Matrix | None:
    """Return how much each place counts for an answer, 0 to 1, in the shape of the picture.

    The channels of the last convolution, weighted by the mean of their gradients, where their sum
    is positive (Selvaraju et al., 2017), enlarged to the input. None where there is no
    convolution.
    """
    graph = graph.double().eval()
    maps = []
    for member in graph.members:
        layer = _last_layer(member)
        if layer is None:
            return None
        maps.append(_map(graph, layer, features, take))
    shape = graph.shape
    space = shape if maps[0].ndim == len(shape) else shape[: maps[0].ndim]
    seen = torch.stack(maps).mean(dim=0)
    modes = {1: "linear", 2: "bilinear", 3: "trilinear"}
    enlarged = functional.interpolate(
        seen[None, None], size=space, mode=modes[seen.ndim], align_corners=False
    )[0, 0]
    values: Matrix = enlarged.numpy()
    if values.ndim < len(shape) and not _has_channels(shape, values.ndim):
        # Of a series the last convolution keeps the steps only: every sensor has the same.
        values = np.broadcast_to(values[..., None], shape).copy()
    most = values.max()
    return values / most if most > 0 else values


def _has_channels(shape: tuple[int, ...], axes: int) -> bool:
    return axes >= 2 and len(shape) == axes + 1


def _last_layer(member: nn.Module) -> nn.Module | None:
    """Return the last block of convolutions, or the last convolution outside of any block."""
    layers = getattr(member, "layers", None)
    if isinstance(layers, nn.Sequential) and any(
        isinstance(module, _CONVOLUTIONS) for module in layers.modules()
    ):
        return layers
    found = [module for module in member.modules() if isinstance(module, _CONVOLUTIONS)]
    return found[-1] if found else None


def _map(graph: Graph, layer: nn.Module, features: Matrix, take: Matrix) -> Tensor:
    kept: dict[str, Tensor] = {}

    def hook(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        kept["seen"] = output.detach().requires_grad_(True)
        return kept["seen"]

    handle = layer.register_forward_hook(hook)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            answer = graph(torch.from_numpy(features[None])) @ torch.from_numpy(
                np.asarray(take, dtype=np.float64)
            )
            (slope,) = torch.autograd.grad(answer.sum(), kept["seen"], allow_unused=True)
    finally:
        handle.remove()
    seen = kept["seen"].detach()[0]
    if slope is None:
        return torch.zeros(seen.shape[1:], dtype=torch.float64)
    weights = slope[0].flatten(1).mean(dim=1)
    return functional.relu(torch.tensordot(weights, seen, dims=1))


def _slopes(graph: Graph, points: Tensor, weights: Tensor) -> Tensor:
    with torch.inference_mode(False), torch.enable_grad():
        asked = points.clone().requires_grad_(True)
        (slopes,) = torch.autograd.grad((graph(asked) @ weights).sum(), asked)
    return slopes
