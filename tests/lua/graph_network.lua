-- graph_network.lua - graphs as networks: made of a plan and tensors, cut, with new heads, by stages, with the feature
-- cache (lua/tlua/nn/graph). Run by `tlua tests/lua/graph_network.lua`.
local t = dofile "tests/lua/run_tests.lua"
local tlua = require "tlua"
local core = require "tlua.core"
local plan = require "tlua.plan"
local graph = require "tlua.nn.graph"
local nn = tlua.nn

local folder = os.tmpname()
os.remove(folder)
core.mkdirs(folder)
assert(t.run(("./tlua tests/cli/make_pictures.lua %s"):format(folder)) == 0)

-- The plan of a network, its tensors, and the network.
local function plan_of(net, inputs, symbols)
  net:ready()
  net:eval()
  return assert(plan.text(net, inputs, net.output_names, symbols)), net:state_dict(), net
end

local Block = nn.class "Block"
function Block:init(from, to)
  self.conv1 = nn.Conv2d(from, to, 3, { stride = 2, padding = 1, bias = false })
  self.bn1 = nn.BatchNorm2d(to)
  self.conv2 = nn.Conv2d(to, to, 3, { padding = 1, bias = false })
  self.bn2 = nn.BatchNorm2d(to)
  self.short = nn.Conv2d(from, to, 1, { stride = 2 })
end
function Block:forward(x)
  local y = self.bn2(self.conv2(self.bn1(self.conv1(x)):relu()))
  y = (y + self.short(x)):relu()
  return y
end

local function small()
  core.manual_seed(5)
  return nn.Sequential(nn.Conv2d(3, 8, 3, { padding = 1 }), nn.ReLU(), Block(8, 16), Block(16, 16),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 3))
end
local PICTURE = { { "N", 32, 32, 3, name = "image" } }

t.test("made of a plan and tensors, which are taken as they are", function()
  local text, state, net = plan_of(small(), PICTURE)
  local made = graph.from { text = text, tensors = state, label = "small", file_labels = { "a", "b", "c" },
    preprocessing = { size = 32 }, notes = { "made by hand" } }
  t.equal(made:label() .. " " .. made._class .. " " .. made.classes, "small nn.Graph 3")
  t.equal(table.concat(made:labels()) .. made:preprocessing().size .. made.notes[1], "abc32made by hand")
  made:eval()
  local x = core.randn(2, 32, 32, 3)
  local guard <close> = core.no_grad()
  assert((made(x) - net(x)):abs():amax():item() < 1e-5)
  local weight = made:state_dict()["2.conv1.weight"]
  weight:copy_(weight * 0)
  t.equal(state["2.conv1.weight"]:abs():amax():item(), 0) -- the same memory
  t.equal(made:find("2.bn1"):counters().num_batches_tracked, 0)
  local other = graph.from { text = text, tensors = state }
  t.equal(table.concat(select(2, other:trained()), " ", 1, 3), "0.weight 0.bias 2.conv1.weight")
  state["2.bn1.running_var"] = nil
  t.fails("small: its plan: the tensor '2.bn1.running_var' is not in the file", function()
    graph.from { text = text, tensors = state, label = "small" }
  end)
  t.fails("unknown option of graph.from: 'tensor'; did you mean 'tensors'?", function()
    graph.from { text = text, tensor = state }
  end)
  t.fails("graph.from: the text of a plan is missing", function() graph.from { tensors = state } end)
end)

t.test("cut at a call or at a name that came with the list", function()
  local text, state, net = plan_of(small(), PICTURE)
  local path = folder .. "/small.safetensors"
  core.save(path, state, { ["tlua.plan"] = text })
  local x, middle = core.randn(2, 32, 32, 3), nil
  local guard <close> = core.no_grad()
  middle = net:at(3)(net:at(2)(net:at(1)(x)))
  local function far(made)
    made:eval()
    return (made(x) - middle):abs():amax():item()
  end
  local names = { "conv_out", { "relu_out", "same" }, false }
  local list = core.plan_calls(text).calls
  for i, c in ipairs(list) do
    if c.op == "relu" then names[i] = "after_" .. i end
  end
  local last, sums = nil, 0
  for i, c in ipairs(list) do
    sums = sums + (c.op == "add" and 1 or 0)
    if sums == 1 and c.op == "relu" and not last then last = names[i] end
  end
  local made = graph.from { text = text, tensors = state, value_names = names, cut = last }
  assert(far(made) < 1e-5, last)
  t.equal(made:state_dict()["3.conv1.weight"], nil)
  t.equal(made:state_dict()["6.weight"], nil)
  t.equal(made:find "2.bn1":counters().num_batches_tracked, 0)
  t.equal(made.classes, nil)
  assert(far(nn.Graph { path = path, cut = (last:gsub("after", "relu")) }) < 1e-5)
  local one = nn.Graph { path = path, cut = "2.short" }
  t.equal(one:state_dict()["2.conv2.weight"], nil) -- what else goes into the sum is not needed
  t.equal(#one.calls, 3)
  local function bad(cut)
    return function() nn.Graph { path = path, cut = cut } end
  end
  t.fails("small.safetensors: cut: there is no value '2.shrt'; did you mean '2.short'?", bad "2.shrt")
  t.fails("cut: there is no value 'somewhere else'; there are 0, relu_2, 2.conv1", bad "somewhere else")
end)

t.finish()
os.execute("rm -r " .. folder)
