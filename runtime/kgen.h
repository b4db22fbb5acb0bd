/* SPDX-License-Identifier: MIT */
/* libkgen: kernels of a model, tuned for the machine the program runs on.
 *
 *     struct kgen_status status = {0};
 *     struct kgen_context *context = kgen_open(NULL, &status);
 *     struct kgen_plan *plan = kgen_plan_file(context, "specs/qwen.json", &status);
 *     const struct kgen_function *down = kgen_plan_find(plan, "layers.*.mlp.down_proj", NULL, &status);
 *
 * A context knows the machine, the templates and the cache. A plan takes a model's shapes and holds one
 * function for each problem in them, compiled in memory, checked, and ready to be called. A function computes
 * on buffers of the caller's. A model runs a whole checkpoint through such functions: the part "models" below
 * describes it.
 *
 * Where functions come from. For each problem a plan tries variants from these origins, in this order, and
 * takes the first that compiles and passes its check; kgen_function_query names the origin:
 *
 *     record             the winner of an earlier run on this machine, from the cache
 *     tuned              the winner of a search made now, within the effort and the time of the settings
 *     sibling            the winner here of the same problem in the plan with another number of rows
 *     microarchitecture  the winner on another machine of the same vendor, family and model
 *     instruction_set    the winner on another machine, with instructions that this one has
 *     default            the first variant of the widest instruction set
 *     generic            plain C, which runs on any machine
 *
 * A variant from the cache or of a search made now gets a quick check before it is handed out; a variant that
 * was never proven on this machine gets the full one. A warning is logged where a variant does not compile or
 * fails its check, so that the next one is tried.
 *
 * What it does to its host. It prints nothing (but see KGEN_VERBOSE), never exits, has no mutable global
 * state, and leaves no signal handler, thread or child process behind. Compilers and candidates run in child
 * processes, made by fork() and awaited by their own process id; a host that forks or exits as it likes is
 * not disturbed, one that handles SIGCHLD sees them end. Code arrives in memory shared with the child, which
 * the host only ever reads and executes.
 *
 * Threads. A context, and plans while they are made, are for one thread at a time; any number of contexts may
 * be used at once by as many threads. A plan that was made is not changed by any function but kgen_plan_free,
 * so that its functions may be found, queried and run by all threads at once.
 *
 * Errors. Functions that can fail return NULL or -1 and fill a struct kgen_status, which may be NULL where
 * the caller does not care. It must be zeroed before the first use; while it holds an error it is not
 * overwritten, so that the first one of several calls stays. A function that succeeds leaves it alone.
 *
 * Passing NULL where the description does not allow it is undefined. Every kgen_..._free and kgen_..._close
 * accepts NULL.
 *
 * Environment. KGEN_VERBOSE: 1 writes warnings and a line for each function chosen to stderr, 2 also what
 * became of each candidate, 3 also the text of each kernel; 0 and any other value nothing. Where the settings
 * have a log callback, the lines go there instead. KGEN_CACHE_DIR, XDG_CACHE_HOME and HOME give the folder of
 * the cache, KGEN_SYSTEM_CACHE_DIR that of records shared by all users. */
#ifndef KGEN_H
#define KGEN_H

#include <stddef.h>
#include <stdint.h>

/* The version of this header. The minor number rises with additions, the major one with changes of what there
 * is; while the major number is 0, the minor one rises with both. */
#define KGEN_API_MAJOR 0
#define KGEN_API_MINOR 3

#if defined(__GNUC__)
#define KGEN_API __attribute__((visibility("default")))
#else
#define KGEN_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library, such as "0.1.0". Never freed. */
KGEN_API const char *kgen_version(void);

/* ---- errors ---- */

enum kgen_status_code {
    KGEN_OK = 0,
    KGEN_BAD_ARGUMENT,  /* an argument is not valid */
    KGEN_BAD_SPEC,      /* the spec, or a checkpoint, is not valid; line and column tell where */
    KGEN_NOT_FOUND,     /* no such name, or more than one function of that name */
    KGEN_NO_FUNCTION,   /* no variant serves a problem on this machine */
    KGEN_IO_FAILED,     /* a file could not be read, or a child process not be made */
    KGEN_OUT_OF_MEMORY, /* also where the system grants no executable memory */
    KGEN_CANCELLED,     /* the cancel flag of the settings was set */
    KGEN_INTERNAL       /* kgen itself is at fault: a template cannot be read, for instance */
};

/* line and column count from 1; 0 means unknown. source names the file or text, or is empty. hint says what
 * to do about it, or is empty. All strings are terminated; long ones are cut. */
