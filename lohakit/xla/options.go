package xla

import (
	"bytes"
	"regexp"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// largeProgram is the size in bytes of a program's inputs from which memory counts for more than what YNN gains: see cpuOptions.
const largeProgram = 256 << 20

// cpuOptions is appended to the options with which a program is compiled for the CPU: a serialized CompileOptionsProto.
//
// XLA by itself starts whatever can start, so that the transposed kernels of all convolutions of a UNet exist at once, 2 GB of them at
// full size; in the order that takes least memory there is one at a time, and no graph measured is slower. And each operation of the
// YNN library keeps its weights packed as long as the program lives, 2.4 GB at full size, where it is no faster than what XLA does
// without it; small UNets it evaluates in two thirds of the time.
func cpuOptions(large bool) []byte {
	options := override(nil, "xla_cpu_scheduler_type", "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED")
	if large {
		options = override(options, "xla_cpu_experimental_ynn_fusion_type", "")
	}
	return options
}

// Fields of CompileOptionsProto, of the entries of its map of overrides, and of the values there.
const (
	envOptionOverrides   = 7
	entryKey, entryValue = 1, 2
	overrideString       = 1
)

// override appends a value for XLA's debug option called name.
func override(options []byte, name, value string) []byte {
	entry := protowire.AppendString(protowire.AppendTag(nil, entryKey, protowire.BytesType), name)
	text := protowire.AppendString(protowire.AppendTag(nil, overrideString, protowire.BytesType), value)
	entry = protowire.AppendBytes(protowire.AppendTag(entry, entryValue, protowire.BytesType), text)
	return protowire.AppendBytes(protowire.AppendTag(options, envOptionOverrides, protowire.BytesType), entry)
}

var tensorType = regexp.MustCompile(`tensor<((?:\d+x)*)[a-z]+(\d+)>`)

// inputBytes is the size of the inputs of a StableHLO module's main function.
func inputBytes(code []byte) int {
	_, signature, _ := bytes.Cut(code, []byte("@main("))
	signature, _, _ = bytes.Cut(signature, []byte("->"))
	total := 0
	for _, m := range tensorType.FindAllSubmatch(signature, -1) {
		bits, _ := strconv.Atoi(string(m[2]))
		for dim := range bytes.SplitSeq(m[1], []byte("x")) {
			if n, err := strconv.Atoi(string(dim)); err == nil {
				bits *= n
			}
		}
		total += bits / 8
	}
	return total
}
