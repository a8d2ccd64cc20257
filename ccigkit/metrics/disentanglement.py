"""Disentanglement: does each latent stand for one attribute, and each attribute for one latent?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from ccigkit.causal.attributes import Attributes
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.errors import DataError
from ccigkit.metrics.base import HasLatents, ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import Abducted, device_of
from ccigkit.metrics.protocol.questions import BATCH, as_said
from ccigkit.metrics.readers.predictor import STEPS, Predictor, ReadsPictures
from ccigkit.pixels import to_float

Array = npt.NDArray[np.float64]
BINS = 20


class Disentanglement(ReadsPictures, Metric):
    """How the latents of a model that shows them stand to the attributes, those that are caused included.

    Scores of disentanglement take factors to be independent, and punish a model for being right about causes where they
    are not. So where the data can be drawn to order, every attribute is set, each to the value that another image has
    (`do` is `each alone`): then they are. Elsewhere the images are as they are (`nothing`), related attributes lower
    the scores, and robustness is not given.

    `dci_d`, `dci_c`: disentanglement and completeness by the importances of boosted trees (Eastwood and Williams,
    2018), with the trees' held-out `r2` for continuous attributes and `accuracy` for labels. `mcc`: mean correlation
    under the best matching of latents to attributes. `sap`, `mig`: by how much the best latent of an attribute is ahead
    of the next (Kumar et al., 2018; Chen et al., 2018). `irs`: interventional robustness (Suter et al., 2019). `uc`,
    `cg`: unconfoundedness, whether each attribute has a latent of its own, and counterfactual generativeness, by how
    much more that latent moves it in the picture than all the others do (Reddy et al., 2022). The row `oracle` are the
    attributes themselves with the model's style, `shuffled` another image's latents.

    Args:
        n: images.
        generated: images of these that are drawn again and again, for counterfactual generativeness.
        seed: seed of what is set, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "disentanglement"

    def __init__(
        self, *, n: Count = 1000, generated: Count = 100, seed: Seed = 0, predictor_steps: Count = STEPS
    ) -> None:
        self.n, self.generated, self.seed, self.predictor_steps = n, generated, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        if not isinstance(model, HasLatents):
            raise DataError(f"disentanglement is about a model's latents, and {type(model).__name__} shows none")
        random = np.random.default_rng(self.seed)
        test, n = data.load("test"), min(self.n, len(data.load("test")))
        values, images, drawn = torch.as_tensor(test.values[:n]), test.images[:n], False
        if isinstance(data, RenderedData) and test.noise is not None:
            do = {a.name: values[random.permutation(n), j].float() for j, a in enumerate(data.attributes)}
            alone = data.counterfactual(test.noise[:n], do)
            values, images, drawn = torch.as_tensor(alone.values), alone.images, True
        factors = Factors.of(values, model.attributes)
        latents = encode(model, images, values)
        oracle = np.concatenate([factors.latents, latents[:, values.shape[1] :]], axis=1)
        rows: list[Row] = []
        generative = self.generative(model, data, latents, factors)
        for who, codes in {"model": latents, "oracle": oracle, "shuffled": latents[random.permutation(n)]}.items():
            found = scores(codes, factors, self.seed)
            found["irs"] = irs(codes[:, : values.shape[1]], factors) if drawn else float("nan")
            found["cg"] = generative.get(who, float("nan"))
            rows.append({"do": "each alone" if drawn else "nothing", "row": who, **found})
        return rows

    def generative(self, model: ImageModel, data: DataModule, latents: Array, factors: Factors) -> dict[str, float]:
        """The counterfactual generativeness of the model, and of the renderer where there is one."""
        assert isinstance(model, HasLatents)
        read, noise = self.predictor(data), data.load("test").noise
        device, d = device_of(model), len(model.attributes)

        @torch.no_grad()
        def draw(codes: Array) -> Tensor:
            latents = torch.as_tensor(codes).float().to(device)
            return model.render(latents[:, :d], latents[:, d:]).cpu()

        own = owners(latents, factors.latents)
        found = {"model": generativeness(draw, read, latents[: self.generated], own)}
        if isinstance(data, RenderedData) and noise is not None:
            shown = factors.latents[: self.generated]

            def render(codes: Array) -> Tensor:
                return to_float(data.draw(model.attributes.to_values(torch.as_tensor(codes)), noise[: len(codes)]))

            found["oracle"] = generativeness(render, read, shown, range(shown.shape[1]))
        return found