struct kgen_status {
    enum kgen_status_code code;
    int line, column;
    char source[256];
    char message[512];
    char hint[256];
};

/* Writes "source:line:column: message; hint", as far as they are known, into text of size bytes, always
 * terminated where size is not 0. Returns text. */
KGEN_API char *kgen_status_format(const struct kgen_status *status, char *text, size_t size);

/* ---- settings ---- */

/* How thoroughly a plan searches. What an earlier search of the same or a greater effort found is used as it
 * is. */
enum kgen_effort {
    KGEN_ESTIMATE,  /* search nothing and time nothing: no origin "tuned" */
    KGEN_MEASURE,   /* climb among the variants of the widest instruction set, few repeats; seconds */
    KGEN_PATIENT,   /* every variant of every instruction set (beyond 1024, climb), more repeats; minutes */
    KGEN_EXHAUSTIVE /* every variant, with many repeats */
};

enum kgen_log_level { KGEN_LOG_WARNING, KGEN_LOG_CHOICE, KGEN_LOG_CANDIDATE, KGEN_LOG_TEXT };

/* Receives one message without a newline, valid during the call, in the thread that called the library. It
 * must not call the library with the same context. */
typedef void kgen_log(void *context, int level, const char *message);

struct kgen_settings {
    size_t size; /* of this struct as the caller knows it; kgen_settings_init sets it */

    enum kgen_effort effort; /* KGEN_MEASURE */
    /* Each kgen_plan_... returns after about this many seconds, with the best that is proven by then; it is
     * shared out evenly among the problems that need a search. 0: no limit. Where it does not even suffice to
     * compile the functions it is exceeded. */
    double seconds;
    /* The threads that will run one function together, which changes what is fastest: 0 for as many as the
     * process may use, at most 1024. */
    int threads;
    int cache_only;               /* 1: search nothing, write nothing */
    int no_cache;                 /* 1: neither use nor keep records */
    int no_check;                 /* 1: hand out what earlier runs have proven without the quick check */
    const char *cache_folder;     /* NULL: see the environment */
    const char *templates_folder; /* NULL: the library's and the user's; else the folder that holds c/ */
    /* NULL, or becomes not 0 to end a search, set by a signal handler or another thread; looked at every 50
     * ms, with an atomic load */
    const volatile int *cancel;
    kgen_log *log; /* NULL: no messages, but see KGEN_VERBOSE */
    void *log_context;
    int log_level; /* messages of this level and below reach log: KGEN_LOG_CHOICE; KGEN_VERBOSE may raise it
                    */
};

/* Sets every member to its default: those named above, else 0 or NULL. size is sizeof *settings. */
KGEN_API void kgen_settings_init(struct kgen_settings *settings, size_t size);

/* ---- context ---- */

struct kgen_context;

/* Detects the machine, reads the templates and opens the cache. settings may be NULL for the defaults; it is
 * copied with its strings, but cancel and log_context must stay valid. A cache that cannot be written or read
 * is a warning, no error. Takes some milliseconds. Returns NULL with KGEN_BAD_ARGUMENT where the
 * settings are not valid, KGEN_IO_FAILED, KGEN_INTERNAL or KGEN_OUT_OF_MEMORY. */
KGEN_API struct kgen_context *kgen_open(const struct kgen_settings *settings, struct kgen_status *status);

/* Closes the context. Its plans stay as they are. */
KGEN_API void kgen_close(struct kgen_context *context);

/* The machine's identity in the cache, 16 hexadecimal digits. Valid until kgen_close. */
KGEN_API const char *kgen_machine_identity(const struct kgen_context *context);

/* ---- plans ---- */

struct kgen_plan;

/* Plans every problem of a spec: a file, a model's folder, or text of length bytes under any name, which
 * errors show. A spec is JSON: a list of problems, such as {"problems": [{"op": "add", "size": 4096}]}, or a
 * model's config.json (specs/README.md). Either every problem gets a function or the call returns NULL: with
 * KGEN_BAD_SPEC and the place, KGEN_IO_FAILED for the file, KGEN_NO_FUNCTION, KGEN_CANCELLED,
 * KGEN_OUT_OF_MEMORY or KGEN_INTERNAL. The cache keeps what was learned until then. A warning is logged for
 * what the spec asks for and kgen does not do yet. The caller frees the plan. */
KGEN_API struct kgen_plan *kgen_plan_file(struct kgen_context *context, const char *path,
                                          struct kgen_status *status);
KGEN_API struct kgen_plan *kgen_plan_text(struct kgen_context *context, const char *name, const char *text,
                                          size_t length, struct kgen_status *status);

