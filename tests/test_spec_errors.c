/* SPDX-License-Identifier: MIT */
/* Specs that are refused: the place, the message and the hint of each. */
#include "gen/spec/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct refusal {
    const char *text;
    int line, column;
    const char *message, *hint; /* parts; hint NULL where it does not matter */
};

static void refuse(const struct refusal *refusals, size_t count)
{
    size_t cases = 0;
    for (size_t i = 0; i < count; i++, cases++) {
        const struct refusal *refusal = &refusals[i];
        struct kgen_error error = {0};
        struct kgen_spec *spec =
            kgen_spec_parse("dir/a.json", refusal->text, strlen(refusal->text), NULL, &error);
        if (spec != NULL)
            fail_msg("accepted: %s", refusal->text);
        char shown[1200];
        kgen_error_format(&error, shown, sizeof shown);
        if (error.code != KGEN_ERROR_SPEC || strstr(error.message, refusal->message) == NULL ||
            (refusal->hint != NULL && strstr(error.hint, refusal->hint) == NULL) ||
            error.line != refusal->line || error.column != refusal->column)
            fail_msg("case %zu\n%s\ngot      %s\nexpected %d:%d %s; %s", i, refusal->text, shown,
                     refusal->line, refusal->column, refusal->message,
                     refusal->hint != NULL ? refusal->hint : "");
        assert_string_equal(error.source, "dir/a.json");
    }
    assert_true(cases > 0);
}

/* Text around a problem of a list; the problem begins at 1:15. */
#define LIST(problem) "{\"problems\": [" problem "]}"
#define QMV_HEAD "{\"op\": \"qmv\", \"N\": 64, \"K\": 128"
#define QMV(rest) LIST(QMV_HEAD rest "}") /* rest begins at 1:46 */

static void test_syntax(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"", 1, 1, "the spec is empty", NULL},
        {" \n\t", 1, 1, "the spec is empty", NULL},
        {"{\n  \"problems\": [\n    {]\n", 3, 6, "not valid JSON", NULL},
        {"{\"problems\": ", 1, 13, "not valid JSON", NULL},
        {"[1]", 1, 1, "a spec must be an object", NULL},
        {"5", 1, 1, "not valid JSON", NULL},
        {"{\"name\": \"a\", \"name\": \"b\"}", 1, 20, "duplicate", NULL},
        {"{\"name\": \"\xff\"}", 1, 10, "not valid JSON", NULL},
        {"{\"name\": \"\\u0000\"}", 1, 17, "not valid JSON", NULL},
        {"{} {}", 1, 4, "not valid JSON", NULL},
        {LIST("{\"op\": \"qmv\", \"N\": 99999999999999999999}"), 1, 53, "too big integer", NULL},
        {LIST("{\"op\": \"qmv\", \"N\": 1e999}"), 1, 38, "real number overflow", NULL},
    };
    refuse(cases, KGEN_COUNT_OF(cases));
}

