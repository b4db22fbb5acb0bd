/* SPDX-License-Identifier: MIT */
#include "runtime/command/interrupt.h"

#include <signal.h>
#include <stddef.h>

volatile int kgen_interrupted;

static void interrupt(int signal_number)
{
    (void)signal_number;
    kgen_interrupted = 1;
}

void kgen_interrupt_catch(void)
{
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}
