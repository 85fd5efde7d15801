from recommendations.models.bandit import Bandit, BanditArm, BanditEpoch, BanditShare
from recommendations.models.drift import DriftReading
from recommendations.models.impression import Impression, ImpressionClick
from recommendations.models.placement import BlendVersion, BlendWeights, Density, MerchandisingRule, Placement
from recommendations.models.preference import ForgottenProduct, StatedTaste
from recommendations.models.training import EventWeight, ModelVersion, TrainingRun, TrainingSchedule

__all__ = [
    "Bandit",
    "BanditArm",
    "BanditEpoch",
    "BanditShare",
    "BlendVersion",
    "BlendWeights",
    "Density",
    "DriftReading",
    "EventWeight",
    "ForgottenProduct",
    "Impression",
    "ImpressionClick",
    "MerchandisingRule",
    "ModelVersion",
    "Placement",
    "StatedTaste",
    "TrainingRun",
    "TrainingSchedule",
]