static void test_list(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{\"problems\": []}", 1, 14, "\"problems\" is empty", NULL},
        {"{\"name\": \"\u00e9\", \"problems\": []}", 1, 27, "\"problems\" is empty", NULL},
        {LIST("{\"op\": \"add\", \"tensors\": \"a\\\"]}\", \"size\": 0}"), 1, 57, "not 0", NULL},
        {LIST("{\"op\": \"add\", \"\\u0073ize\": 0}"), 1, 42, "not 0", NULL},
        {"{\"problems\": {}}", 1, 14, "must be an array, not an object", NULL},
        {"{\"problems\": [], \"nam\": \"x\"}", 1, 18, "unknown key \"nam\"", "did you mean \"name\"?"},
        {"{\"problems\": [], \"kgen_schema\": 2}", 1, 33, "schema 2; this kgen reads schema 1", NULL},
        {"{\"problems\": [], \"kgen_schema\": \"1\"}", 1, 33, "\"kgen_schema\" must be an integer", NULL},
        {"{\"problems\": [], \"model_type\": \"llama\"}", 1, 2, "not both", NULL},
        {"{\"problems\": [], \"scales\": \"fp16\"}", 1, 28, "\"scales\" of the spec must be \"f16\"",
         "did you mean \"f16\"?"},
        {"{\"problems\": [], \"layout\": \"tiles\"}", 1, 28,
         "\"layout\" of the spec must be \"stored\" or \"tiles16\"", "did you mean \"tiles16\"?"},
        {"{\"problems\": [], \"activation_dtype\": []}", 1, 38, "\"activation_dtype\" is an empty list",
         NULL},
        {"{\"problems\": [], \"scales\": \"f16\", \"scale_dtype\": \"f16\"}", 1, 18,
         "\"scales\" and \"scale_dtype\" are one field", NULL},
        {"{\"problems\": [], \"activation_dtype\": \"i8\", \"activations\": \"i8\"}", 1, 44,
         "\"activations\" and \"activation_dtype\" are one field", NULL},
        {"{\"problems\": [], \"activations\": []}", 1, 33, "\"activations\" is an empty list", NULL},
        {"{\"problems\": [], \"activations\": [\"i8\", \"i8\"]}", 1, 40, "names i8 twice", NULL},
        {"{\"problems\": [], \"activations\": [\"i8\", 8]}", 1, 40, "not 8", NULL},
        {LIST("5"), 1, 15, "a problem must be an object, not 5", NULL},
        {LIST("{}"), 1, 15, "a problem needs \"op\"", "\"qmv\", \"qmm\", \"dequantize\""},
        {LIST("{\"op\": \"qvm\"}"), 1, 22, "there is no op \"qvm\"", "did you mean \"qmv\"?"},
        {LIST("{\"op\": 1}"), 1, 22, "\"op\" must be a string, not 1", NULL},
        {LIST("{\"op\": \"qmv\", \"N\": 64, \"bits\": 4, \"group_size\": 64}"), 1, 15, "qmv needs \"K\"",
         NULL},
        {LIST("{\"op\": \"qmv\", \"K\": 64, \"bits\": 4, \"group_size\": 64}"), 1, 15, "qmv needs \"N\"",
         NULL},
        {QMV(", \"group_size\": 64"), 1, 15, "qmv needs \"bits\"", NULL},
        {QMV(", \"bits\": 4"), 1, 15, "qmv needs \"group_size\"", NULL},
        {LIST("{\"op\": \"rms_norm\"}"), 1, 15, "rms_norm needs \"size\"", NULL},
        {LIST("{\"op\": \"rope\", \"heads\": 4}"), 1, 15, "rope needs \"head_dim\"", NULL},
        {LIST("{\"op\": \"rope\", \"head_dim\": 4}"), 1, 15, "rope needs \"heads\"", NULL},
        {LIST("{\"op\": \"swiglu\"}"), 1, 15, "swiglu needs \"size\"", NULL},
        {LIST("{\"op\": \"add\"}"), 1, 15, "add needs \"size\"", NULL},
        {QMV(", \"bit\": 4"), 1, 48, "unknown key \"bit\" in a problem of op qmv", "did you mean \"bits\"?"},
        {QMV(", \"groupsize\": 4"), 1, 48, "unknown key \"groupsize\"", "did you mean \"group_size\"?"},
        {QMV(", \"k\": 4"), 1, 48, "unknown key \"k\"", "did you mean \"K\"?"},
        {QMV(", \"zzzzzzz\": 4"), 1, 48, "unknown key \"zzzzzzz\"", "known are \"op\", \"tensors\""},
        {QMV(", \"a\\u001bb\": 4"), 1, 48, "unknown key \"a?b\"", NULL},
        {LIST("{\"op\": \"dequantize\", \"activations\": \"i8\"}"), 1, 36, "unknown key \"activations\"",
         NULL},
        {QMV(", \"bits\": 7"), 1, 56, "\"bits\" of qmv must be 1, 2, 3, 4, 5, 6, 8, 16 or 32, not 7", NULL},
        {QMV(", \"bits\": 4, \"group_size\": 48"), 1, 73,
         "\"group_size\" of qmv must be 16, 32, 64 or 128, not 48", NULL},
        {QMV(", \"bits\": 4, \"group_size\": 64, \"mode\": \"afine\""), 1, 85, "\"mode\" of qmv must be",
         "did you mean \"affine\"?"},
        {QMV(", \"bits\": 4, \"group_size\": 64, \"mode\": \"awq\""), 1, 85, "not \"awq\"", NULL},
        {QMV(", \"bits\": 4, \"group_size\": 64, \"activations\": \"f16\""), 1, 92, "not \"f16\"", NULL},
        {QMV(", \"bits\": 4, \"group_size\": 64, \"calls\": 0"), 1, 86, "\"calls\" must be an integer from 1",
         NULL},
        {QMV(", \"bits\": 4, \"group_size\": 64, \"tensors\": 0"), 1, 88, "\"tensors\" must be a string",
         NULL},
        {LIST("\n{\"op\": \"qmv\",\n \"N\": 64,\n \"K\": 100, \"bits\": 4, \"group_size\": 64}"), 4, 7,
         "K 100 is not a multiple of group_size 64", "128 is"},
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"residual\": 1}"), 1, 57, "must be true or false, not 1",
         NULL},
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"eps\": \"1\"}"), 1, 52, "must be a number from", NULL},
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"eps\": 0}"), 1, 52, "not 0", NULL},
        {LIST("{\"op\": \"rope\", \"heads\": 4, \"head_dim\": 63}"), 1, 15, "rotary_dim 63 is not", NULL},
        {LIST("{\"op\": \"rope\", \"heads\": 4, \"head_dim\": 64, \"factor\": 8}"), 1, 15,
         "\"factor\" means nothing", "set \"scaling\""},
    };
    refuse(cases, KGEN_COUNT_OF(cases));
}

