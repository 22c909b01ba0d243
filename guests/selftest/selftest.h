/* SPDX-License-Identifier: MIT */
/* The parts of the self-test; each reports on one subject. */
#ifndef SELFTEST_H
#define SELFTEST_H

#include "sdk.h"

void test_identity(void);
void test_memory(void);
void test_registers(void);
void test_hypercalls(void);
void test_tables(void);
void test_time(void);
void test_apic(void);
void test_uart(void);
void test_fpu(void);
void test_processors(void);
void test_features(void);
void test_paravirtual(void);

#endif
