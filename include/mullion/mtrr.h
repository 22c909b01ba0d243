/* SPDX-License-Identifier: MIT */
/* The memory type range registers, as guests see them. */
#ifndef MULLION_MTRR_H
#define MULLION_MTRR_H

#include <mullion/error.h>
#include <stdint.h>

struct vcpu;

#define MTRR_VARIABLE 8 /* ranges, of two registers */
#define MTRR_FIXED 11	/* registers of eight ranges */

struct pc_mtrrs {
	uint64_t variable[2 * MTRR_VARIABLE], fixed[MTRR_FIXED], type;
};

/* RDMSR and WRMSR of MTRRCAP, MTRR_DEF_TYPE and, on a legacy PC, the ranges;
 * an error means #GP(0).  Any vCPU's CPU, no lock. */
enum error mtrr_read(struct vcpu *vcpu, uint32_t msr, uint64_t *value);
enum error mtrr_write(struct vcpu *vcpu, uint32_t msr, uint64_t value);

#endif
