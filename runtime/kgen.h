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
 * on buffers of the caller's.
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
#define KGEN_API_MINOR 2

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
    KGEN_BAD_SPEC,      /* the spec is not valid; line and column tell where */
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
 * function has no such array, or row is greater than N or lies within a tile. */
KGEN_API size_t kgen_function_packed_offset(const struct kgen_function *function, const char *buffer,
                                            size_t row);
/* Packs rows begin to end. stored is the first of them as checkpoints have it; packed is the whole packed
 * buffer, which must not overlap it. begin and end must be rows with an offset. Matrices that are multiplied
 * as one may be packed one by one, and by several threads at once. Returns 0, or -1 with KGEN_BAD_ARGUMENT
 * where the function has no such array, or begin or end has no offset. */
KGEN_API int kgen_function_pack(const struct kgen_function *function, const char *buffer, size_t begin,
                                size_t end, const void *stored, void *packed, struct kgen_status *status);

#ifdef __cplusplus
}
#endif

#endif