/* Values that cannot be a size; the value begins at 1:34. */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *value, *message;
    } cases[] = {
        {"0", "an integer from 1 to 2147483648, not 0"},
        {"-4", "not -4"},
        {"4096.5", "not 4096.5"},
        {"4096.0", "not 4096.0"},
        {"1e3", "not 1e3"},
        {"1e30", "not 1e30"},
        {"2147483649", "not 2147483649"},
        {"9223372036854775807", "not 9223372036854775807"},
        {"\"4096\"", "not \"4096\""},
        {"true", "not true"},
        {"null", "not null"},
        {"[1]", "not an array"},
        {"{}", "not an object"},
        {"\"a very long string that is not shown to its very end\"",
         "a very long string that is not shown to its..."},
    };
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        char text[200];
        snprintf(text, sizeof text, "{\"problems\": [{\"op\":\"add\",\"size\":%s}]}", cases[i].value);
        struct refusal refusal = {text, 1, 34, cases[i].message, NULL};
        refuse(&refusal, 1);
    }
}

static void test_nesting(void **state)
{
    (void)state;
    struct kgen_text text = {0};
    for (int i = 0; i < 100000; i++)
        kgen_text_puts(&text, "[");
    struct kgen_error error = {0};
    assert_null(kgen_spec_parse("a", text.data, text.length, NULL, &error));
    assert_int_equal(error.code, KGEN_ERROR_SPEC);
    assert_non_null(strstr(error.message, "depth"));
    kgen_text_free(&text);

    struct kgen_error nul = {0};
    assert_null(kgen_spec_parse("a", "{\0}", 3, NULL, &nul));
    assert_int_equal(nul.code, KGEN_ERROR_SPEC);
    struct kgen_error inner = {0};
    static const char key[] = "{\"na\0me\": 1}";
    assert_null(kgen_spec_parse("a", key, sizeof key - 1, NULL, &inner));
    assert_int_equal(inner.code, KGEN_ERROR_SPEC);
}

/* ---- what Python's json writes and JSON does not know ---- */

static void test_not_finite(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"eps\": Infinity}"), 1, 52,
         "\"eps\" of rms_norm must be a number from 1e-12 to 1, not Infinity", NULL},
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"eps\": -Infinity}"), 1, 52, "not -Infinity", NULL},
        {LIST("{\"op\": \"rms_norm\", \"size\": 8, \"eps\": NaN}"), 1, 52, "not NaN", NULL},
        {LIST("{\"op\": \"add\", \"size\": Infinity}"), 1, 37, "\"size\" of add must be an integer", NULL},
        {LIST("{\"op\": \"add\", \"size\": 1, \"calls\": Infinity}"), 1, 49, "\"calls\" must be", NULL},
        {LIST("{\"op\": NaN}"), 1, 22, "\"op\" must be a string, not NaN", NULL},
        {LIST("{\"op\": \"add\", \"size\": 1, \"tensors\": Infinity}"), 1, 51,
         "must be a string, not Infinity", NULL},
        {LIST("Infinity"), 1, 15, "a problem must be an object, not Infinity", NULL},
        {"{\"architectures\": [NaN]}", 1, 19, "must be an array with a name", NULL},
        /* Places after one are those of the text. */
        {LIST("{\"op\": \"rms_norm\", \"eps\": Infinity, \"siz\": 8}"), 1, 51, "unknown key \"siz\"", NULL},
        {LIST("{\"op\": \"rms_norm\", \"eps\": -Infinity, \"size\" 8}"), 1, 59, "not valid JSON", NULL},
        /* Python reads none of these. */
        {LIST("{\"op\": \"add\", \"size\": infinity}"), 1, 44, "not valid JSON", NULL},
        {LIST("{\"op\": \"add\", \"size\": -NaN}"), 1, 37, "not valid JSON", NULL},
        {LIST("{\"op\": \"add\", \"size\": Infinity1}"), 1, 44, "not valid JSON", NULL},
        {LIST("{\"op\": \"add\", \"size\": 1Infinity}"), 1, 45, "not valid JSON", NULL},
        {LIST("{\"op\": \"add\", NaN: 1}"), 1, 31, "not valid JSON", NULL},
        {"Infinity", 1, 8, "not valid JSON", NULL},
    };
    refuse(cases, KGEN_COUNT_OF(cases));
}

