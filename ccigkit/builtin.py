"""What ccigkit brings along, registered through the same door as anybody's plugin: one line per component."""

from __future__ import annotations

from ccigkit.causal.scm.base import SCM
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.causal.scm.postnonlinear import PostNonlinearSCM
from ccigkit.component.plugins import hookimpl
from ccigkit.data.base import DataModule
from ccigkit.data.causalcircuit import CausalCircuit
from ccigkit.data.celeba import CelebA
from ccigkit.data.drawn.digits import Digits
from ccigkit.data.drawn.faces import Faces
from ccigkit.data.drawn.flow import Flow
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.data.morphomnist import MorphoMNIST
from ccigkit.data.sharded import Shards
from ccigkit.data.table import ImageTable
from ccigkit.image.base import Discriminator, Encoder, Generator, ImageMechanism
from ccigkit.image.bigan import BiGAN
from ccigkit.image.dcgan import DCGANDiscriminator, DCGANEncoder, DCGANGenerator
from ccigkit.image.resnet import ResNetDiscriminator, ResNetEncoder, ResNetGenerator
from ccigkit.metrics.base import Metric
from ccigkit.metrics.cdm import CDM
from ccigkit.metrics.cycles import Composition, Reversibility
from ccigkit.metrics.disentanglement import Disentanglement
from ccigkit.metrics.distribution import Distribution
from ccigkit.metrics.do_table import DoTable
from ccigkit.metrics.downstream import Downstream
from ccigkit.metrics.effectiveness import Effectiveness
from ccigkit.metrics.graph import Graph
from ccigkit.metrics.graphs import Graphs
from ccigkit.metrics.minimality import Minimality
from ccigkit.metrics.realism import Realism
from ccigkit.metrics.truth import Truth
from ccigkit.model.placement import Placement, Prior
from ccigkit.objectives.base import Objective
from ccigkit.objectives.ccig import CCIG
from ccigkit.objectives.dear import DEAR
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.learners.auto import Auto
from ccigkit.structure.learners.boss import Boss
from ccigkit.structure.learners.dagma import Dagma
from ccigkit.structure.learners.fci import FCI
from ccigkit.structure.learners.gae import GraphAutoencoder
from ccigkit.structure.learners.ges import GES
from ccigkit.structure.learners.golem import Golem
from ccigkit.structure.learners.grasp import GRaSP
from ccigkit.structure.learners.known import Known
from ccigkit.structure.learners.notears import Notears
from ccigkit.structure.learners.pc import PC
from ccigkit.trackers.hosted import Trackio, WandB
from ccigkit.trackers.tensorboard import TensorBoard
from ccigkit.training.tracker import Tracker


@hookimpl
def ccigkit_components() -> list[type]:
    """The kinds, then the components that come along."""
    return [
        DataModule,
        StructureLearner,
        SCM,
        Encoder,
        Generator,
        Discriminator,
        ImageMechanism,
        Placement,
        Objective,
        Metric,
        Tracker,
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
        FCI,
        GES,
        GRaSP,
        GraphAutoencoder,
        LinearSCM,
        NonlinearSCM,
        PostNonlinearSCM,
        MixedSCM,
        BiGAN,
        Prior,
        DCGANEncoder,
        DCGANGenerator,
        DCGANDiscriminator,
        ResNetEncoder,
        ResNetGenerator,
        ResNetDiscriminator,
        CCIG,
        DEAR,
        DoTable,
        Effectiveness,
        Composition,
        Reversibility,
        Minimality,
        Truth,
        Distribution,
        Realism,
        Graph,
        Graphs,
        Disentanglement,
        Downstream,
        CDM,
        TensorBoard,
        WandB,
        Trackio,
    ]