@dataclass(frozen=True)
class Factors:
    """Attributes of n images: [n, d] on the latent scale, and each column [n] as a label or a number."""

    latents: Array
    columns: list[Array]
    labelled: list[bool]

    @classmethod
    def of(cls, values: Tensor, attributes: Attributes) -> Factors:
        """Those of values [n, d] in own units."""
        labels = [as_said(a, values[:, j]).double().numpy() for j, a in enumerate(attributes)]
        return cls(attributes.to_latent(values).numpy(), labels, [a.kind != "continuous" for a in attributes])

    @cached_property
    def binned(self) -> list[npt.NDArray[np.int64]]:
        """Each column [n] as codes: its labels, or bins of equally many."""
        return [
            np.unique(column, return_inverse=True)[1] if label else bins(column)
            for column, label in zip(self.columns, self.labelled, strict=True)
        ]


def encode(model: ImageModel, images: Tensor, values: Tensor) -> Array:
    """The latents [n, k] of images [n, c, h, w] as bytes, of attributes [n, d]: z, then the style.

    Raises:
        DataError: where the model's style is no vector.
    """
    seen = [
        Abducted(model, to_float(chunk), labels).codes
        for chunk, labels in zip(images.split(BATCH), values.float().split(BATCH), strict=True)
    ]
    if not all(isinstance(codes.style, Tensor) and codes.style.ndim == 2 for codes in seen):
        raise DataError(f"disentanglement needs a style that is a vector, and that of {type(model).__name__} is none")
    return torch.cat([torch.cat([codes.z, codes.style], dim=1) for codes in seen]).double().cpu().numpy()


def scores(codes: Array, factors: Factors, seed: int) -> dict[str, float]:
    """The scores of codes [n, k], and how well trees read the factors from codes that they have not seen."""
    importance, r2, accuracy = trees(codes, factors, seed)
    disentangled, complete = dci(importance)
    return {
        "dci_d": disentangled,
        "dci_c": complete,
        "r2": r2,
        "accuracy": accuracy,
        "mcc": mcc(codes, factors.latents),
        "sap": lead(separations(codes, factors, seed)),
        "mig": mig(codes, factors),
        "uc": unconfoundedness(owners(codes, factors.latents)),
    }


def trees(codes: Array, factors: Factors, seed: int) -> tuple[Array, float, float]:
    """Importances [k, d] of codes for factors, and the mean held-out R2 of numbers and accuracy of labels.

    Labels are classified and numbers regressed: the score of one kind says nothing of the other.
    """
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

    train, test = halves(len(codes), seed)
    importance = np.zeros((codes.shape[1], len(factors.columns)))
    found: dict[bool, list[float]] = {True: [], False: []}
    for j, (column, label) in enumerate(zip(factors.columns, factors.labelled, strict=True)):
        if len(np.unique(column[train])) < 2:  # nothing to tell apart
            continue
        forest = (GradientBoostingClassifier if label else GradientBoostingRegressor)(
            n_estimators=50, random_state=seed
        )
        forest.fit(codes[train], column[train])
        importance[:, j] = forest.feature_importances_
        found[label].append(float(forest.score(codes[test], column[test])))
    r2, accuracy = (float(np.mean(found[label])) if found[label] else float("nan") for label in (False, True))
    return importance, r2, accuracy


def dci(importance: Array) -> tuple[float, float]:
    """Disentanglement and completeness of importances [k, d] (Eastwood and Williams, 2018).

    One minus the entropy, in units of its largest, of what each code is important for, weighted by its importance;
    and of which codes are important for each factor.
    """
    total = importance.sum()
    if not total:
        return 0.0, 0.0
    weights = importance.sum(axis=1) / total
    disentangled = 1 - entropy_share(importance)
    return float(weights @ disentangled), float((1 - entropy_share(importance.T)).mean())


