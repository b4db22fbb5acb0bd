/* SPDX-License-Identifier: MIT */
#include "gen/base/base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kgen_text_real(struct kgen_text *text, double value)
{
    char digits[40];
    if (value == floor(value) && fabs(value) < 1e15) {
        snprintf(digits, sizeof digits, "%.0f", value);
    } else {
        /* Fewer digits suffice for denormal numbers only. */
        for (int precision = fabs(value) < 0x1p-1022 ? 1 : 15; precision <= 17; precision++) {
            snprintf(digits, sizeof digits, "%.*g", precision, value);
            if (strtod(digits, NULL) == value)
                break;
        }
    }
    /* What is not part of a number is the decimal point of the locale, which may take several bytes. */
    for (const char *c = digits; *c != '\0';) {
        const size_t part = strspn(c, "0123456789+-e");
        kgen_text_append(text, c, part);
        c += part;
        if (*c != '\0') {
            kgen_text_puts(text, ".");
            c += strcspn(c, "0123456789+-e");
        }
    }
}
