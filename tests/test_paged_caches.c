/* SPDX-License-Identifier: MIT */
/* Pages of caches and the sequences that share them: a random sequence of operations, held against a model in
 * which every sequence has memory of its own. No kernels run: a position is written as a tag. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gen/ops/attention_cache.h"
#include "gen/ops/random.h"
#include "gen/spec/spec.h"
#include "runtime/model/sequence.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 300, WINDOW = 48, PAGE = 16, PAGES = 40, ROWS = 32, SLOTS = 6, STEPS = 4000 };
#define SEED UINT64_C(91)

/* A layer with a window, and one without. */
static struct kgen_spec *spec_new(int64_t page_size)
{
    struct kgen_text text = {0};
    struct kgen_error error = {0};
    kgen_text_printf(&text,
                     "{\"architectures\": [\"MistralForCausalLM\"], \"model_type\": \"mistral\", "
                     "\"hidden_size\": 64, \"intermediate_size\": 64, \"num_attention_heads\": 2, "
                     "\"num_key_value_heads\": 2, \"num_hidden_layers\": 2, \"head_dim\": 32, "
                     "\"vocab_size\": 24, \"rms_norm_eps\": 1e-6, \"max_position_embeddings\": 4096, "
                     "\"sliding_window\": %d, \"layer_types\": [\"sliding_attention\", \"full_attention\"], "
                     "\"tie_word_embeddings\": true, \"context\": %d, \"cache_dtype\": \"f16\", "
                     "\"page_size\": %lld, \"quantization\": {\"bits\": 4, \"group_size\": 32}}",
                     WINDOW, CONTEXT, (long long)page_size);
    struct kgen_spec *spec = kgen_spec_parse("model.json", text.data, text.length, NULL, &error);
    if (spec == NULL)
        fail_msg("%s", error.message);
    kgen_text_free(&text);
    assert_int_equal(spec->graph->state_count, 4);
    return spec;
}

/* ---- pages ---- */

static void test_pages(void **state)
{
    (void)state;
    struct kgen_error error = {0};
    struct kgen_pages *pages = kgen_pages_new(5, PAGE, &error);
    int32_t taken[5];
    assert_non_null(pages);
    assert_int_equal(kgen_pages_count(pages), 5);
    assert_int_equal(kgen_pages_take(pages, taken, 4, &error), 0);
    assert_int_equal(kgen_pages_left(pages), 1);
    assert_int_equal(kgen_pages_check(pages, 1, &error), 0);
    assert_int_equal(kgen_pages_take(pages, taken, 2, &error), -1);
    assert_int_equal(error.code, KGEN_ERROR_MEMORY);
    assert_string_equal(error.message,
                        "the caches are full: 2 pages of 16 positions are asked for, 1 of 5 are free");
    assert_non_null(strstr(error.hint, "more pages"));
    assert_int_equal(kgen_pages_left(pages), 1);
    kgen_pages_share(pages, taken[2]);
    assert_true(kgen_pages_are_shared(pages, taken[2]));
    assert_false(kgen_pages_are_shared(pages, taken[1]));
    kgen_pages_give_back(pages, taken[2]);
    assert_false(kgen_pages_are_shared(pages, taken[2]));
    assert_int_equal(kgen_pages_left(pages), 1);
    kgen_pages_give_back(pages, taken[2]);
    assert_int_equal(kgen_pages_left(pages), 2);
    kgen_pages_free(pages);
    kgen_pages_free(NULL);
}

/* A config says the size of pages; it must be one that the ops take. */
static void test_config(void **state)
{
    (void)state;
    static const char *const wrong[] = {"24", "512", "-16", "\"16\""};
    static const char text[] =
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 64, "
        "\"intermediate_size\": 64, \"num_attention_heads\": 2, \"num_hidden_layers\": 1, \"vocab_size\": "
        "24, \"rms_norm_eps\": 1e-6, \"page_size\": ";
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(wrong); i++, executed++) {
        struct kgen_text config = {0};
        struct kgen_error error = {0};
        kgen_text_printf(&config, "%s%s}", text, wrong[i]);
        assert_null(kgen_spec_parse("model.json", config.data, config.length, NULL, &error));
        assert_int_equal(error.code, KGEN_ERROR_SPEC);
        assert_int_equal(error.line, 1);
        if (strstr(error.message, "page_size") == NULL)
            fail_msg("\"%s\" does not say page_size", error.message);
        kgen_text_free(&config);
    }
    assert_int_equal(executed, 4);
}

/* ---- operations at random ---- */

/* The tags of one sequence; of a slot without one, sequence is NULL. */
struct slot {
    struct kgen_sequence *sequence;
    int tags[CONTEXT];
    int64_t filled;
};

