"""What metrics of counterfactuals share: everybody answers the same questions, batch by batch, and is scored."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import USUAL, respondents
from ccigkit.metrics.protocol.questions import EveryDo, Question, Spread
from ccigkit.metrics.readers.predictor import Pictures

Scorer = Callable[[Question, Pictures], Mapping[str, Tensor]]  # a question and an answer to it: scores [b, ...]
Questions = Spread | EveryDo
Listener = tuple[tuple[str, ...], Scorer]  # the rows it listens to, and how it scores them
Scores = Mapping[tuple[str, str], Mapping[str, Tensor]]  # (what was set, who answered): the scores of all batches


class CounterfactualMetric(Metric):
    """A metric that looks at single counterfactuals; of them only scores are kept, never the images."""

    family = "counterfactual"
    who: ClassVar[tuple[str, ...]] = USUAL
    """The rows of those who are asked."""
    n: int
    seed: int

    @property
    def questions(self) -> Questions:
        """What is asked: metrics that ask the same are shown the same answers."""
        return Spread(self.n, self.seed)

    @abstractmethod
    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        """What scores an answer, image by image.

        Raises:
            DataError: where the data cannot support the metric.
        """

    def rows(self, scores: Scores, data: DataModule) -> Iterable[Row]:
        """The table: the mean of every score, unless a metric pools otherwise."""
        return [{"do": do, "row": who, **means(found)} for (do, who), found in scores.items()]

    def beside(self, model: ImageModel, data: DataModule) -> list[Row]:
        """Rows that no question is asked for."""
        return []

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        [found] = self.measure_together([self], model, data)
        if isinstance(found, DataError):
            raise found
        return found

    @classmethod
    def measure_together(
        cls, metrics: Sequence[Metric], model: ImageModel, data: DataModule
    ) -> list[list[Row] | DataError]:
        found: dict[int, list[Row] | DataError] = {}
        groups: dict[Questions, dict[int, Listener]] = defaultdict(dict)  # those that ask the same
        for i, metric in enumerate(metrics):
            assert isinstance(metric, CounterfactualMetric)
            try:
                listener, found[i] = (metric.who, metric.scorer(model, data)), metric.beside(model, data)
                groups[metric.questions][i] = listener
            except DataError as reason:
                found[i] = reason
        for questions, listeners in groups.items():
            for i, scores in interview(model, data, questions, listeners).items():
                metric, rows = metrics[i], found[i]
                assert isinstance(metric, CounterfactualMetric)
                assert isinstance(rows, list)
                rows.extend(metric.rows(scores, data))
        return [found[i] for i in range(len(metrics))]


def interview(
    model: ImageModel, data: DataModule, questions: Questions, listeners: Mapping[int, Listener]
) -> dict[int, Scores]:
    """Put questions to a model and its controls; every listener scores the answers of those it listens to."""
    kept: dict[int, dict[tuple[str, str], Kept]] = {i: defaultdict(Kept) for i in listeners}
    answers = respondents(model, data, {name for who, _ in listeners.values() for name in who})
    for question in questions.put(model, data):
        for name, answer in answers.items():
            images = answer(question)
            pictures = question.pictures if images is question.images else Pictures(images)
            for i, (who, scorer) in listeners.items():
                if name in who:
                    kept[i][question.name, name].add(scorer(question, pictures))
    return {i: {key: scores.joined() for key, scores in mine.items()} for i, mine in kept.items()}


class Kept:
    """The scores of many batches, each kind in one buffer that grows.

    Thousands of small tensors would lie scattered between the large ones of the batches, and keep the C library from
    using again the memory that those have left: several hundred kilobytes for every image.
    """

    def __init__(self) -> None:
        self.buffers: dict[str, array[float]] = {}
        self.shapes: dict[str, torch.Size] = {}

    def add(self, scores: Mapping[str, Tensor]) -> None:
        """The scores of one more batch, [b] or [b, k]."""
        for name, values in scores.items():
            self.buffers.setdefault(name, array("f")).frombytes(values.float().contiguous().numpy().tobytes())
            self.shapes[name] = values.shape[1:]

    def joined(self) -> dict[str, Tensor]:
        """All of them, [n] or [n, k]."""
        return {
            name: torch.from_numpy(np.frombuffer(buffer, dtype=np.float32)).view(-1, *self.shapes[name])
            for name, buffer in self.buffers.items()
        }


def means(scores: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean of each score over what could be measured, NaN where nothing could."""
    return {name: float(values.double().nanmean()) for name, values in scores.items()}
