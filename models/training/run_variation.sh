#!/bin/sh
# Fine-tune the default network for cells that vary by 20 %, on a CPU, and export it as vgg7_variation_cifar10.
#
#     nohup nice -n 19 sh models/training/run_variation.sh DATA OUT [PYTHON] >OUT.log 2>&1 &
#
# DATA: see train.py --data. OUT/vgg7/checkpoint.pt is the default network's, trained by
# `train.py --data DATA --out OUT/vgg7`. About three quarters of an hour on two cores. Started again, it
# goes on where it stopped. Differential columns, cells of 4 bits, an on/off ratio of 10: dtsnn_32nm_nonideal.
#
# First batch norm follows each draw of the cells; then it keeps its statistics, as a chip whose neurons nobody
# sets anew.
set -eu

data=$1
out=$2
python=${3:-python}
here=$(cd "$(dirname "$0")" && pwd)
export OMP_WAIT_POLICY=PASSIVE

train() { # NAME, the run whose weights to start from, then options of train.py
    name=$1
    from=$2
    shift 2
    mkdir -p "$out/$name"
    echo "$(date '+%F %T') $name"
    "$python" "$here/train.py" --data "$data" --out "$out/$name" --init "$out/$from/checkpoint.pt" \
        --variation 0.2 --float-epochs 0 "$@" >>"$out/$name/log.txt" 2>&1
}

train vgg7_varied vgg7 --stages 2:6,4:2 --lr 0.03 --evaluate-every 8
train vgg7_variation vgg7_varied --frozen-norms --stages 2:3,4:2 --lr 0.02 --evaluate-every 5
"$python" "$here/export.py" --data "$data" --checkpoint "$out/vgg7_variation/checkpoint.pt" \
    --name vgg7_variation_cifar10 --out "$out/bundles"
echo "$(date '+%F %T') done"