struct world {
    struct kgen_spec *spec;
    struct kgen_paged_caches *caches;
    struct slot slots[SLOTS];
    struct kgen_random random;
    int next_tag;
    size_t appended, refused, forked, truncated, refused_truncations, restored, freed;
};

static struct kgen_attention_cache cache_of(size_t state)
{
    return (struct kgen_attention_cache){2, 32, KGEN_F16, state % 2 == 1};
}

static void *page_memory(const struct world *world, const struct slot *slot, size_t state, int64_t position)
{
    const int32_t page = kgen_sequence_table(slot->sequence, state)[position / PAGE];
    assert_in_range(page, 0, PAGES - 1);
    return (unsigned char *)world->caches->states[state] + (size_t)page * world->caches->page_bytes[state];
}

/* f16 holds tags up to 2048 exactly: the tag, in an element that depends on the state. */
static void write_tag(const struct world *world, const struct slot *slot, int64_t position, int tag)
{
    for (size_t i = 0; i < 4; i++) {
        const struct kgen_attention_cache cache = cache_of(i);
        float row[32] = {0};
        row[i] = (float)(tag % 2048);
        row[i + 8] = (float)(tag / 2048);
        for (int64_t kv = 0; kv < 2; kv++)
            kgen_attention_cache_store(&cache, page_memory(world, slot, i, position), position % PAGE, kv,
                                       row);
    }
}

static void check_position(const struct world *world, const struct slot *slot, size_t state, int64_t position)
{
    const struct kgen_attention_cache cache = cache_of(state);
    const void *memory = page_memory(world, slot, state, position);
    const int tag = slot->tags[position];
    const double low = kgen_attention_cache_value(&cache, memory, position % PAGE, 1, (int64_t)state);
    const double high = kgen_attention_cache_value(&cache, memory, position % PAGE, 1, (int64_t)state + 8);
    if ((int)low + 2048 * (int)high != tag)
        fail_msg("seed %llu: state %zu of position %lld has %d, expected %d", (unsigned long long)SEED, state,
                 (long long)position, (int)low + 2048 * (int)high, tag);
}

/* All that a query at the next position sees is there, no more pages than that are held, and the free pages
 * are those that no table has. */
static void check_world(const struct world *world)
{
    bool used[2][PAGES] = {{0}};
    for (size_t s = 0; s < SLOTS; s++) {
        const struct slot *slot = &world->slots[s];
        if (slot->sequence == NULL)
            continue;
        assert_int_equal(slot->sequence->filled, slot->filled);
        for (size_t i = 0; i < 4; i++) {
            const size_t group = world->caches->groups[i];
            const int64_t window = world->caches->group[group].window;
            const int64_t seen = window > 0 && slot->filled >= window ? slot->filled + 1 - window : 0;
            int64_t held = 0;
            for (int64_t p = seen; p < slot->filled; p++)
                check_position(world, slot, i, p);
            for (int64_t e = 0; e < world->caches->group[group].entries; e++) {
                const int32_t page = kgen_sequence_table(slot->sequence, i)[e];
                const bool wanted = (e + 1) * PAGE > seen && e * PAGE < slot->filled;
                assert_int_equal(page >= 0, wanted);
                if (page >= 0)
                    used[group][page] = true;
                held += page >= 0;
            }
            assert_true(window == 0 || held * PAGE <= window + PAGE);
        }
    }
    for (size_t group = 0; group < 2; group++) {
        int64_t left = 0;
        for (size_t i = 0; i < PAGES; i++)
            left += !used[group][i];
        assert_int_equal(kgen_pages_left(world->caches->group[group].pages), left);
    }
}

static struct kgen_sequence *sequence_new(const struct world *world)
{
    struct kgen_error error = {0};
    struct kgen_sequence *sequence = kgen_sequence_new(world->spec->graph, world->caches, CONTEXT, &error);
    assert_non_null(sequence);
    return sequence;
}

/* As the decoder runs tokens. Where there are too few pages nothing changes. */
static void append(struct world *world, struct slot *slot)
{
    struct kgen_error error = {0};
    const int64_t room = CONTEXT - slot->filled;
    const int64_t most = kgen_random_below(&world->random, 4) == 0 ? 90 : 12;
    int64_t count = 1 + kgen_random_below(&world->random, most);
    count = count < room ? count : room;
    if (count == 0)
        return;
    int result = kgen_sequence_begin(slot->sequence, count, ROWS, &error);
    if (result != 0) {
        assert_non_null(strstr(error.message, "the caches are full"));
        world->refused++;
        return;
    }
    for (int64_t at = 0; at < count; at += ROWS) {
        const int64_t position = slot->filled + at, rows = count - at < ROWS ? count - at : ROWS;
        assert_int_equal(kgen_sequence_reserve(slot->sequence, position, rows, &error), 0);
        for (int64_t i = position; i < position + rows; i++) {
            slot->tags[i] = world->next_tag++;
            write_tag(world, slot, i, slot->tags[i]);
        }
    }
    slot->filled += count;
    kgen_sequence_end(slot->sequence, count);
    world->appended++;
}

