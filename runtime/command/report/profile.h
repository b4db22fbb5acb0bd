/* SPDX-License-Identifier: MIT */
/* The page of kgen profile --html, in the style of that of kgen report. */
#ifndef KGEN_REPORT_PROFILE_H
#define KGEN_REPORT_PROFILE_H

#include "runtime/command/profile/profile.h"

/* Appends the whole page. html->failed says whether memory has run out. */
void kgen_html_profile(const struct kgen_profile *profile, struct kgen_text *html);

#endif
