"""Evaluation: match detections with labels, score them, disturb the image."""

from areca.evaluation.context import ContextEffect, context_effect
from areca.evaluation.detect import detect
from areca.evaluation.match import Matches, match_centres
from areca.evaluation.overlap import score_overlap
from areca.evaluation.robustness import DISTURBANCES, disturb
from areca.evaluation.scores import DetectionScores, score_detections

__all__ = [
    "DISTURBANCES",
    "ContextEffect",
    "DetectionScores",
    "Matches",
    "context_effect",
    "detect",
    "disturb",
    "match_centres",
    "score_detections",
    "score_overlap",
]
