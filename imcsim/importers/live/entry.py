"""``imcsim.from_torch``; torch is loaded when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from imcsim.base.errors import ImcsimError
from imcsim.base.keywords import known_keywords

if TYPE_CHECKING:
    from imcsim.importers.live.network import TorchNetwork


@known_keywords
def from_torch(
    model: Any,
    example: Any,
    *,
    timesteps: int | None = None,
    time_axis: int | None = None,
    rules: Mapping[type, Mapping[str, Any]] | None = None,
    max_spikes: int | None = None,
    output: int | str | None = None,
    bits: int | None = None,
    scale: float | None = None,
    mean: float | tuple[float, ...] = (),
    std: float | tuple[float, ...] = (),
    input_shape: tuple[int, int, int] | None = None,
    weight_bits: int = 8,
    scales: Literal["max", "percentile", "mse"] = "max",
    percentile: float = 99.9,
    name: str | None = None,
    affirm: bool = False,
) -> TorchNetwork:
    """Make a network of a live module of PyTorch, and prove that it does the same.

    The module is run on `example` in evaluation mode, with membranes at rest, and watched: its layers of
    neurons are those of snnTorch, SpikingJelly, Norse, sinabs, or the classes in `rules`; everything between
    them is followed operation by operation. Then both are played on the example, spike by spike, before
    weights are rounded; the result has it as ``check``. Nothing is changed in the module but its membranes,
    which are at rest afterwards.

    Args:
        model: The module, which computes one timestep or goes through time by itself.
        example: A batch of real inputs as the module takes them, a tensor or an array; a few images suffice.
        timesteps: T. None: as many as the module runs by itself, or the example has along `time_axis`.
        time_axis: For a module that computes one timestep when it is called: the axis of `example` that is
            time. None: the example is the same at every timestep, or the module itself takes its timesteps
            apart.
        rules: What modules of other classes are: ``{MyLIF: {"leak": "beta", "threshold": "v_th", "reset":
            "soft"}}``, with the keys of neurons in a layer list; a value is a number, or names an attribute
            of the module. ``time`` (``none``, ``first``, ``second``) is the dimension of its input that is
            time, ``spiking`` False makes it an integrator, ``factor`` is what one spike is worth.
        max_spikes: Spikes per timestep, at most, of sinabs neurons that fire without a bound.
        output: Which part of what the module gives holds the class outputs. None: its first tensor.
        bits: Bits of a pixel. None: 8; 1 for frames of 0 and 1.
        scale: What the pixel code 1 is worth. None: pixels go from 0 to 1; whole numbers are codes
            themselves.
        mean: What was taken away from pixels before the module, one number or one per channel.
        std: What pixels were divided by then.
        input_shape: (C, H, W) of the images behind a module that takes rows of values. None: the row's.
        weight_bits: Bits of the weights, 2 to 16.
        scales: How the step of a weight is chosen, as in ``imcsim import``.
        percentile: Where scales is percentile: which.
        name: Name of the network. None: the class of the module.
        affirm: Go on where the module decides by other means than accumulated outputs, or where spikes
            differ; every report repeats it.

    Returns:
        A network for ``compare``, ``run``, ``stream`` and ``sweep``; ``imcsim.network.save`` writes it.

    Raises:
        ImcsimError: Where torch is missing; with the path of the module, for what has no exact counterpart on
            the chip; and where fewer than 99.9 % of a layer's spikes are equal.
    """
    try:
        from imcsim.importers.importing.image import Image
        from imcsim.importers.live.importing import Wanted, import_module
        from imcsim.importers.live.playing import Asked
    except ImportError as error:
        if error.name is None or error.name.split(".")[0] != "torch":
            raise
        raise ImcsimError("live modules need torch", fix="pip install 'imcsim[torch]'") from None
    image = Image(bits, scale, _numbers(mean), _numbers(std))
    asked = Asked(timesteps, time_axis, rules, max_spikes, output)
    wanted = Wanted(weight_bits, scales, percentile, input_shape, name, affirm)
    return import_module(model, example, asked, image, wanted)


def _numbers(given: float | tuple[float, ...]) -> tuple[float, ...]:
    return (float(given),) if isinstance(given, int | float) else tuple(float(one) for one in given)