/* Frees the plan, its functions and their code. No thread may be running one of them. */
KGEN_API void kgen_plan_free(struct kgen_plan *plan);

struct kgen_function; /* belongs to its plan */

/* The functions of a plan, in the order of the spec. NULL where index is not below the count. */
KGEN_API size_t kgen_plan_count(const struct kgen_plan *plan);
KGEN_API const struct kgen_function *kgen_plan_at(const struct kgen_plan *plan, size_t index);

/* Finds the function that serves a tensor of the model, or has a name (kgen_function_facts.name).
 *
 * A tensor is called as in checkpoints, with or without "model." before and ".weight" behind it. Its layer is
 * a number, or left out or "*" where one function serves all the layers that have the tensor:
 * "model.layers.7.mlp.down_proj.weight", "layers.*.mlp.down_proj" and "mlp.down_proj" may be one function.
 * Matrices that kgen multiplies as one are found by the name of each ("self_attn.q_proj"), of all
 * ("self_attn.{q,k,v}_proj"), or the usual short one ("self_attn.qkv_proj", "mlp.gate_up_proj"); their rows
 * lie one matrix after the other.
 *
 * activation_dtype is the precision of a qmv: "f32", "i24", "i16" or "i8". NULL takes the most exact that the
 * plan has; ops without that field ignore it. Returns NULL with KGEN_NOT_FOUND where nothing, or more than
 * one function, is meant; the hint names what is near. */
KGEN_API const struct kgen_function *kgen_plan_find(const struct kgen_plan *plan, const char *name,
                                                    const char *activation_dtype, struct kgen_status *status);

/* What became of a plan. */
struct kgen_plan_facts {
    double seconds;        /* that making it took */
    double search_seconds; /* the part of them that searches took */
    size_t recorded;       /* functions of the origin "record" */
    size_t searched;       /* functions of the origin "tuned" */
    size_t fallbacks;      /* functions of the other origins */
    int time_was_up;       /* 1: a longer search may find better ones; making the plan again goes on */
    size_t code_bytes;     /* of executable memory */
};
/* Fills the first size bytes of facts; size is sizeof *facts. */
KGEN_API void kgen_plan_query(const struct kgen_plan *plan, struct kgen_plan_facts *facts, size_t size);

/* ---- functions ---- */

/* Where the variant of a function comes from, in the order in which they are tried. */
enum kgen_origin {
    KGEN_ORIGIN_RECORD,
    KGEN_ORIGIN_TUNED,
    KGEN_ORIGIN_SIBLING,
    KGEN_ORIGIN_MICROARCHITECTURE,
    KGEN_ORIGIN_INSTRUCTION_SET,
    KGEN_ORIGIN_DEFAULT,
    KGEN_ORIGIN_GENERIC
};
/* "record", "tuned", "sibling", "microarchitecture", "instruction_set", "default", "generic"; NULL for any
 * other value. */
KGEN_API const char *kgen_origin_name(enum kgen_origin origin);

/* The strings are valid as long as the plan. */
struct kgen_function_facts {
    const char *name;    /* of the problem: "qmv_n4096_k12288_b4_g64_f16_i8"; no two of a plan are equal */
    const char *problem; /* the problem as a JSON object on one line */
    const char *op;      /* "qmv" */
    const char *tensors; /* what it serves: "layers.*.mlp.down_proj"; empty where the spec does not say */
    const char *variant; /* "qmv avx512 rows=2 unroll=8" */
    enum kgen_origin origin;
    int threads;           /* that it was tuned for */
    int checked;           /* 1 where it was checked before it was handed out */
    double error_of_bound; /* the greatest error seen, as a part of the bound; at most 1 */
    double seconds;        /* of one call when it was timed on this machine; 0 where it was not */
    double bytes;          /* that one call must move from and to memory at the least */
    double calls;          /* in one decode step, where the spec is of a model; else as it says, or 1 */
};
/* Fills the first size bytes of facts; size is sizeof *facts. */
KGEN_API void kgen_function_query(const struct kgen_function *function, struct kgen_function_facts *facts,
                                  size_t size);

/* ---- buffers ---- */

/* The buffers of a function, in the order of its parameters; `kgen list ops` says what each op has. Weights
 * are what checkpoints store, in the arrays of their format, such as "weights", "scales" and "biases"; a
 * problem may want them in another layout (kgen_function_layout). Pointers need the alignment of their
 * elements, workspace and scratch 64 bytes. Outputs must not overlap inputs, but for those that may be the
 * same memory. */
