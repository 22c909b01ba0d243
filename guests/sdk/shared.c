/* SPDX-License-Identifier: MIT */
/* Memory that the manifest shares with other VMs, by hypercalls. */
#include "sdk.h"

bool shared_find(const char *name, struct shared *shared)
{
	for (uint64_t i = 0;; i++) {
		if (hypercall(MULL_CALL_SHARED, i, (uintptr_t)&shared->told) !=
		    0)
			return false;
		if (strcmp(shared->told.name, name) == 0) {
			shared->number = i;
			return true;
		}
	}
}

void *shared_bytes(const struct shared *shared)
{
	return (void *)shared->told.address;
}

bool shared_ring(const struct shared *shared, uint32_t peer, uint32_t doorbell)
{
	return hypercall(MULL_CALL_SHARED_RING, shared->number,
			 peer << 16 | doorbell) == 0;
}

bool shared_listen(const struct shared *shared, uint8_t vector)
{
	return hypercall(MULL_CALL_SHARED_LISTEN, shared->number,
			 cpu_index() << 8 | vector) == 0;
}
