"""The form of a training recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CardForm(_Form):
    """What the model's card says that training does not find out."""

    name: str
    version: str
    created: str
    bands: tuple[str, ...]
    labels: tuple[str, ...] = Field(min_length=1, max_length=1)
    resolution_m: float = Field(gt=0)
    tile_px: int = Field(gt=0)
    context_px: int = Field(ge=0)
    max_object_px: int = Field(gt=0)
    nms_iou: float = Field(ge=0, le=1)
    description: str
    data: str
    license: str


class NetworkForm(_Form):
    """Size of the network; `areca.models.network.CentreRadiusNet`."""

    width: int = Field(48, gt=0, multiple_of=2)
    deep_width: int = Field(128, gt=0)
    deep_blocks: int = Field(3, ge=1)
    radius_px: float = Field(20.0, gt=0)


class FitForm(_Form):
    """How the network is fitted; `areca.training.loop.FitOptions`."""

    steps: int = Field(gt=0)
    seed: int = 0
    batch: int = Field(8, ge=1)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    average: float = Field(0.998, ge=0, lt=1)
    bfloat16: bool = True
    threads: int = Field(2, ge=1)


class SampleForm(_Form):
    """How crops are placed; `areca.chips.sampling.SampleOptions`."""

    size_px: int = Field(256, gt=0, multiple_of=8)
    dark_share: float = Field(0.25, ge=0, le=1)
    sparse_share: float = Field(0.2, ge=0, le=1)
    scale: tuple[float, float] = (0.85, 1.2)
    scaled_share: float = Field(0.5, ge=0, le=1)


class AugmentForm(_Form):
    """How crops are varied; `areca.chips.augment.AugmentOptions`."""

    gain: float = Field(0.4, ge=0)
    band_gain: float = Field(0.25, ge=0)
    gamma: float = Field(0.35, ge=0)
    contrast: float = Field(0.35, ge=0)
    haze: float = Field(0.15, ge=0, lt=1)
    shadow_share: float = Field(0.4, ge=0, le=1)
    blur_share: float = Field(0.35, ge=0, le=1)
    blur_px: float = Field(1.8, ge=0)
    shift_share: float = Field(0.15, ge=0, le=1)
    noise: float = Field(0.03, ge=0)
    jpeg_share: float = Field(0.15, ge=0, le=1)


class CompleteForm(_Form):
    """How missing labels are added; `areca.training.complete.CompleteOptions`."""

    steps: int = Field(gt=0)
    add_recall: float = Field(0.8, gt=0, lt=1)
    doubt_recall: float = Field(0.995, gt=0, lt=1)
    apart: float = Field(1.0, ge=0)


class SplitForm(_Form):
    """How ground is dealt; lengths in metres."""

    block_m: float = Field(gt=0)
    validation: float = Field(gt=0, lt=1)
    test: float = Field(gt=0, lt=1)
    guard_m: float = Field(ge=0)
    seed: int = 0


class ImageForm(_Form):
    """One image and its labels; paths start at the data folder."""

    image: str
    labels: str
    use: Literal["split", "train"] = "split"
    """Deal the ground, or train on all of it."""
    area: str | None = None
    """Polygons within which the labels are complete; the whole image if left out."""
    labels_only: bool = False
    """Labels are few of many: only the ground within them counts."""
    any_scale: bool = False
    """Take the pixels as they are, whatever they measure: teaches shapes, not sizes."""
    sure_column: str | None = None
    """Labels whose value here is 1 or more count for recall; all if left out."""
    hold_out: str | None = None
    """Polygons that are blanked out: never trained on, never used for a choice."""
    hold_out_buffer_m: float = Field(15.0, ge=0)
    nodata: int | None = None
    """Value of missing pixels when the file names none; all bands must have it."""
    share: float | None = Field(None, gt=0, lt=1)
    """Share of the crops; by trained ground if left out."""


class CheckForm(_Form):
    """Labels that are looked at once, when everything is decided."""

    name: str
    image: str
    labels: str
    area: str | None = None
    match_m: float = Field(gt=0)
    overlap: bool = False
    """Score label boxes by overlap (IoU 0.4) too."""
    nodata: int | None = None


class TrainRecipe(_Form):
    """Train a model on labelled images."""

    kind: Literal["train"]
    title: str
    about: str
    match_m: float = Field(gt=0)
    """Largest distance of a match, m."""
    threshold_recall: float | None = Field(None, gt=0, lt=1)
    """Share of the sure validation labels that the threshold must keep, for labels that
    miss objects; the threshold of the best F1 on validation ground if left out."""
    threshold_margin: float = Field(1.0, gt=0, le=1)
    """Factor on the threshold of the recall, for light that validation did not show."""
    card: CardForm
    fit: FitForm
    split: SplitForm
    images: tuple[ImageForm, ...] = Field(min_length=1)
    network: NetworkForm = NetworkForm()
    sample: SampleForm = SampleForm()
    augment: AugmentForm = AugmentForm()
    start_from: str | None = None
    """Model whose weights the network starts from; random ones if left out."""
    complete: CompleteForm | None = None
    checks: tuple[CheckForm, ...] = ()

    @model_validator(mode="after")
    def _some_ground_is_held_back(self) -> TrainRecipe:
        if all(image.use != "split" for image in self.images):
            raise ValueError("at least one image needs use = 'split', to choose by")
        return self
