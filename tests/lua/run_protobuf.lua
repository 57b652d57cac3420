-- run_protobuf.lua - what the tests of .onnx files write them with: the fields of a message, by number, as they stand
-- on the wire.
local pb = {}

function pb.varint(v)
  local bytes = {}
  repeat
    local low = v & 0x7f
    v = v >> 7
    bytes[#bytes + 1] = string.char(v ~= 0 and low | 0x80 or low)
  until v == 0
  return table.concat(bytes)
end

function pb.int(field, v) return pb.varint(field << 3) .. pb.varint(v) end
function pb.float(field, v) return pb.varint(field << 3 | 5) .. string.pack("<f", v) end
-- A text, bytes, a message, or a packed list.
function pb.bytes(field, ...)
  local all = table.concat { ... }
  return pb.varint(field << 3 | 2) .. pb.varint(#all) .. all
end

-- The structures of onnx.proto that the tests want.
function pb.tensor(name, data_type, dims, ...)
  local list = {}
  for i, d in ipairs(dims) do list[i] = pb.int(1, d) end
  return table.concat(list) .. pb.int(2, data_type) .. pb.bytes(8, name) .. table.concat { ... }
end
function pb.raw(format, ...)
  local list = { ... }
  return pb.bytes(9, string.pack("<" .. format:rep(#list), table.unpack(list)))
end
function pb.attribute(name, type, ...) return pb.bytes(5, pb.bytes(1, name), pb.int(20, type), ...) end
function pb.node(op, inputs, outputs, ...)
  local list = {}
  for _, name in ipairs(inputs) do list[#list + 1] = pb.bytes(1, name) end
  for _, name in ipairs(outputs) do list[#list + 1] = pb.bytes(2, name) end
  return table.concat(list) .. pb.bytes(4, op) .. table.concat { ... }
end
function pb.value(name, elem_type, dims)
  local list = {}
  for i, d in ipairs(dims) do
    list[i] = pb.bytes(1, math.type(d) and pb.int(1, d) or d and pb.bytes(2, d) or "")
  end
  return pb.bytes(1, name) .. pb.bytes(2, pb.bytes(1, pb.int(1, elem_type) .. pb.bytes(2, table.concat(list))))
end
function pb.model(graph, ...)
  return pb.int(1, 8) .. pb.bytes(7, graph) .. pb.bytes(8, pb.int(2, 17)) .. table.concat { ... }
end

return pb
