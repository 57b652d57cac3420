-- rows.lua - what an epoch came to: the row that metrics.csv, checkpoints and reports have of it, and its line.
local core = require "tlua.core"
local util = require "tlua.util"
local rows = {}

-- The row of an epoch: its losses, and every figure of the task on each part that was looked at.
function rows.of(s, test, begin)
  local sum = s.sum
  local row = { epoch = s.epoch, loss = sum:mean(), lr = s.rate or s.lr, seconds = core.time() - begin }
  for key, v in pairs(sum:value()) do row["train_" .. key] = v end
  if test then
    row[s.prefix .. "_loss"] = test:mean()
    for key, v in pairs(test:value()) do row[s.prefix .. "_" .. key] = v end
  end
  return row
end

-- "[Epoch 3] loss: 0.4321  train accuracy 85.2 %  test accuracy 83.0 %  test loss 0.5021  (1.2 s)"
function rows.text(s, row, test)
  local main = s.task:main()
  -- The main figure, or the first that is known of that part.
  local function of(prefix, word)
    local shown = main
    for i = #s.task.figures, 1, -1 do
      local f = s.task.figures[i]
      if not row[prefix .. "_" .. main[1]] and row[prefix .. "_" .. f[1]] then shown = f end
    end
    return ("  %s %s"):format(word, s.task:figure_text(shown, row[prefix .. "_" .. shown[1]]))
  end
  local trained = next(s.sum:value()) ~= nil and of("train", "train") or "" -- some tasks measure nothing in training
  local tested = test and (s.task.test_line and ("  %s %s"):format(s.part, s.task:test_line(test.meter))
    or of(s.prefix, s.part)) or s.data[s.part]:count() == 0 and ("  %s %s -"):format(s.part, main[2]) or ""
  local loss = row[s.prefix .. "_loss"]
  return ("[Epoch %d] loss: %s%s%s%s  (%.1f s)"):format(row.epoch, util.figure("%.4f", row.loss), trained, tested,
    loss and ("  %s loss %s"):format(s.part, util.figure("%.4f", loss)) or "", row.seconds)
end

return rows
