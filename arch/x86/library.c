/* SPDX-License-Identifier: MIT */
/* What Debian's libbearssl.a, compiled with _FORTIFY_SOURCE and the stack
 * protector, expects of a C library. */
#include <mullion/log.h>
#include <string.h>

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
_Noreturn void __stack_chk_fail(void);

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
	ASSERT(length <= room);
	return memcpy(to, from, length);
}

_Noreturn void __stack_chk_fail(void)
{
	panic("the hash function has overrun its stack");
}
