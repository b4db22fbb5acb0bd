/* SPDX-License-Identifier: MIT */
/* Models as mlx-lm saves them, and some of them as GGUF files, held against the logits that mlx-lm computes
 * in float32. tests/models/ is what tests/oracle/make_safetensors.py writes; other folders that it wrote may
 * be named as arguments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api_fixture.h"
#include "gguf_fixture.h"

#include "gen/base/file.h"
#include "runtime/api/model.h"
#include "runtime/model/checkpoint.h"

/* Of the greatest logit of a position. Both sides sum in float, in orders of their own: 2^-24 of some 30
 * terms after one another, in 12 products. At most 4e-6 was seen, with the larger models. */
#define TOLERANCE 2e-5

enum { POSITIONS = 32, LOGITS_BYTES_MAX = 64 << 20 };

static const char *const shipped[] = {
    "tests/models/qwen2-bf16",
    "tests/models/qwen2-q4",
    "tests/models/qwen3-q3-mixed",
    "tests/models/qwen3-f32-shards",
    "tests/models/llama-q6",
    "tests/models/llama-f16",
    "tests/models/qwen3-mxfp4-mixed",
    "tests/models/mistral-window",
    "tests/models/gemma3",
    "tests/models/gemma2",
    "tests/models/phi3",
    "tests/models/glm4",
    "tests/models/qwen3-moe-q4",
    "tests/models/qwen3-moe-f16",
    "tests/models/mixtral-bf16",
    "tests/models/gpt-oss-mxfp4",
    "tests/models/gpt-oss-blocks",
    "tests/models/gemma4",
    "tests/models/deepseek-v3",
    "tests/models/deepseek-v3-hf",
    "tests/models/qwen3_5",
    "tests/models/qwen3_5-hf",
};
static const char *const *folders = shipped;
static size_t folder_count = KGEN_COUNT_OF(shipped);

/* The greatest difference of a position, in parts of its greatest logit. */
static double compare(const float *logits, const float *expected, int64_t vocab)
{
    double greatest = 0, difference = 0;
    for (int64_t i = 0; i < vocab; i++) {
        greatest = fmax(greatest, fabs((double)expected[i]));
        difference = fmax(difference, fabs((double)logits[i] - (double)expected[i]));
        if (!isfinite(logits[i]))
            return INFINITY;
    }
    return difference / greatest;
}

static void read_expected(const char *folder, int64_t vocab, struct kgen_text *expected)
{
    char path[512];
    struct kgen_error error = {0};
    snprintf(path, sizeof path, "%s/logits.f32", folder);
    if (kgen_file_read(path, LOGITS_BYTES_MAX, expected, &error) != 0)
        fail_msg("%s: %s", path, error.message);
    assert_int_equal(expected->length, (size_t)vocab * POSITIONS * sizeof(float));
}

/* Position by position, or the first as a prompt of several rows. Returns the greatest difference. */
static double run_model(struct kgen_model *model, const char *folder, size_t prompt)
{
    const int64_t vocab = kgen_decoder_vocabulary(model->decoder);
    int32_t tokens[POSITIONS];
    struct kgen_text expected = {0};
    struct kgen_error error = {0};
    double worst = 0;
    read_expected(folder, vocab, &expected);
    for (int64_t i = 0; i < POSITIONS; i++)
        tokens[i] = (int32_t)((7919 * i + 13) % vocab);
    for (size_t i = prompt > 0 ? prompt - 1 : 0; i < POSITIONS; i++) {
        const float *logits = i + 1 == prompt
                                  ? kgen_decoder_prompt(model->decoder, tokens, prompt, 0, &error)
                                  : kgen_decoder_step(model->decoder, tokens[i], (int64_t)i, &error);
        if (logits == NULL)
            fail_msg("%s: %s", folder, error.message);
        float *wanted = malloc((size_t)vocab * sizeof *wanted);
        assert_non_null(wanted);
        memcpy(wanted, expected.data + i * (size_t)vocab * sizeof *wanted, (size_t)vocab * sizeof *wanted);
        worst = fmax(worst, compare(logits, wanted, vocab));
        free(wanted);
    }
    kgen_text_free(&expected);
    return worst;
}

