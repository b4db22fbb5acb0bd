/* SPDX-License-Identifier: MIT */
/* Turns: the kgen processes of one user on one machine do not disturb each other's measurements. Any number
 * may compile and prove at once; who measures does so alone.
 *
 * Turns are locks of the kernel on a file in /dev/shm, so that they end with their holder. Who waits to
 * measure goes before those who come to compile after it. */
#ifndef KGEN_TURN_H
#define KGEN_TURN_H

enum kgen_turn_kind {
    KGEN_TURN_WORK,   /* beside others */
    KGEN_TURN_MEASURE /* alone */
};

/* A longer wait is for a process that is stopped: go on without. */
#define KGEN_TURN_SECONDS 20.0

/* Waits for a turn. Returns what kgen_turn_end needs; -1 where there are no turns to be had (no /dev/shm, or
 * waited in vain): work then goes on without one. Belongs to the calling process and those it forks. */
int kgen_turn_take(enum kgen_turn_kind kind);
void kgen_turn_end(int turn);

#endif
