"""The kinds of component, and what they are given: public names, each defined in the folder of its kind."""

from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.structure import Structure
from ccigkit.component.component import Component
from ccigkit.data.base import DataModule, RenderedData, Split, SplitName
from ccigkit.image.base import Discriminator, Encoder, Generator, ImageMechanism, ReadsAttributes
from ccigkit.metrics.base import DrawsAlone, HasGraph, HasLatents, Holds, ImageModel, Metric, Rewirable, Row
from ccigkit.model.placement import Placement
from ccigkit.objectives.base import Batch, Objective, Phase
from ccigkit.pixels import ImageShape
from ccigkit.structure.base import JointStructureLearner, StructureLearner
from ccigkit.structure.joint import JointStructure

__all__ = [
    "SCM",
    "Batch",
    "Component",
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
    "Objective",
    "Phase",
    "Placement",
    "ReadsAttributes",
    "RenderedData",
    "Rewirable",
    "Row",
    "Split",
    "SplitName",
    "Structure",
    "StructureLearner",
]
