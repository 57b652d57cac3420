-- session.lua - `tlua -i RECIPE.lua [--FIELD VALUE]...`: everything of a run is built, nothing trained, and the prompt
-- has its parts. Another Lua file is run before the prompt comes.
local util = require "tlua.util"
local data = require "tlua.data"
local session = {}

-- The next batch of training pictures: a new loader when the pictures are used up. Of clips: waves, lengths, and labels
-- or a list of texts.
local function batches(s)
  local loader, epoch = nil, 0
  return function()
    for _ = 1, 2 do
      if not loader then
        loader, epoch = data.loader(s.data, "train", s.seed), epoch + 1
        loader:start(epoch)
      end
      local x, labels, n, _, _, more = loader:next()
      if x and more and more.lengths then return x, more.lengths, more.text or labels end
      if x then return x, labels, n end
      loader = nil
    end
  end
end

local function batch_line(d)
  if d.input.kind == "picture" then return "  loss, batch loss(model(x), labels) of x, labels = batch(), the next training pictures" end
  if d.fields.text then return "  batch       model(x, lengths) of x, lengths, texts = batch(), the next training clips" end
  return "  loss, batch loss(model(x, lengths), labels) of x, lengths, labels = batch(), the next training clips"
end

-- The names that a recipe's session begins with, and the lines that tell them.
function session.names(recipe)
  local s = recipe:build()
  local names = { recipe = recipe, model = s.model, data = s.data, optimiser = s.optim, loss = s.loss,
    batch = batches(s) }
  -- A run builds all anew, on the same network: the optimiser lets go of its parameters before, and the names follow.
  rawset(recipe, "run", function(self, options)
    s.optim:close()
    local results = getmetatable(self).run(self, options)
    s = results.session
    for name, value in pairs { model = s.model, data = s.data, optimiser = s.optim } do rawset(_G, name, value) end
    return results
  end)
  local all, trained = s.model:count()
  local lines = {
    ("  recipe      %s; recipe:run() trains it"):format(recipe.path or "a recipe"),
    ("  model       %s, %s parameters, %s trained"):format(s.model:label(), util.thousands(all),
      util.thousands(trained)),
    ("  data        %s, %s training and %s test %s, %s"):format(s.data.title,
      util.thousands(s.data.train:count()), util.thousands(s.data.test:count()), s.data.input.many,
      s.data.fields_text or ("%d classes"):format(#s.classes)),
    ("  optimiser   %s, rate %g"):format(recipe.optim.kind, s.optim:lr()),
    batch_line(s.data),
  }
  return names, lines
end

-- argv[2] is the file; load_file and overrides are those of the command line.
function session.main(argv, load_file, overrides)
  local repl = require "tlua.repl"
  if argv[2] == nil then return repl.run() end
  local recipe = load_file(argv, 3)
  if not recipe then return repl.run() end
  recipe:override(overrides(argv, 3))
  return repl.run(session.names(recipe))
end

return session
