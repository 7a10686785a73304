package xla

import "testing"

func TestInputBytes(t *testing.T) {
	module := `module @unet { func.func @main(%a: tensor<2x3xf32>, %b: tensor<f64> { sdy.sharding = 1 }, %c: tensor<5xbf16>, %d: tensor<0x4xi8>) -> tensor<100xf32> {
		%1 = stablehlo.add(%a, %a) : tensor<1000xf32> } }`
	if got := inputBytes([]byte(module)); got != 24+8+10 {
		t.Errorf("%d bytes, want 42", got)
	}
	if got := inputBytes([]byte("no module")); got != 0 {
		t.Errorf("%d bytes of no module", got)
	}
}

// The bytes that are appended are fields of XLA's CompileOptionsProto.
func TestCPUOptions(t *testing.T) {
	const memory = "\x3a\x3f\x0a\x16xla_cpu_scheduler_type\x12\x25\x0a\x23CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED"
	if got := string(cpuOptions(false)); got != memory {
		t.Errorf("small program: %q", got)
	}
	const plain = "\x3a\x2a\x0a\x24xla_cpu_experimental_ynn_fusion_type\x12\x02\x0a\x00"
	if got := string(cpuOptions(true)); got != memory+plain {
		t.Errorf("large program: %q", got)
	}
}
