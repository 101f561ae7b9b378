#!/bin/sh
# Train the networks of DT-SNN at reduced width on a CPU, one after the other, and export each as a bundle.
#
#     setsid nohup nice -n 19 sh models/training/run_paper.sh DATA OUT [PYTHON] [EFFORT] >OUT.log 2>&1 &
#
# DATA: see train.py --data. OUT: one folder a run, with checkpoint.pt, curve.csv and log.txt, and OUT/bundles.
# EFFORT: how long to train, 4 unless given; with 2 every run has half as many epochs. WIDTH, NETWORKS and
# THREADS can be set in the environment: give THREADS=1 on a machine that is busy with other work, where two threads
# spend most of their time waiting for each other. Started again, it goes on where it stopped: train.py resumes
# from its checkpoints, and a bundle is made again only where its checkpoint is newer. Started again with more
# effort, the runs go on to more epochs. OUT/curves.csv has losses, hours and validation accuracies of all runs.
#
# A teacher without spikes, which trains several times faster, lends its weights to the network at T = 1, and its
# outputs to all. At T = 1 both losses are equal, so one run at T = 1 serves both; what follows differs by the
# loss, or by the T of the static networks that dynamic timesteps are compared with.
set -eu

data=$1
out=$2
python=${3:-python}
effort=${4:-4}
threads=${THREADS:-0}
width=${WIDTH:-0.25}
networks=${NETWORKS:-vgg16 resnet19}
here=$(cd "$(dirname "$0")" && pwd)
export OMP_WAIT_POLICY=PASSIVE

epochs() { # of a run with the usual effort
    n=$(($1 * effort / 4))
    echo $((n > 0 ? n : 1))
}

train() { # NETWORK RUN, then options of train.py
    network=$1
    name=$1_$2
    shift 2
    mkdir -p "$out/$name"
    echo "$(date '+%F %T') $name $*"
    "$python" -u "$here/train.py" --data "$data" --out "$out/$name" --network "$network" --width "$width" \
        --threads "$threads" --float-epochs 0 --evaluate-every 2 "$@" >>"$out/$name/log.txt" 2>&1
}

taught() { # NETWORK RUN FROM, then options of train.py: from the weights of FROM, after the network's teacher
    network=$1
    run=$2
    start=$out/$1_$3/checkpoint.pt
    shift 3
    train "$network" "$run" --init "$start" --teacher "$out/${network}_teacher/checkpoint.pt" "$@"
}

bundle() { # NETWORK RUN
    name=$1_$2_cifar10
    checkpoint=$out/$1_$2/checkpoint.pt
    [ -e "$out/bundles/$name/network.yaml" ] && [ "$out/bundles/$name/network.yaml" -nt "$checkpoint" ] && return
    echo "$(date '+%F %T') $name"
    "$python" "$here/export.py" --data "$data" --checkpoint "$checkpoint" --name "$name" --out "$out/bundles" \
        >>"$out/$1_$2/export.txt" 2>&1 || echo "$name: not exported, see $out/$1_$2/export.txt"
}

curves() { # one table of the curves of all runs
    echo "run,epoch,timesteps,loss,hours,core_hours,accuracy_1,accuracy_2,accuracy_3,accuracy_4"
    for curve in "$out"/*/curve.csv; do
        run=$(basename "$(dirname "$curve")")
        awk -F, -v OFS=, -v run="$run" 'FNR > 1 { $9 = $9; print run, $0 }' "$curve"
    done
}

for network in $networks; do
    train "$network" teacher --neurons clipped --stages "1:$(epochs 24)" --lr 0.1
    taught "$network" t1 teacher --stages "1:$(epochs 8)" --lr 0.05
    taught "$network" running t1 --stages "2:$(epochs 4),4:$(epochs 12)" --lr 0.05
    bundle "$network" running
    taught "$network" static1 t1 --stages "1:$(epochs 8)" --lr 0.05 --loss final
    taught "$network" static2 t1 --stages "2:$(epochs 8)" --lr 0.05 --loss final
    bundle "$network" static1
    bundle "$network" static2
    taught "$network" final t1 --stages "2:$(epochs 4),4:$(epochs 12)" --lr 0.05 --loss final
    bundle "$network" final
done
curves >"$out/curves.csv"
echo "$(date '+%F %T') done"
