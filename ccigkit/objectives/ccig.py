"""CCIG: structure, SCM, encoder, generator and joint discriminator, optimised together (Huang et al. 2024)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ccigkit.causal.model import some
from ccigkit.causal.scm.base import Intervention
from ccigkit.component.options import Positive, Share, Weight
from ccigkit.image.base import Discriminator
from ccigkit.model.detail import unchanged
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.adversarial import Divergence, discriminator_loss, encoder_loss, generator_loss
from ccigkit.objectives.base import Batch, Phase
from ccigkit.objectives.bidirectional import BidirectionalObjective
from ccigkit.objectives.terms import Dependence, frozen, supervision

CHOICE = 12.0  # a misread category in `latent_cycle`, for each nat: handwritten digits need it (docs/results.md)
MOVED = 0.15  # the change of a pixel (2 from black to white) beyond which `minimality` hardly grows


@dataclass(frozen=True)
class Pairs:
    """Encoder pairs (image, latent) and generator pairs (drawn, prior), the first `new` of these observational."""

    image: Tensor
    latent: Tensor
    drawn: Tensor
    prior: Tensor
    new: int

    def detach(self) -> Pairs:
        """The same pairs, out of the graph."""
        return Pairs(self.image, self.latent.detach(), self.drawn.detach(), self.prior.detach(), self.new)


class CCIG(BidirectionalObjective):
    """A bidirectional GAN whose prior is a structural causal model, with the terms that make its counterfactuals true.

    Huang et al. (FITEE 2024) give the adversarial, the supervised and the structure terms. The rest answers what plain
    bidirectional training leaves open: an encoder that forgets what the generator needs (`reconstruction`), a
    generator that ignores latents (`latent_cycle`), a style that remembers what an intervention should change
    (`bottleneck`) or say again what the attributes say (`independence`), and effects that hardly ever contradicted
    their causes in the data (`interventional`: half of the generated images are counterfactuals under
    random do(), judged by their looks and by the encoder; `minimality`: they change no more than they must).

    Args:
        adversarial: weight of the joint discriminator's verdict.
        divergence: hinge, or the f-divergence that the discriminator estimates.
        clamp: bound on the f-divergences' weights, from 1/clamp to clamp.
        supervision: weight of the encoder's error on the attributes.
        reconstruction: weight of the squared error of G(E(x)).
        latent_cycle: weight of the error of E(G(z)) on the attributes, the encoder held fixed: squares, of a category
            twelve times its cross entropy.
        invariance: weight of the squared error of E(G(z)) on the style, for which both answer.
        minimality: weight of the share of pixels that a counterfactual changes.
        bottleneck: weight of the style's information, its KL divergence from the prior in nats.
        independence: weight of what the attributes predict of the style, the mean square of E[style | attributes].
        interventional: share of the generated images that are counterfactuals under random interventions, not new.
        noise: standard deviation of the noise laid over every image that the encoder reads in training.
        mechanism: weight of the mechanisms' fit to the attributes; 0 leaves them to the discriminator.
        rate: learning rate of encoder and generator; the discriminator's is half of it.
        scm_rate: learning rate of the SCM and of the structure's weights.
    """

    name = "ccig"
    former: ClassVar[Mapping[str, str]] = {"cycle": "latent_cycle"}

    def __init__(
        self,
        model: CausalImageModel,
        discriminator: Discriminator,
        latents: Tensor,
        *,
        adversarial: Weight = 0.1,
        divergence: Divergence = "hinge",
        clamp: Annotated[float, Ge(1)] = 2.0,
        supervision: Weight = 6.0,
        reconstruction: Weight = 60.0,
        latent_cycle: Weight = 1.0,
        invariance: Weight = 0.2,
        minimality: Weight = 0.1,
        bottleneck: Weight = 1e-3,
        independence: Weight = 1.0,
        interventional: Share = 0.5,
        noise: Weight = 0.1,
        mechanism: Weight = 1.0,
        rate: Positive = 1e-3,
        scm_rate: Positive = 2e-4,
    ) -> None:
        super().__init__(model, discriminator, latents)
        self.adversarial, self.divergence, self.clamp = adversarial, divergence, clamp
        self.supervision, self.reconstruction, self.latent_cycle = supervision, reconstruction, latent_cycle
        size = model.image.latent_size - model.image.inputs  # of the style
        self.invariance, self.independence = (invariance, independence) if size else (0.0, 0.0)
        self.minimality, self.bottleneck = minimality, bottleneck
        self.interventional, self.mechanism = interventional, mechanism
        self.rate, self.scm_rate, self.noise = rate, scm_rate, noise
        self._dependence = Dependence(self.inputs.of(latents), size)
        self._pairs: deque[Pairs] = deque()  # of the shares of a batch, until the discriminator has seen them

    def parts(self) -> dict[str, nn.Module]:
        return super().parts() | {"dependence": self._dependence}  # no parameters, but a state to resume from

    def rates(self) -> Mapping[str, float]:
        slow = {"scm": self.scm_rate, "structure": self.scm_rate}
        return {"encoder": self.rate, "generator": self.rate, "discriminator": self.rate / 2, **slow}

    def phases(self) -> list[Phase]:
        together = Phase("model", ("encoder", "generator", "scm", "structure"), self._model)
        verdict = Phase("discriminator", ("discriminator",), self._discriminator)
        return [together, verdict] if self.adversarial else [together]

    def begin(self) -> None:
        if self.mechanism:
            self.model.causal.fit_mechanisms(self.latents)

    def between(self, step: int) -> None:
        if self.mechanism and step % 100 == 0:
            self.model.scm.fit_noise(some(self.latents), self.model.structure.adjacency().detach())
        if step % 200 == 0:
            self.model.structure.tighten()

    def _model(self, batch: Batch) -> Mapping[str, Tensor]:
        model, half = self.model, len(batch.image) // 2
        held = min(round(self.interventional * half), half - 1)  # counterfactuals; the rest of that half is new
        terms: dict[str, Tensor] = {}
        true = self.inputs.of(batch.attributes)

        encoded = self.encoder(self._through_noise(batch.image))
        latent = self.sampled(encoded)
        y, mean = self.split(encoded.mean)
        terms["supervision"] = self.supervision * supervision(y, batch.attributes, self.inputs)
        if self.bottleneck:
            _, std = self.split(encoded.stddev)
            information = (mean.square() + std.square() - 1 - 2 * std.log()).sum(dim=1) / 2
            terms["bottleneck"] = self.bottleneck * information.mean()
        if self.independence:
            with torch.autocast(mean.device.type, enabled=False):
                terms["independence"] = self.independence * self._dependence(mean, true)
        prior = torch.cat([self.prior(half - held), self._counterfactuals(latent[:held])])
        # The first half of the batch is drawn again from its true attributes, so that the generator learns what they
        # look like before the encoder can read them.
        labelled = torch.cat([true[:half], self.split(latent)[1][:half]], dim=1)
        image = self.generator(torch.cat([labelled, latent[half:], prior]))
        again, drawn = image[: len(latent)], image[len(latent) :]
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * (again - batch.image).square().mean()
        if self.latent_cycle or self.invariance:
            meant, kept = self.split(prior.detach())
            with frozen(self.encoder):
                read, again_kept = self.split(self.encoder(self._through_noise(drawn)).mean)
            error = self.inputs.misread(read, self.inputs.latents(meant), choice=CHOICE).mean()
            terms["latent_cycle"] = self.latent_cycle * error
        if self.invariance:
            _, encoder_kept = self.split(self.encoder(self._through_noise(drawn.detach())).mean)
            error = (again_kept - kept).square().mean() + (encoder_kept - kept).square().mean()
            terms["invariance"] = self.invariance * error
        if self.minimality and held:
            change = 1 - unchanged(again[:held].detach(), drawn[half - held :], MOVED)
            terms["minimality"] = self.minimality * change.mean()
        if self.adversarial:
            new = half - held
            pairs = Pairs(batch.image[:new], latent[:new], drawn, prior, new)
            real, fake, looks = self._judge(pairs)
            terms["encoder"] = self.adversarial * encoder_loss(real, self.divergence, self.clamp)
            terms["generator"] = self.adversarial * generator_loss(fake, self.divergence, self.clamp)
            if held:
                terms["interventional"] = -self.adversarial * looks.mean()
            self._pairs.append(pairs.detach())
        adjacency = model.structure.adjacency()
        if self.mechanism:
            rows = self.latents[torch.randint(len(self.latents), (256,), device=self.latents.device)]
            with torch.autocast(rows.device.type, enabled=False):
                terms["mechanism"] = self.mechanism * model.scm.loss(rows, adjacency)
        learning = model.structure.terms(batch.step_attributes)
        return terms | {f"structure {name}": term for name, term in learning.items()}

    def _discriminator(self, batch: Batch) -> Mapping[str, Tensor]:
        assert self._pairs, "the model's phase comes first"
        pairs = self._pairs.popleft()  # the very pairs just made: no second forward pass
        real, fake, looks = self._judge(pairs)
        terms = {"pairs": discriminator_loss(real, fake, self.divergence)}
        if len(looks):
            others = self.discriminator(batch.image[-len(looks) :])
            terms["looks"] = discriminator_loss(others, looks, self.divergence)
        return terms

    def _judge(self, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of encoder pairs, of observational generator pairs, and of interventional images by looks alone.

        Latents under do() differ from those of encoder pairs, as they should, and would give these pairs away; so only
        their images are judged.
        """
        new = pairs.new
        real = self.discriminator(pairs.image, pairs.latent)
        fake = self.discriminator(pairs.drawn[:new], pairs.prior[:new])
        looks = self.discriminator(pairs.drawn[new:]) if new < len(pairs.drawn) else pairs.drawn.new_zeros(0)
        return real, fake, looks

    def _through_noise(self, image: Tensor) -> Tensor:
        """Images [b, c, h, w] under noise: without it, `latent_cycle` lets the generator hide z in faint patterns."""
        return image + self.noise * torch.randn_like(image)

    @torch.no_grad()
    def _counterfactuals(self, latent: Tensor) -> Tensor:
        """Latents [n, k] of the same images under random interventions.

        Each attribute is held with probability one half, at its value in some row of the training table.
        """
        y, style = self.split(latent)
        z = self.inputs.latents(y)
        rows = torch.randint(len(self.latents), z.shape, device=z.device)
        intervention = Intervention(torch.rand_like(z) < 0.5, self.latents.gather(0, rows))
        return torch.cat([self.inputs.of(self.model.causal.act(z, intervention)), style], dim=1)
