"""The peers' side of bench/compare.py: builds one piece of work, then measures it once for every line read; for the line "memory" it
says how many bytes of a GPU's memory it had at its most. What a peer lacks (a package, a device) is said in one line that begins with
"cannot", and ends it.

    python bench/peer_worker.py torch|compile|onnxruntime forward|fe|layer4|blocks10|full|bert resnet50 16 [cpu|cuda [tf32]]"""
import os
import re
import sys
import time

try:
    import torch
except ImportError as e:
    print("cannot: %s" % e, flush=True)
    sys.exit(0)

peer, kind, name, batch = sys.argv[1], sys.argv[2].removesuffix("_recompute"), sys.argv[3], int(sys.argv[4])
DEVICE = sys.argv[5] if len(sys.argv) > 5 else "cpu"
TF32 = len(sys.argv) > 6 and sys.argv[6] == "tf32"
torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "2")))
torch.manual_seed(0)
LAST = torch.channels_last
# float32 throughout unless TF32 is asked for by name: PyTorch takes it for convolutions where nobody says otherwise.
torch.backends.cuda.matmul.allow_tf32 = TF32
torch.backends.cudnn.allow_tf32 = TF32


def done():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def build(classes):
    if name.startswith("efficientnet_lite"):
        from efficientnet_lite_pytorch import EfficientNet
        return EfficientNet.from_name(name.replace("_", "-"), num_classes=classes).to(DEVICE)
    import torchvision
    return getattr(torchvision.models, name)(num_classes=classes).to(DEVICE)


def pictures():
    return torch.randn(batch, 3, 224, 224).to(DEVICE)


def forward():
    net, x = build(1000).eval(), pictures()
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
        done()
    return work


def step():
    net = build(10).to(memory_format=LAST).train()
    xx, y = pictures().contiguous(memory_format=LAST), (torch.arange(batch) % 10).to(DEVICE)
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
        done()
    return work


class Bert(torch.nn.Module):
    """BERT with a classifier of two classes by PyTorch's own layers, where transformers is not installed: the same work."""

    def __init__(self, width=768, layers=12, heads=12, inner=3072):
        super().__init__()
        self.words, self.positions, self.types = (torch.nn.Embedding(n, width) for n in (30522, 512, 2))
        self.norm, self.dropout = torch.nn.LayerNorm(width, 1e-12), torch.nn.Dropout(0.1)
        layer = torch.nn.TransformerEncoderLayer(width, heads, inner, 0.1, "gelu", 1e-12, batch_first=True)
        self.layers = torch.nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.pooler, self.head = torch.nn.Linear(width, width), torch.nn.Linear(width, 2)

    def forward(self, ids):
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.dropout(self.norm(self.words(ids) + self.positions(places) + self.types(torch.zeros_like(ids))))
        return self.head(self.dropout(torch.tanh(self.pooler(self.layers(x)[:, 0]))))


def bert_net():
    small = name == "bert_6x384"
    try:
        from transformers import BertConfig, BertForSequenceClassification
    except ImportError:
        net = Bert(384, 6, 12, 1536) if small else Bert()
        return net, lambda ids, mask, y: torch.nn.functional.cross_entropy(net(ids), y)
    sizes = dict(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536) if small else {}
    net = BertForSequenceClassification(BertConfig(num_labels=2, **sizes))
    return net, lambda ids, mask, y: net(input_ids=ids, attention_mask=mask, labels=y).loss


def bert():
    net, loss_of = bert_net()
    net.to(DEVICE).train()
    ids, mask, y = (t.to(DEVICE) for t in (torch.randint(0, 30000, (batch, 128)), torch.ones(batch, 128, dtype=torch.long), torch.arange(batch) % 2))
    opt = torch.optim.AdamW(net.parameters(), lr=2e-5)

    def work():
        opt.zero_grad()
        loss = loss_of(ids, mask, y)
        loss.backward()
        opt.step()
        loss.item()
        done()
    return work


try:
    work = {"forward": forward, "bert": bert}.get(kind, step)()
    work()
    work()
except (ImportError, RuntimeError) as e:
    print("cannot: %s" % " ".join(str(e).split())[:200], flush=True)
    sys.exit(0)
print("ready", flush=True)
for line in sys.stdin:
    if line.strip() == "memory":
        print(torch.cuda.max_memory_allocated() if DEVICE == "cuda" else 0, flush=True)
        continue
    start = time.perf_counter()
    work()
    print("%.6f" % (time.perf_counter() - start), flush=True)
