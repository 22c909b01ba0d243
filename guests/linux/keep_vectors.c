/* SPDX-License-Identifier: MIT */
/*
 * Whether processes keep their vector registers while others run: a kernel
 * saves them in the way that the CPUID of its virtual processor offers.
 * Four processes fill AVX registers, yield, and look.  Exit status 1: lost.
 */
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define ROUNDS 200
#define SYS_SCHED_YIELD "24"

/* Whether YMM3 is as before after a system call that lets others run. */
static int keeps(const uint8_t pattern[32])
{
	uint8_t seen[32];

	__asm__ volatile("vmovdqu (%0), %%ymm3\n\t"
			 "mov $" SYS_SCHED_YIELD ", %%eax\n\t"
			 "syscall\n\t"
			 "vmovdqu %%ymm3, (%1)\n\t"
			 "vzeroupper"
			 :
			 : "r"(pattern), "r"(seen)
			 : "rax", "rcx", "r11", "xmm3", "memory");
	return memcmp(seen, pattern, sizeof seen) == 0;
}

static int process(int number)
{
	uint8_t pattern[32];

	for (int i = 0; i < ROUNDS; i++) {
		memset(pattern, number * ROUNDS + i, sizeof pattern);
		if (!keeps(pattern))
			return 1;
	}
	return 0;
}

int main(void)
{
	int status, lost = 0;

	if (!__builtin_cpu_supports("avx"))
		return 0;
	for (int i = 1; i <= PROCESSES; i++)
		if (fork() == 0)
			_exit(process(i));
	while (wait(&status) > 0)
		lost |= status;
	return lost != 0;
}
