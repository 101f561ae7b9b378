"""The options of train.py, and the network that they describe."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

import speed
from architectures import NETWORKS, POOLS, TEACHERS, Spiking, build, widths
from snn import LOSSES, NEURONS
from variation import ENCODINGS, CellVariation


def parse(about: str) -> argparse.Namespace:
    """The options of the command line; `schedule` is T of each epoch."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data", required=True, help="cifar10.npz, its folder, or cifar-10-batches-bin")
    parser.add_argument("--out", required=True, type=Path, help="folder for checkpoint and log")
    parser.add_argument("--network", choices=NETWORKS + TEACHERS, default="vgg7")
    parser.add_argument(
        "--width", default="1", help="times the channels of every layer, or of each block: 0.75,0.75,0.5,..."
    )
    parser.add_argument("--pool", choices=sorted(POOLS), help="2x2 pools (vgg7: max, others: average)")
    parser.add_argument("--loss", choices=LOSSES, default="running")
    parser.add_argument(
        "--neurons",
        choices=NEURONS,
        default="lif",
        help="clipped, relu: a teacher without spikes; quantised: a network of activations (ANN)",
    )
    parser.add_argument("--activation-bits", type=int, default=4, help="of quantised activations, 1 to 8")
    parser.add_argument("--init", type=Path, help="checkpoint whose weights to start from")
    parser.add_argument("--teacher", type=Path, help="checkpoint whose outputs to follow")
    parser.add_argument("--teacher-timesteps", type=int, default=1, help="of a teacher that spikes")
    parser.add_argument("--distill", type=float, default=0.7, help="share of the loss that is the teacher's")
    parser.add_argument("--temperature", type=float, default=2.0, help="that softens the outputs of both")
    parser.add_argument("--stages", default="1:12,2:18,4:5", help="timesteps:epochs, in order")
    parser.add_argument(
        "--cutout", type=int, default=0, help="side of a grey square on every image (0: none)"
    )
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--warm", type=float, default=0.2, help="share of the run in which the rate rises")
    parser.add_argument("--hold", action="store_true", help="keep the rate after that; else it falls to 0")
    parser.add_argument("--average", type=float, default=0.0, help="decay of averaged weights (0: none)")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--variation", type=float, default=0.0, help="sigma over mu of the cells (0: none)")
    parser.add_argument("--encoding", choices=ENCODINGS, default="differential", help="of weights in cells")
    parser.add_argument("--cell-bits", type=int, default=4)
    parser.add_argument("--on-off-ratio", type=float, default=10.0, help="conductance of cells on over off")
    parser.add_argument("--frozen-norms", action="store_true", help="batch norm keeps its statistics")
    parser.add_argument("--float-epochs", type=int, default=2, help="last epochs without bfloat16")
    parser.add_argument("--evaluate-every", type=int, default=3, help="epochs between validations")
    parser.add_argument("--save-minutes", type=float, default=4, help="between checkpoints within an epoch")
    parser.add_argument(
        "--precision", choices=speed.PRECISIONS, default="auto", help="of all but the last epochs"
    )
    parser.add_argument("--compile", choices=speed.COMPILE, default="auto", help="use torch.compile")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    stages = [re.fullmatch(r"([1-9]\d*):([1-9]\d*)", stage) for stage in args.stages.split(",")]
    if None in stages:
        raise SystemExit(f"error: --stages: {args.stages!r}; give timesteps:epochs, as 1:12,2:18")
    args.schedule = [int(stage[1]) for stage in stages for _ in range(int(stage[2]))]
    return args


def untrained(args: argparse.Namespace) -> Spiking:
    """The network that the options describe; a line that says what is wrong with them."""
    try:
        network = build(args.network, width=widths(args.width), pool=args.pool, weight_bits=args.weight_bits)
    except ValueError as error:
        raise SystemExit(f"error: --width: {error}") from None
    network.neurons = args.neurons
    if args.network in TEACHERS and args.neurons != "relu":
        raise SystemExit(f"error: --network: {args.network} is a teacher without spikes; give --neurons relu")
    if not 0 <= args.cutout < 32:
        raise SystemExit(f"error: --cutout: {args.cutout} pixels; give 0 to 31")
    network.activation_bits = args.activation_bits
    if not 1 <= args.activation_bits <= 8:
        raise SystemExit(f"error: --activation-bits: {args.activation_bits}; give 1 to 8")
    if args.neurons != "lif" and set(args.schedule) != {1}:
        raise SystemExit("error: --stages: neurons without spikes have one timestep; give 1:EPOCHS")
    if args.variation:
        if not args.weight_bits:
            raise SystemExit("error: --variation: weights in cells are whole numbers; give --weight-bits")
        try:
            network.variation = CellVariation(
                args.variation, args.encoding, args.cell_bits, args.on_off_ratio
            )
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
    if args.frozen_norms and not args.init:
        raise SystemExit("error: --frozen-norms: batch norm has no statistics to keep; give --init")
    if not 0 <= args.warm <= 1:
        raise SystemExit(f"error: --warm: a share of {args.warm:g}; give 0 to 1")
    if not 0 <= args.average < 1:
        raise SystemExit(f"error: --average: a decay of {args.average:g}; give 0 to less than 1")
    if args.teacher_timesteps < 1:
        raise SystemExit(f"error: --teacher-timesteps: {args.teacher_timesteps}; give 1 or more")
    if not 0 <= args.distill <= 1:
        raise SystemExit(f"error: --distill: a share of {args.distill:g}; give 0 to 1")
    if not 0 < args.temperature < math.inf:
        raise SystemExit(f"error: --temperature: {args.temperature:g}; give more than 0")
    return network
