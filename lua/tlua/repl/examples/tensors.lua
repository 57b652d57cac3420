-- tensors.lua - examples of tensors, of device, memory and chance, and of files: examples/init.lua says the form.
return [==[
# tlua.tensor
tlua.tensor { { 1, 2 }, { 3, 4 } }  --> tensor (2, 2) float32 1 2 3 4
tlua.tensor({ 1, 2, 3 }, { dtype = "int32" })  --> tensor (3) int32 1 2 3
# tlua.zeros
tlua.zeros(2, 3)  --> tensor (2, 3) float32 0 0 0 0 0 0
# tlua.ones
tlua.ones(3)  --> tensor (3) float32 1 1 1
# tlua.full
tlua.full({ 2, 2 }, 0.5)  --> tensor (2, 2) float32 0.5000 0.5000 0.5000 0.5000
# tlua.arange
tlua.arange(5)  --> tensor (5) float32 0 1 2 3 4
# tlua.randn
tlua.manual_seed(1)
x = tlua.randn(1000)
x:shape()  --> { 1000 }
# tlua.rand
x = tlua.rand(1000)
x:amax():item() < 1  --> true
# tlua.is_tensor
tlua.is_tensor(tlua.zeros(2))  --> true
tlua.is_tensor { 1, 2 }  --> false
# x:shape
x = tlua.zeros(2, 3)
x:shape()  --> { 2, 3 }
x:shape(-1)  --> 3
# x:dim
tlua.zeros(2, 3):dim(1)  --> 2
# x:rank
tlua.zeros(2, 3):rank()  --> 2
# x:numel
tlua.zeros(2, 3):numel()  --> 6
# x:dtype
tlua.zeros(2, 3):dtype()  --> float32
# x:tolist
tlua.tensor { { 1, 2 }, { 3, 4 } }:tolist()  --> { { 1.0, 2.0 }, { 3.0, 4.0 } }
# x:item
tlua.tensor { 1, 2, 3 }:sum():item()  --> 6.0
# x:to
tlua.tensor { 1.5, -1.5 }:to "int32"  --> tensor (2) int32 1 -1
# x:clone
x = tlua.zeros(2)
y = x:clone()
y:fill_(1)
x  --> tensor (2) float32 0 0
# x:detach
w = tlua.ones(2):requires_grad(true)
(w * 2):detach():requires_grad()  --> false
# x:copy_
x = tlua.zeros(2)
x:copy_(tlua.tensor { 3, 4 })  --> tensor (2) float32 3 4
# x:fill_
tlua.zeros(2):fill_(7)  --> tensor (2) float32 7 7
# x:transpose
tlua.tensor { { 1, 2, 3 }, { 4, 5, 6 } }:transpose()  --> tensor (3, 2) float32 1 4 2 5 3 6
# x:requires_grad
w = tlua.ones(2):requires_grad(true)
w:requires_grad()  --> true
# x:backward
w = tlua.tensor { 3, -1 }:requires_grad(true)
w:square():sum():backward()
w.grad  --> tensor (2) float32 6 -2
# x:zero_grad
w = tlua.ones(2):requires_grad(true)
w:sum():backward()
w:zero_grad()
w.grad  --> nil
# x:hash
tlua.zeros(2):hash()  --> af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc
# x:crc32
tlua.zeros(2):crc32()  --> 1696784233
# x:version
x = tlua.zeros(2)
x:fill_(1)
x:version()  --> 1
# x:freed
scope = tlua.scope()
x = tlua.zeros(2)
scope:close()
x:freed()  --> true
# tlua.device
tlua.device().units >= 1  --> true
# tlua.devices
#tlua.devices() > 0  --> true
# tlua.memory
x = tlua.zeros(256, 256)
tlua.memory() >= 4 * 256 * 256  --> true
# tlua.reset_peak
tlua.reset_peak()
x = tlua.randn(100, 100):square():sum()
select(3, tlua.memory()) > 0  --> true
# tlua.scope
do
  local scope <close> = tlua.scope()
  y = scope:keep(tlua.ones(2) * 3)     -- what was made on the way is freed
end
y  --> tensor (2) float32 3 3
# tlua.no_grad
w = tlua.ones(2):requires_grad(true)
do
  local guard <close> = tlua.no_grad()
  y = w * 2
end
y:requires_grad()  --> false
# tlua.enable_grad
do
  local outer <close> = tlua.no_grad()
  local inner <close> = tlua.enable_grad()
  inside = tlua.recording()
end
inside  --> true
# tlua.recording
tlua.recording()  --> true
# tlua.manual_seed
tlua.manual_seed(7)
a = tlua.randn(3)
tlua.manual_seed(7)
a:hash() == tlua.randn(3):hash()  --> true
# tlua.sync
y = tlua.randn(64, 64):matmul(tlua.randn(64, 64))
tlua.sync()
# tlua.time
from = tlua.time()
tlua.randn(64, 64):sum():item()
tlua.time() > from  --> true
# tlua.profile
tlua.profile(function() return tlua.randn(64, 64):sum():item() end)
# tlua.checkpoint
net = tlua.nn.Linear(4, 4)
x = tlua.ones(2, 4):requires_grad(true)
y = tlua.checkpoint(function(v) return net(v):relu() end, x)
y:sum():backward()
x.grad:shape()  --> { 2, 4 }
# tlua.load
tlua.save("numbers.safetensors", { a = tlua.ones(2), b = { c = tlua.zeros(3) } }, { origin = "here" })
tensors, metadata = tlua.load "numbers.safetensors"
tensors["b.c"]:shape()  --> { 3 }
metadata.origin  --> here
# tlua.save
tlua.save("weights.safetensors", { weight = tlua.ones(2, 3) })
tlua.load("weights.safetensors").weight:shape()  --> { 2, 3 }
# tlua.image_read
tlua.image_read("pictures/train/circle/01.png"):shape()  --> { 96, 96, 3 }
# tlua.image_write
x = tlua.full({ 8, 8, 3 }, 200, { dtype = "uint8" })
tlua.image_write("grey.png", x)
tlua.image_read("grey.png"):shape()  --> { 8, 8, 3 }
# help
help "matmul"
# show
show(tlua.image_read("pictures/train/circle/01.png"))
]==]