/* ---- models ---- */

#define MODEL(rest)                                                                                          \
    "{\"model_type\": \"llama\",\n \"hidden_size\": 256, \"intermediate_size\": 512, \"vocab_size\": "       \
    "1000,\n"                                                                                                \
    " \"num_hidden_layers\": 2, \"num_attention_heads\": 4,\n" rest "}" /* rest begins at 4:1 */
#define QUANTIZED(rest)                                                                                      \
    MODEL("\"quantization\": {\"bits\": 4, \"group_size\": 64" rest "}") /* rest at 4:45 */
#define OVERRIDDEN(rest)                                                                                     \
    MODEL("\"quantization\": {\"bits\": 4},\n\"overrides\": {" rest "}") /* rest at 5:15 */

static void test_model(void **state)
{
    (void)state;
    static const struct refusal cases[] = {
        {"{}", 1, 1, "a spec needs \"problems\"", "config.json"},
        {"{\"architectures\": [\"GPT2LMHeadModel\"]}", 1, 20,
         "the architecture \"GPT2LMHeadModel\" is not supported",
         "LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"},
        {"{\"architectures\": []}", 1, 19, "must be an array with a name", NULL},
        {"{\"architectures\": \"x\"}", 1, 19, "must be an array with a name", NULL},
        {"{\"model_type\": \"gpt2\"}", 1, 16, "the model type \"gpt2\" is not supported", "llama, mistral"},
        {"{\"model_type\": \"llama\"}", 1, 1, "LlamaForCausalLM needs \"hidden_size\"", NULL},
        {MODEL("\"x\": 1"), 1, 1, "does not say how many bits model.embed_tokens has",
         "--bits and --group-size"},
        {MODEL("\"quantization\": null"), 1, 1, "how many bits", "--bits and --group-size"},
        {MODEL("\"quantization\": 4"), 4, 17, "\"quantization\" must be an object, not 4", NULL},
        {MODEL("\"quantization\": {\"bit\": 4}"), 4, 18, "unknown key \"bit\" in \"quantization\"",
         "did you mean \"bits\"?"},
        {MODEL("\"quantization\": {\"bits\": 7}"), 4, 26, "\"bits\" of quantization must be", NULL},
        {MODEL("\"quantization_config\": {\"bit\": 4}"), 4, 25,
         "unknown key \"bit\" in \"quantization_config\"", "did you mean \"bits\"?"},
        {MODEL("\"quantization_config\": {\"bits\": 4, \"model.layers.9.mlp.down_proj\": {\"bits\": 6}}"), 4,
         36, "meets no tensor", NULL},
        {MODEL("\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 128}"), 4,
         41, "the quantisation method \"gptq\" is not read", "--bits and --group-size"},
        {MODEL("\"quantization_config\": {\"bits\": 4, \"quant_method\": \"awq\"}"), 4, 52,
         "\"awq\" is not read", "MLX's form"},
        {MODEL("\"quantization_config\": {\"quant_method\": \"fp8\", \"fmt\": \"e4m3\"}"), 4, 41,
         "\"fp8\" is not read", NULL},
        {MODEL("\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}"), 4, 41,
         "\"compressed-tensors\" is not read", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"quantization_config\": {\"bits\": 8}"), 4, 30,
         "\"quantization\" and \"quantization_config\" disagree", "remove"},
        {QUANTIZED(", \"mode\": \"awq\""), 4, 55, "\"mode\" of quantization must be", NULL},
        {QUANTIZED(", \"scheme\": \"affine\", \"mode\": \"affine\""), 4, 67,
         "\"mode\" and \"scheme\" are one field", NULL},
        {QUANTIZED(", \"model.layers.0.mlp.down_prj\": {\"bits\": 6}"), 4, 47, "meets no tensor",
         "did you mean \"down_proj\"?"},
        {QUANTIZED(", \"model.layers.2.mlp.down_proj\": {\"bits\": 6}"), 4, 47, "meets no tensor",
         "tensors are named"},
        {QUANTIZED(", \"model.layers.1.mlp.down_proj\": {\"bits\": 9}"), 4, 88,
         "\"bits\" of model.layers.1.mlp.down_proj must be", NULL},
        {QUANTIZED(", \"model.layers.1.mlp.down_proj\": {\"bit\": 6}"), 4, 80,
         "unknown key \"bit\" in a quantisation format", "did you mean \"bits\"?"},
        {OVERRIDDEN("\"*.down_prj\": {\"bits\": 6}"), 5, 15, "the pattern \"*.down_prj\" meets no tensor",
         "did you mean \"down_proj\"?"},
        {OVERRIDDEN("\"*.down_proj\": {\"bitz\": 6}"), 5, 31, "unknown key \"bitz\"",
         "did you mean \"bits\"?"},
        {OVERRIDDEN("\"*.down_proj\": {\"bits\": 0}"), 5, 39, "\"bits\" of *.down_proj must be", NULL},
        {OVERRIDDEN("\"*.down_proj\": 6"), 5, 30, "must be an object, or false", "\"bits\": 6"},
        {OVERRIDDEN("\"*a*b*c*d*e*\": {\"bits\": 6}"), 5, 15, "stars", NULL},
        {MODEL("\"quantization\": {\"bits\": 4, \"group_size\": 128}, \"head_dim\": 48"), 3, 49,
         "K 192 is not a multiple of group_size 128 (for self_attn.o_proj)", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"num_key_value_heads\": 3"), 4, 53, "is not a multiple of",
         NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rope_pairing\": \"haf\""), 4, 46, "\"pairing\" of rope",
         "did you mean \"half\"?"},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rope_scaling\": {\"type\": \"linear\"}"), 4, 46,
         "\"rope_scaling\" of type linear needs \"factor\"", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rope_scaling\": {\"factor\": 2}"), 4, 46,
         "\"rope_scaling\" needs \"rope_type\"", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rope_theta\": 0"), 4, 44, "\"theta\" of rope must be",
         NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rms_norm_eps\": \"x\""), 4, 46, "\"eps\" of rms_norm",
         NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"attention_bias\": 1"), 4, 48, "must be true or false",
         NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"partial_rotary_factor\": 2"), 4, 55, "more than 0", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"partial_rotary_factor\": Infinity"), 4, 55,
         "\"partial_rotary_factor\" must be", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"rope_theta\": Infinity"), 4, 44,
         "\"theta\" of rope must be a number from 1 to 1000000000000, not Infinity", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"head_dim\": Infinity"), 4, 42,
         "\"head_dim\" must be an integer from 1 to 8192, not Infinity", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"name\": \"../x\""), 4, 38, "\"../x\" cannot be a name",
         "letters"},
        {MODEL("\"quantization\": {\"bits\": 4}, \"name\": \"\""), 4, 38, "cannot be a name", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"name\": \"-x\""), 4, 38, "cannot be a name", NULL},
        {MODEL("\"quantization\": {\"bits\": 4}, \"name\": 5"), 4, 38, "\"name\" must be a string, not 5",
         NULL},
    };
    refuse(cases, KGEN_COUNT_OF(cases));

    static const struct refusal sizes[] = {
        {"{\"model_type\": \"llama\", \"hidden_size\": 4096.0}", 1, 40,
         "an integer from 1 to 2147483648, not 4096.0", NULL},
        {"{\"model_type\": \"llama\", \"hidden_size\": 250, \"intermediate_size\": 1, \"vocab_size\": 1, "
         "\"num_hidden_layers\": 1, \"num_attention_heads\": 4}",
         1, 133, "hidden_size 250 is not a multiple of num_attention_heads 4", "head_dim"},
        {"{\"model_type\": \"llama\", \"hidden_size\": 256, \"intermediate_size\": 2147483648, "
         "\"vocab_size\": 1, "
         "\"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"quantization\": {\"bits\": 4}}",
         1, 40,
         "\"N\" of qmv must be an integer from 1 to 2147483648, not 4294967296 (for mlp.{gate,up}_proj)",
         NULL},
        {"{\"model_type\": \"llama\", \"hidden_size\": 256, \"intermediate_size\": 1, \"vocab_size\": 1, "
         "\"num_hidden_layers\": 99999, \"num_attention_heads\": 4}",
         1, 107, "\"num_hidden_layers\" must be an integer from 1 to 1024, not 99999", NULL},
        {"{\"model_type\": \"llama\", \"hidden_size\": 256, \"intermediate_size\": 256, \"vocab_size\": 9, "
         "\"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"bits\": 4, \"quantization\": {\"bits\": "
         "4}, "
         "\"prompt_rows\": 0}",
         1, 193, "\"prompt_rows\" must be an integer from 1 to 4096, not 0", NULL},
        {"{\"model_type\": \"llama\", \"hidden_size\": 256, \"intermediate_size\": 256, \"vocab_size\": 9, "
         "\"num_hidden_layers\": 1, \"num_attention_heads\": 4, \"bits\": 4, \"quantization\": {\"bits\": "
         "4}, "
         "\"sequences\": 17}",
         1, 191, "\"sequences\" must be an integer from 1 to 16, not 17", NULL},
        {"{\"model_type\": \"llama\", \"output_activation_dtype\": \"f16\"}", 1, 52,
         "\"activation_dtype\" of the spec must be \"f32\", \"i24\", \"i16\" or \"i8\", not \"f16\"",
         "i16"},
    };
    refuse(sizes, KGEN_COUNT_OF(sizes));
}