struct kgen_buffer_facts {
    const char *name;      /* "x" */
    const char *role;      /* "input", "weights", "updated", "output", "state", "workspace" or "scratch" */
    const char *dtype;     /* "f32"; empty where the format of the weights or the kernel decides */
    const char *shape;     /* in fields of the problem: "rows, size"; empty for workspace and scratch */
    const char *may_alias; /* inputs that an output may be the same memory as: "gate up"; or empty */
    size_t bytes;          /* for scratch those of one thread */
};
KGEN_API size_t kgen_function_buffer_count(const struct kgen_function *function);
/* Fills the first size bytes of facts; size is sizeof *facts. All is empty where index is not below the
 * count. The strings are valid as long as the plan. */
KGEN_API void kgen_function_buffer_query(const struct kgen_function *function, size_t index,
                                         struct kgen_buffer_facts *facts, size_t size);
/* The index of the buffer of that name, or -1. */
KGEN_API int kgen_function_buffer(const struct kgen_function *function, const char *name);
/* The bytes of the buffer of that name; 0 where the function has none. */
KGEN_API size_t kgen_function_buffer_size(const struct kgen_function *function, const char *name);

/* One call: a pointer for each buffer, by its index, and the values of scalars such as "position".
 * Zero-initialise it. It is the caller's; the library keeps nothing of it. */
struct kgen_call {
    void *buffers[16];
    int64_t scalars[4];
};
/* These set a buffer or a scalar by its name. The library writes to outputs, updated and state buffers,
 * workspace and scratch only. They return 0, or -1 with KGEN_NOT_FOUND where the function has none of that
 * name, and for a scalar with KGEN_BAD_ARGUMENT where it may not have the value. */
KGEN_API int kgen_call_set(struct kgen_call *call, const struct kgen_function *function, const char *name,
                           const void *data, struct kgen_status *status);
KGEN_API int kgen_call_set_scalar(struct kgen_call *call, const struct kgen_function *function,
                                  const char *name, int64_t value, struct kgen_status *status);

/* The rows (qmv, dequantize, rms_norm), heads or elements that one call runs over. */
KGEN_API size_t kgen_function_range(const struct kgen_function *function);
/* Where part (0 to parts) begins when the range is divided over so many threads: at places that suit the
 * kernels, part 0 at 0 and part `parts` at the end. A part may be empty. */
KGEN_API size_t kgen_function_part(const struct kgen_function *function, size_t part, size_t parts);

/* A team of threads; see kgen_threads_open. */
struct kgen_threads;

/* Makes a whole call: prepare, the range, finish. threads is NULL for the calling thread alone, or a team
 * over which the range is divided; scratch then has room for each of its threads, one after the other.
 * Returns 0, or -1 with KGEN_BAD_ARGUMENT where a buffer is missing, or workspace or scratch is not aligned;
 * nothing is computed then. */
KGEN_API int kgen_function_run(const struct kgen_function *function, const struct kgen_call *call,
                               struct kgen_threads *threads, struct kgen_status *status);

/* The parts of a call, for callers with threads of their own. First one thread calls kgen_function_prepare,
 * which fills the workspace. When it has returned, any number of threads call kgen_function_run_range, with
 * ranges that do not overlap and scratch of their own. When all have returned, one thread calls
 * kgen_function_finish. The results are the same bits however the range is divided.
 *
 * Each part needs its own buffers only. Each returns as kgen_function_run does. prepare and finish do nothing
 * for ops without that part. */
KGEN_API int kgen_function_prepare(const struct kgen_function *function, const struct kgen_call *call,
                                   struct kgen_status *status);
KGEN_API int kgen_function_finish(const struct kgen_function *function, const struct kgen_call *call,
                                  struct kgen_status *status);
/* Computes begin to end of the range; where they are equal, nothing. Also returns -1 with KGEN_BAD_ARGUMENT
 * where begin is greater than end, or end than the range. */
KGEN_API int kgen_function_run_range(const struct kgen_function *function, const struct kgen_call *call,
                                     size_t begin, size_t end, struct kgen_status *status);

/* The compiled parts themselves, for callers that want no checks and no call in between; NULL where the op
 * has no such part. They take the buffers and the scalars of a call; run takes the range as well. They are
 * valid as long as the plan. */
typedef void kgen_run_function(void *const *buffers, const int64_t *scalars, size_t begin, size_t end);
typedef void kgen_part_function(void *const *buffers, const int64_t *scalars);
KGEN_API kgen_run_function *kgen_function_run_pointer(const struct kgen_function *function);
KGEN_API kgen_part_function *kgen_function_prepare_pointer(const struct kgen_function *function);
KGEN_API kgen_part_function *kgen_function_finish_pointer(const struct kgen_function *function);

