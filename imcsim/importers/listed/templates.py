"""Complete layer lists for well-known networks, to be printed and adapted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imcsim.base.errors import ImcsimError
from imcsim.base.names import suggestion
from imcsim.importers.listed.drafted import drafted

_HEAD = """\
# {title}
# For: imcsim import {weights} --layers THIS_FILE -o model
schema: 1
name: {name}
input:
  shape: [{shape}]        # channels, rows, columns
  # scale: 0.00392156862745098   # worth of one pixel step: 1/255 for pixels trained as 0 to 1
timesteps: 4              # T that the network was trained for
classes: 10
neuron:                   # all neurons, unless a layer says otherwise
{neurons}  input: undecayed        # decayed: the input is multiplied by 1 - leak
  # synapse: 0.5          # decay of a synaptic current, where there is one
layers:                   # each reads the one before it, unless it names `inputs`
"""
_NEURONS = """\
  tau: 2.0                # leak = 1 - 1 / tau; or give `leak` itself (1.0 is integrate-and-fire)
  threshold: 1.0          # or the name of a tensor with one threshold per channel
  reset: hard             # hard: membrane to 0; soft: minus the threshold; none
  fires: at               # at: u >= threshold; above: u > threshold
  reset_at: now           # now: in the timestep of the spike; next: one timestep later
"""
_TDBN = """\
  # `kind: tdbn` instead of batchnorm takes alpha and threshold (threshold-dependent batch norm).
"""


_IF_NODE = """\
  leak: 1.0               # IFNode
  threshold: 1.0
  reset: hard             # v_reset=0.0; soft: v_reset=None
  fires: at
  reset_at: now
"""


def template(name: str) -> str:
    """The layer list of one of `TEMPLATES`, or one drafted from the state dict in the file `name`. Raises
    ImcsimError for anything else.
    """
    if name not in TEMPLATES and _is_file(name):
        return drafted(Path(name))
    if name not in TEMPLATES:
        raise ImcsimError(
            f"there is no template {name[:60]!a}",
            fix=suggestion(name, TEMPLATES, f"use {', '.join(TEMPLATES)}, or the file of a state dict"),
        )
    return TEMPLATES[name]()


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):  # no file can have such a name
        return False


def _head(title: str, weights: str, name: str, shape: str, neurons: str = _NEURONS) -> str:
    return _HEAD.format(title=title, weights=weights, name=name, shape=shape, neurons=neurons)


def _block(name: str, before: str, stride: int) -> list[str]:
    """Both convolutions of a residual block of torchvision's form, without the neurons at its end."""
    return [
        f"  - {{name: {name}.conv1, kind: conv2d, prefix: {name}.conv1, inputs: [{before}], "
        f"stride: {stride}, padding: 1}}\n",
        f"  - {{name: {name}.bn1, kind: batchnorm, prefix: {name}.bn1}}\n",
        f"  - {{name: {name}.sn1, kind: neuron}}\n",
        f"  - {{name: {name}.conv2, kind: conv2d, prefix: {name}.conv2, padding: 1}}\n",
        f"  - {{name: {name}.bn2, kind: batchnorm, prefix: {name}.bn2}}\n",
    ]


def _downsampled(name: str, before: str, stride: int) -> list[str]:
    """The convolution in the shortcut of such a block."""
    return [
        f"  - {{name: {name}.down, kind: conv2d, prefix: {name}.downsample.0, "
        f"inputs: [{before}], stride: {stride}}}\n",
        f"  - {{name: {name}.down_bn, kind: batchnorm, prefix: {name}.downsample.1}}\n",
    ]


def _mlp() -> str:
    head = _head(
        title="A perceptron: nn.Sequential(Flatten(), Linear(784, 512), LIF(), Linear(512, 10)).",
        weights="mlp.pt",
        name="mlp",
        shape="1, 28, 28",
    )
    return head + (
        "  - kind: flatten\n"
        '  - {name: fc1, kind: linear, prefix: "1"}    # tensors 1.weight and 1.bias\n'
        "  - {name: sn1, kind: neuron}\n"
        '  - {name: fc2, kind: linear, prefix: "3"}    # its sums are the class outputs\n'
    )


_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


def _vgg16() -> str:
    lines = [
        _head(
            title="VGG-16 for 32 x 32 images: `features` is nn.Sequential(conv, batch norm, LIF, ..., pool).",
            weights="vgg16.safetensors",
            name="vgg16",
            shape="3, 32, 32",
        ),
        "  # Tensors: features.0.weight (conv), features.1.running_mean (batch norm), ...\n",
        _TDBN,
    ]
    index = conv = pool = 0
    for width in _VGG16:
        if width == 0:
            pool += 1
            lines.append(f"  - {{name: pool{pool}, kind: avgpool, size: 2}}\n")
            index += 1
            continue
        conv += 1
        lines += [
            f"  # {width} channels\n",
            f"  - {{name: conv{conv}, kind: conv2d, prefix: features.{index}, padding: 1}}\n",
            f"  - {{name: bn{conv}, kind: batchnorm, prefix: features.{index + 1}, eps: 1.0e-5}}\n",
            f"  - {{name: sn{conv}, kind: neuron}}\n",
        ]
        index += 3
    lines += [
        "  - kind: flatten\n",
        "  - {name: fc, kind: linear, prefix: classifier}    # its sums are the class outputs\n",
    ]
    return "".join(lines)


