"""Training is repeatable, learns a drawn scene, and finds labels that were left out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from areca.chips.augment import AugmentOptions
from areca.chips.sampling import SampleOptions
from areca.errors import LabelError, ModelError, RunError
from areca.evaluation import detect, score_detections
from areca.labels import CircleLabels, split_ground
from areca.models.adapter import load_network
from areca.models.architectures import build_network
from areca.models.card import ModelCard
from areca.models.found import Detections
from areca.models.weights import load_weights, save_model
from areca.training.complete import CompleteOptions, complete_scene
from areca.training.images import Check, TrainImage
from areca.training.loop import FitOptions, fit_network, measure_bands, schedule
from areca.training.loss import BatchTargets, detection_loss
from areca.training.run import TrainPlan, new_network, train_model
from areca.training.threshold import choose_threshold

SIZE = 384
FIT = FitOptions(
    steps=90,
    batch=4,
    seed=5,
    learning_rate=6e-3,
    average=0.95,
    bfloat16=False,
    threads=1,  # two would wait for each other wherever another process runs
    sample=SampleOptions(size_px=128),
    augment=AugmentOptions(gain=0.1, band_gain=0.05, jpeg_share=0),
)
PLAN = TrainPlan(fit=FIT, guard_m=2, match_m=2, threshold_recall=0.95)


@pytest.fixture
def card():
    return ModelCard(
        name="disc",
        version="1",
        bands=("red", "green", "blue"),
        resolution_m=0.5,
        tile_px=128,
        context_px=8,
        max_object_px=24,
        mean=(0.0,) * 3,
        std=(1.0,) * 3,
        labels=("disc",),
        score_threshold=0.3,
        nms_iou=0.3,
        architecture_options={
            "width": 16,
            "deep_width": 16,
            "deep_blocks": 1,
            "radius_px": 8.0,
        },
    )


def drawn_image():
    """Bright discs on dark noise, on a jittered grid so that none touch."""
    rng = np.random.default_rng(7)
    at = np.arange(16, SIZE - 8, 32)
    x, y = (v.ravel() + rng.uniform(-5, 5, v.size) for v in np.meshgrid(at, at))
    radius = rng.uniform(6, 10, x.size)
    rows, cols = np.ogrid[:SIZE, :SIZE]
    pixels = rng.normal(60, 8, (3, SIZE, SIZE))
    for cx, cy, r in zip(x, y, radius, strict=True):
        pixels[:, np.hypot(cols + 0.5 - cx, rows + 0.5 - cy) <= r] += 90
    everywhere = np.ones((SIZE, SIZE), bool)
    return TrainImage(
        name="drawn",
        pixels=np.clip(pixels, 0, 255).astype(np.uint8),
        valid=everywhere,
        usable=everywhere,
        circles=CircleLabels(x=x, y=y, radius=radius),
        sure=np.ones(x.size, bool),
        resolution_m=0.5,
        split=split_ground(everywhere, block_px=64, shares=(0.2, 0.2), seed=1),
    )


@pytest.fixture(scope="module")
def image():
    return drawn_image()


def test_equal_runs_give_equal_bits_and_the_loss_falls(image, card):
    scene = image.scene(2)
    statistics = measure_bands([scene])
    states, losses = [], []

    def note(_phase, _step, _steps, parts):
        losses.append(parts["total"])

    for _ in range(2):
        options = replace(FIT, steps=8, threads=2, bfloat16=True)
        network = fit_network(
            new_network(card, 5),
            [scene],
            statistics=statistics,
            options=options,
            progress=note,
        )
        states.append(network.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert losses[:8] == losses[8:]
    assert losses[7] < losses[0]


def test_a_drawn_scene_is_learnt_and_the_whole_run_repeats(image, card, tmp_path):
    check = Check(name="again", image=image, match_m=2.0)
    model = train_model([image], card, PLAN, out=tmp_path / "disc", checks=[check])
    scores = model.card.scores
    assert scores["drawn"]["test"]["recall"] >= 0.9
    assert scores["drawn"]["test"]["precision"] >= 0.9
    assert abs(scores["drawn"]["test"]["radius_bias"]) < 0.08
    assert scores["again"]["recall"] >= 0.9
    assert set(scores["drawn"]["test disturbed"]) >= {"gain 0.7", "cloud shadow 0.5"}
    assert model.card.training["seed"] == 5
    assert model.card.mean[0] == pytest.approx(image.pixels[0].mean(), abs=4)
    # What was saved is what was scored.
    found = detect(image.as_float(), load_network(model))
    test = score_detections(
        found,
        image.circles,
        ground=image.ground("test"),
        resolution_m=0.5,
        max_distance_m=2,
    )
    assert test.rounded() == scores["drawn"]["test"]


def test_a_run_starts_from_another_model_only_if_the_networks_agree(
    image, card, tmp_path
):
    torch.manual_seed(9)
    start = save_model(build_network(card), replace(card, name="start"), tmp_path / "s")
    # With no learning rate what comes out is what was put in, up to the norms.
    still = replace(FIT, steps=1, learning_rate=1e-12)
    plan = replace(PLAN, fit=still, start=start, threshold_recall=None)
    model = train_model([image], card, plan, out=tmp_path / "model")
    one, other = load_weights(start), load_weights(model)
    assert torch.allclose(one.down.conv.weight, other.down.conv.weight, atol=1e-6)
    assert model.card.training["started_from"] == start.card.digest
    options = {**card.architecture_options, "width": 24}
    wider = replace(card, architecture_options=options)
    with pytest.raises(ModelError, match="cannot start from 'start'"):
        train_model([image], wider, plan, out=tmp_path / "wider")


def test_held_back_ground_never_has_a_loss(image):
    scene = image.scene(guard_m=4)
    held = image.ground("validation") | image.ground("test")
    rows, cols = np.nonzero(held)
    trained = np.argwhere(scene.trained)
    sample = trained[:: max(len(trained) // 200, 1)]
    nearest = [np.hypot(rows - r, cols - c).min() for r, c in sample]
    assert min(nearest) > 4 / 0.5
    assert scene.trained.sum() > 10_000


class Oracle:
    """A model that sees every disc with a score that the test drew."""

    def __init__(self, card, circles, score):
        self.card, self.circles, self.score = card, circles, score
        self.seen = 0

    def forward(self, batch):
        return {"tiles": np.zeros((len(batch), 1), np.float32)}

    def decode(self, raw, score_threshold):
        out = []
        per_row = -(-SIZE // self.card.core_px)
        for _ in raw["tiles"]:
            row, col = divmod(self.seen, per_row)
            self.seen += 1
            x0 = col * self.card.core_px - self.card.halo_px
            y0 = row * self.card.core_px - self.card.halo_px
            keep = self.score >= score_threshold
            out.append(
                Detections(
                    x=(self.circles.x[keep] - x0).astype(np.float32),
                    y=(self.circles.y[keep] - y0).astype(np.float32),
                    radius=self.circles.radius[keep].astype(np.float32),
                    score=self.score[keep].astype(np.float32),
                    label=np.zeros(keep.sum(), np.int32),
                )
            )
        return out


def test_labels_left_out_come_back_sure_or_doubtful_by_their_score(image, card):
    count = len(image.circles)
    score = np.full(count, 0.8)
    score[::10] = 0.6  # so that the lowest tenth of the labelled has 0.6
    left_out = np.zeros(count, bool)
    left_out[3::5] = True
    score[3::10] = 0.7  # below most labelled: doubtful
    everything = image.circles
    poorer = replace(
        image, circles=everything.take(~left_out), sure=image.sure[~left_out]
    )
    scene = poorer.scene(0)
    folds = tuple(poorer.split.mask((SIZE, SIZE), "train", fold=k) for k in (0, 1))
    trained_on = []

    def fit(half, fold):
        trained_on.append((half.trained & folds[1 - fold]).sum())
        return Oracle(card, everything, score)

    options = CompleteOptions(match_m=2, add_recall=0.5, doubt_recall=0.99)
    done = complete_scene(scene, folds, fit, options)
    on_ground = left_out & everything.on(scene.trained)
    sure = on_ground & (score >= 0.8)
    assert done.added == sure.sum() > 3
    assert done.doubtful == (on_ground & ~sure & (score >= 0.6)).sum() > 3
    assert trained_on == [0, 0]
    added = done.scene.circles.xy[len(scene.circles) :]
    np.testing.assert_allclose(
        np.sort(added[:, 0]), np.sort(everything.x[sure]), atol=1e-3
    )


def test_overlapping_folds_are_refused(image):
    scene = image.scene(0)
    with pytest.raises(LabelError, match="share pixels"):
        complete_scene(
            scene, (scene.trained, scene.trained), lambda *_: None, CompleteOptions()
        )


def test_the_threshold_keeps_the_asked_recall_or_has_the_best_f1(image, card):
    everything = image.circles
    validation = everything.on(image.ground("validation"))
    rng = np.random.default_rng(2)
    score = rng.uniform(0.3, 0.9, len(everything))
    kept = choose_threshold(
        [image], Oracle(card, everything, score), match_m=2, recall=0.9
    )
    assert (score[validation] >= kept).mean() >= 0.9
    assert (score[validation] >= kept + 0.011).mean() < 0.9 + 1.5 / validation.sum()
    # Half of the discs lose their label: they become false detections, scored lower.
    false = np.arange(len(everything)) % 2 == 0
    score = np.where(false, rng.uniform(0.2, 0.5, false.size), score.clip(0.52))
    labelled = replace(
        image, circles=everything.take(~false), sure=np.ones((~false).sum(), bool)
    )
    best = choose_threshold(
        [labelled], Oracle(card, everything, score), match_m=2, recall=None
    )
    assert (
        score[false & validation].max() - 0.01
        <= best
        <= score[~false & validation].min()
    )


def test_validation_ground_without_labels_is_named(image, card, tmp_path):
    bare = replace(
        image,
        circles=image.circles.take(image.circles.on(image.ground("train"))),
        sure=np.ones(int(image.circles.on(image.ground("train")).sum()), bool),
    )
    plan = replace(PLAN, fit=replace(FIT, steps=1))
    with pytest.raises(LabelError, match="no sure label"):
        train_model([bare], card, plan, out=tmp_path)


def test_a_loss_that_is_not_finite_stops_the_run(image, card):
    scene = image.scene(2)
    network = new_network(card, 0)
    with torch.no_grad():
        network.head.weight.fill_(torch.nan)
    with pytest.raises(RunError, match="step 0"):
        fit_network(
            network,
            [scene],
            statistics=measure_bands([scene]),
            options=replace(FIT, steps=2),
        )


def test_the_loss_is_zero_at_the_answer_and_blind_where_it_should_be():
    heat = torch.zeros(1, 4, 4)
    heat[0, 1, 1] = 1
    shape = torch.randn(1, 3, 4, 4)
    targets = BatchTargets(
        heat=heat,
        loss=torch.ones(1, 4, 4),
        shape=shape,
        weight=(heat > 0)[:, None].repeat(1, 2, 1, 1).float(),
    )
    answer = torch.cat([torch.where(heat > 0, 30.0, -30.0)[:, None], shape], dim=1)
    assert detection_loss(answer, targets)["total"] < 1e-6
    wrong = answer.clone()
    wrong[0, 0, 3, 3] = 5.0
    assert detection_loss(wrong, targets)["heat"] > 1
    blind = replace(targets, loss=(torch.arange(16).reshape(1, 4, 4) != 15).float())
    assert detection_loss(wrong, blind)["total"] < 1e-6
    off = answer.clone()
    off[0, 3, 1, 1] += 0.2
    assert detection_loss(off, targets)["radius"] == pytest.approx(0.2, abs=1e-5)


def test_the_learning_rate_rises_and_falls():
    values = [schedule(step, 100) for step in range(100)]
    assert values.index(max(values)) in (9, 10)
    assert values[0] == pytest.approx(0.1)
    assert values[-1] < 0.02
    assert all(np.diff(values[10:]) < 0)
