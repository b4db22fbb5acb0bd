/* SPDX-License-Identifier: MIT */
/* Ctrl-C: the first signal asks the command to end in good order, a second one ends it at once. */
#ifndef KGEN_INTERRUPT_H
#define KGEN_INTERRUPT_H

/* Not 0 after SIGINT or SIGTERM. A signal handler has no context pointer. */
extern volatile int kgen_interrupted;

/* Catches both signals from now on, once each. */
void kgen_interrupt_catch(void);

#endif
