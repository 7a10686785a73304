"""Records which files the safetensors 0.8.0 package accepts, for checkpoint's differential test.

Run with that package installed; it writes verdicts.json.gz and written.safetensors beside itself.

Hand-written headers cover each rule; random damage to valid files covers what nobody thought of. The output lists, for every file, its
bytes in base64, whether the package accepts it, and the tensors it then sees. The second file is one the package wrote, of tensors
whose order and names show its rules.
"""

import base64
import ctypes
import gzip
import json
import pathlib
import random
import struct

from safetensors import TensorSpec, deserialize, serialize

T = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}'


def tensor(dtype='"U8"', shape="[2]", offsets="[0,2]", extra=""):
    return '{"dtype":%s,"shape":%s,"data_offsets":%s%s}' % (dtype, shape, offsets, extra)


def one(*args, **kwargs):
    return '{"a":%s}' % tensor(*args, **kwargs)


# name, header, bytes of data
HEADERS = [
    ("plain", one(), 2),
    ("empty object", "{}", 0),
    ("empty header", "", 0),
    ("null", "null", 0),
    ("array", "[null,{}]", 0),
    ("not utf-8", b'{"a\xff":%s}' % T.encode(), 2),
    ("byte order mark", "\ufeff" + one(), 2),
    ("spaces after", one() + "    ", 2),
    ("white space after", one() + "\n\t\r ", 2),
    ("white space before", " \n" + one(), 2),
    ("white space inside", '{ "a" : [ "U8" , [ 2 ] , [ 0 , 2 ] ] }', 2),
    ("nul after", one() + "\0", 2),
    ("vertical tab", one() + "\v", 2),
    ("text after", one() + "x", 2),
    ("second value", one() + "{}", 2),
    ("trailing comma", '{"a":%s,}' % T, 2),
    ("missing comma", '{"a":%s "b":%s}' % (T, T), 2),
    ("unclosed", '{"a":%s' % T, 2),
    ("unquoted key", "{a:%s}" % T, 2),
    ("single quotes", one().replace('"', "'"), 2),
    ("comment", one() + "//", 2),
    ("same tensor twice", '{"a":%s,"a":%s}' % (T, T), 2),
    ("name twice, two ranges", '{"a":%s,"a":%s}' % (T, tensor(offsets="[2,4]")), 4),
    ("name twice, first too large", '{"a":%s,"a":%s}' % (tensor(shape="[9]", offsets="[0,9]"), T), 2),
    ("name twice, first malformed", '{"a":{"dtype":"XX"},"a":%s}' % T, 2),
    ("name twice by escape", '{"\\u0061":%s,"a":%s}' % (T, T), 2),
    ("metadata", '{"__metadata__":{"x":"y"},"a":%s}' % T, 2),
    ("metadata last", '{"a":%s,"__metadata__":{"x":"y"}}' % T, 2),
    ("metadata empty", '{"__metadata__":{},"a":%s}' % T, 2),
    ("metadata null", '{"__metadata__":null,"a":%s}' % T, 2),
    ("metadata twice", '{"__metadata__":{"x":"y"},"__metadata__":{"x":"y"},"a":%s}' % T, 2),
    ("metadata null twice", '{"__metadata__":null,"__metadata__":null,"a":%s}' % T, 2),
    ("metadata key twice", '{"__metadata__":{"x":"y","x":"z"},"a":%s}' % T, 2),
    ("metadata number", '{"__metadata__":{"x":1},"a":%s}' % T, 2),
    ("metadata null value", '{"__metadata__":{"x":null},"a":%s}' % T, 2),
    ("metadata nested", '{"__metadata__":{"x":{}},"a":%s}' % T, 2),
    ("metadata array", '{"__metadata__":["x"],"a":%s}' % T, 2),
    ("metadata pairs", '{"__metadata__":[["x","y"]],"a":%s}' % T, 2),
    ("metadata string", '{"__metadata__":"x","a":%s}' % T, 2),
    ("metadata escaped key", '{"__met\\u0061data__":{"x":"y"},"a":%s}' % T, 2),
    ("other key, number", '{"a":%s,"z":1}' % T, 2),
    ("tensor null", '{"a":null}', 0),
    ("tensor as array", '{"a":["U8",[2],[0,2]]}', 2),
    ("tensor as short array", '{"a":["U8",[2]]}', 2),
    ("tensor as long array", '{"a":["U8",[2],[0,2],1]}', 2),
    ("field missing", '{"a":{"dtype":"U8","shape":[2]}}', 2),
    ("field twice", one(extra=',"dtype":"U8"'), 2),
    ("field null", one(shape="null"), 2),
    ("field escaped", '{"a":{"dt\\u0079pe":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    ("field in capitals", '{"a":{"Dtype":"U8","shape":[2],"data_offsets":[0,2]}}', 2),
    ("other field", one(extra=',"z":1'), 2),
    ("other field twice", one(extra=',"z":1,"z":2'), 2),
    ("other field nested", one(extra=',"z":[{"q":null,"r":[true,false,"s",-1.5e3]}]'), 2),
    ("other field huge", one(extra=',"z":1e999'), 2),
    ("other field tiny", one(extra=',"z":1e-999'), 2),
    ("other field zero huge", one(extra=',"z":0e999'), 2),
    ("other field long", one(extra=',"z":99999999999999999999999999'), 2),
    ("other field longest", one(extra=',"z":%s' % ("9" * 400)), 2),
    ("other field lone surrogate", one(extra=',"z":"\\ud800"'), 2),
    ("other field bad escape", one(extra=',"z":"\\q"'), 2),
    ("other field minus", one(extra=',"z":-'), 2),
    ("other field plus", one(extra=',"z":+1'), 2),
    ("other field point", one(extra=',"z":1.'), 2),
    ("other field exponent", one(extra=',"z":1E+3'), 2),
    ("other field NaN", one(extra=',"z":NaN'), 2),
    ("other field nul", one(extra=',"z":nul'), 2),
    ("other field truth", one(extra=',"z":True'), 2),
] + [
    ("nested %d" % n, one(extra=',"z":' + "[" * n + "]" * n), 2) for n in (100, 124, 125, 126, 127, 128, 5000)
] + [
    ("nested objects %d" % n, one(extra=',"z":' + '{"y":' * n + "1" + "}" * n), 2) for n in (124, 125, 126)
] + [
    ("nested beside tensors %d" % n, '{"z":%s}' % ("[" * n + "]" * n), 0) for n in (126, 127)
] + [
    ("dtype as object", one(dtype='{"U8":null}'), 2),
    ("dtype as object, value", one(dtype='{"U8":1}'), 2),
    ("dtype as object, empty value", one(dtype='{"U8":{}}'), 2),
    ("dtype as object, two", one(dtype='{"U8":null,"F32":null}'), 2),
    ("dtype as object, none", one(dtype="{}"), 2),
    ("dtype as array", one(dtype='["U8"]'), 2),
    ("dtype number", one(dtype="4"), 2),
    ("dtype lower case", one(dtype='"u8"'), 2),
    ("dtype escaped", one(dtype='"U\\u0038"'), 2),
    ("dtype unknown", one(dtype='"F128"'), 2),
    ("shape scalar", one(shape="[]", offsets="[0,1]"), 1),
    ("shape float", one(shape="[2.0]"), 2),
    ("shape exponent", one(shape="[2e0]"), 2),
    ("shape minus zero", one(shape="[-0]", offsets="[0,0]"), 0),
    ("shape negative", one(shape="[-2]"), 2),
    ("shape leading zero", one(shape="[02]"), 2),
    ("shape string", one(shape='["2"]'), 2),
    ("shape nested", one(shape="[[2]]"), 2),
    ("shape object", one(shape='{"0":2}'), 2),
    ("shape trailing comma", one(shape="[2,]"), 2),
    ("shape 2^64-1", one(shape="[18446744073709551615]"), 2),
    ("shape 2^64", one(shape="[18446744073709551616]"), 2),
    ("shape 2^61", one(shape="[2305843009213693952]"), 2),
    ("shape overflow", one(shape="[4294967296,4294967296]", offsets="[0,0]"), 0),
    ("shape overflow then zero", one(shape="[4294967296,4294967296,0]", offsets="[0,0]"), 0),
    ("shape zero then overflow", one(shape="[0,4294967296,4294967296]", offsets="[0,0]"), 0),
    ("shape too small", one(shape="[1]"), 2),
    ("shape too large", one(shape="[3]"), 2),
    ("offsets one", one(offsets="[0]"), 2),
    ("offsets three", one(offsets="[0,2,2]"), 2),
    ("offsets reversed", one(offsets="[2,0]"), 2),
    ("offsets negative", one(offsets="[-2,0]"), 2),
    ("offsets past the end", one(shape="[9]", offsets="[0,9]"), 2),
    ("offsets huge", one(offsets="[0,18446744073709551615]"), 2),
    ("hole at the start", one(offsets="[1,3]"), 3),
    ("hole", '{"a":%s,"b":%s}' % (T, tensor(offsets="[3,5]")), 5),
    ("overlap", '{"a":%s,"b":%s}' % (T, tensor(offsets="[1,3]")), 3),
    ("same range", '{"a":%s,"b":%s}' % (T, T), 2),
    ("any order", '{"b":%s,"a":%s}' % (tensor(offsets="[2,4]"), T), 4),
    ("data left over", one(), 3),
    ("data missing", one(), 1),
    ("empty tensors", '{"a":%s,"b":%s}' % (tensor(shape="[0]", offsets="[0,0]"), tensor(shape="[0]", offsets="[0,0]")), 0),
    ("empty between", '{"a":%s,"b":%s,"c":%s}' % (T, tensor(shape="[0]", offsets="[2,2]"), tensor(offsets="[2,4]")), 4),
    ("empty name", '{"":%s}' % T, 2),
    ("surrogate pair", '{"\\ud83d\\ude00":%s}' % T, 2),
    ("lone high surrogate", '{"\\ud83d":%s}' % T, 2),
    ("lone low surrogate", '{"\\ude00":%s}' % T, 2),
    ("surrogates swapped", '{"\\ude00\\ud83d":%s}' % T, 2),
    ("high surrogate, text", '{"\\ud83dx":%s}' % T, 2),
    ("escapes", '{"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9":%s}' % T, 2),
    ("bad unicode escape", '{"\\u00g0":%s}' % T, 2),
    ("short unicode escape", '{"\\u00":%s}' % T, 2),
    ("signed unicode escape", '{"\\u+061":%s}' % T, 2),
    ("control character", '{"a\x01":%s}' % T, 2),
    ("tab in string", '{"a\t":%s}' % T, 2),
    ("delete in string", '{"a\x7f":%s}' % T, 2),
] + [
    ("type %s" % name, one(dtype='"%s"' % name, shape="[4]", offsets="[0,%d]" % (bits // 2)), bits // 2)
    for name, bits in dict(BOOL=8, F4=4, F6_E2M3=6, F6_E3M2=6, U8=8, I8=8, F8_E5M2=8, F8_E4M3=8, F8_E8M0=8, F8_E4M3FNUZ=8, F8_E5M2FNUZ=8,
                           I16=16, U16=16, F16=16, BF16=16, I32=32, U32=32, F32=32, C64=64, F64=64, I64=64, U64=64).items()
] + [
    ("half byte", one(dtype='"F4"', shape="[3]", offsets="[0,1]"), 1),
    ("quarter byte", one(dtype='"F6_E2M3"', shape="[1]", offsets="[0,1]"), 1),
]


def file(header, data, length=None):
    header = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + bytes(range(data % 256)) + bytes(data - data % 256)


def cases():
    for name, header, data in HEADERS:
        yield name, file(header, data)
    yield "no bytes", b""
    yield "seven bytes", b"\0" * 7
    yield "length zero", b"\0" * 8
    yield "length past the end", file(one(), 2, 1000)
    yield "length one more", file(one(), 2, len(one()) + 1)
    yield "length 2^64-1", file(one(), 2, 2**64 - 1)
    yield "length 2^63", file(one(), 2, 2**63)
    yield "length 100,000,001", file(one(), 2, 100_000_001)
    rng = random.Random(8)
    sound = [
        '{"__metadata__":{"k":"v \\u00e9"},"a":%s,"b":%s}' % (tensor('"F16"', "[1,2]", "[0,4]"), tensor('"I8"', "[3]", "[4,7]")),
        '{"x":{"shape":[2,2],"dtype":"BF16","data_offsets":[0,8],"z":[1.5,true,null]},"y":["U8",[0],[8,8]]}',
    ]
    pieces = ['"', "\\", "{", "}", "[", "]", ":", ",", "0", "1", "9", "-", ".", "e", " ", "\n", "null", "\\u0061", "U8", "\x00", "é"]
    for i in range(1500):
        which = rng.randrange(2)
        text = list(sound[which])
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            at = rng.randrange(len(text))
            what = rng.randrange(4)
            if what == 0:
                del text[at]
            elif what == 1:
                text.insert(at, rng.choice(pieces))
            elif what == 2:
                text[at] = rng.choice(pieces)
            else:
                other = rng.randrange(len(text))
                text[at], text[other] = text[other], text[at]
        yield "damaged %d" % i, file("".join(text), 7 + which)


def verdict(content):
    try:
        found = deserialize(content)
    except BaseException:  # a Rust panic is not an Exception
        return None
    return {name: [info["dtype"], info["shape"]] for name, info in found}


def main(path):
    with gzip.GzipFile(path, "wb", mtime=0) as out:
        lines = [json.dumps([name, base64.b64encode(content).decode(), verdict(content)], sort_keys=True) for name, content in cases()]
        out.write(("[\n" + ",\n".join(lines) + "\n]\n").encode())


def write(path):
    types = dict(bool=1, uint8=1, int8=1, int16=2, float16=2, bfloat16=2, int32=4, float32=4, float64=8, int64=8)
    tensors, buffers = {}, []

    def add(name, dtype, shape, data):
        buffers.append(ctypes.create_string_buffer(data, len(data) + 1))
        tensors[name] = TensorSpec(dtype=dtype, shape=shape, data_ptr=ctypes.addressof(buffers[-1]), data_len=len(data))

    for i, (dtype, size) in enumerate(types.items()):
        for name in ("b", "a", "\u00e9 \"\\\n\x01", "A.10", "A.9"):
            add(f"{name}.{i % 3}.{dtype}", dtype, [i % 3, 2], bytes(range(2 * (i % 3) * size)))
    add("scalar", "float16", [], b"\x00\x3c")
    with open(path, "wb") as out:
        out.write(serialize(tensors, {"ss \u00e9/\u007f": "line\n\"quoted\" \b\f\t\u0001"}))


here = pathlib.Path(__file__).parent
main(here / "verdicts.json.gz")
write(here / "written.safetensors")