def entropy_share(rows: Array) -> Array:
    """The entropy [k] of each row [k, d] as a distribution, 1 for a uniform one and for a row of nothing."""
    sums = rows.sum(axis=1, keepdims=True)
    shares = np.divide(rows, sums, out=np.full_like(rows, 1 / rows.shape[1]), where=sums > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    found: Array = -(shares * logs).sum(axis=1) / np.log(max(2, rows.shape[1]))
    return found


def mcc(codes: Array, factors: Array) -> float:
    """The mean absolute correlation of factors [n, d] with codes [n, k], each with its own, matched for the best."""
    correlation = correlations(codes, factors)
    rows, columns = linear_sum_assignment(-correlation)
    return float(correlation[rows, columns].mean())


def correlations(codes: Array, factors: Array) -> Array:
    """Absolute correlations [k, d]; 0 with what does not vary."""
    x, y = (columns - columns.mean(axis=0) for columns in (codes, factors))
    norms = np.outer(np.linalg.norm(x, axis=0), np.linalg.norm(y, axis=0))
    return np.asarray(np.abs(np.divide(x.T @ y, norms, out=np.zeros_like(norms), where=norms > 0)))


def separations(codes: Array, factors: Factors, seed: int) -> Array:
    """How well each code alone tells each factor [k, d]: R2, or a linear classifier's balanced accuracy on labels."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.svm import LinearSVC

    train, test = halves(len(codes), seed)
    found = correlations(codes, np.stack(factors.columns, axis=1)) ** 2
    for j, (column, label) in enumerate(zip(factors.columns, factors.labelled, strict=True)):
        if not label:
            continue
        found[:, j] = 0
        if len(np.unique(column[train])) < 2:
            continue
        for i, code in enumerate(codes.T):
            classifier = LinearSVC(C=0.01, class_weight="balanced").fit(code[train, None], column[train])
            found[i, j] = balanced_accuracy_score(column[test], classifier.predict(code[test, None]))
    return found


def lead(found: Array) -> float:
    """By how much the best code of a factor is ahead of the next, the mean over factors, of scores [k, d]."""
    ranked = np.sort(found, axis=0)
    return float((ranked[-1] - ranked[-2]).mean())


def mig(codes: Array, factors: Factors) -> float:
    """The mutual information gap (Chen et al., 2018): `lead` of the information, in units of the factor's entropy."""
    from sklearn.metrics import mutual_info_score

    binned = [bins(code) for code in codes.T]
    shared = np.array([[mutual_info_score(code, factor) for factor in factors.binned] for code in binned])
    entropy = np.array([mutual_info_score(factor, factor) for factor in factors.binned])
    return lead(np.divide(shared, entropy, out=np.zeros_like(shared), where=entropy > 0))


def irs(codes: Array, factors: Factors) -> float:
    """Interventional robustness (Suter et al., 2019) of codes [n, k]: how still each is while its own factor is held.

    One minus the 99th percentile of its deviation from its mean under each value of a factor, in units of its largest
    deviation; for its best factor; weighted by that largest deviation. Only for factors that are independent.
    """
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    stillness = np.zeros((codes.shape[1], len(factors.columns)))
    for j, factor in enumerate(factors.binned):
        held = [codes[factor == value] for value in np.unique(factor)]
        off = np.mean([np.percentile(np.abs(c - c.mean(axis=0)), 99, axis=0) for c in held], axis=0)
        stillness[:, j] = 1 - np.divide(off, largest, out=np.ones_like(off), where=largest > 0)
    return float(np.average(stillness.max(axis=1), weights=largest)) if largest.any() else 0.0


def owners(codes: Array, factors: Array) -> list[int]:
    """For each factor of [n, d] the one of codes [n, k] that stands for it: the one that goes with it most."""
    return [int(code) for code in correlations(codes, factors).argmax(axis=0)]


def unconfoundedness(owners: Sequence[int]) -> float:
    """The share of pairs of factors with different codes of their own (Reddy et al., 2022): 1 - the mean Jaccard index.

    Each factor has one code here, so that the index of a pair is 1 or 0.
    """
    pairs = [a != b for a, b in combinations(owners, 2)]
    return sum(pairs) / len(pairs) if pairs else 1.0


def generativeness(draw: Callable[[Array], Tensor], read: Predictor, codes: Array, owners: Sequence[int]) -> float:
    """Counterfactual generativeness (Reddy et al., 2022) of codes [n, k], drawn as images and read by a predictor.

    |effect of a factor's own code on it - effect of all other codes on it|, in shares of its range, the mean over
    factors. An effect is the mean absolute change as codes go to the end of their range that is farther away.
    """
    low, high = codes.min(axis=0), codes.max(axis=0)
    far = np.where(codes < (low + high) / 2, high, low)
    before = read(draw(codes))
    found = []
    for j, own in enumerate(owners):
        mine = np.arange(codes.shape[1]) == own
        by_own, by_rest = (
            float((read(draw(np.where(moved, far, codes))) - before)[:, j].abs().mean() / read.attributes.ranges[j])
            for moved in (mine, ~mine)
        )
        found.append(abs(by_own - by_rest))
    return float(np.mean(found))


def bins(column: Array) -> npt.NDArray[np.int64]:
    """A column [n] of numbers as codes of twenty bins of equally many."""
    borders = np.quantile(column, np.arange(1, BINS) / BINS)
    return np.searchsorted(borders, column).astype(np.int64)


def halves(n: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The rows to learn from, three quarters, and those to be scored on."""
    rows = np.random.default_rng(seed).permutation(n)
    return rows[: 3 * n // 4], rows[3 * n // 4 :]
