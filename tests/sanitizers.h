/* SPDX-License-Identifier: MIT */
/* Which sanitizer the tests were built with: gcc and clang say it in different ways. */
#ifndef KGEN_SANITIZERS_H
#define KGEN_SANITIZERS_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KGEN_TEST_ADDRESS_SANITIZER 1
#endif
#if __has_feature(thread_sanitizer)
#define KGEN_TEST_THREAD_SANITIZER 1
#endif
#endif

#if defined(__SANITIZE_ADDRESS__) && !defined(KGEN_TEST_ADDRESS_SANITIZER)
#define KGEN_TEST_ADDRESS_SANITIZER 1
#endif
#if defined(__SANITIZE_THREAD__) && !defined(KGEN_TEST_THREAD_SANITIZER)
#define KGEN_TEST_THREAD_SANITIZER 1
#endif

#endif
