-- run_pieces.lua - what the tests of tokenizers compare: the texts of tests/golden/tokenizers, and windows as texts.
local core = require "tlua.core"
local pieces = { FOLDER = "tests/golden/tokenizers" }
-- texts.json: texts, and of each tokenizer what it makes of them (tests/golden/make_tokenizers.py).
pieces.made = core.json_decode(core.read_file(pieces.FOLDER .. "/texts.json"))

-- A list of numbers as a text.
function pieces.text(list) return table.concat(list, " ") end

-- The places of a window's pieces, each where it begins and where it ends.
function pieces.places(window)
  local out = {}
  for i, from in ipairs(window.from) do out[2 * i - 1], out[2 * i] = from, window.to[i] end
  return pieces.text(out)
end

return pieces
