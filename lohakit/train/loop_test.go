package train

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/pkg/core/tensors"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
	"github.com/lohakit/notebook/lohakit/sd"
)

// tinyModel is a model of random weights with the real topology, small enough to train in a test.
func tinyModel(t testing.TB) *sd.Model {
	t.Helper()
	m, err := sd.New(sd.Config{
		UNet: sd.UNetConfig{In: 4, Out: 4, Channels: []int{16}, Layers: 1, Attention: []bool{true}, CrossDim: 24, Heads: 2},
		Text: sd.TextConfig{Rows: 40, Width: 24, Layers: 1, Heads: 3, MLP: 48, Positions: sd.Window,
			TokenIDs: []int32{267, 1611, 2225, 5797, 16066, sd.BOS, sd.EOS}},
		VAE:        sd.VAEConfig{Patch: 4, Latent: 4, Scale: 1},
		Prediction: sd.Epsilon,
	}, 3)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tinyConfig compiles and trains quickly: 32 pixels, one bucket, and of the layers only one of each sort; everything else is the card's.
func tinyConfig() Config {
	c := Default()
	c.Resolution, c.BatchSize, c.Steps, c.MaxTokens, c.LR = 32, 2, 12, 75, 5e-3
	c.NoBuckets = true
	c.Rules = []adapter.Rule{{Match: "lora_unet_up_*", Skip: true}, {Match: "lora_unet_mid_*", Skip: true}, {Match: "*attn1*", Skip: true}}
	return c
}

func tinyRun(t testing.TB, cfg Config) *Run {
	t.Helper()
	data, err := dataset.Load("testdata/images", cfg.Dataset())
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(tinyModel(t), data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func train(t testing.TB, r *Run, n int) {
	t.Helper()
	if err := r.Step(context.Background(), n, nil); err != nil {
		t.Fatal(err)
	}
}

// everything is all that a run carries from step to step.
func everything(t testing.TB, r *Run) (all [][]byte) {
	t.Helper()
	ts, trained := slices.Clone(r.state), weights(r.Adapter)
	for _, name := range trained.Names() {
		ts = append(ts, trained.Get(name))
	}
	for _, v := range ts {
		if err := v.ConstBytes(func(data []byte) { all = append(all, slices.Clone(data)) }); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// One run, because compiling its step is what takes the time: it learns, pauses, resumes exactly in a second run, and stops at a NaN.
func TestRun(t *testing.T) {
	cfg := tinyConfig()
	cfg.Steps = 80
	r := tinyRun(t, cfg)

	var phases []string
	train(t, r, 1)
	before, err := r.Validate(2)
	if err != nil {
		t.Fatal(err)
	}
	var last Status
	if err := r.Step(context.Background(), 59, func(s Status) { phases, last = append(phases, s.Phase), s }); err != nil {
		t.Fatal(err)
	}
	after, err := r.Validate(2)
	if err != nil {
		t.Fatal(err)
	}
	if !(after < before*0.98) {
		t.Errorf("loss on fixed noise went from %.4f to %.4f", before, after)
	}
	if last.Step != 60 || last.PerSecond <= 0 || last.Smoothed <= 0 || len(r.Losses()) != 60 || len(phases) != 59 {
		t.Errorf("last status %+v", last)
	}

	t.Run("pause", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		err := r.Step(ctx, 10, func(s Status) {
			if s.Step == 62 {
				cancel()
			}
		})
		if !fault.Is(err, fault.Canceled) || r.Done() != 62 {
			t.Fatalf("after %d steps: %v", r.Done(), err)
		}
	})
	t.Run("save", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "a.safetensors")
		if err := r.Save(path); err != nil {
			t.Fatal(err)
		}
		back, err := adapter.Load(path)
		if err != nil {
			t.Fatal(err)
		}
		if back.Metadata["ss_steps"] != "62" || back.Metadata["ss_network_dim"] != "8" || back.Params.Len() != r.Adapter.Params.Len() {
			t.Errorf("metadata %v", back.Metadata)
		}
		again, err := ReadConfig([]byte(back.Metadata["lohakit.config"]))
		if err != nil || !reflect.DeepEqual(again, r.Config) {
			t.Errorf("config came back as %+v, %v", again, err)
		}
	})
	t.Run("resume", func(t *testing.T) { resumes(t, r, 4) })
	t.Run("NaN", func(t *testing.T) {
		name, done := r.Adapter.Params.Names()[3], r.Done()
		broken := tensors.MustCopyFlatData[float32](r.Adapter.Params.Get(name))
		broken[0] = float32(math.NaN())
		r.Adapter.Params.Set(name, tensors.FromFlatDataAndDimensions(broken, r.Adapter.Params.Shape(name)...))
		kept := everything(t, r)
		err := r.Step(context.Background(), 3, nil)
		if !fault.Is(err, fault.Numeric) || r.Done() != done {
			t.Fatalf("after %d steps: %v", r.Done(), err)
		}
		if !slices.EqualFunc(kept, everything(t, r), slices.Equal[[]byte]) {
			t.Error("the state moved")
		}
		if loss, err := r.Validate(1); !fault.Is(err, fault.Numeric) {
			t.Errorf("validated as %v, %v", loss, err)
		}
	})
}

// Models of the same sizes whose files list the tensors in another order do not share graphs: the same weights give the same loss.
func TestOrderOfTensorsDoesNotMatter(t *testing.T) {
	cfg := tinyConfig()
	first := tinyRun(t, cfg)
	m := tinyModel(t)
	m.UNet, m.Text = backwards(m.UNet), backwards(m.Text)
	second, err := New(m, first.Data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	want, err := first.Validate(1)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := second.Validate(1); err != nil || math.Abs(got-want) > 1e-5*want {
		t.Errorf("loss %v in the other order, want %v; %v", got, want, err)
	}
}

// The graphs that later runs share keep no adapter alive.
func TestSharedGraphsKeepNoWeights(t *testing.T) {
	cfg := tinyConfig()
	cfg.Kind, cfg.Seed = adapter.Full, 5
	r := tinyRun(t, cfg)
	gone := make(chan bool)
	runtime.AddCleanup(r.Adapter.Params, func(c chan bool) { close(c) }, gone)
	r = nil
	for range 200 {
		runtime.GC()
		select {
		case <-gone:
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Error("the adapter of a run that nobody has any more is kept")
}

// An image whose mask is missing stops every step until the mask is there, and then the run goes on.
func TestStepsAfterAMissingMask(t *testing.T) {
	cfg := tinyConfig()
	dir, images := t.TempDir(), os.DirFS("testdata/images/2_square")
	cfg.MaskDir = t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "2_square"), images); err != nil {
		t.Fatal(err)
	}
	data, err := dataset.Load(dir, cfg.Dataset())
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(tinyModel(t), data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Step(t.Context(), 1, nil); err == nil || !strings.Contains(err.Error(), "has no mask") || r.Done() != 0 {
			t.Fatalf("without masks %d steps: %v", r.Done(), err)
		}
	}
	if err := os.CopyFS(cfg.MaskDir, images); err != nil { // of the images' sizes
		t.Fatal(err)
	}
	train(t, r, 1)
}

// resumes goes on with r in two ways, directly and through a file and a new run: weights, optimizer state and losses must be the same bit
// for bit.
func resumes(t *testing.T, r *Run, n int) {
	path := filepath.Join(t.TempDir(), "state.safetensors")
	if err := r.Checkpoint(path); err != nil {
		t.Fatal(err)
	}
	resumed, err := Resume(tinyModel(t), r.Data, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	train(t, r, n)
	train(t, resumed, n)
	agree(t, r, resumed)
}

// noneLonger checks that MaxNorm holds for every layer's difference.
func noneLonger(t *testing.T, r *Run, limit float64) {
	longest := 0.0
	for _, p := range []*sd.Params{r.Model.UNet, r.Model.Text} {
		for _, name := range r.Adapter.Changes(p) {
			delta, err := r.Adapter.Delta(name, p.Get(name))
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, v := range tensors.MustCopyFlatData[float32](delta) {
				sum += float64(v) * float64(v)
			}
			longest = max(longest, math.Sqrt(sum))
		}
	}
	if math.Abs(longest-limit) > 1e-5*limit {
		t.Errorf("the longest difference is %.6g, the limit %g", longest, limit)
	}
}
