package adapter_test

import (
	"fmt"

	"github.com/lohakit/notebook/lohakit/adapter"
	"github.com/lohakit/notebook/lohakit/checkpoint"
	"github.com/lohakit/notebook/lohakit/sd"
)

// Sizes are known before any model is read: what the default adapter is for Stable Diffusion 1.x.
func ExamplePlan() {
	plan, err := adapter.Plan(adapter.Layers(sd.SD1Config()), adapter.Default())
	if err != nil {
		fmt.Println(err)
		return
	}
	bytes, _ := adapter.FileSize(plan, checkpoint.F16, nil)
	fmt.Printf("%d layers, %.1f MB\n", len(plan), float64(bytes)/1e6)
	for _, t := range plan[0].Tensors {
		fmt.Println(plan[0].Layer.Name, t.Suffix, t.Shape)
	}
	// Output:
	// 354 layers, 23.6 MB
	// lora_te_text_model_encoder_layers_0_self_attn_q_proj hada_w1_a [768 8]
	// lora_te_text_model_encoder_layers_0_self_attn_q_proj hada_w1_b [8 768]
	// lora_te_text_model_encoder_layers_0_self_attn_q_proj hada_w2_a [768 8]
	// lora_te_text_model_encoder_layers_0_self_attn_q_proj hada_w2_b [8 768]
}