/* Starts a team of count threads (1 to 1024) for kgen_function_run; the caller's own is one of them. One
 * thread at a time may use a team. Where the system gives fewer threads, those do the work. Idle threads of a
 * team sleep after a short time. Returns NULL with KGEN_BAD_ARGUMENT or KGEN_OUT_OF_MEMORY. The threads end
 * with kgen_threads_close. */
KGEN_API struct kgen_threads *kgen_threads_open(int count, struct kgen_status *status);
KGEN_API void kgen_threads_close(struct kgen_threads *threads);

/* ---- packed weights ---- */

/* The layout in which a function reads weights, scales and biases. It is a field of the problem: "layout" in
 * a spec. Packed weights may be kept in files: a number never comes to mean another order.
 *
 * KGEN_LAYOUT_STORED is that of checkpoints: rows one after the other. Packing copies.
 * KGEN_LAYOUT_TILES16: 16 rows side by side, a tile. A tile holds the first word of each of its rows, then
 * the second word of each, and so on; a word is 32 bits of weights, or one scale or bias. Where N is no
 * multiple of 16 the last tile is padded with zeros to a whole one. */
#define KGEN_LAYOUT_STORED 0
#define KGEN_LAYOUT_TILES16 1
KGEN_API int kgen_function_layout(const struct kgen_function *function);

/* buffer is the name of one of the arrays of weights, such as "weights", "scales" or "biases".
 *
 * The bytes of the packed buffer, as kgen_function_buffer_size says; 0 where the function has no such array.
 */
KGEN_API size_t kgen_function_packed_size(const struct kgen_function *function, const char *buffer);
/* The offset of a row in the packed buffer, in bytes; the offset of row N is its end. SIZE_MAX where the
 * function has no such array, or row is greater than N or lies within a tile, or between row 0 and N where
 * the function has matrices of several experts, which are packed as a whole. */
KGEN_API size_t kgen_function_packed_offset(const struct kgen_function *function, const char *buffer,
                                            size_t row);
/* Packs rows begin to end. stored is the first of them as checkpoints have it; packed is the whole packed
 * buffer, which must not overlap it. begin and end must be rows with an offset. Matrices that are multiplied
 * as one may be packed one by one, and by several threads at once. Returns 0, or -1 with KGEN_BAD_ARGUMENT
 * where the function has no such array, or begin or end has no offset. */
KGEN_API int kgen_function_pack(const struct kgen_function *function, const char *buffer, size_t begin,
                                size_t end, const void *stored, void *packed, struct kgen_status *status);

/* ---- models ----
 *
 *     struct kgen_model *model = kgen_model_open(context, "model.gguf", NULL, &status);
 *     struct kgen_model_state *state = kgen_model_state_new(model, 0, &status);
 *     int64_t count = kgen_model_encode(model, text, strlen(text), KGEN_MODEL_ADD_SPECIAL, tokens, 512,
 * &status); const float *logits = kgen_model_step(state, tokens, (size_t)count, &status);
 *
 * A model is a checkpoint with its weights in memory, its tokenizer, and functions tuned for this machine.
 * A state is one sequence of tokens that went through the model: its caches of keys and values. Any number of
 * states share the weights of a model. A sampler chooses tokens from logits. Tokens are ids from 0 to the
 * vocabulary's size - 1.
 *
 * Threads. A state, and a sampler, is for one thread at a time. Different states of one model may be used by
 * different threads at once: a model has one team of threads and one set of activations, and its steps take
 * turns, guarded by a lock. Two teams would share the same cores and the same bandwidth, and gain nothing;
 * kgen_model_step_batch runs several states at once, and reads the weights once for all of them. All other
 * functions of a model may be called by all threads at once. A model does not survive a fork in the child.
 *
 * Lifetime. A model needs nothing of its context once it is open. Its memory is freed when it is closed and
 * the last of its states is freed, in any order. A sampler needs nothing of its model. */

struct kgen_model;
struct kgen_model_state;
struct kgen_model_sampler;

struct kgen_model_settings {
    size_t size; /* of this struct as the caller knows it; kgen_model_settings_init sets it */