def _resnet19() -> str:
    lines = [
        _head(
            title="ResNet-19 for 32 x 32 images: 3 blocks of 128 channels, 3 of 256, 2 of 512.",
            weights="resnet19.pt",
            name="resnet19",
            shape="3, 32, 32",
        ),
        "  # The shortcut is added to the currents in front of a block's last neuron.\n",
        _TDBN,
        "  - {name: conv1, kind: conv2d, prefix: conv1, padding: 1}\n",
        "  - {name: bn1, kind: batchnorm, prefix: bn1}\n",
        "  - {name: sn1, kind: neuron}\n",
    ]
    before, wide = "sn1", 64
    for stage, (width, blocks) in enumerate(((128, 3), (256, 3), (512, 2)), 1):
        for block in range(blocks):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            lines += _block(name, before, stride)
            shortcut = before
            if wide != width or stride != 1:
                shortcut = f"{name}.down_bn"
                lines += _downsampled(name, before, stride)
            lines += [
                f"  - {{name: {name}.add, kind: add, inputs: [{name}.bn2, {shortcut}]}}\n",
                f"  - {{name: {name}.sn2, kind: neuron}}\n",
            ]
            before, wide = f"{name}.sn2", width
    lines += [
        "  - {name: pool, kind: avgpool, size: 8}\n",
        "  - kind: flatten\n",
        "  - {name: fc1, kind: linear, prefix: fc1}\n",
        "  - {name: fc1.sn, kind: neuron}\n",
        "  - {name: fc2, kind: linear, prefix: fc2}    # its sums are the class outputs\n",
    ]
    return "".join(lines)


def _snntorch_tutorial() -> str:
    neurons = """\
  leak: 0.5               # beta
  threshold: 1.0
  reset: soft             # reset_mechanism: subtract is soft, zero is hard, none
  fires: above
  reset_at: next          # reset_delay=True, the default; Leaky with "zero": now
"""
    head = _head(
        title="The convolutional network of snnTorch's tutorial: conv1, lif1, conv2, lif2, fc1, lif3.",
        weights="tutorial.pt",
        name="snntorch_tutorial",
        shape="1, 28, 28",
        neurons=neurons,
    )
    return head + (
        "  - {name: conv1, kind: conv2d, prefix: conv1}    # 12 channels of 5 x 5\n"
        "  - {name: pool1, kind: maxpool, size: 2}         # between the weights and the neurons\n"
        "  - {name: lif1, kind: neuron}\n"
        "  - {name: conv2, kind: conv2d, prefix: conv2}    # 64 channels of 5 x 5\n"
        "  - {name: pool2, kind: maxpool, size: 2}\n"
        "  - {name: lif2, kind: neuron}\n"
        "  - kind: flatten\n"
        "  - {name: fc1, kind: linear, prefix: fc1}\n"
        "  - {name: lif3, kind: neuron}                    # its spikes are the class outputs\n"
    )


def _spikingjelly_csnn() -> str:
    head = _head(
        title="CSNN of SpikingJelly's example conv_fashion_mnist: `conv_fc` is nn.Sequential(conv, ...).",
        weights="csnn.pt",
        name="spikingjelly_csnn",
        shape="1, 28, 28",
        neurons=_IF_NODE,
    )
    lines = [head]
    for number, first in ((1, 0), (2, 4)):
        lines += [
            f"  - {{name: conv{number}, kind: conv2d, prefix: conv_fc.{first}, padding: 1}}\n",
            f"  - {{name: bn{number}, kind: batchnorm, prefix: conv_fc.{first + 1}}}\n",
            f"  - {{name: sn{number}, kind: neuron}}\n",
            f"  - {{name: pool{number}, kind: maxpool, size: 2}}\n",
        ]
    return "".join(lines) + (
        "  - kind: flatten\n"
        "  - {name: fc1, kind: linear, prefix: conv_fc.9}\n"
        "  - {name: sn3, kind: neuron}\n"
        "  - {name: fc2, kind: linear, prefix: conv_fc.11}\n"
        "  - {name: sn4, kind: neuron}    # its spikes are the class outputs\n"
    )


def _sew_resnet18() -> str:
    lines = [
        _head(
            title="SEW-ResNet-18 of SpikingJelly (sew_resnet18, connect_f ADD) for 224 x 224 images.",
            weights="sew_resnet18.pt",
            name="sew_resnet18",
            shape="3, 224, 224",
            neurons=_IF_NODE,
        ).replace("classes: 10\n", "classes: 1000\n"),
        "  - {name: conv1, kind: conv2d, prefix: conv1, stride: 2, padding: 3}\n",
        "  - {name: bn1, kind: batchnorm, prefix: bn1}\n",
        "  - {name: sn1, kind: neuron}\n",
        "  - {name: maxpool, kind: maxpool, size: 3, stride: 2, padding: 1}\n",
        "  # The spikes of the shortcut are added to those of a block's last neuron.\n",
    ]
    before = "maxpool"
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            lines += [*_block(name, before, stride), f"  - {{name: {name}.sn2, kind: neuron}}\n"]
            shortcut = before
            if stride != 1:
                shortcut = f"{name}.down_sn"
                lines += [
                    *_downsampled(name, before, stride),
                    f"  - {{name: {shortcut}, kind: neuron}}\n",
                ]
            lines.append(f"  - {{name: {name}.add, kind: add, inputs: [{name}.sn2, {shortcut}]}}\n")
            before = f"{name}.add"
    lines += [
        "  - {name: pool, kind: avgpool, size: 7}\n",
        "  - kind: flatten\n",
        "  - {name: fc, kind: linear, prefix: fc}    # its sums are the class outputs\n",
    ]
    return "".join(lines)


TEMPLATES: dict[str, Callable[[], str]] = {
    "vgg16": _vgg16,
    "resnet19": _resnet19,
    "mlp": _mlp,
    "snntorch_tutorial": _snntorch_tutorial,
    "spikingjelly_csnn": _spikingjelly_csnn,
    "sew_resnet18": _sew_resnet18,
}
