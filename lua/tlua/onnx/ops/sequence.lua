-- sequence.lua - recurrent layers.
local H = {}
return { handlers = H }