/* folder has the logits; path is it, or the model's file. */
static void check(struct api_fixture *fixture, const char *folder, const char *path,
                  const char *activation_dtype, size_t prompt)
{
    struct kgen_settings settings = api_settings(fixture, KGEN_ESTIMATE);
    struct kgen_status status = {0};
    char text[1024];
    settings.threads = 2;
    struct kgen_context *context = api_open(&settings);
    const struct kgen_model_options options = {.activation_dtype = activation_dtype,
                                               .cache_dtype = "f32",
                                               .context = POSITIONS,
                                               .prompt_rows = prompt > 0 ? 8 : 1};
    struct kgen_model *model = kgen_model_of_checkpoint(context, path, &options, &status);
    if (model == NULL)
        fail_msg("%s: %s", path, kgen_status_format(&status, text, sizeof text));
    const double worst = run_model(model, folder, prompt);
    print_message("%s, %s, prompt %zu: %.2g of the greatest logit\n", path, activation_dtype, prompt, worst);
    if (!(worst <= TOLERANCE))
        fail_msg("%s, %s: %g, more than %g", path, activation_dtype, worst, TOLERANCE);
    kgen_model_close(model);
    kgen_close(context);
}

/* ---- the same models as GGUF files ---- */

/* How a GGUF file has a tensor. Of q_norm there may be a factor that does what the metadata cannot say. */
struct stored {
    const char *name, *gguf;
};

static const struct stored shared_names[] = {
    {"model.embed_tokens.weight", "token_embd.weight"},
    {"model.norm.weight", "output_norm.weight"},
    {"lm_head.weight", "output.weight"},
    {"input_layernorm.weight", "attn_norm.weight"},
    {"self_attn.q_proj.weight", "attn_q.weight"},
    {"self_attn.k_proj.weight", "attn_k.weight"},
    {"self_attn.v_proj.weight", "attn_v.weight"},
    {"self_attn.q_proj.bias", "attn_q.bias"},
    {"self_attn.k_proj.bias", "attn_k.bias"},
    {"self_attn.v_proj.bias", "attn_v.bias"},
    {"self_attn.qkv_proj.weight", "attn_qkv.weight"},
    {"self_attn.o_proj.weight", "attn_output.weight"},
    {"self_attn.q_norm.weight", "attn_q_norm.weight"},
    {"self_attn.k_norm.weight", "attn_k_norm.weight"},
    {"mlp.gate_proj.weight", "ffn_gate.weight"},
    {"mlp.up_proj.weight", "ffn_up.weight"},
    {"mlp.gate_up_proj.weight", "ffn_up.weight"},
    {"mlp.down_proj.weight", "ffn_down.weight"},
    {NULL, NULL},
};

