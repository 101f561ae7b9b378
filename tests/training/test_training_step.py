"""The training step: quick ways to compute it have the gradients of the plain one; teachers; the curve."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "training"))
architectures: Any = pytest.importorskip("architectures")
averaging: Any = pytest.importorskip("averaging")
checkpoints: Any = pytest.importorskip("checkpoints")
export: Any = pytest.importorskip("export")
options: Any = pytest.importorskip("options")
snn: Any = pytest.importorskip("snn")
speed: Any = pytest.importorskip("speed")
train: Any = pytest.importorskip("train")


class PlainSpike(torch.autograd.Function):  # type: ignore[misc]
    """Heaviside step with the triangular surrogate gradient."""

    @staticmethod
    def forward(ctx: Any, distance: Any) -> Any:
        ctx.save_for_backward(distance)
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (distance,) = ctx.saved_tensors
        return grads[0] * torch.clamp(1 - distance.abs(), min=0)


def plain_lif(current: Any, timesteps: int) -> Any:
    """The equations one timestep after the other; autograd follows them back."""
    currents = current.unflatten(0, (timesteps, -1))
    membrane, spikes = torch.zeros_like(currents[0]), []
    for t in range(timesteps):
        membrane = 0.5 * membrane + currents[t]
        spike = PlainSpike.apply(membrane - 1.0)
        membrane = membrane * (1 - spike.detach())
        spikes.append(spike)
    return torch.cat(spikes)


@pytest.mark.parametrize("timesteps", [1, 2, 4, 7])
@pytest.mark.parametrize("kind", ["float64", "float32", "bfloat16"])
def test_neurons_over_all_timesteps_have_the_gradients_of_autograd(timesteps: int, kind: str) -> None:
    torch.manual_seed(timesteps)
    current = (torch.randn(timesteps * 3, 4, 5, 2) + 0.4).to(getattr(torch, kind))
    current.view(-1)[::7] = 1.0  # right at the threshold
    current = current.contiguous(memory_format=torch.channels_last)
    upstream = torch.randn_like(current)
    found = []
    for lif in (plain_lif, snn.lif):
        read = current.clone().requires_grad_()
        spikes = lif(read, timesteps)
        spikes.backward(upstream)
        found.append((spikes.detach(), read.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert 0.1 < found[0][0].float().mean() < 0.9
    eps = torch.finfo(current.dtype).eps
    assert torch.allclose(found[0][1], found[1][1], rtol=4 * eps, atol=4 * eps)


@pytest.mark.parametrize("network", ["vgg16", "resnet19"])
def test_a_step_has_the_gradients_of_the_plain_step(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(4)
    model = architectures.build(network, width=1 / 16).double()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(norm.bias, 0.5)  # enough spikes in every layer
    images, labels = torch.rand(3, 3, 32, 32).double(), torch.tensor([1, 0, 7])
    found = []
    for lif in (plain_lif, snn.lif):
        monkeypatch.setattr(architectures, "lif", lif)
        model.zero_grad()
        loss = snn.loss_of(model(images, 4), labels, "running")
        loss.backward()
        found.append((loss.item(), [p.grad.clone() for p in model.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    for plain, quick in zip(found[0][1], found[1][1], strict=True):
        assert plain.abs().max() > 0
        assert torch.allclose(plain, quick, rtol=1e-9, atol=1e-12)


def test_bfloat16_is_tried_where_the_processor_multiplies_in_it(tmp_path: Path) -> None:
    def says(flags: str) -> bool:
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: X\n{flags}\n")
        return bool(speed.has_bfloat16(tmp_path / "cpuinfo"))

    assert says("flags\t\t: fpu avx512f avx512_bf16 rdpid")
    assert says("flags\t\t: fpu amx_bf16")
    assert says("Features\t: fp asimd bf16")
    assert not says("flags\t\t: fpu avx2 avx512f")
    assert not says("bugs\t\t: avx512_bf16")
    assert not speed.has_bfloat16(tmp_path / "nowhere")


def test_candidates_follow_options_flags_and_length(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, long, short = torch.device("cpu"), speed.WORTH_A_TRIAL, speed.WORTH_A_TRIAL - 1

    def ways(precision: str, compiled: str, steps: int) -> set[tuple[bool, bool]]:
        return {(w.bfloat16, w.compiled) for w in speed.candidates(precision, compiled, cpu, steps)}

    monkeypatch.setattr(speed, "has_bfloat16", lambda: False)
    assert ways("auto", "auto", long) == {(False, True), (False, False)}
    assert ways("auto", "auto", short) == {(False, False)}
    assert ways("bfloat16", "yes", short) == {(True, True)}
    monkeypatch.setattr(speed, "has_bfloat16", lambda: True)
    assert ways("auto", "auto", long) == {(a, b) for a in (True, False) for b in (True, False)}
    assert ways("auto", "no", short) == {(True, False)}
    assert ways("float32", "auto", long) == {(False, True), (False, False)}


def test_the_quickest_way_is_taken_and_the_trial_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    network = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seconds, clock = {False: 3.0, True: 1.0}, [0.0]
    monkeypatch.setattr(speed.time, "process_time", lambda: clock[0])

    def step(model: Any, way: Any) -> Any:
        clock[0] += seconds[way.bfloat16]
        return model(torch.randn(8, 4)).square().sum()

    ways = [speed.Way(False, False), speed.Way(True, False)]
    drawn = torch.get_rng_state()
    lines: list[str] = []
    assert speed.choose(ways, network, step, lines.append) == ways[1]
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
    assert [line.split(":")[0] for line in lines] == ["float32, not compiled", "bfloat16, not compiled"]
    assert "3.000 s a step" in lines[0]


def test_a_choice_is_kept_on_such_a_processor_and_within_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    way = speed.Way(True, False)
    facts = json.loads(json.dumps(speed.plain(way)))
    assert speed.kept(facts, "auto", "auto") == way
    assert speed.kept(facts, "bfloat16", "no") == way
    assert speed.kept(facts, "float32", "auto") is None
    assert speed.kept(facts, "auto", "yes") is None
    assert speed.kept(None, "auto", "auto") is None
    monkeypatch.setattr(speed, "processor", lambda: "another")
    assert speed.kept(facts, "auto", "auto") is None


@pytest.mark.parametrize("kind", ["running", "final"])
def test_distillation_is_hintons_divergence_beside_the_cross_entropy(kind: str) -> None:
    rng = np.random.default_rng(6)
    outputs, taught, labels = rng.normal(size=(3, 4, 5)), rng.normal(size=(4, 5)) * 3, rng.integers(0, 5, 4)
    share, temperature = 0.6, 2.5

    def softmax(logits: np.ndarray) -> np.ndarray:
        exps = np.exp(logits)
        return np.asarray(exps / exps.sum(1, keepdims=True))

    means = [outputs[:t].mean(0) for t in (1, 2, 3)][0 if kind == "running" else 2 :]
    theirs = softmax(taught / temperature)
    each = []
    for mean in means:
        hard = -np.log(softmax(mean)[np.arange(4), labels]).mean()
        soft = (theirs * np.log(theirs / softmax(mean / temperature))).sum(1).mean()
        each.append((1 - share) * hard + share * temperature**2 * soft)
    about = snn.Distillation(share, temperature)
    as_torch = [torch.from_numpy(a) for a in (outputs, labels)]
    found = snn.loss_of(*as_torch, kind, torch.from_numpy(taught), about)
    assert float(found) == pytest.approx(np.mean(each))
    agreed = snn.loss_of(as_torch[0][:1], as_torch[1], kind, as_torch[0][0], snn.Distillation(1.0, 3.0))
    assert float(agreed) == pytest.approx(0, abs=1e-12)


def kept(network: Any, path: Path, weight_bits: int) -> dict[str, Any]:
    """What a checkpoint of one epoch says, written to `path`."""
    state = {
        "network": network.state_dict(),
        "epoch": 1,
        "log": "[]",
        "plan": json.dumps(network.description()),
        "arguments": json.dumps({"weight_bits": str(weight_bits), "neurons": network.neurons}),
    }
    checkpoints.save(path, state)
    return state


def test_a_teacher_differs_by_its_neurons_and_is_no_bundle(tmp_path: Path) -> None:
    torch.manual_seed(8)
    network = architectures.SpikingVGG([4, "A", 4], size=8)
    network.neurons = "clipped"
    images = torch.rand(2, 3, 8, 8)
    by_hand = network.norms[0](network.convolve(network.convs[0], images))
    by_hand = torch.nn.functional.avg_pool2d((by_hand - 0.5).clamp(0, 1), 2)
    by_hand = (network.norms[1](network.convolve(network.convs[1], by_hand)) - 0.5).clamp(0, 1)
    assert torch.allclose(network(images, 1), network.classify(by_hand, 1))
    state = kept(network, tmp_path / "c.pt", 8)
    with pytest.raises(SystemExit, match="teacher without spikes"):
        export.read_checkpoint(tmp_path / "c.pt")
    assert checkpoints.history(state)["teacher"] is None


def test_the_quick_teacher_computes_its_two_residual_pairs_in_float(tmp_path: Path) -> None:
    torch.manual_seed(8)
    network = architectures.build("resnet9", width=1 / 16, weight_bits=0)
    network.neurons = "relu"
    images = torch.rand(3, 3, 32, 32)

    def layer(k: int, x: Any) -> Any:
        return torch.relu(network.norms[k](torch.nn.functional.conv2d(x, network.convs[k].weight, padding=1)))

    def halved(x: Any) -> Any:
        return x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax((3, 5))

    x = halved(layer(1, layer(0, images)))
    x = x + layer(3, layer(2, x))
    x = halved(layer(5, halved(layer(4, x))))
    x = x + layer(7, layer(6, x))
    wanted = x.flatten(2).max(2).values @ network.classifier.weight.T / 8
    assert torch.allclose(network(images, 1)[0], wanted, atol=1e-6)
    kept(network, tmp_path / "c.pt", 0)
    again = checkpoints.network_of(checkpoints.read(tmp_path / "c.pt"))
    assert torch.equal(again(images, 1), network.eval()(images, 1))
    with pytest.raises(SystemExit, match="a bundle takes 2 to 16"):
        export.read_checkpoint(tmp_path / "c.pt")


def test_a_cutout_is_one_grey_square_a_picture_and_leaves_crops_as_they_were() -> None:
    images = torch.full((400, 3, 32, 32), 7, dtype=torch.uint8)
    plain = train.augment(images, torch.Generator().manual_seed(3))
    found = train.augment(images, torch.Generator().manual_seed(3), 8)
    grey = found != plain
    assert torch.equal(found[grey], torch.full_like(found[grey], train.GREY))
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 0], grey[:, 2])
    rows, cols = grey[:, 0].any(2), grey[:, 0].any(1)
    assert torch.equal(grey[:, 0], rows[:, :, None] & cols[:, None, :])
    sides = torch.cat([rows.sum(1), cols.sum(1)])
    assert sides.min() >= 4  # at most half of it lies outside
    assert sides.max() == 8
    middles = grey[:, 0].float().mean((0, 1))
    assert middles[8:24].mean() == pytest.approx(8 / 32 * 7.6 / 32, rel=0.15)


def test_images_that_an_earlier_run_learned_are_not_held_out(tmp_path: Path) -> None:
    """What is held out follows from the seed, so a run has that of all it builds on."""
    trained = {"arguments": {"seed": "1", "stages": "1:2"}, "init": None, "teacher": None, "bundle": None}
    widened = {"arguments": {"seed": "7", "times": "2"}, "init": trained, "teacher": None}
    later = {"arguments": {"seed": "1", "stages": "4:2"}, "init": widened, "teacher": trained}
    assert checkpoints.other_seed(later, 1) is None
    assert checkpoints.other_seed(widened, 2) == 1
    assert checkpoints.other_seed({**later, "arguments": {"seed": "2", "stages": "4:2"}}, 2) == 1
    assert checkpoints.other_seed({"arguments": {}, "bundle": {"seed": 3}}, 1) == 3
    run = SimpleNamespace(lineage={"init": later}, args=SimpleNamespace(seed=2, init=tmp_path / "c.pt"))
    with pytest.raises(SystemExit, match=r"c\.pt: trained with seed 1, .* give --seed 1"):
        train.Run._same_images_held_out(run, "init")


def test_a_spiking_teacher_is_followed_in_its_mean_over_its_own_timesteps() -> None:
    outputs, taught = torch.randn(2, 5, 10), torch.randn(4, 5, 10)
    asked = []

    def teacher(x: torch.Tensor, timesteps: int) -> torch.Tensor:
        asked.append(timesteps)
        return taught[:timesteps]

    images = torch.zeros(6, 3, 32, 32, dtype=torch.uint8)
    run = SimpleNamespace(
        args=SimpleNamespace(loss="running", distill=0.4, temperature=2.0, teacher_timesteps=4, cutout=0),
        images=images,
        labels=torch.tensor([3, 1, 4, 1, 5, 9]),
        device=torch.device("cpu"),
        model=lambda x, timesteps: outputs[:timesteps],
        teacher=teacher,
    )
    pick = torch.tensor([5, 0, 1, 2, 3])
    found = train.Run.batch_loss(run, pick, torch.Generator(), 2, False)
    about = snn.Distillation(0.4, 2.0)
    assert asked == [4]
    assert float(found) == pytest.approx(
        float(snn.loss_of(outputs, run.labels[pick], "running", taught.mean(0), about))
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--neurons", "clipped", "--stages", "1:2,2:1"), "have one timestep"),
        (("--network", "resnet9"), "give --neurons relu"),
        (("--cutout", "32"), "give 0 to 31"),
        (("--distill", "1.5"), "give 0 to 1"),
        (("--distill", "nan"), "give 0 to 1"),
        (("--teacher-timesteps", "0"), "1 or more"),
        (("--temperature", "0"), "more than 0"),
        (("--temperature", "inf"), "more than 0"),
        (("--warm", "-0.1"), "give 0 to 1"),
        (("--average", "1"), "less than 1"),
        (("--stages", "four"), "timesteps:epochs"),
        (("--stages", "0:3"), "timesteps:epochs"),
    ],
)
def test_options_that_make_no_run_are_refused(
    flags: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["train.py", "--data", str(tmp_path), "--out", str(out), *flags])
    with pytest.raises(SystemExit, match=message):
        train.main()
    assert not out.exists()


def test_the_rate_rises_then_falls_or_stays() -> None:
    falling = [train.one_cycle(k / 100, 0.1, 0.1) for k in range(101)]
    holding = [train.one_cycle(k / 100, 0.1, 0.1, hold=True) for k in range(101)]
    assert falling[:10] == holding[:10] == sorted(falling[:10])
    assert set(holding[10:]) == {0.1}
    assert falling[10] == pytest.approx(0.1)
    assert falling[55] == pytest.approx(0.05)
    assert falling[100] == pytest.approx(0, abs=1e-12)
    assert train.one_cycle(0.0, 0.1, 0.0) == pytest.approx(0.1)


def test_averaged_weights_get_statistics_of_their_own() -> None:
    """Those of what reaches each batch norm when batches are played, whatever the norms held before."""
    torch.manual_seed(2)
    network = architectures.build("vgg7", width=0.125)
    average = averaging.Average(network, 0.9)
    for norm in average.network.norms:
        norm.running_mean.normal_(0, 3)
    batches = [torch.rand(4, 3, 32, 32) for _ in range(3)]
    average.settle(batches, 2)
    assert not average.network.training
    first, norm = average.network.convs[0], average.network.norms[0]
    with torch.no_grad():
        sums = [
            torch.nn.functional.conv2d(images, average.network.quantised(first.weight), padding=1)
            for images in batches
        ]
    means = torch.stack([one.mean((0, 2, 3)) for one in sums]).mean(0)
    variances = torch.stack([one.var((0, 2, 3)) for one in sums]).mean(0)
    assert torch.allclose(norm.running_mean, means, atol=1e-5)
    assert torch.allclose(norm.running_var, variances, rtol=1e-4)
    assert norm.momentum == network.norms[0].momentum
    assert not any(one.training for one in average.network.modules())


def test_averages_are_those_of_all_steps_and_then_of_the_last_ones(tmp_path: Path) -> None:
    network = architectures.build("vgg7", width=0.125)
    average = averaging.Average(network, 0.75)
    seen = []
    for step in range(1, 7):
        with torch.no_grad():
            for value in (*network.parameters(), network.norms[0].running_mean):
                value.fill_(float(step))
            network.norms[0].num_batches_tracked.fill_(step)
        average.take(network)
        seen.append(float(average.network.classifier.bias[0]))
    wanted = [1.0, 1.5, 2.0, 2.5]  # means of all, while they are at most 1 / (1 - 0.75)
    for step in (5, 6):
        wanted.append(0.75 * wanted[-1] + 0.25 * step)
    assert seen == pytest.approx(wanted)
    assert float(average.network.norms[0].running_mean[0]) == pytest.approx(wanted[-1])
    assert int(average.network.norms[0].num_batches_tracked) == 6
    assert not any(value.requires_grad for value in average.network.parameters())
    state = {"network": network.state_dict(), "average": average.state(), "plan": json.dumps(network.plan),
             "arguments": json.dumps({"weight_bits": "8"})}  # fmt: skip
    checkpoints.save(tmp_path / "c.pt", state)
    used = checkpoints.network_of(checkpoints.read(tmp_path / "c.pt"))
    assert float(used.classifier.bias[0].detach()) == pytest.approx(wanted[-1])


def test_the_curve_adds_up_hours_and_leaves_epochs_without_validation_blank(tmp_path: Path) -> None:
    log = [
        {"epoch": 1, "timesteps": 1, "loss": 2.0, "seconds": 1800.0, "core_seconds": 3600.0},
        {
            "epoch": 2,
            "timesteps": 4,
            "loss": 1.5,
            "seconds": 900.0,
            "core_seconds": 1800.0,
            "validation_accuracy": [0.5, 0.75],
        },
    ]
    checkpoints.write_curve(tmp_path / "curve.csv", log)
    with (tmp_path / "curve.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["hours"], first["core_hours"], first["validation_accuracy_2"]) == ("0.5000", "1.0000", "")
    assert (second["hours"], second["core_hours"]) == ("0.7500", "1.5000")
    assert (second["validation_accuracy_1"], second["validation_accuracy_2"]) == ("0.5", "0.75")
