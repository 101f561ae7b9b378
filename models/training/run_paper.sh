#!/bin/sh
# Train the networks of DT-SNN at reduced width on a CPU, one after the other, and export each as a bundle.
#
#     nohup nice -n 19 sh models/training/run_paper.sh DATA OUT [PYTHON] >OUT.log 2>&1 &
#
# DATA: see train.py --data. OUT: one folder a run, with checkpoint.pt and log.txt, and OUT/bundles. About two
# hours on two cores. Started again, it goes on where it stopped: train.py resumes from its checkpoints, and
# finished bundles are left alone.
#
# At T = 1 both losses are equal, so one run at T = 1 serves both; what follows differs by the loss alone.
set -eu

data=$1
out=$2
python=${3:-python}
width=0.25
here=$(cd "$(dirname "$0")" && pwd)
export OMP_WAIT_POLICY=PASSIVE

train() { # NAME, then options of train.py
    name=$1
    shift
    mkdir -p "$out/$name"
    echo "$(date '+%F %T') $name"
    "$python" "$here/train.py" --data "$data" --out "$out/$name" --float-epochs 0 --compile "$@" \
        >>"$out/$name/log.txt" 2>&1
}

both_losses() { # NETWORK PRETRAINING STAGES EVERY
    train "$1_t1" --network "$1" --width "$width" --stages "$2" --lr 0.1 --evaluate-every "$4"
    for loss in running final; do
        train "$1_$loss" --network "$1" --width "$width" --loss "$loss" --init "$out/$1_t1/checkpoint.pt" \
            --stages "$3" --lr 0.05 --evaluate-every "$4"
    done
}

bundle() { # NETWORK LOSS
    name=$1_$2_cifar10
    [ -e "$out/bundles/$name/network.yaml" ] && return
    echo "$(date '+%F %T') $name"
    "$python" "$here/export.py" --data "$data" --checkpoint "$out/$1_$2/checkpoint.pt" --name "$name" \
        --out "$out/bundles" >>"$out/$1_$2/export.txt" 2>&1 \
        || echo "$name: not exported, see $out/$1_$2/export.txt"
}

both_losses vgg16 1:24 2:3,4:3 3
both_losses resnet19 1:5 4:1 5
for network in vgg16 resnet19; do
    for loss in running final; do
        bundle "$network" "$loss"
    done
done
echo "$(date '+%F %T') done"
