/* SPDX-License-Identifier: MIT */
#include "gen/ops/random.h"

uint64_t kgen_random_next(struct kgen_random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int64_t kgen_random_below(struct kgen_random *random, int64_t count)
{
    return (int64_t)(kgen_random_next(random) % (uint64_t)count);
}

float kgen_random_uniform(struct kgen_random *random)
{
    return (float)(kgen_random_next(random) >> 40) * 0x1p-24f;
}

float kgen_random_normal(struct kgen_random *random)
{
    /* The sum of four uniform numbers of 16 bits has variance 1/3. */
    uint64_t bits = kgen_random_next(random);
    int64_t sum = 0;
    for (int shift = 0; shift < 64; shift += 16)
        sum += (int64_t)(bits >> shift & 0xffff);
    return ((float)sum - 131070.0f) * (0x1p-16f * 1.7320508f);
}

float kgen_random_sign(struct kgen_random *random)
{
    return (kgen_random_next(random) & 1) != 0 ? 1.0f : -1.0f;
}

void kgen_random_fill_normal(struct kgen_random *random, float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        x[i] = kgen_random_normal(random);
}

void kgen_random_fill_extreme(struct kgen_random *random, float *x, int64_t count, float great)
{
    const float specials[] = {0.0f, -0.0f, 1e-40f, -0x1p-149f, 1.0f / great, -1.0f / great, great, -great};
    for (int64_t i = 0; i < count; i++) {
        x[i] = kgen_random_normal(random);
        int64_t choice = kgen_random_below(random, 3 * (int64_t)KGEN_COUNT_OF(specials));
        if (choice < (int64_t)KGEN_COUNT_OF(specials))
            x[i] = specials[choice];
    }
}
