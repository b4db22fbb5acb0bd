/* SPDX-License-Identifier: MIT */
/* Messages of the library to the program that uses it. */
#ifndef KGEN_LOG_H
#define KGEN_LOG_H

enum kgen_message_level { KGEN_MESSAGE_WARNING, KGEN_MESSAGE_INFORMATION };

/* Receives one message without a newline, valid during the call. level is an enum kgen_message_level. */
typedef void kgen_message_log(void *context, int level, const char *message);

#endif