    /* Of products: "f32", "i24", "i16" or "i8"; NULL: "i24". With "i8" the output projection has "i24". */
    const char *activation_dtype;
    const char *layout;           /* of weights: "stored" or "tiles16"; NULL: "tiles16" for integers */
    const char *cache_dtype;      /* of keys and values: "f32", "f16" or "bf16"; NULL: "f16" */
    const char *tokenizer;        /* a file, or a folder, with another tokenizer; NULL: the checkpoint's */
    int no_tokenizer;             /* 1: open none */
    int64_t context;     /* positions that a state may have; 0: those of the checkpoint, 4096 at most */
    int64_t prompt_rows; /* tokens of a state that run at once; 0: 512, or the context where that is less */
    int64_t sequences;   /* states that kgen_model_step_batch runs at once, 1 to 16; 0: 1 */
    /* NULL, or is told during kgen_model_open how much of the weights is loaded: done of count parts. */
    void (*progress)(void *context, size_t done, size_t count);
    void *progress_context;
    int64_t page_size; /* of caches in pages, which states share: 16 to 256 positions by 16; 0: no pages */
    int64_t pages;     /* for each window of layers; 0: enough for `sequences` states of `context` */
};

/* Sets every member to 0 or NULL. size is sizeof *settings. */
KGEN_API void kgen_model_settings_init(struct kgen_model_settings *settings, size_t size);

/* Opens a checkpoint: a GGUF file, a folder of safetensors, or a checkpoint of llama2.c. Plans the kernels
 * that the model needs in the context, as kgen_plan_file does, starts a team of as many threads as the
 * settings of the context say, loads the weights, and opens the tokenizer where there is one. settings may be
 * NULL for the defaults; nothing of it is kept. Returns NULL with KGEN_BAD_ARGUMENT where the settings are
 * not valid; KGEN_BAD_SPEC where the checkpoint or the tokenizer is not, or kgen cannot run all of the model;
 * KGEN_IO_FAILED for a file, KGEN_NO_FUNCTION, KGEN_CANCELLED, KGEN_OUT_OF_MEMORY or KGEN_INTERNAL. */
KGEN_API struct kgen_model *kgen_model_open(struct kgen_context *context, const char *path,
                                            const struct kgen_model_settings *settings,
                                            struct kgen_status *status);
/* Closes the model. Its states stay as they are. */
KGEN_API void kgen_model_close(struct kgen_model *model);

/* The strings are valid until the model is closed. Tokens are -1 where the tokenizer has none. */
struct kgen_model_facts {
    int64_t vocabulary;                      /* logits of a step */
    int64_t context, prompt_rows, sequences; /* as in the settings, with the defaults in place */
    int threads;
    size_t weight_bytes; /* in memory */
    size_t step_bytes;   /* of the weights, those that a step reads */
    size_t state_bytes;  /* of the caches of a state that is full */
    const char *activation_dtype, *cache_dtype;
    int64_t tokens;            /* of the tokenizer; 0: there is none */
    int32_t bos, eos;          /* the tokens that begin and end a text */
    const char *chat_template; /* "chatml", "llama3", "gemma", "mistral" or "gpt-oss"; NULL: none of them */
    int64_t page_size, pages, pages_left; /* left: free now, for the window that has fewest */
};
/* Fills the first size bytes of facts; size is sizeof *facts. */
KGEN_API void kgen_model_query(const struct kgen_model *model, struct kgen_model_facts *facts, size_t size);
/* The plan with the model's functions, for kgen_plan_query and kgen_plan_at. It belongs to the model. */
KGEN_API const struct kgen_plan *kgen_model_plan(const struct kgen_model *model);

/* ---- tokens and text ---- */

/* The beginning and the end that the tokenizer asks for are added; the text of control tokens stands for
 * them, which is right for templates and wrong for text of users. */
#define KGEN_MODEL_ADD_SPECIAL 1u
#define KGEN_MODEL_PARSE_SPECIAL 2u

/* Writes the tokens of a text of length bytes, the first capacity of them, and returns how many it has, which
 * may be more: call again with more room. tokens may be NULL where capacity is 0. flags are
 * KGEN_MODEL_..., or 0. Returns -1 with KGEN_NOT_FOUND where the model has no tokenizer, KGEN_BAD_ARGUMENT
 * for 1 GiB of text and more, or KGEN_OUT_OF_MEMORY. */
KGEN_API int64_t kgen_model_encode(const struct kgen_model *model, const char *text, size_t length,
                                   unsigned flags, int32_t *tokens, size_t capacity,
                                   struct kgen_status *status);
/* Writes the bytes of count tokens and a zero, as far as they fit into size bytes, and returns how many bytes
 * they are without the zero. The bytes of one token may be a part of a character of UTF-8. Control tokens
 * have their text where special is 1 and else none. Returns -1 with KGEN_NOT_FOUND where the model has no
 * tokenizer, KGEN_BAD_ARGUMENT for a token that it does not have, or KGEN_OUT_OF_MEMORY. */
