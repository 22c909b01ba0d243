/* SPDX-License-Identifier: MIT */
#include "processors.h"

#include <mullion/bits.h>

#include "console.h"
#include "firmware.h"

/* PI 1.8 Volume 2, "EFI_MP_SERVICES_PROTOCOL": gnu-efi has no header for it */
#define MP_SERVICES_GUID \
	{ \
		0x3fdda605, 0xa76e, 0x4f46, \
		{ \
			0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08 \
		} \
	}

/* PI 1.8 Volume 2, "EFI_PROCESSOR_INFORMATION" */
struct processor_information {
	UINT64 id; /* the local APIC's */
	UINT32 status;
	UINT32 package, core, thread;
	UINT32 location[6];
};

#define STATUS_ENABLED BIT(1)
#define STATUS_HEALTHY BIT(2)

/* The first two members; the others would start code on the processors. */
struct mp_services {
	EFI_STATUS(EFIAPI *count)
	(struct mp_services *services, UINTN *all, UINTN *enabled);
	EFI_STATUS(EFIAPI *describe)
	(struct mp_services *services, UINTN number,
	 struct processor_information *information);
};

static void add_processor(struct mull_boot_info *info,
			  struct mp_services *services, UINTN number)
{
	struct processor_information found = { 0 };

	if (EFI_ERROR(services->describe(services, number, &found)))
		return;
	info->processors[info->processor_count++] =
		(struct mull_boot_processor){
			.apic_id = found.id,
			.enabled = found.status & STATUS_ENABLED &&
				   found.status & STATUS_HEALTHY,
		};
}

void processors_describe(struct mull_boot_info *info)
{
	EFI_GUID wanted = MP_SERVICES_GUID;
	struct mp_services *services = NULL;
	UINTN all = 0, enabled = 0;

	if (EFI_ERROR(firmware->BootServices->LocateProtocol(
		    &wanted, NULL, (void **)&services)) ||
	    EFI_ERROR(services->count(services, &all, &enabled))) {
		say("Processors: unknown to the firmware\n");
		return;
	}
	for (UINTN i = 0; i < all && i < MULL_BOOT_PROCESSORS; i++)
		add_processor(info, services, i);
	say("Processors: %lu of %lu enabled\n", enabled, all);
	if (all > MULL_BOOT_PROCESSORS)
		say("Processors: only the first %u are handed over\n",
		    (uint32_t)MULL_BOOT_PROCESSORS);
}