static const struct stored gemma_names[] = {
    {"post_attention_layernorm.weight", "post_attention_norm.weight"},
    {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
    {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
    {NULL, NULL},
};

static const struct stored glm4_names[] = {
    {"post_self_attn_layernorm.weight", "post_attention_norm.weight"},
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"post_mlp_layernorm.weight", "post_ffw_norm.weight"},
    {NULL, NULL},
};

static const struct stored gpt_oss_names[] = {
    {"post_attention_layernorm.weight", "post_attention_norm.weight"},
    {"self_attn.sinks", "attn_sinks.weight"},
    {"self_attn.o_proj.bias", "attn_output.bias"},
    {"mlp.router.weight", "ffn_gate_inp.weight"},
    {"mlp.router.bias", "ffn_gate_inp.bias"},
    {"mlp.experts.gate_proj.weight", "ffn_gate_exps.weight"},
    {"mlp.experts.gate_proj.bias", "ffn_gate_exps.bias"},
    {"mlp.experts.up_proj.weight", "ffn_up_exps.weight"},
    {"mlp.experts.up_proj.bias", "ffn_up_exps.bias"},
    {"mlp.experts.down_proj.weight", "ffn_down_exps.weight"},
    {"mlp.experts.down_proj.bias", "ffn_down_exps.bias"},
    {NULL, NULL},
};

static const struct stored phi3_names[] = {
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {NULL, NULL},
};

static const struct stored deepseek_names[] = {
    {"post_attention_layernorm.weight", "ffn_norm.weight"},
    {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
    {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
    {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
    {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
    {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
    {"self_attn.embed_q.weight", "attn_k_b.weight"},
    {"self_attn.unembed_out.weight", "attn_v_b.weight"},
    {"mlp.gate.weight", "ffn_gate_inp.weight"},
    {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
    {"mlp.switch_mlp.gate_proj.weight", "ffn_gate_exps.weight"},
    {"mlp.switch_mlp.up_proj.weight", "ffn_up_exps.weight"},
    {"mlp.switch_mlp.down_proj.weight", "ffn_down_exps.weight"},
    {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
    {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
    {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"},
    {NULL, NULL},
};

struct number {
    const char *key;
    double value;
    bool integer;
};

static const struct of_gguf {
    const char *folder, *architecture;
    const struct stored *names;
    bool gemma;
    double q_norm; /* factor of its weights */
    int64_t layers, hidden;
    struct number numbers[20];
} of_gguf[] = {
    {"tests/models/gemma3",
     "gemma3",
     gemma_names,
     true,
     0.816496580927726 /* sqrt(16 / 24) */,
     2,
     64,
     {{"attention.sliding_window", 8, true},
      {"attention.sliding_window_pattern", 2, true},
      {"attention.key_length", 16, true},
      {"attention.value_length", 16, true},
      {"rope.freq_base", 1e6, false},
      {"rope.freq_base_swa", 100, false},
      {"rope.scaling.factor", 8, false}}},
    {"tests/models/gemma2",
     "gemma2",
     gemma_names,
     true,
     1,
     2,
     64,
     {{"attention.sliding_window", 64, true},
      {"attention.key_length", 16, true},
      {"attention.value_length", 16, true},
      {"attn_logit_softcapping", 2, false},
      {"final_logit_softcapping", 3, false}}},
    {"tests/models/phi3",
     "phi3",
     phi3_names,
     false,
     1,
     1,
     32,
     {{"attention.sliding_window", 64, true}, {"rope.dimension_count", 12, true}}},
    {"tests/models/glm4", "glm4", glm4_names, false, 1, 2, 32, {{"rope.dimension_count", 8, true}}},
    {"tests/models/gpt-oss-mxfp4",
     "gpt-oss",
     gpt_oss_names,
     false,
     1,
     2,
     32,
     {{"attention.head_count", 4, true},
      {"attention.head_count_kv", 2, true},
      {"attention.key_length", 16, true},
      {"attention.value_length", 16, true},
      {"attention.sliding_window", 8, true},
      {"expert_count", 4, true},
      {"expert_used_count", 2, true},
      {"expert_feed_forward_length", 32, true},
      {"rope.scaling.original_context_length", 64, true},
      {"rope.freq_base", 10000, false},
      {"rope.scaling.yarn_beta_fast", 16, false},
      {"rope.scaling.yarn_beta_slow", 1.018592, false},
      {"rope.scaling.factor", 8, false}}},
    {"tests/models/deepseek-v3",
     "deepseek2",
     deepseek_names,
     false,
     1,
     2,
     32,
     {{"attention.q_lora_rank", 32, true},
      {"attention.kv_lora_rank", 32, true},
      {"attention.key_length", 40, true},
      {"attention.value_length", 32, true},
      {"attention.key_length_mla", 40, true},
      {"attention.value_length_mla", 16, true},
      {"rope.dimension_count", 8, true},
      {"rope.scaling.factor", 4, false},
      {"rope.scaling.original_context_length", 16, true},
      {"rope.scaling.yarn_beta_fast", 4, false},
      {"rope.scaling.yarn_log_multiplier", 0.08, false},
      {"leading_dense_block_count", 1, true},
      {"expert_count", 6, true},
      {"expert_used_count", 3, true},
      {"expert_shared_count", 1, true},
      {"expert_group_count", 3, true},
      {"expert_group_used_count", 2, true},
      {"expert_feed_forward_length", 32, true},
      {"expert_gating_func", 2, true},
      {"expert_weights_scale", 2.5, false}}},
};

static bool has_number(const struct of_gguf *model, const char *key)
{
    bool found = false;
    for (size_t i = 0; i < KGEN_COUNT_OF(model->numbers); i++)
        found = found || (model->numbers[i].key != NULL && strcmp(model->numbers[i].key, key) == 0);
    return found;
}

static void put_numbers(struct kgen_test_gguf *file, const struct of_gguf *model)
{
    static const struct number shared[] = {
        {"feed_forward_length", 32, true},
        {"attention.head_count", 2, true},
        {"attention.head_count_kv", 1, true},
        {"context_length", 64, true},
        {"attention.layer_norm_rms_epsilon", 1e-6, false},
    };
    char key[80];
    kgen_test_gguf_string(file, "general.architecture", model->architecture);
    if (model->names == deepseek_names)
        kgen_test_gguf_bool(file, "deepseek2.expert_weights_norm", true);
    snprintf(key, sizeof key, "%s.block_count", model->architecture);
    kgen_test_gguf_u32(file, key, (uint32_t)model->layers);
    snprintf(key, sizeof key, "%s.embedding_length", model->architecture);
    kgen_test_gguf_u32(file, key, (uint32_t)model->hidden);
    for (size_t i = 0; i < KGEN_COUNT_OF(shared) + KGEN_COUNT_OF(model->numbers); i++) {
        const struct number *number =
            i < KGEN_COUNT_OF(shared) ? &shared[i] : &model->numbers[i - KGEN_COUNT_OF(shared)];
        if (number->key == NULL || (i < KGEN_COUNT_OF(shared) && has_number(model, number->key)))
            continue;
        snprintf(key, sizeof key, "%s.%s", model->architecture, number->key);
        if (number->integer)
            kgen_test_gguf_u32(file, key, (uint32_t)number->value);
        else
            kgen_test_gguf_f32(file, key, (float)number->value);
        if (strcmp(number->key, "rope.scaling.factor") == 0) {
            snprintf(key, sizeof key, "%s.rope.scaling.type", model->architecture);
            kgen_test_gguf_string(file, key,
                                  model->names == gpt_oss_names || model->names == deepseek_names ? "yarn"
                                                                                                  : "linear");
        }
    }
}

static const char *gguf_name(const struct of_gguf *model, const char *name)
{
    const struct stored *const tables[] = {model->names, shared_names};
    for (size_t t = 0; t < KGEN_COUNT_OF(tables); t++) {
        for (const struct stored *row = tables[t]; row->name != NULL; row++) {
            if (strcmp(row->name, name) == 0)
                return row->gguf;
        }
    }
    fail_msg("%s: there is no name for %s", model->folder, name);
    return NULL;
}

/* MLX's mxfp4 as ggml's: a block is the scale, then value j of 32 beside value j + 16. */
static void put_blocks(struct kgen_test_gguf *file, const char *name,
                       const struct kgen_checkpoint_tensor *tensor, const int64_t *dims)
{
    enum { VALUES = 32, BYTES = 17 };
    const int64_t count = tensor->elements / VALUES;
    unsigned char *blocks = malloc((size_t)count * BYTES);
    assert_non_null(blocks);
    assert_int_equal(tensor->matrix.format->scheme, KGEN_MXFP4);
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *values = tensor->arrays[0] + i * VALUES / 2;
        unsigned char *block = blocks + i * BYTES;
        block[0] = tensor->arrays[1][i];
        for (int j = 0; j < VALUES / 2; j++) {
            const int low = values[j / 2] >> (j % 2 * 4) & 15;
            const int high = values[(j + VALUES / 2) / 2] >> (j % 2 * 4) & 15;
            block[1 + j] = (unsigned char)(low | high << 4);
        }
    }
    kgen_test_gguf_tensor(file, name, KGEN_GGUF_TENSOR_MXFP4, (unsigned)tensor->rank, dims, blocks);
    free(blocks);
}

static void put_tensor(struct kgen_test_gguf *file, const struct of_gguf *model,
                       const struct kgen_checkpoint *checkpoint, const struct kgen_checkpoint_tensor *tensor)
{
    static const char prefix[] = "model.layers.";
    char name[80];
    const size_t last = tensor->rank - 1;
    const int64_t dims[] = {tensor->shape[last], tensor->shape[last > 0 ? last - 1 : 0], tensor->shape[0]};
    const bool layer = strncmp(tensor->name, prefix, strlen(prefix)) == 0;
    const bool q_norm = strstr(tensor->name, "q_norm") != NULL;
    struct kgen_error error = {0};
    if (layer)
        snprintf(name, sizeof name, "blk.%c.%s", tensor->name[strlen(prefix)],
                 gguf_name(model, tensor->name + strlen(prefix) + 2));
    else
        snprintf(name, sizeof name, "%s", gguf_name(model, tensor->name));
    if (!tensor->plain) {
        put_blocks(file, name, tensor, dims);
        return;
    }
    float *values = malloc((size_t)tensor->elements * sizeof *values);
    assert_non_null(values);
    assert_int_equal(kgen_checkpoint_values(checkpoint, tensor->name, values, tensor->elements, &error), 0);
    for (int64_t i = 0; i < tensor->elements && tensor->rank == 1; i++) {
        values[i] += model->gemma && strstr(tensor->name, "norm") != NULL ? 1 : 0;
        values[i] *= q_norm ? (float)model->q_norm : 1;
    }
    kgen_test_gguf_tensor(file, name, KGEN_GGUF_TENSOR_F32, (unsigned)tensor->rank, dims, values);
    free(values);
}

/* Writes the model of a folder as converters do. */
static void write_gguf(const struct of_gguf *model, const char *path)
{
    struct kgen_test_gguf file = {0};
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    struct kgen_checkpoint *checkpoint = kgen_checkpoint_open(model->folder, &error);
    assert_non_null(checkpoint);
    put_numbers(&file, model);
    for (size_t i = 0; i < kgen_checkpoint_tensor_count(checkpoint); i++) {
        struct kgen_checkpoint_tensor tensor;
        kgen_checkpoint_tensor_at(checkpoint, i, &tensor);
        put_tensor(&file, model, checkpoint, &tensor);
    }
    kgen_checkpoint_free(checkpoint);
    kgen_test_gguf_finish(&file, &text);
    assert_int_equal(kgen_file_write(path, text.data, text.length, &error), 0);
    kgen_text_free(&text);
}

static void test_gguf(void **state)
{
    struct api_fixture *fixture = *state;
    for (size_t i = 0; i < KGEN_COUNT_OF(of_gguf); i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s.gguf", fixture->folder, of_gguf[i].architecture);
        write_gguf(&of_gguf[i], path);
        check(fixture, of_gguf[i].folder, path, "f32", 0);
        check(fixture, of_gguf[i].folder, path, "i24", 19);
    }
}

static void test_logits(void **state)
{
    size_t cases = 0;
    for (size_t i = 0; i < folder_count; i++, cases += 3) {
        check(*state, folders[i], folders[i], "f32", 0);
        check(*state, folders[i], folders[i], "i24", 0);
        check(*state, folders[i], folders[i], "i24", 19);
    }
    assert_true(cases > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_logits, api_setup, api_teardown),
        cmocka_unit_test_setup_teardown(test_gguf, api_setup, api_teardown),
    };
    if (argc > 1) {
        folders = (const char *const *)(argv + 1);
        folder_count = (size_t)argc - 1;
    }
    return cmocka_run_group_tests_name("models of mlx-lm", tests, NULL, NULL);
}