KGEN_API int64_t kgen_model_decode(const struct kgen_model *model, const int32_t *tokens, size_t count,
                                   int special, char *text, size_t size, struct kgen_status *status);
/* The control or user-defined token of a text, such as "<|im_end|>", or -1. */
KGEN_API int32_t kgen_model_special(const struct kgen_model *model, const char *text);
/* 1 where a model that gives this token has said all, else 0. */
KGEN_API int kgen_model_ends(const struct kgen_model *model, int32_t token);

struct kgen_model_message {
    const char *role;    /* "system", "user" or "assistant" */
    const char *content; /* terminated */
};
/* Writes what the chat template of the tokenizer makes of messages, and a zero, as far as they fit into size
 * bytes, and returns how many bytes that is without the zero. With begin_answer 1 the beginning of the answer
 * follows. Encode it with KGEN_MODEL_PARSE_SPECIAL alone. Returns -1 with KGEN_NOT_FOUND where the model has
 * no tokenizer or no template that is known (kgen_model_facts.chat_template), KGEN_BAD_ARGUMENT for a role
 * that the template does not have, or KGEN_OUT_OF_MEMORY. */
KGEN_API int64_t kgen_model_chat(const struct kgen_model *model, const struct kgen_model_message *messages,
                                 size_t count, int begin_answer, char *text, size_t size,
                                 struct kgen_status *status);

/* ---- states ---- */

/* Makes an empty state for context positions, at most those of the model; 0: as many. Its caches take
 * addresses for all positions of the model, and memory for those that are filled, or pages. The caller
 * frees it. Returns NULL with KGEN_BAD_ARGUMENT or KGEN_OUT_OF_MEMORY. */
KGEN_API struct kgen_model_state *kgen_model_state_new(struct kgen_model *model, int64_t context,
                                                       struct kgen_status *status);
KGEN_API void kgen_model_state_free(struct kgen_model_state *state);
/* Makes a state that holds what another one holds, and is no part of it afterwards: with the same tokens both
 * give the same logits. Pages are shared until one of them writes there. Returns NULL with
 * KGEN_OUT_OF_MEMORY. */
KGEN_API struct kgen_model_state *kgen_model_state_fork(const struct kgen_model_state *state,
                                                        struct kgen_status *status);

/* The tokens that went through the model, and for how many there is room. */
KGEN_API int64_t kgen_model_state_position(const struct kgen_model_state *state);
KGEN_API int64_t kgen_model_state_context(const struct kgen_model_state *state);
/* Forgets the tokens from a position on; 0: all of them. The next step begins there. The state has no logits
 * then, unless position is where it is. Returns 0, or -1 with KGEN_BAD_ARGUMENT where the state does not hold
 * so many, where the model has linear attention, whose states go back to nothing only (fork the state where it
 * is to be taken up again), or where layers with windows gave back the pages that a step there would see. */
KGEN_API int kgen_model_state_truncate(struct kgen_model_state *state, int64_t position,
                                       struct kgen_status *status);

/* What a state holds, for another run: tokens that went through the model, as keys and values, and the last
 * logits. It fits states of models of the same checkpoint with the same dtype of the caches, whatever the
 * other settings, on machines of the same order of bytes.
 *
 * kgen_model_state_size gives its bytes. kgen_model_state_save writes them to memory and
 * kgen_model_state_save_file to a file, which is complete or not there. They return 0, or -1 with
 * KGEN_BAD_ARGUMENT where size is less, KGEN_IO_FAILED for the file, or KGEN_OUT_OF_MEMORY.
 *
 * kgen_model_state_restore and kgen_model_state_restore_file make a state hold that in place of what it
 * held. They return 0, or -1 with KGEN_BAD_ARGUMENT where it is not whole, of another version of the format,
 * of another model, or the state has no room for it; KGEN_IO_FAILED for the file, or KGEN_OUT_OF_MEMORY, also
 * of free pages, besides those that the state has. The state is then as it was. Restore only what comes from
 * where you trust: its bytes are checked against damage, not against forgery. */
KGEN_API size_t kgen_model_state_size(const struct kgen_model_state *state);
KGEN_API int kgen_model_state_save(const struct kgen_model_state *state, void *memory, size_t size,
                                   struct kgen_status *status);
KGEN_API int kgen_model_state_restore(struct kgen_model_state *state, const void *memory, size_t size,
                                      struct kgen_status *status);
KGEN_API int kgen_model_state_save_file(const struct kgen_model_state *state, const char *path,
                                        struct kgen_status *status);
