"""CCIG: structure, SCM, encoder, generator and joint discriminator, optimised together (Huang et al. 2024)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ccigkit.interfaces import Batch, Discriminator, Intervention, JointStructure, Objective, Phase
from ccigkit.model import CausalImageModel
from ccigkit.objectives.adversarial import Divergence, discriminator_loss, encoder_loss, generator_loss
from ccigkit.objectives.terms import fit_mechanisms, frozen, structure_terms, supervision


class CCIG(Objective):
    """A bidirectional GAN whose prior is a structural causal model, with the terms that make its counterfactuals true.

    Huang et al. (FITEE 2024) give the adversarial, the supervised and the structure terms. The rest answers what plain
    bidirectional training leaves open: an encoder that forgets what the generator needs (`reconstruction`), a
    generator that ignores latents (`cycle`), a residual that remembers what an intervention should change
    (`bottleneck`), and effects that hardly ever contradicted their causes in the data (`interventional`: half of the
    generated images are counterfactuals under random do(), judged by their looks and by the encoder).

    Args:
        adversarial: weight of the joint discriminator's verdict.
        divergence: hinge, or the f-divergence that the discriminator estimates.
        clamp: bound on the f-divergences' weights, from 1/clamp to clamp.
        supervision: weight of the encoder's error on the attributes.
        reconstruction: weight of the squared error of G(E(x)).
        cycle: weight of the squared error of E(G(z)), the encoder held fixed.
        bottleneck: weight of the residual's information, its KL divergence from the prior in nats.
        interventional: share of the generated images that are counterfactuals under random interventions.
        mechanism: weight of the mechanisms' fit to the attributes; 0 leaves them to the discriminator.
        rate: learning rate of encoder and generator; the discriminator's is the same.
        scm_rate: learning rate of the SCM and of the structure's weights.
    """

    name = "ccig"

    def __init__(
        self,
        model: CausalImageModel,
        discriminator: Discriminator,
        latents: Tensor,
        *,
        adversarial: float = 0.1,
        divergence: Divergence = "hinge",
        clamp: float = 2.0,
        supervision: float = 2.0,
        reconstruction: float = 20.0,
        cycle: float = 1.0,
        bottleneck: float = 1e-3,
        interventional: float = 0.5,
        mechanism: float = 1.0,
        rate: float = 1e-3,
        scm_rate: float = 2e-4,
    ) -> None:
        super().__init__(model, discriminator, latents)
        self.adversarial, self.divergence, self.clamp = adversarial, divergence, clamp
        self.supervision, self.reconstruction, self.cycle = supervision, reconstruction, cycle
        self.bottleneck, self.interventional, self.mechanism = bottleneck, interventional, mechanism
        self.rate, self.scm_rate = rate, scm_rate
        self._pairs: tuple[Tensor, Tensor, Tensor, Tensor, int] | None = None

    def rates(self) -> Mapping[str, float]:
        slow = {"scm": self.scm_rate, "structure": self.scm_rate}
        return {"encoder": self.rate, "generator": self.rate, "discriminator": self.rate / 2, **slow}

    def phases(self) -> list[Phase]:
        together = Phase("model", ("encoder", "generator", "scm", "structure"), self._model)
        verdict = Phase("discriminator", ("discriminator",), self._discriminator)
        return [together, verdict] if self.adversarial else [together]

    def begin(self) -> None:
        if self.mechanism:
            fit_mechanisms(self.model.scm, self.model.structure, self.latents)

    def between(self, step: int) -> None:
        if self.mechanism and step % 100 == 0:
            self.model.scm.fit_noise(self.latents[:4096], self.model.structure.adjacency().detach())
        if isinstance(self.model.structure, JointStructure) and step % 200 == 0:
            self.model.structure.learner.tighten()

    def _model(self, batch: Batch) -> Mapping[str, Tensor]:
        model, size = self.model, len(batch.image)
        held = round(self.interventional * size)  # rows under random do(); the others are the observational prior
        terms: dict[str, Tensor] = {}

        encoded = model.encoder(batch.image)
        latent = encoded.rsample()
        terms["supervision"] = self.supervision * supervision(
            model.split(encoded.mean)[0], batch.attributes, model.attributes
        )
        if self.bottleneck:
            _, mean = model.split(encoded.mean)
            _, std = model.split(encoded.stddev.expand_as(encoded.mean))
            information = (mean.square() + std.square() - 1 - 2 * std.log()).sum(dim=1) / 2
            terms["bottleneck"] = self.bottleneck * information.mean()
        prior = torch.cat([model.prior(size - held), self._counterfactuals(latent[:held])])
        image = model.generator(torch.cat([latent, prior]))
        again, drawn = image[:size], image[size:]
        if self.reconstruction:
            terms["reconstruction"] = self.reconstruction * (again - batch.image).square().mean()
        if self.cycle:
            with frozen(model.encoder):
                terms["cycle"] = self.cycle * (model.encoder(drawn).mean - prior.detach()).square().mean()
        if self.adversarial:
            pairs = (batch.image, latent, drawn, prior)
            real, fake, looks = self._judge(*pairs, size - held)
            terms["encoder"] = self.adversarial * encoder_loss(real, self.divergence, self.clamp)
            terms["generator"] = self.adversarial * generator_loss(fake, self.divergence, self.clamp)
            if held:
                terms["looks"] = -self.adversarial * looks.mean() / 2
            detached = tuple(tensor.detach() for tensor in pairs)
            self._pairs = (detached[0], detached[1], detached[2], detached[3], size - held)
        adjacency = model.structure.adjacency()
        if self.mechanism:
            rows = self.latents[torch.randint(len(self.latents), (256,), device=self.latents.device)]
            with torch.autocast(rows.device.type, enabled=False):
                terms["mechanism"] = self.mechanism * model.scm.loss(rows, adjacency)
        terms.update(
            {f"structure {name}": term for name, term in structure_terms(model.structure, batch.attributes).items()}
        )
        return terms

    def _discriminator(self, batch: Batch) -> Mapping[str, Tensor]:
        assert self._pairs is not None, "the model's phase comes first"
        image, latent, drawn, prior, observed = self._pairs  # the very pairs just made: no second forward pass
        real, fake, looks = self._judge(image, latent, drawn, prior, observed)
        terms = {"pairs": discriminator_loss(real, fake, self.divergence)}
        if len(looks):
            terms["looks"] = discriminator_loss(self.discriminator(image[: len(looks)]), looks, self.divergence) / 2
        return terms

    def _judge(
        self, image: Tensor, latent: Tensor, drawn: Tensor, prior: Tensor, observed: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of encoder pairs, of observational generator pairs, and of interventional images by looks alone.

        Pairs under do() would be told from encoder pairs by their latents, rightly: only their looks are judged.
        """
        real = self.discriminator(image, latent)
        fake = self.discriminator(drawn[:observed], prior[:observed])
        looks = self.discriminator(drawn[observed:]) if observed < len(drawn) else drawn.new_zeros(0)
        return real, fake, looks

    @torch.no_grad()
    def _counterfactuals(self, latent: Tensor) -> Tensor:
        """Latents [n, k] of the same images under random interventions.

        Each attribute is held with probability one half, at its value in some row of the training table.
        """
        z, residual = self.model.split(latent)
        rows = torch.randint(len(self.latents), z.shape, device=z.device)
        intervention = Intervention(torch.rand_like(z) < 0.5, self.latents.gather(0, rows))
        return torch.cat(
            [self.model.scm.counterfactual(z, self.model.structure.adjacency(), intervention), residual], 1
        )
