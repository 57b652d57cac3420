-- modules.lua - examples of what modules and optimisers do, of recipes and loaders: examples/init.lua says the form.
return [==[
# net:forward
net = tlua.nn.Linear(4, 2)
net(tlua.ones(1, 4)):shape()  --> { 1, 2 }
# net:parameters
net = tlua.nn.Linear(4, 2)
for name, p in net:parameters() do print(name, p:numel()) end
# net:buffers
net = tlua.nn.BatchNorm2d(4)
for name, b in net:buffers() do print(name, b:numel()) end
# net:named_tensors
net = tlua.nn.BatchNorm2d(4)
names = {}
for name in net:named_tensors() do names[#names + 1] = name end
names  --> { "weight", "bias", "running_mean", "running_var" }
# net:modules
net = tlua.nn.Sequential(tlua.nn.Linear(4, 4), tlua.nn.ReLU())
for name, m in net:modules() do print(name, m) end
# net:find
net = tlua.models.resnet18 {}
net:find "layer4.0.conv1"  --> nn.Conv2d(256 -> 512, 3 x 3), 1,179,648 parameters: weight (512, 256, 3, 3)
# net:count
tlua.models.resnet18 { classes = 10 }:freeze("*"):count()  --> 11181642 0
# net:train
net = tlua.nn.Dropout(0.5):train()
net(tlua.ones(100)):amax():item()  --> 2.0
# net:eval
net = tlua.nn.Dropout(0.5):eval()
net(tlua.ones(100)):amax():item()  --> 1.0
# net:freeze
net = tlua.models.resnet18 { classes = 10 }
net:freeze { "*", "!layer4.*", "!fc.*" }
net:count()  --> 11181642 8398858
# net:unfreeze
net = tlua.nn.Sequential(tlua.nn.Linear(4, 4), tlua.nn.Linear(4, 2)):freeze "*"
net:unfreeze "1.*"
net:count()  --> 30 10
# net:add_lora
net = tlua.nn.Sequential(tlua.nn.Linear(16, 16), tlua.nn.ReLU(), tlua.nn.Linear(16, 2))
net:add_lora { on = "0", rank = 2, alpha = 4 }
net:count()  --> 370 64
# net:merge_lora
net = tlua.nn.Sequential(tlua.nn.Linear(16, 16), tlua.nn.ReLU(), tlua.nn.Linear(16, 2))
net:add_lora { on = "0", rank = 2, alpha = 4 }
net:merge_lora():count()  --> 306 0
# net:save_lora
net = tlua.models.from_folder "bert"
net:add_lora { on = "*.query,*.value", rank = 2, alpha = 4 }
net:save_lora "adapters"
# net:keep_statistics
net = tlua.nn.BatchNorm2d(4):train():keep_statistics()
net(tlua.ones(1, 2, 2, 4))
net.running_mean:amax():item()  --> 0.0
# net:trained
net = tlua.nn.Sequential(tlua.nn.Linear(4, 4), tlua.nn.Linear(4, 2)):freeze "0.*"
select(2, net:trained())  --> { "1.weight", "1.bias" }
# net:gradients
net = tlua.nn.Linear(2, 1)
net(tlua.tensor { { 3, 4 } }):sum():backward()
net:gradients().weight  --> tensor (1, 2) float32 3 4
# net:zero_grad
net = tlua.nn.Linear(2, 1)
net(tlua.ones(1, 2)):sum():backward()
net:zero_grad()
net.weight.grad  --> nil
# net:state_dict
net = tlua.nn.Linear(4, 2)
net:state_dict().weight:shape()  --> { 2, 4 }
# net:load
a, b = tlua.nn.Linear(4, 2), tlua.nn.Linear(4, 2)
b:load(a:state_dict())
b.weight:hash() == a.weight:hash()  --> true
# net:save
tlua.nn.Linear(4, 2):save "linear.safetensors"
tlua.load("linear.safetensors").bias:shape()  --> { 2 }
# net:ready
net = tlua.nn.Linear(4, 2):ready()
net.weight:shape()  --> { 2, 4 }
# net:parameter
Scale = tlua.nn.class "Scale"
function Scale:init(width) self:parameter("weight", { width }, { "constant", 2 }) end
function Scale:forward(x) return x * self.weight end
Scale(3)(tlua.ones(1, 3))  --> tensor (1, 3) float32, requires grad 2 2 2
# net:buffer
Shift = tlua.nn.class "Shift"
function Shift:init(width) self:buffer("mean", { width }, { "constant", 1 }) end
function Shift:forward(x) return x - self.mean end
Shift(3)(tlua.ones(1, 3))  --> tensor (1, 3) float32 0 0 0
# detector:levels
tlua.models.yolox_nano {}:levels()  --> { form = "offsets", objectness = true, strides = { 8, 16, 32 } }
# detector:wants_statistics
tlua.models.yolox_nano { classes = 2 }:wants_statistics()  --> false
# detector:measure_statistics
net = tlua.models.yolox_nano { classes = 2 }
if net:wants_statistics() then net:measure_statistics(function() return nil end) end
# encoder:give
net = tlua.models.from_folder("bert"):give "frames"
ids, lengths = tlua.tensor({ { 2, 5, 6, 3 } }, { dtype = "int32" }), tlua.tensor({ 4 }, { dtype = "int32" })
net(ids, lengths):shape()  --> { 1, 4, 3 }
# encoder:resize_vocabulary
net = tlua.models.from_folder "bert"
net:resize_vocabulary(60)
# encoder:vocabulary
net = tlua.models.bert { width = 16, layers = 1, heads = 2, inner = 32, vocabulary = 50, positions = 16 }
net:give "vocabulary"
ids, lengths = tlua.tensor({ { 2, 5, 6, 3 } }, { dtype = "int32" }), tlua.tensor({ 4 }, { dtype = "int32" })
rows = net(ids, lengths):reshape { 4, 16 }
net:vocabulary(rows):shape()  --> { 4, 50 }
# optim.SGD
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9 })
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
opt:lr()  --> 0.1
# optim.Adam
recipe_part = tlua.optim.Adam { lr = 1e-3 }           -- of a recipe
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.Adam(net:parameters(), { lr = 1e-3 })  -- of a loop of your own
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
# optim.AdamW
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.AdamW(net, { lr = 1e-3, weight_decay = 0.05 })
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
# optim.RMSprop
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.RMSprop(net, { lr = 1e-3, centered = true })
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
# optim.Lion
w = tlua.ones(2):requires_grad(true)
opt = tlua.optim.Lion({ w }, { lr = 0.25 })
w:sum():backward()
opt:step()
w  --> tensor (2) float32, requires grad 0.7500 0.7500
# optim.LAMB
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.LAMB(net, { lr = 1e-3 })
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
# optim.ema
net = tlua.nn.Linear(2, 1)
opt = tlua.optim.SGD(net, { lr = 0.1 })
ema = tlua.optim.ema(opt, { decay = 0.9, model = net })
net(tlua.ones(4, 2)):square():mean():backward()
opt:step()
ema:update()
ema:swap()                                     -- the network has the average
ema:swap()                                     -- and the weights again
# opt:step
w = tlua.ones(2):requires_grad(true)
opt = tlua.optim.SGD({ w }, { lr = 0.5 })
w:sum():backward()
opt:step()
w  --> tensor (2) float32, requires grad 0.5000 0.5000
# opt:zero_grad
w = tlua.ones(2):requires_grad(true)
opt = tlua.optim.SGD({ w }, { lr = 0.5 })
w:sum():backward()
opt:zero_grad()
# opt:lr
opt = tlua.optim.SGD({ tlua.ones(2):requires_grad(true) }, { lr = 0.5 })
opt:lr()  --> 0.5
# opt:set_lr
opt = tlua.optim.SGD({ tlua.ones(2):requires_grad(true) }, { lr = 0.5 })
opt:set_lr(0.25)
opt:lr()  --> 0.25
# opt:grad_norm
w = tlua.tensor { 3, 4 }:requires_grad(true)
opt = tlua.optim.SGD({ w }, { lr = 0.5 })
w:square():sum():backward()
opt:grad_norm()  --> 10.0
# opt:clip_grad_norm
w = tlua.tensor { 3, 4 }:requires_grad(true)
opt = tlua.optim.SGD({ w }, { lr = 0.5 })
w:square():sum():backward()
opt:clip_grad_norm(5)  --> 10.0
opt:grad_norm() < 5.001  --> true
# opt:scale_grad
w = tlua.tensor { 3, 4 }:requires_grad(true)
opt = tlua.optim.SGD({ w }, { lr = 0.5 })
w:square():sum():backward()
opt:scale_grad(0.5)
opt:grad_norm()  --> 5.0
# opt:state
w = tlua.ones(2):requires_grad(true)
opt = tlua.optim.Adam({ w }, { lr = 0.5 })
kept = opt:state()
# opt:load_state
w = tlua.ones(2):requires_grad(true)
opt, other = tlua.optim.Adam({ w }, { lr = 0.5 }), tlua.optim.Adam({ tlua.ones(2):requires_grad(true) }, { lr = 0.1 })
other:load_state(opt:state())
# tlua.recipe
recipe = tlua.recipe {
  model = tlua.models.mobilenet_v2 {},          -- { weights = "imagenet" } to transfer
  freeze = "*", head = tlua.nn.Linear(3),
  data = tlua.data.folder { root = "pictures", size = 32, batch = 30 },
  loss = tlua.nn.CrossEntropy {}, optim = tlua.optim.Adam { lr = 1e-3 }, schedule = { epochs = 1 },
}
session = recipe:build()                       -- recipe:run() would train it
session.data.train:count()  --> 120
# tlua.fine_tune
recipe = tlua.recipe {
  model = tlua.models.mobilenet_v2 {},
  data = tlua.data.folder { root = "pictures", size = 32 },
  optim = tlua.optim.Adam { lr = 1e-3 },
  schedule = tlua.fine_tune { epochs = 3, freeze_epochs = 1, lr = 2e-3 },
}
#recipe.stages  --> 2
]==]