KGEN_API int kgen_model_state_restore_file(struct kgen_model_state *state, const char *path,
                                           struct kgen_status *status);

/* ---- steps ---- */

/* Runs count tokens after those that the state holds. Returns the logits after the last, a float for each
 * token of the vocabulary, which are the state's and valid until its next step, truncation, restoring or
 * freeing. Returns NULL with KGEN_BAD_ARGUMENT where there are no tokens, one is not of the vocabulary, or
 * the state has no room for them; KGEN_OUT_OF_MEMORY where the model has too few free pages; KGEN_IO_FAILED
 * or KGEN_BAD_SPEC where the checkpoint, of which each step reads rows, cannot be read any more. The state
 * then holds the tokens that it held. */
KGEN_API const float *kgen_model_step(struct kgen_model_state *state, const int32_t *tokens, size_t count,
                                      struct kgen_status *status);
/* The same, and logits receives those after each of the tokens: count rows of the vocabulary's size. Returns
 * 0, or -1 as kgen_model_step fails. */
KGEN_API int kgen_model_step_all(struct kgen_model_state *state, const int32_t *tokens, size_t count,
                                 float *logits, struct kgen_status *status);
/* Runs one token of each of count states at once: tokens[i] after those that states[i] holds, 1 to as many as
 * kgen_model_settings.sequences said. Weights of the layout "tiles16" are read once for all of them; stored
 * ones, and matrices with biases, once for each, which gains little. The logits are those of kgen_model_step
 * but for the order of sums, and with activations of i8 and i16 but for their rounding; kgen_model_logits
 * gives them. Returns 0, or -1 with KGEN_BAD_ARGUMENT where count is out of range, two states are the same,
 * or not all are of one model, or else as kgen_model_step fails. All states then hold the tokens that they
 * held. */
KGEN_API int kgen_model_step_batch(struct kgen_model_state *const *states, const int32_t *tokens,
                                   size_t count, struct kgen_status *status);
/* The logits after the last token, as kgen_model_step returns them; NULL: there was no step yet. */
KGEN_API const float *kgen_model_logits(const struct kgen_model_state *state);

/* ---- sampling ---- */

struct kgen_model_bias {
    int32_t token;
    float value; /* added to its logit; -INFINITY: never this token */
};

/* Applied in this order: biases, repetition penalty, top-k, top-p, min-p, temperature. */
struct kgen_model_sampling {
    size_t size; /* of this struct as the caller knows it; kgen_model_sampling_init sets it */

    double temperature;    /* 0: the most likely token: 0 */
    int64_t top_k;         /* the most likely tokens stay; 0: all: 40 */
    double top_p;          /* those that it takes to reach this probability; 1: all: 0.95 */
    double min_p;          /* those of this part of the greatest probability; 0: all: 0.05 */
    double repeat_penalty; /* of the logits of the last tokens; 1: none: 1 */
    int64_t repeat_last;   /* so many tokens; -1: all: 64 */
    uint64_t seed;         /* the same logits and seed give the same tokens on every machine: 0 */
    const struct kgen_model_bias *biases; /* read by kgen_model_sampler_new only */
    size_t bias_count;
};
/* Sets every member to its default: those named above, else 0 or NULL. size is sizeof *sampling. */
KGEN_API void kgen_model_sampling_init(struct kgen_model_sampling *sampling, size_t size);

/* Makes a sampler for the logits of a model. sampling may be NULL for the defaults. The caller frees it.
 * Returns NULL with KGEN_BAD_ARGUMENT where a value is out of its range, or KGEN_OUT_OF_MEMORY. */
KGEN_API struct kgen_model_sampler *kgen_model_sampler_new(const struct kgen_model *model,
                                                           const struct kgen_model_sampling *sampling,
                                                           struct kgen_status *status);
KGEN_API void kgen_model_sampler_free(struct kgen_model_sampler *sampler);
/* Tells of tokens that went through the model besides those chosen, for the repetition penalty: a prompt. */
KGEN_API void kgen_model_sampler_accept(struct kgen_model_sampler *sampler, const int32_t *tokens,
                                        size_t count);
/* Chooses a token from logits, one for each token of the vocabulary, and accepts it. Returns the token, or -1
 * with KGEN_BAD_ARGUMENT where a logit is NaN or +infinity, or all are -infinity. */
KGEN_API int32_t kgen_model_sampler_next(struct kgen_model_sampler *sampler, const float *logits,
                                         struct kgen_status *status);

#ifdef __cplusplus
}
#endif

#endif