static void copy_slot(struct slot *to, const struct slot *from)
{
    memcpy(to->tags, from->tags, sizeof to->tags);
    to->filled = from->filled;
}

static void truncate_slot(struct world *world, struct slot *slot)
{
    struct kgen_error error = {0};
    const int64_t back = kgen_random_below(&world->random, 3) == 0 ? slot->filled : 20;
    int64_t position = slot->filled - kgen_random_below(&world->random, back + 1);
    position = position < 0 ? 0 : position;
    const int64_t first = position >= WINDOW ? position + 1 - WINDOW : 0;
    const bool is_held = position == 0 || position == slot->filled ||
                         kgen_sequence_table(slot->sequence, 0)[first / PAGE] >= 0;
    assert_int_equal(kgen_sequence_truncate(slot->sequence, position, &error) == 0, is_held);
    if (is_held) {
        slot->filled = position;
        world->truncated++;
    } else {
        assert_non_null(strstr(error.message, "windows no longer have"));
        world->refused_truncations++;
    }
    kgen_sequence_end(slot->sequence, 0);
}

/* What one sequence writes another one reads. */
static void restore(struct world *world, struct slot *to, const struct slot *from)
{
    struct kgen_error error = {0};
    unsigned char *bytes = malloc(kgen_sequence_bytes(world->spec->graph, from->filled) + 1);
    assert_non_null(bytes);
    kgen_sequence_write(from->sequence, bytes);
    if (kgen_sequence_read(to->sequence, bytes, from->filled, kgen_sequence_earliest(from->sequence),
                           &error) == 0) {
        copy_slot(to, from);
        world->restored++;
    } else {
        assert_non_null(strstr(error.message, "the caches are full"));
    }
    free(bytes);
}

static void act(struct world *world)
{
    struct slot *slot = &world->slots[kgen_random_below(&world->random, SLOTS)];
    struct slot *other = &world->slots[kgen_random_below(&world->random, SLOTS)];
    const int64_t choice = kgen_random_below(&world->random, 16);
    if (slot->sequence == NULL) {
        slot->sequence = sequence_new(world);
        slot->filled = 0;
        if (other->sequence != NULL && other != slot && choice < 12) {
            kgen_sequence_copy(slot->sequence, other->sequence);
            copy_slot(slot, other);
            world->forked++;
        }
    } else if (choice < 10) {
        append(world, slot);
    } else if (choice < 12) {
        truncate_slot(world, slot);
    } else if (choice == 12 && other->sequence != NULL && other != slot) {
        restore(world, slot, other);
    } else if (choice > 12) {
        kgen_sequence_free(slot->sequence);
        slot->sequence = NULL;
        world->freed++;
    }
}

static void test_operations_at_random(void **state)
{
    (void)state;
    static struct world world;
    struct kgen_error error = {0};
    world = (struct world){.spec = spec_new(PAGE), .random = {SEED}};
    assert_int_equal(kgen_paged_caches_new(world.spec->graph, PAGES, &world.caches, &error), 0);
    assert_int_equal(world.caches->group_count, 2);
    for (int i = 0; i < STEPS; i++) {
        act(&world);
        check_world(&world);
    }
    /* Each kind of operation was seen. */
    assert_true(world.appended > 500 && world.refused > 20 && world.forked > 50);
    assert_true(world.truncated > 50 && world.refused_truncations > 10 && world.restored > 10);
    for (size_t i = 0; i < SLOTS; i++)
        kgen_sequence_free(world.slots[i].sequence);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(kgen_pages_left(world.caches->group[i].pages), PAGES);
    kgen_paged_caches_free(world.caches);
    kgen_spec_free(world.spec);
}

/* Without a number there are as many pages as one sequence needs. Without pages there are no caches. */
static void test_pages_of_graphs(void **state)
{
    (void)state;
    static const int64_t sizes[] = {0, 16, 64, 256}, expected[] = {0, 19, 5, 2};
    size_t executed = 0;
    for (size_t i = 0; i < KGEN_COUNT_OF(sizes); i++, executed++) {
        struct kgen_spec *spec = spec_new(sizes[i]);
        struct kgen_paged_caches *caches = NULL;
        struct kgen_error error = {0};
        assert_int_equal(kgen_paged_caches_new(spec->graph, 0, &caches, &error), 0);
        assert_int_equal(caches != NULL, sizes[i] > 0);
        if (caches != NULL)
            assert_int_equal(kgen_pages_count(caches->group[0].pages), expected[i]);
        kgen_paged_caches_free(caches);
        kgen_spec_free(spec);
    }
    assert_int_equal(executed, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_operations_at_random),
        cmocka_unit_test(test_pages_of_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
