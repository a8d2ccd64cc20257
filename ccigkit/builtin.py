"""What ccigkit brings along, registered through the same door as anybody's plugin: one line per component."""

from __future__ import annotations

from ccigkit.data.causalcircuit import CausalCircuit
from ccigkit.data.celeba import CelebA
from ccigkit.data.digits import Digits
from ccigkit.data.faces import Faces
from ccigkit.data.flow import Flow
from ccigkit.data.morphomnist import MorphoMNIST
from ccigkit.data.pendulum import Pendulum
from ccigkit.data.sharded import Shards
from ccigkit.data.table import ImageTable
from ccigkit.metrics.cdm import CDM
from ccigkit.metrics.cycles import Composition, Reversibility
from ccigkit.metrics.disentanglement import Disentanglement
from ccigkit.metrics.downstream import Downstream
from ccigkit.metrics.effectiveness import Effectiveness
from ccigkit.metrics.graph import Graph
from ccigkit.metrics.interventional import Interventional
from ccigkit.metrics.interventions import Interventions
from ccigkit.metrics.minimality import Minimality
from ccigkit.metrics.realism import Realism
from ccigkit.metrics.truth import Truth
from ccigkit.networks.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from ccigkit.networks.resnet import ResNetDiscriminator, ResNetEncoder, ResNetGenerator
from ccigkit.objectives.ccig import CCIG
from ccigkit.objectives.dear import DEAR
from ccigkit.plugins import hookimpl
from ccigkit.scm.linear import LinearSCM
from ccigkit.scm.nonlinear import NonlinearSCM
from ccigkit.structure.auto import Auto
from ccigkit.structure.boss import Boss
from ccigkit.structure.dagma import Dagma
from ccigkit.structure.gae import GraphAutoencoder
from ccigkit.structure.ges import GES
from ccigkit.structure.golem import Golem
from ccigkit.structure.grasp import GRaSP
from ccigkit.structure.known import Known
from ccigkit.structure.notears import Notears
from ccigkit.structure.pc import PC


@hookimpl
def ccigkit_components() -> list[type]:
    """The components that come along."""
    return [
        Faces,
        Pendulum,
        Flow,
        Digits,
        CelebA,
        ImageTable,
        MorphoMNIST,
        CausalCircuit,
        Shards,
        Auto,
        Boss,
        Known,
        Notears,
        Dagma,
        Golem,
        PC,
        GES,
        GRaSP,
        GraphAutoencoder,
        LinearSCM,
        NonlinearSCM,
        DCGANEncoder,
        DCGANGenerator,
        DCGANDiscriminator,
        ResNetEncoder,
        ResNetGenerator,
        ResNetDiscriminator,
        CCIG,
        DEAR,
        Interventions,
        Effectiveness,
        Composition,
        Reversibility,
        Minimality,
        Truth,
        Interventional,
        Realism,
        Graph,
        Disentanglement,
        Downstream,
        CDM,
    ]
