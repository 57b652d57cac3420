"""The peers' side of bench/compare.py: builds one piece of work, then measures it once for every line read.

    python bench/peer_worker.py torch|compile|onnxruntime forward|fe|layer4|blocks10|full|bert resnet50 16"""
import os
import re
import sys
import time

import torch
import torchvision

peer, kind, name, batch = sys.argv[1], sys.argv[2].removesuffix("_recompute"), sys.argv[3], int(sys.argv[4])
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
torch.manual_seed(0)
LAST = torch.channels_last


def build(classes):
    if name.startswith("efficientnet_lite"):
        from efficientnet_lite_pytorch import EfficientNet
        return EfficientNet.from_name(name.replace("_", "-"), num_classes=classes)
    return getattr(torchvision.models, name)(num_classes=classes)


x = torch.randn(batch, 3, 224, 224)


def forward():
    net = build(1000).eval()
    if peer == "onnxruntime":
        import tempfile
        import onnxruntime
        path = os.path.join(tempfile.mkdtemp(), "net.onnx")
        torch.onnx.export(net, (x,), path, dynamo=False, opset_version=17)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: x.numpy()}
        return lambda: session.run(None, feed)
    net = net.to(memory_format=LAST)
    xx = x.contiguous(memory_format=LAST)
    if peer == "compile":
        net = torch.compile(net)

    def work():
        with torch.no_grad():
            net(xx)
    return work


def step():
    net = build(10).to(memory_format=LAST).train()
    xx, y = x.contiguous(memory_format=LAST), torch.arange(batch) % 10
    for key, p in net.named_parameters():
        p.requires_grad = {"fe": key.startswith("fc"), "layer4": key.startswith(("fc", "layer4")), "full": True,
                           "blocks10": re.match(r"_blocks\.1[0-5]\.|_conv_head\.|_bn1\.|_fc\.", key) is not None}[kind]
    for m in net.modules():  # frozen batch norms keep their statistics, as tlua's do
        own = list(m.parameters(recurse=False))
        if own and not any(p.requires_grad for p in own):
            m.eval()
    opt = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)

    def work():
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(xx), y)
        loss.backward()
        opt.step()
        loss.item()
    return work


def bert():
    from transformers import BertConfig, BertForSequenceClassification
    sizes = {"bert_6x384": dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536), "bert_base": {}}
    net = BertForSequenceClassification(BertConfig(num_labels=2, **sizes[name])).train()
    ids, mask, y = torch.randint(0, 30000, (batch, 128)), torch.ones(batch, 128, dtype=torch.long), torch.arange(batch) % 2
    opt = torch.optim.AdamW(net.parameters(), lr=2e-5)

    def work():
        opt.zero_grad()
        loss = net(input_ids=ids, attention_mask=mask, labels=y).loss
        loss.backward()
        opt.step()
        loss.item()
    return work


work = {"forward": forward, "bert": bert}.get(kind, step)()
work()
work()
print("ready", flush=True)
for _ in sys.stdin:
    start = time.perf_counter()
    work()
    print("%.6f" % (time.perf_counter() - start), flush=True)
