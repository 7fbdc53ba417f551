"""What a fit leaves: raw features in, answers out, as one module that can be exported."""

from typing import Literal

import torch
from torch import Tensor, nn

__all__ = ["Graph", "Kind"]

# What the answers are called, in ONNX too.
Kind = Literal["probabilities", "values", "scores"]


class Graph(nn.Module):
    """Standardises raw features, runs each member of the ensemble and averages their answers.

    Takes float32 (rows, features) and gives float32 (rows, k): the probability of each of k
    classes, the values of k outputs in their own units, or one reconstruction error a row.

    Args:
        bodies: the trained members; each takes standardised (rows, \\*shape).
        shape: how a row of features folds.
        kind: what the answers are.
        mean: subtracted from each feature (features,).
        scale: what each feature is then divided by (features,).
        target_mean: added to each output (outputs,), after it is multiplied by `target_scale`.
        target_scale: units of one standardised output (outputs,).
    """

    mean: Tensor
    scale: Tensor
    target_mean: Tensor
    target_scale: Tensor

    def __init__(
        self,
        bodies: list[nn.Module],
        shape: tuple[int, ...],
        kind: Kind,
        mean: Tensor,
        scale: Tensor,
        target_mean: Tensor,
        target_scale: Tensor,
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(bodies)
        self.shape = shape
        self.kind = kind
        for name, value in (
            ("mean", mean),
            ("scale", scale),
            ("target_mean", target_mean),
            ("target_scale", target_scale),
        ):
            self.register_buffer(name, value.to(torch.float32))

    @property
    def outputs(self) -> int:
        """How many numbers a member gives of one row."""
        return len(self.target_mean)

    def standardise(self, features: Tensor) -> Tensor:
        """Return the features (rows, features) as the members take them (rows, \\*shape)."""
        return ((features - self.mean) / self.scale).view(-1, *self.shape)

    def forward(self, features: Tensor) -> Tensor:
        """Return the answers (rows, k) to raw features (rows, features)."""
        inputs = self.standardise(features)
        answers = [self._answer(member(inputs), inputs) for member in self.members]
        total = answers[0]
        for answer in answers[1:]:
            total = total + answer
        return total / len(answers) if len(answers) > 1 else total

    def _answer(self, output: Tensor, inputs: Tensor) -> Tensor:
        if self.kind == "probabilities":
            return torch.softmax(output, dim=1)
        if self.kind == "values":
            return output * self.target_scale + self.target_mean
        return (output - inputs.flatten(1)).square().mean(dim=1, keepdim=True)
