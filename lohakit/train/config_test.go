package train

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/dataset"
	"github.com/lohakit/notebook/lohakit/fault"
)

// What a dataset's file decides instead of the Config is said, by field; what they agree on is not.
func TestDatasetFileDecides(t *testing.T) {
	path := filepath.Join(t.TempDir(), "set.toml")
	images, err := filepath.Abs("testdata/images/2_square")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[[datasets]]\nresolution = 64\nbatch_size = 2\n[[datasets.subsets]]\nimage_dir = %q\ncaption_extension = '.txt'\nshuffle_caption = true\n", images)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	data, err := dataset.LoadTOML(path)
	if err != nil {
		t.Fatal(err)
	}
	cfg := tinyConfig()
	r, err := New(tinyModel(t), data, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "decides Resolution, Shuffle: ") || r.Config.Resolution != 64 {
		t.Errorf("resolution %d, warnings %q", r.Config.Resolution, r.Warnings)
	}
	cfg.Resolution, cfg.Shuffle = 64, true
	if r, err := New(tinyModel(t), data, cfg); err != nil || len(r.Warnings) != 0 {
		t.Errorf("where both say the same: %q, %v", r.Warnings, err)
	}
	cfg.BatchSize, cfg.Devices = 4, 4
	if _, err := New(tinyModel(t), data, cfg); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "batches of 2") {
		t.Errorf("four devices for the file's batches of two: %v", err)
	}
}

func TestDefaultIsTheCards(t *testing.T) {
	c := Default()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if c.Kind != adapter.LoHa || c.Dim != 8 || c.ConvDim != 4 || c.Alpha != 1 || c.LR != 2e-4 || c.Optimizer != "AdamW8bit" ||
		c.Scheduler != "constant" || c.Resolution != 512 || c.ClipSkip != 1 || c.Seed != 23 || c.MaxTokens != 150 {
		t.Errorf("%+v", c)
	}
	if c.Name() != "default" {
		t.Errorf("name %q", c.Name())
	}
	c.LR, c.Dim, c.Flip = 5e-4, 32, true
	if got, want := c.Name(), "Dim=32 LR=0.0005 Flip"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

// Every field survives JSON, and an unknown one is refused by name.
func TestConfigJSON(t *testing.T) {
	c := Default()
	v := reflect.ValueOf(&c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(!f.Bool())
		case reflect.Int:
			f.SetInt(f.Int() + 3)
		case reflect.Float64:
			f.SetFloat(f.Float() + 0.125)
		}
	}
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	back := Config{}
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, c) {
		t.Errorf("came back as %+v, %v", back, err)
	}
	if _, err := ReadConfig([]byte(`{"LearningRate": 1}`)); err == nil || !strings.Contains(err.Error(), "LearningRate") {
		t.Errorf("unknown field: %v", err)
	}
	if c, err := ReadConfig([]byte(`{"LR": 1e-3, "Dim": 4}`)); err != nil || c.LR != 1e-3 || c.Dim != 4 || c.Beta2 != 0.99 {
		t.Errorf("%+v, %v", c, err)
	}
}

// A rate that is no number would end in an adapter of NaN, one below 0 unlearns.
func TestPiecesAreRates(t *testing.T) {
	for _, pieces := range []string{"nan:5,1", "1:5,inf", "1:5,-1"} {
		c := Default()
		if c.Scheduler, c.SchedulerPieces = "piecewise_constant", pieces; !fault.Is(c.Check(), fault.Invalid) {
			t.Errorf("%s passed", pieces)
		}
	}
}

func TestCheckNamesTheField(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"LR":                    func(c *Config) { c.LR = -1 },
		"Beta2":                 func(c *Config) { c.Beta2 = math.NaN() },
		"Optimizer":             func(c *Config) { c.Optimizer = "adam" },
		"Warmup":                func(c *Config) { c.Warmup = 10 },
		"MaxTokens":             func(c *Config) { c.MaxTokens = 100 },
		"UNetOnly":              func(c *Config) { c.UNetOnly, c.TextOnly = true, true },
		"SchedulerPieces":       func(c *Config) { c.Scheduler, c.SchedulerPieces = "piecewise_constant", "1:x,2" },
		"MaxTimestep":           func(c *Config) { c.MinTimestep, c.MaxTimestep = 500, 400 },
		"ResizeInterpolation":   func(c *Config) { c.ResizeInterpolation = "lanczos9" },
		"DimFromWeights":        func(c *Config) { c.DimFromWeights = true },
		"BaseWeightsMultiplier": func(c *Config) { c.BaseWeightsMultiplier = []float64{1} },
		"TextStop":              func(c *Config) { c.TextStop = -1 },
		"UseScalar":             func(c *Config) { c.UseScalar, c.Init = true, adapter.Init2023 },
		"Dim":                   func(c *Config) { c.Dim = 0 },
		"GradAccumulation":      func(c *Config) { c.GradAccumulation = 0 },
	} {
		c := Default()
		change(&c)
		if err := c.Check(); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

// Factors at chosen steps, from the published definitions.
func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{Schedule{Name: "constant", Steps: 100}, 50, 1},
		{Schedule{Name: "constant_with_warmup", Warmup: 10, Steps: 100}, 5, 0.5},
		{Schedule{Name: "linear", Warmup: 10, Steps: 110}, 60, 0.5},
		{Schedule{Name: "cosine", Steps: 100}, 50, 0.5},
		{Schedule{Name: "cosine", Steps: 100}, 25, (1 + math.Sqrt2/2) / 2},
		{Schedule{Name: "cosine_with_restarts", Steps: 100, Cycles: 2}, 50, 1},
		{Schedule{Name: "cosine_with_restarts", Steps: 100, Cycles: 2}, 100, 0},
		{Schedule{Name: "polynomial", Steps: 100, Power: 2, LR: 1e-3}, 50, (1-1e-4)*0.25 + 1e-4},
		{Schedule{Name: "inverse_sqrt", Warmup: 100, Steps: 1000}, 400, 0.5},
		{Schedule{Name: "cosine_with_min_lr", Steps: 100, MinRatio: 0.2}, 100, 0.2},
		{Schedule{Name: "warmup_stable_decay", Warmup: 10, Decay: 20, Steps: 100}, 79, 1},
		{Schedule{Name: "warmup_stable_decay", Warmup: 10, Decay: 20, Steps: 100}, 90, 0.5},
		{Schedule{Name: "piecewise_constant", Boundaries: "1:10,0.1:20,0.01"}, 10, 0.1},
		{Schedule{Name: "piecewise_constant", Boundaries: "1:10,0.1:20,0.01"}, 99, 0.01},
	} {
		if got := c.s.Factor(c.step); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v at %d: %g, want %g", c.s, c.step, got, c.want)
		}
	}
}

func FuzzReadConfig(f *testing.F) {
	f.Add([]byte(`{"LR": 1e-3, "Rules": [{"Match": "*"}], "Scheduler": "piecewise_constant", "SchedulerPieces": "1:2,3"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ReadConfig(data)
		if err != nil {
			return
		}
		c.schedule(10).Factor(5)
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ReadConfig(again); err != nil || back.Name() != c.Name() {
			t.Errorf("%s came back as %s, %v", c.Name(), back.Name(), err)
		}
	})
}
