"""What a plugin is made of: the kinds of component, what they are given, and what their options are made of.

Then what the learners that come along share, for learners of others. Public names, each defined in the folder of its
kind.
"""

from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.strengths import covariance, fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.component.component import Component
from ccigkit.component.options import Count, Natural, Positive, Role, Seed, Share, Weight
from ccigkit.data.base import DataModule, RenderedData, Split, SplitName
from ccigkit.image.base import Discriminator, Encoder, Generator, ImageMechanism, ReadsAttributes
from ccigkit.metrics.base import DrawsAlone, HasGraph, HasLatents, Holds, ImageModel, Metric, Rewirable, Row
from ccigkit.model.placement import Placement
from ccigkit.objectives.base import Batch, Objective, Phase
from ccigkit.pixels import ImageShape
from ccigkit.structure.assess.equivalence import member, with_class
from ccigkit.structure.assess.patience import extrapolated, refuse_large, refuse_long
from ccigkit.structure.base import JointStructureLearner, StructureLearner
from ccigkit.structure.joint import JointStructure
from ccigkit.structure.seeds import seeds_kept
from ccigkit.structure.tables import by_skewness, hard_labels, project, refuse_collinear, rounded, with_strengths
from ccigkit.training.tracker import Tracker

__all__ = [
    "SCM",
    "Batch",
    "Component",
    "Count",
    "DataModule",
    "Discriminator",
    "DrawsAlone",
    "Encoder",
    "Generator",
    "HasGraph",
    "HasLatents",
    "Holds",
    "ImageMechanism",
    "ImageModel",
    "ImageShape",
    "Intervention",
    "JointStructure",
    "JointStructureLearner",
    "Metric",
    "Natural",
    "Objective",
    "Phase",
    "Placement",
    "Positive",
    "ReadsAttributes",
    "RenderedData",
    "Rewirable",
    "Role",
    "Row",
    "Seed",
    "Share",
    "Split",
    "SplitName",
    "Structure",
    "StructureLearner",
    "Tracker",
    "Weight",
    "by_skewness",
    "covariance",
    "extrapolated",
    "fit_strengths",
    "hard_labels",
    "member",
    "project",
    "refuse_collinear",
    "refuse_large",
    "refuse_long",
    "rounded",
    "seeds_kept",
    "with_class",
    "with_strengths",
]
