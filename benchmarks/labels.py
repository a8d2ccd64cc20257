"""What a label's misreading should cost: readers of labels at CelebA's rates, trained under several terms.

    python benchmarks/labels.py

Eleven labels show in noisy features, all equally well; a small network reads them in batches of 16. A term that a rare
label dominates would cost the others, and one that forgets it would cost the rare one: both show in held-out rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attribute, Attributes, Table
from ccigkit.descend import descend, falling
from ccigkit.objectives.terms import information, misread

RATES = (0.42, 0.78, 0.48, 0.83, 0.025, 0.47, 0.042, 0.067, 0.45, 0.48, 0.115)
RARE, BALANCED = 4, [0, 2, 5, 8, 9]
SEEN, HELD_OUT, SHOWN, STEPS = 9_000, 20_000, 1.25, 1500
Term = Callable[[Tensor, Tensor], Tensor]  # readings and latents [b, d]: what they cost [b, d]


def main() -> None:
    """Train, measure, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    (x, labels), (other, truth) = rows(SEEN, 0), rows(HELD_OUT, 1)
    attributes = Table.fit([Attribute(f"label{j}", "binary") for j in range(len(RATES))], labels.numpy()).attributes
    latents, wanted = (attributes.to_latent(y).float() for y in (labels, truth))
    print("| term | a misread image costs, rare | balanced | rare one's share | AUC rare | AUC balanced |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, term in terms(attributes).items():
        yes, no = (attributes.to_latent(torch.full((1, len(RATES)), at)) for at in (1.0, 0.0))
        whole = term(no.float(), yes.float())[0]
        figures = torch.tensor(
            [judged(term, read(term, x, latents, seed)(other), wanted, truth) for seed in range(seeds)]
        )
        share, rare, balanced = figures.mean(dim=0).tolist()
        print(f"| {name} | {whole[RARE]:.1f} | {whole[2]:.1f} | {share:.2f} | {rare:.3f} | {balanced:.3f} |")


def rows(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features [n, 32] that show labels [n, d] under noise, turned so that no feature is about one label alone."""
    generator = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, len(RATES), generator=generator) < torch.tensor(RATES)).double()
    shown = torch.cat([2 * labels.float() - 1, torch.zeros(n, 32 - len(RATES))], dim=1)
    turn, _ = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(9)))
    return (SHOWN * shown + torch.randn(n, 32, generator=generator)) @ turn, labels


def terms(attributes: Attributes) -> dict[str, Term]:
    """The terms to compare."""
    own = torch.tensor([information(attribute) for attribute in attributes])
    balanced = own.max()
    nats: Term = lambda z, t: misread(z, t, attributes) * own  # noqa: E731
    return {
        "square and cross entropy": lambda z, t: (z - t).square() + nats(z, t),
        "likelihood over its own I": lambda z, t: nats(z, t) / own,
        "likelihood over a balanced label's I": lambda z, t: nats(z, t) / balanced,
        "likelihood over the geometric mean": lambda z, t: nats(z, t) / (own * balanced).sqrt(),
    }


def read(term: Term, x: Tensor, latents: Tensor, seed: int) -> nn.Module:
    """A reader trained on features and latents, step by step on batches of 16."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(32, 64), nn.LeakyReLU(0.2), nn.Linear(64, latents.shape[1]))

    def loss(step: int) -> Tensor:
        some = torch.randint(len(x), (16,))
        return term(network(x[some]), latents[some]).mean()

    descend(network.parameters(), loss, steps=STEPS, rate=1e-3, schedule=falling)
    return network


@torch.no_grad()
def judged(term: Term, z: Tensor, wanted: Tensor, truth: Tensor) -> tuple[float, float, float]:
    """The rare label's share of what readings z [n, d] cost, and the areas under the ROC curve, rare and balanced."""
    cost = term(z, wanted).mean(dim=0)
    areas = torch.tensor([area(z[:, j], truth[:, j]) for j in range(z.shape[1])])
    return float(cost[RARE] / cost.sum()), float(areas[RARE]), float(areas[BALANCED].mean())


def area(score: Tensor, label: Tensor) -> float:
    """The area under the ROC curve of scores [n] for labels [n], by ranks."""
    ranks = score.argsort().argsort().double() + 1
    yes = label.sum()
    return float(((ranks * label).sum() - yes * (yes + 1) / 2) / (yes * (len(label) - yes)))


if __name__ == "__main__":
    main()