/* ---- options and files ---- */

static void test_options(void **state)
{
    (void)state;
    static const struct {
        struct kgen_spec_options options;
        const char *message;
    } cases[] = {
        {{.bits = 7}, "the option bits must be 1, 2, 3, 4, 5, 6, 8, 16 or 32, not 7"},
        {{.group_size = 48}, "the option group_size must be 16, 32, 64 or 128, not 48"},
        {{.scale_dtype = KGEN_I8}, "the option scale_dtype must be"},
        {{.layout = KGEN_I8}, "the option layout must be"},
        {{.activation_dtypes = {KGEN_I8, KGEN_F16}}, "the option activation_dtype must be"},
        {{.output_activation_dtype = KGEN_F16}, "the option activation_dtype must be"},
        {{.prompt_rows = -1}, "the option prompt_rows must be an integer from 1 to 4096, not -1"},
        {{.prompt_rows = 4097}, "the option prompt_rows must be an integer from 1 to 4096, not 4097"},
    };
    static const char text[] = LIST("{\"op\": \"add\", \"size\": 4}");
    for (size_t i = 0; i < KGEN_COUNT_OF(cases); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_spec_parse("a.json", text, sizeof text - 1, &cases[i].options, &error));
        assert_int_equal(error.code, KGEN_ERROR_USAGE);
        assert_non_null(strstr(error.message, cases[i].message));
    }
    /* No error struct is fine. */
    assert_null(kgen_spec_parse("a.json", "{", 1, NULL, NULL));
    assert_null(kgen_spec_parse("a.json", LIST("{}"), strlen(LIST("{}")), NULL, NULL));
}

static void test_files(void **state)
{
    (void)state;
    static const char *const paths[] = {"specs", "specs/there-is-none.json", "/proc/self/mem", ""};
    for (size_t i = 0; i < KGEN_COUNT_OF(paths); i++) {
        struct kgen_error error = {0};
        assert_null(kgen_spec_read(paths[i], NULL, &error));
        assert_int_equal(error.code, KGEN_ERROR_IO);
        assert_string_equal(error.source, paths[i]);
        assert_true(error.message[0] != '\0');
    }
}

static void test_unreadable(void **state)
{
    (void)state;
    if (geteuid() == 0) {
        puts("skipped: root reads files without permission");
        skip();
    }
    char path[] = "/tmp/kgen-test-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    chmod(path, 0);
    struct kgen_error error = {0};
    struct kgen_spec *spec = kgen_spec_read(path, NULL, &error);
    unlink(path);
    assert_null(spec);
    assert_int_equal(error.code, KGEN_ERROR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syntax),     cmocka_unit_test(test_list),    cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_nesting), cmocka_unit_test(test_model),
        cmocka_unit_test(test_options),    cmocka_unit_test(test_files),   cmocka_unit_test(test_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
