// Package xla runs GoMLX graphs on an XLA device: it finds the PJRT plugin, compiles graph functions into programs whose
// inputs and outputs stay on the device, and provides the few operations of Stable Diffusion (linear layers, convolutions,
// attention, normalisations) with gradients that XLA executes fast.
package xla

import (
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gomlx/gomlx/backends"
	gomlx "github.com/gomlx/gomlx/backends/xla"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Environment variables that choose the device; both are read once, by the first call of Backend.
const (
	DeviceVar = "LOHAKIT_DEVICE"           // "cpu" (default) or "cuda"
	PluginVar = "PJRT_PLUGIN_LIBRARY_PATH" // folders searched first for pjrt_c_api_<device>_plugin.so, separated as in PATH
)

// Backend returns the process-wide XLA backend, opening the PJRT plugin on the first call. The plugin
// pjrt_c_api_<device>_plugin.so is searched in the folders of $PJRT_PLUGIN_LIBRARY_PATH, in .xla/ of the working folder and of each
// of its parents, beside the executable, and in the user's data folder (~/.local/share/lohakit). A plugin that is not there is
// a fault of kind Missing; the outcome of the first call, error or not, is the outcome of all.
var Backend = sync.OnceValues(openBackend)

func openBackend() (backends.Backend, error) {
	device := os.Getenv(DeviceVar)
	if device == "" {
		device = "cpu"
	}
	if device != "cpu" && device != "cuda" {
		return nil, fault.New(fault.Invalid, "choose device", DeviceVar, "%q is neither cpu nor cuda", device)
	}
	plugin := findPlugin("pjrt_c_api_"+device+"_plugin.so", pluginFolders())
	if plugin == "" {
		return nil, fault.New(fault.Missing, "open XLA", device, "its PJRT plugin is not installed").Fix("run make setup")
	}
	config := plugin
	if device == "cpu" {
		hookCompile(plugin)
		config += ",shared_buffers"
	} else {
		pointToCUDA(plugin)
	}
	gomlx.EnableAutoInstall(false)
	if _, set := os.LookupEnv(backends.ConfigEnvVar); !set {
		os.Setenv(backends.ConfigEnvVar, gomlx.BackendName+":"+config) // code that asks GoMLX for its default gets the same device
	}
	backend, err := gomlx.New(config)
	if err != nil {
		if device == "cuda" && strings.Contains(strings.ToLower(err.Error()), "no visible") {
			return nil, fault.New(fault.Missing, "open XLA", "cuda", "no NVIDIA GPU is visible").Fix("unset %s to use the CPU", DeviceVar)
		}
		return nil, fault.New(fault.Missing, "open XLA", plugin, "%w", err).Fix("run make setup again")
	}
	return backend, nil
}

// pluginFolders lists the folders searched for plugins, in order of preference.
func pluginFolders() []string {
	folders := filepath.SplitList(os.Getenv(PluginVar))
	if dir, err := os.Getwd(); err == nil {
		for {
			folders = append(folders, filepath.Join(dir, ".xla"))
			parent := filepath.Dir(dir)
			if parent == dir {
				break
			}
			dir = parent
		}
	}
	if exe, err := os.Executable(); err == nil {
		folders = append(folders, filepath.Dir(exe), filepath.Join(filepath.Dir(exe), ".xla"))
	}
	data := os.Getenv("XDG_DATA_HOME")
	if data == "" {
		if home, err := os.UserHomeDir(); err == nil {
			data = filepath.Join(home, ".local", "share")
		}
	}
	if data != "" {
		folders = append(folders, filepath.Join(data, "lohakit"))
	}
	return folders
}

// findPlugin returns the absolute path of the first regular file called name in folders, "" if there is none.
func findPlugin(name string, folders []string) string {
	for _, folder := range folders {
		path, err := filepath.Abs(filepath.Join(folder, name))
		if err != nil {
			continue
		}
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// pointToCUDA tells XLA where the compiler of the nvidia-cuda-nvcc wheel lies, relative to the plugin of the jax wheels
// (jax_plugins/xla_cuda12/ beside nvidia/): the guess built into go-xla v0.1.4 is wrong for that layout.
func pointToCUDA(plugin string) {
	if real, err := filepath.EvalSymlinks(plugin); err == nil {
		plugin = real
	}
	nvcc := filepath.Join(filepath.Dir(plugin), "..", "..", "nvidia", "cuda_nvcc")
	if _, err := os.Stat(nvcc); err != nil {
		return
	}
	flags := os.Getenv("XLA_FLAGS")
	if !strings.Contains(flags, "xla_gpu_cuda_data_dir") {
		os.Setenv("XLA_FLAGS", strings.TrimSpace(flags+" --xla_gpu_cuda_data_dir="+nvcc))
	}
}
