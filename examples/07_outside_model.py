"""A model that is not ours, measured by ccigkit: a small conditional VAE in plain torch.

What ccigkit asks of a model are three methods, `abduct`, `predict` and `sample`. This one is a VAE that is told the
labels. It knows no causes: of an image it keeps everything but what is set, so the row `no graph` scores as it does.

python examples/07_outside_model.py --steps 300
ccigkit evaluate --model examples/07_outside_model.py:untrained --data pendulum
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ccigkit
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.interfaces import DataModule

Do = Mapping[str, float | Tensor]
Codes = tuple[Tensor, Tensor]  # the labels [b, d] of images, and what else they are made of [b, k]


class ConditionalVAE(nn.Module):
    """Encodes an image with its labels, and decodes the rest with any other labels."""

    def __init__(self, data: DataModule, size: int = 16, width: int = 16) -> None:
        super().__init__()
        self.attributes = data.table().attributes
        self.image_shape = data.image_shape
        self.labels = torch.as_tensor(data.load("train").values).float()
        self.size = size
        d, (channels, height, _) = len(self.attributes), data.image_shape
        self.side = height // 8
        inside = 4 * width * self.side**2
        self.encoder = nn.Sequential(
            nn.Conv2d(channels + d, width, 4, 2, 1), nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, 2, 1), nn.SiLU(),
            nn.Conv2d(2 * width, 4 * width, 4, 2, 1), nn.SiLU(),
            nn.Flatten(), nn.Linear(inside, 2 * size),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(size + d, inside), nn.Unflatten(1, (4 * width, self.side, self.side)), nn.SiLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1), nn.SiLU(),
            nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh(),
        )  # fmt: skip

    def encode(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance [b, k] of the code of images [b, c, h, w] with labels [b, d] on the latent scale."""
        planes = labels[:, :, None, None].expand(-1, -1, *image.shape[2:])
        mean, log_variance = self.encoder(torch.cat([image, planes], dim=1)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, code: Tensor, labels: Tensor) -> Tensor:
        """Images [b, c, h, w] of codes [b, k] with labels [b, d] on the latent scale."""
        images: Tensor = self.decoder(torch.cat([code, labels], dim=1))
        return images

    def loss(self, image: Tensor, labels: Tensor) -> Tensor:
        """Minus the evidence lower bound per image, for Gaussian pixels of a fixed spread."""
        mean, log_variance = self.encode(image, labels)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = F.mse_loss(self.decode(code, labels), image, reduction="none").flatten(1).sum(dim=1)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
        return (20 * error + divergence).mean()

    # What ccigkit asks. It hands the labels to `abduct` because `attributes` is among its arguments.

    @torch.no_grad()
    def abduct(self, image: Tensor, attributes: Tensor) -> Codes:
        """The labels [b, d] of images [b, c, h, w], in their own units, and the codes [b, k]."""
        return attributes, self.encode(image, self.attributes.to_latent(attributes))[0]

    @torch.no_grad()
    def predict(self, codes: Codes, do: Do) -> Tensor:
        """The same images [b, c, h, w] with other labels; nothing follows from what is set."""
        labels, code = codes
        return self.decode(code, self.attributes.to_latent(self.held(labels, do)))

    @torch.no_grad()
    def sample(self, n: int, do: Do | None = None, *, seed: int | None = None) -> Tensor:
        """N new images [n, c, h, w], with the labels of random training images but for what is set."""
        generator = torch.Generator().manual_seed(seed or 0)
        labels = self.labels[torch.randint(len(self.labels), (n,), generator=generator)]
        code = torch.randn(n, self.size, generator=generator)
        return self.decode(code, self.attributes.to_latent(self.held(labels, do or {})))

    def held(self, labels: Tensor, do: Do) -> Tensor:
        """Labels [b, d] in own units with those in `do` held."""
        labels = labels.clone()
        for name, value in do.items():
            labels[:, self.attributes.index(name)] = torch.as_tensor(value).to(labels)
        return labels


def untrained(data: DataModule) -> ConditionalVAE:
    """The model as it is before any training, for `ccigkit evaluate --model`."""
    torch.manual_seed(0)
    return ConditionalVAE(data).eval()


def train(model: ConditionalVAE, data: DataModule, steps: int) -> None:
    """Teach the model the training images."""
    split = data.load("train")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for step in range(steps):
        rows = torch.randint(len(split), (32,))
        images = split.images[rows].float() / 127.5 - 1
        loss = model.loss(images, model.attributes.to_latent(model.labels[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: {float(loss):.1f}")
    model.eval()


def main() -> None:
    """Train the model for a moment and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--size", type=int, default=32, help="height and width of the images")
    parser.add_argument("-n", type=int, default=4000, help="images of the data set")
    parser.add_argument("--questions", type=int, default=500, help="questions that each metric asks")
    parser.add_argument("--predictor-steps", type=int, default=1200)
    options = parser.parse_args()

    data = Pendulum(n=options.n, size=options.size)
    model = untrained(data)
    train(model, data, options.steps)
    found = ccigkit.evaluate(
        model,
        data,
        metrics=("truth", "composition"),
        options={
            "truth": {"n": options.questions, "predictor_steps": options.predictor_steps},
            "composition": {"n": min(100, options.questions)},
        },
        name="conditional VAE",
    )
    for row in found.rows:
        shown = {key: value if isinstance(value, str) else round(value, 3) for key, value in row.items()}
        print("  ".join(f"{value}" for value in shown.values() if value == value))
    Path("runs").mkdir(exist_ok=True)
    ccigkit.save_image(model.sample(16, seed=0), Path("runs/conditional-vae.png"))
    print("wrote runs/conditional-vae.png")


if __name__ == "__main__":
    main()
